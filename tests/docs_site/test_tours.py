"""A person who types what a tour says, in an empty folder, gets to its end and finds what it promises."""

import importlib.util
import os
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.processes import run

ROOT = Path(__file__).parents[2]
PROMISED = {
    "researcher": (
        "composite.png",
        "matchups.csv",
        "model/checkpoint.json",
        "evaluation/report.html",
        "why.html",
    ),
    "agency": (
        "predictions/points.csv",
        "map.png",
        "above.png",
        "map.tif",
        "map.qml",
        "bulletin.html",
        "alerts/alerts.jsonl",
    ),
}


@pytest.fixture(scope="module")
def tour() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tour", ROOT / "tools" / "tour.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_tour_is_run() -> None:
    # docs/own-sensor.md has a test of its own
    assert {page.stem for page in (ROOT / "docs" / "tours").glob("*.md")} == set(PROMISED)


def test_blocks_of_shell_are_taken_in_order_and_a_server_is_ended(tour: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```text\nno\n```\n```sh\necho 1\n```\nwords\n```sh\nspectm serve x --labels y\n```\n")
    lines = tour.script(page).splitlines()
    assert lines[:4] == [
        "set -euo pipefail",
        "echo 1",
        "",
        "spectm serve x --labels y --port 0 > served 2>&1 & server=$!",
    ]
    assert "no" not in lines
    assert "kill" in lines[4]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agency", pytest.param("researcher", marks=pytest.mark.long)])
def test_a_tour_gets_to_its_end(tour: ModuleType, tmp_path: Path, name: str) -> None:
    beside = str(Path(sys.executable).parent)  # where `spectm` is, and `python`
    environment = os.environ | {"PATH": beside + os.pathsep + os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    text = tour.script(ROOT / "docs" / "tours" / f"{name}.md")
    done = run(["bash", "-c", f"cd {shlex.quote(str(tmp_path))}\n{text}"], environment, patience_s=1200)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert [file for file in PROMISED[name] if not (tmp_path / file).is_file()] == []
    if name == "agency":
        assert '"status":"ok"' in done.stdout
        assert (tmp_path / "predictions" / "points.csv").read_text().count("\nintake,") == 3  # periods
