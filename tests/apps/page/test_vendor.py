"""The page's files: those of others are unchanged, its own hold nothing that the policy forbids."""

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

PAGE = Path(str(files("spectm"))) / "apps" / "server" / "page"
VENDOR = PAGE / "vendor"
OWN = sorted([*PAGE.glob("*.js"), *PAGE.glob("*.html"), *PAGE.glob("*.css")])


def test_files_of_others_are_those_that_were_taken() -> None:
    source = json.loads((VENDOR / "SOURCE.json").read_text(encoding="utf-8"))
    there = {path.name for path in VENDOR.iterdir()} - {"SOURCE.json"}
    assert there == set(source["files"])
    for name, known in source["files"].items():
        content = (VENDOR / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (known["bytes"], known["sha256"]), name


def test_files_of_others_are_of_the_locked_version_and_have_their_licence() -> None:
    source = json.loads((VENDOR / "SOURCE.json").read_text(encoding="utf-8"))
    lock = Path(__file__).parents[3] / "tools" / "page" / "package-lock.json"
    locked = json.loads(lock.read_text(encoding="utf-8"))["packages"]["node_modules/maplibre-gl"]
    assert (source["version"], source["integrity"]) == (locked["version"], locked["integrity"])
    assert source["licence"] == "BSD-3-Clause"
    assert "Redistributions in binary form" in (VENDOR / "LICENSE.txt").read_text(encoding="utf-8")
    assert "earcut" in (VENDOR / "THIRD-PARTY.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_own_files_read_no_markup_and_name_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
    hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`]*", text)) - {"http://www.w3.org/2000/svg"}
    assert not hosts


def test_the_page_has_no_inline_script_or_style() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>([^<]*)", text) == [""]
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    used = set(re.findall(r'(?:src|href)="(page/[^"]+)"', text))
    assert used == {"page/main.js", "page/style.css", "page/vendor/maplibre-gl.css"}
    assert all((PAGE.parent / name).is_file() for name in used)


def test_every_module_that_is_imported_is_there() -> None:
    for path in PAGE.glob("*.js"):
        named = re.findall(r'(?:from|import\()\s*"(\./[^"]+)"', path.read_text(encoding="utf-8"))
        assert all((PAGE / name).is_file() for name in named), path.name


def test_every_element_that_is_asked_for_by_name_is_there() -> None:
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    names = set(re.findall(r'\sid="([\w-]+)"', page))
    for path in PAGE.glob("*.js"):
        asked = set(re.findall(r'byId\("([\w-]+)"\)', path.read_text(encoding="utf-8")))
        assert asked <= names, path.name
