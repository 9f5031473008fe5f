"""One page, several writers."""

from pathlib import Path

from spectm.cli.evaluate import _with_other_sections
from spectm.evaluation.page_sections import sections_of, with_sections, write_section


def test_each_replaces_its_own(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nwritten by evaluate\n", encoding="utf-8")
    write_section(page, "transfer", "# Other bands\n\n## More\n\ntext\n")
    write_section(page, "own-lake", "# Own lake\n")
    write_section(page, "transfer", "# Other bands\n\nnewer\n")
    assert page.read_text(encoding="utf-8") == (
        "# Results\n\nwritten by evaluate\n\n"
        "<!-- section own-lake -->\n## Own lake\n<!-- end of own-lake -->\n\n"
        "<!-- section transfer -->\n## Other bands\n\nnewer\n<!-- end of transfer -->\n"
    )
    sections = sections_of(page.read_text(encoding="utf-8"))
    assert list(sections) == ["own-lake", "transfer"]
    assert with_sections("# New page", sections).startswith("# New page\n\n<!-- section own-lake -->\n## Own")
    assert with_sections("# New page\n", {}) == "# New page\n"


def test_a_page_is_made_where_there_is_none(tmp_path: Path) -> None:
    write_section(tmp_path / "new.md", "transfer", "# Other bands\n\n### deep\n")
    assert (tmp_path / "new.md").read_text(encoding="utf-8") == (
        "# Results\n\n<!-- section transfer -->\n## Other bands\n\n#### deep\n<!-- end of transfer -->\n"
    )


def test_evaluate_leaves_what_others_wrote(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    assert _with_other_sections("# Results\n\nnew\n", page) == "# Results\n\nnew\n"
    page.write_text("# Results\n\nold\n", encoding="utf-8")
    write_section(page, "transfer", "# Other bands")
    assert _with_other_sections("# Results\n\nnew\n", page) == (
        "# Results\n\nnew\n\n<!-- section transfer -->\n## Other bands\n<!-- end of transfer -->\n"
    )
