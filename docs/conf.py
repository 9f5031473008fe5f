"""Settings of the documentation site; `make docs` builds it from the Markdown pages, warnings being errors.

The source folder is the root of the project and not `docs/`, so that a link to `../README.md` is a page on
the site as it is on a code host.
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import spectm

project, author, release = "spectm", "The spectm developers", spectm.__version__
project_copyright = f"{author}. Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "src/spectm/released/*/card.md"]
exclude_patterns = [".*", "docs/_build", "runs", "tests", "tools"]  # not even looked into

myst_heading_anchors = 3  # the same as a code host's
toc_object_entries = False  # the menu would be longer than the page
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types, with shapes and units
napoleon_google_docstring = False

html_theme = "alabaster"
html_theme_options = {
    "page_width": "72rem",
    "sidebar_width": "16rem",
    "fixed_sidebar": True,
    "show_powered_by": False,
    "font_family": "system-ui, sans-serif",
    "head_font_family": "system-ui, sans-serif",
}
html_css_files = ["site.css"]
html_static_path = ["static"]
html_title = f"spectm {release}"
html_show_sourcelink = False
html_math_renderer = "mathml"
html_copy_source = False

LINK = re.compile(r"\]\(([^)#\s]+\.md)\)")
API_ROW = re.compile(r"^\| `(spectm[\w.]*)` \| ([^|]*) \|", re.MULTILINE)


def menu(index: str) -> str:
    """The first page with a menu of all pages, which a code host would show as it stands."""
    readme = "What spectm is <../README.md>"
    captions, bodies = (re.split(r"^## (.+)$", index, flags=re.MULTILINE)[i::2] for i in (1, 2))
    for caption, body in zip(captions, bodies, strict=True):
        pages = "\n".join(([readme] if caption == captions[0] else []) + LINK.findall(body))
        index += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
    return re.sub(r"\[[\w./-]+\.md\]\(", "[](", index)  # titles of pages and not names of files


def reference(api: str) -> str:
    """What `docs/api.md` calls public, from the docstrings."""
    text = ""
    for module, cell in API_ROW.findall(api):
        names = ", ".join(re.findall(r"`(\w+)`", cell))
        text += f"\n## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members: {names}\n```\n"
    return text


def notebook(path: Path) -> str:
    """The cells of a notebook as a page has them."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(cell["source"]) for cell in cells)
    bodies = [
        re.sub(r"^#", "##", text, flags=re.MULTILINE)
        if cell["cell_type"] == "markdown"
        else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    ]
    return "\n\n".join(bodies).replace("](../", "](")  # links as from docs/notebooks.md


def completed(app: Sphinx, page: str, content: list[str]) -> None:
    """Give pages what the site has and a code host would not show well."""
    docs = Path(app.srcdir) / "docs"
    if page == root_doc:
        content[0] = menu(content[0])
    if page == "docs/reference":
        content[0] += reference((docs / "api.md").read_text(encoding="utf-8"))
    if page == "docs/notebooks":
        content[0] += "\n" + "\n\n".join(notebook(path) for path in sorted(docs.glob("notebooks/*.ipynb")))


def unlinked(app: Sphinx, page: nodes.document) -> None:
    """Shapes and types in docstrings are words: `n_bands` of an array is no property of some class."""
    for word in list(page.findall(pending_xref)):
        if word["refdomain"] == "py" and word["reftarget"][:1].islower():
            word.replace_self(word.children)


def formula(writer: Any, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as browsers read it: MathJax would be a script of another host."""
    writer.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def entrance(app: Sphinx, failure: Exception | None) -> None:
    """Lead whoever opens the folder to the first page."""
    if failure is None:
        there = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">'
        page = f'<!doctype html><html lang="en"><title>{project}</title>{there}</html>\n'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register all of it."""
    app.connect("source-read", completed)
    app.connect("doctree-read", unlinked)
    app.connect("build-finished", entrance)
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
