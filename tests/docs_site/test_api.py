"""What `docs/api.md` calls public is there and documented, and nothing is public by accident."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(spectm[\w.]*)` \| ([^|]*) \|([^|]*)\|$", re.MULTILINE)
ROWS = {module: (public, internal) for module, public, internal in ROW.findall(API)}


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_there_are_rows() -> None:
    assert len(ROWS) == len(re.findall(r"^\| `spectm[.`]", API, flags=re.MULTILINE)) > 20


@pytest.mark.parametrize("module", ROWS)
def test_every_name_is_there_and_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__doc__
    public = set(found.__all__) if ROWS[module][0] == "all" else names(ROWS[module][0])
    assert public
    for name in public:
        thing = getattr(found, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            # a dataclass without a docstring is given its signature
            said = thing.__doc__ or ""
            assert said.strip(), f"{module}.{name} has no docstring"
            assert not said.startswith(f"{name}("), f"{module}.{name} has no docstring"
        if inspect.isclass(thing):
            for method, code in vars(thing).items():
                if not method.startswith("_") and inspect.isfunction(code):
                    assert inspect.getdoc(getattr(thing, method)), (
                        f"{module}.{name}.{method} has no docstring"
                    )


@pytest.mark.parametrize("module", ROWS)
def test_every_exported_name_is_public_or_internal(module: str) -> None:
    found = importlib.import_module(module)
    public, internal = ROWS[module]
    if public == "all":
        return
    assert not names(public) & names(internal)
    if hasattr(found, "__all__"):  # a new name: say in docs/api.md which of the two it is
        assert names(public) | names(internal) == set(found.__all__)


def test_format_versions_are_those_of_the_code() -> None:
    stated = dict(re.findall(r"^\| `(spectm-\w+)` \| (\d+) \|", API, flags=re.MULTILINE))
    homes = {
        "spectm-checkpoint": "spectm.training.checkpoint",
        "spectm-cube": "spectm.data.cube",
        "spectm-predictions": "spectm.apps.store_writer",
        "spectm-patches": "spectm.data.patch_file",
        "spectm-evaluation": "spectm.evaluation.run_folder",
        "spectm-simulation": "spectm.simulation.season",
        "spectm-manifest": "spectm.data.catalog.manifest",
    }
    assert stated == {name: str(importlib.import_module(home).FORMAT_VERSION) for name, home in homes.items()}
