"""The site is built without a warning, leads everywhere, and asks no other host for anything."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filelock import FileLock

from tests.processes import python

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
# What a browser fetches by itself; a link is followed by a person.
FETCHED = dict.fromkeys(("audio", "embed", "iframe", "img", "script", "source", "video"), "src") | {
    "link": "href"
}


class Page(HTMLParser):
    """What a page fetches, where it leads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.tags: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "id" in given:
            self.anchors.add(given["id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Built by the first process of a run that asks for it; the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "site"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "html").exists():
            words = ("-W", "-q", "-c", ROOT / "docs", "-d", folder / "trees", ROOT, folder / "unread")
            done = python("-m", "sphinx", *map(str, words))
            assert (done.returncode, done.stderr) == (0, ""), done.stderr[-4000:]
            (folder / "unread").rename(folder / "html")
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_there(site: Path) -> None:
    written = {path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
    written = {path for path in written if "_build" not in path.parts}
    assert len(written) > 25
    assert [path for path in written if not (site / path.with_suffix(".html")).is_file()] == []
    assert (site / "src/spectm/released/erie-2024/card.html").is_file()


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    far = re.compile(r"^(?:\w+:)?//")
    for path, page in pages.items():
        assert [address for address in page.fetched if far.match(address)] == [], path
    for path in site.rglob("*.css"):
        assert not re.findall(
            r"(?:url\(\s*['\"]?|@import\s+['\"])(?:\w+:)?//", path.read_text(encoding="utf-8")
        ), path
    for path in site.rglob("*.js"):
        said = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:import|fetch|importScripts)\s*\(?\s*['\"](?:\w+:)?//", said), path


def test_links_lead_to_pages_and_their_parts(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"\w+:", link) or not link:
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.is_file(), f"{path.name}: {link}"
            assert not anchor or target not in pages or anchor in pages[target].anchors, (
                f"{path.name}: {link}"
            )


def test_the_first_page_leads_to_all_others(site: Path, pages: dict[Path, Page]) -> None:
    assert 'content="0; url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")
    first = site / "docs" / "index.html"
    reached = {
        (first.parent / link.partition("#")[0]).resolve() for link in pages[first].links if ":" not in link
    }
    made_by_sphinx = {
        site / name for name in ("genindex.html", "py-modindex.html", "search.html", "index.html")
    }
    assert set(pages) - made_by_sphinx - {first} <= reached


def test_it_has_a_search_fits_a_phone_and_shows_formulas(site: Path, pages: dict[Path, Page]) -> None:
    assert (site / "searchindex.js").stat().st_size > 10_000
    text = (site / "docs" / "index.html").read_text(encoding="utf-8")
    assert 'name="viewport"' in text
    assert 'role="search"' in text
    assert "math" in pages[site / "docs" / "reference.html"].tags  # MathML: no script is needed


def test_the_reference_has_what_is_public(site: Path, pages: dict[Path, Page]) -> None:
    anchors = pages[site / "docs" / "reference.html"].anchors
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(spectm[\w.]*)` \| ([^|]*) \|", api, flags=re.MULTILINE)
    shown = {f"{module}.{name}" for module, cell in rows for name in re.findall(r"`(\w+)`", cell)}
    constants = {name for name in shown if name.rpartition(".")[2].isupper() or name.endswith("__version__")}
    assert len(shown) > 80
    assert sorted(shown - constants - anchors) == []


def test_a_warning_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "static"):
        (tmp_path / "docs" / name).symlink_to(ROOT / "docs" / name)
    (tmp_path / "docs" / "index.md").write_text("# One\n\n## Pages\n\n[no](nowhere.md)\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("# Two\n", encoding="utf-8")
    done = python(
        "-m", "sphinx", "-W", "-q", "-c", str(tmp_path / "docs"), str(tmp_path), str(tmp_path / "html")
    )
    assert done.returncode == 1
    assert "nowhere" in done.stderr
