"""THIRD_PARTY.md names everything that is installed or shipped, under licences that were looked at."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^\| ([a-z0-9-]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
PAGE = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
LISTED = {name: (said, home) for name, said, home in LINE.findall(PAGE)}
# All of them ask to keep notices, and no more; MPL-2.0 speaks of changes to its own files.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "tools" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines if "==" in line}


@pytest.mark.slow
def test_every_package_that_comes_along_has_its_line(licences: ModuleType) -> None:
    found = licences.installed()
    assert len(found) > 60
    missing = {name: found[name] for name in found if LISTED.get(name) != found[name]}
    assert not missing, f"look at these licences, then run `python tools/licences.py`: {missing}"


def test_no_line_is_of_a_package_that_is_gone() -> None:
    unpinned = {"setuptools"}  # comes with torch, and `pip freeze` leaves it out
    assert set(LISTED) - unpinned <= pinned(), "run `python tools/licences.py`"


def test_licences_are_those_that_were_agreed_to() -> None:
    atoms = {atom for said, _ in LISTED.values() for atom in re.split(r" AND | OR |[()]", said)}
    assert atoms <= ALLOWED


@pytest.mark.slow
def test_an_unknown_licence_is_no_blank(licences: ModuleType) -> None:
    assert all(said.strip() for said, _ in licences.installed().values())


def test_what_is_shipped_is_listed() -> None:
    vendor = ROOT / "src" / "spectm" / "apps" / "server" / "page" / "vendor"
    source = json.loads((vendor / "SOURCE.json").read_text(encoding="utf-8"))
    assert f"| MapLibre GL JS {source['version']} |" in PAGE
    assert source["licence"] in PAGE
    places = re.findall(r"`(spectm/[\w./*-]+)`", PAGE)
    assert len(places) == 5
    for place in places:
        assert list((ROOT / "src").glob(place)), place
    tables = {path for path in (ROOT / "src" / "spectm").rglob("tables") if path.is_dir()}
    named = {found.parent for place in places for found in (ROOT / "src").glob(place)}
    ours = {ROOT / "src" / "spectm" / "data" / "tables"}  # boxes and blocks of dates made here
    assert tables - ours <= named
