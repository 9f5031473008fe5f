"""A server over small stores, and a browser that visits its page."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.apps.stores import make_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a GPU
SCRIPT = "<img src=x onerror=document.title='owned'><script>alert(1)</script>"
STATIONS = {"Pier": (41.87, -83.37), "Outer bank": (41.79, -83.29), SCRIPT: (41.91, -83.41)}
PATIENCE_MS = 20_000
VIOLATIONS = (
    "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
)


@dataclass
class Visit:
    """A page and what happened on it that should not."""

    page: "Page"
    root: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def note(self, request: Any) -> None:
        """Where a request goes."""
        self.asked.append(request.url)
        if not request.url.startswith((self.root, "blob:", "data:")):
            self.elsewhere.append(request.url)

    def open(self, view: str = "") -> None:
        """The page with a view, until its map is drawn."""
        self.page.goto(f"{self.root}/{view}")
        self.drawn()

    def drawn(self, part: str = "area=") -> None:
        """Wait until the map shows a view whose address has this part."""
        look = "part => (document.getElementById('map').dataset.shown ?? '').includes(part)"
        self.page.wait_for_function(look, arg=part)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server over two areas, one of them not simulated."""
    folder = tmp_path_factory.mktemp("served")
    made = {"n_periods": 4, "shape": (12, 16), "resolution": 0.02, "west": -83.5, "north": 42.0}
    make_store(folder / "bay", **made)
    make_store(folder / "harbour", **{**made, "n_periods": 2}, simulated=False, seed=1)
    stations = folder / "stations.csv"
    lines = ['"{}",{},{}'.format(name.replace('"', '""'), *at) for name, at in STATIONS.items()]
    stations.write_text("station,latitude,longitude\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = [sys.executable, "-c", "import sys; from spectm.cli.main import main; sys.exit(main())", "serve"]
    words += [f"bay={folder / 'bay'}", f"harbour={folder / 'harbour'}", "--stations", str(stations)]
    serving = subprocess.Popen(
        [*words, "--port", "0"], stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        assert serving.stdout is not None
        said = serving.stdout.readline()
        assert " at http://" in said, "the server did not start"
        yield said.split(" at ")[1].split("/ ")[0]
    finally:
        serving.terminate()
        serving.communicate(timeout=20)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Debian's chromium, without a window. Where CI is set it has to be there."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _lacking("playwright (pip install playwright)")
    if CHROMIUM is None:
        _lacking("chromium (apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        yield browser
        browser.close()


def _lacking(what: str) -> None:
    message = f"the page is tested in a browser: wanted {what}, found none"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def visit(browser: "Browser", root: str) -> Iterator[Callable[..., Visit]]:
    """Opens a context of its own; keywords are those of ``new_context``."""
    contexts: list[BrowserContext] = []

    def make(before: str = "", **settings: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(VIOLATIONS + ";" + before)
        page = context.new_page()
        found = Visit(page=page, root=root)
        page.on("console", lambda said: found.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("request", found.note)
        return found

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def axe() -> Path:
    """The script of axe-core."""
    path = Path(__file__).parents[3] / "tools" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("axe needs its packages (npm ci --prefix tools/axe)")
    return path
