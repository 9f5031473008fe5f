"""Sections of one page that several commands write: each replaces its own and leaves the others."""

import re
from pathlib import Path

from spectm.files import write_text

__all__ = ["sections_of", "with_sections", "write_section"]

_SECTION = re.compile(r"<!-- section ([\w-]+) -->\n.*?\n<!-- end of \1 -->\n", re.DOTALL)


def write_section(path: Path, name: str, text: str) -> None:
    """Write or replace a section of a Markdown page; the page is made where it is missing.

    Parameters
    ----------
    path : Path
        The page.
    name : str
        Letters, digits and hyphens; commonly that of the command.
    text : str
        Markdown whose highest heading is of the first level: it is moved one level down, as the page has a
        title of its own.
    """
    found = path.read_text(encoding="utf-8") if path.is_file() else "# Results\n"
    lowered = re.sub(r"^(#+ )", r"#\1", text.strip(), flags=re.MULTILINE)
    section = f"<!-- section {name} -->\n{lowered}\n<!-- end of {name} -->\n"
    others = {key: value for key, value in sections_of(found).items() if key != name}
    write_text(path, with_sections(_SECTION.sub("", found), {**others, name: section}))


def sections_of(text: str) -> dict[str, str]:
    """The sections of a page, each with its marks, by name."""
    return {found[1]: found[0] for found in _SECTION.finditer(text)}


def with_sections(text: str, sections: dict[str, str]) -> str:
    """A page and its sections behind it, in the order of their names."""
    return "\n".join([text.rstrip() + "\n", *(sections[name] for name in sorted(sections))])
