"""Notebooks run from top to bottom, use public names only, and are kept without what they print."""

import ast
import contextlib
import importlib
import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
PUBLIC = {
    (module, name)
    for module, cell in re.findall(
        r"^\| `(spectm[\w.]*)` \| ([^|]*) \|",
        (ROOT / "docs" / "api.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    for name in re.findall(r"`(\w+)`", cell)
}
SAYS = {
    "spectra": ["(6, 172)", "phycocyanin absorption: 615 to 640 nm", "masking targeted: 13 of 33 tokens"],
    "store": ["simulated: True", "model: erie-2024", "spans a factor of", "nothing unusual"],
}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def code_of(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def test_there_are_two() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_kept(path: Path) -> None:
    notebook = read(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert set(notebook["metadata"]["kernelspec"].values()) == {"python3", "Python 3", "python"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_public_names_are_imported(path: Path) -> None:
    found = {
        (line.module, alias.name)
        for line in ast.walk(ast.parse("\n".join(code_of(path))))
        if isinstance(line, ast.ImportFrom) and str(line.module).startswith("spectm")
        for alias in line.names
    }
    assert found
    assert found <= PUBLIC
    for module, name in found:
        assert hasattr(importlib.import_module(str(module)), name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_to_pages(path: Path) -> None:
    words = "\n".join("".join(cell["source"]) for cell in read(path)["cells"])
    for link in re.findall(r"\]\(([^)#]+)\)", words):
        assert (path.parent / link).is_file(), link


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {}
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            for code in code_of(path):
                exec(compile(code, path.name, "exec"), names)
        assert plt.get_fignums()
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    finally:
        plt.close("all")
    assert [words for words in SAYS[path.stem] if words not in said.getvalue()] == []
