"""Makes the pictures of docs/serving.md anew: the page over predictions of a simulated lake.

    python tools/page_pictures.py runs/demo --labels runs/demo/lake/laboratory

Needs playwright and chromium.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from pictures import smaller  # the script beside this one

ROOT = Path(__file__).parents[1]
SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a GPU
DESK, PHONE = {"width": 1280, "height": 1080}, {"width": 390, "height": 1150}
DRAWN = (
    "() => !document.querySelector('[aria-busy=\"true\"]') && document.getElementById('map').dataset.shown"
)


def serve(store: Path, labels: Path | None) -> tuple[subprocess.Popen[str], str]:
    """A server on a free port, and its address."""
    words = [sys.executable, "-c", "import sys; from spectm.cli.main import main; sys.exit(main())", "serve"]
    words += [str(store), "--port", "0", *(["--labels", str(labels)] if labels else [])]
    serving = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    said = serving.stdout.readline()
    if " at http://" not in said:
        sys.exit(f"the server did not start: {said}")
    return serving, said.split(" at ")[1].split(" ")[0]


def shoot(browser: Browser, address: str, out: Path, size: dict[str, int], *, station: bool = False) -> None:
    """One picture; with a station, of what is below its name too."""
    context = browser.new_context(viewport=size, is_mobile=size["width"] < 600)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.wait_for_function(DRAWN)
    if station:
        page.wait_for_selector("#series-body svg")
        page.click("#spectrum > summary")
        page.wait_for_selector("#spectrum-body svg", timeout=60_000)
    page.wait_for_timeout(1000)  # frames of the map
    page.screenshot(path=out)
    context.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path, metavar="DIR", help="predictions over a simulated lake")
    parser.add_argument("--labels", type=Path, metavar="PATH", help="its laboratory")
    parser.add_argument("--day", default="2024-08-24", metavar="DAY", help="default: %(default)s")
    parser.add_argument("--station", default="WE4", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", metavar="DIR")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    serving, root = serve(chosen.store, chosen.labels)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
            view = f"{root}#day={chosen.day}"
            shoot(browser, view, chosen.out / "page-desk.png", DESK)
            shoot(browser, view, chosen.out / "page-phone.png", PHONE)
            tall = {"width": 1280, "height": 1750}
            at = f"{view}&show=exceedance&station={chosen.station}"
            shoot(browser, at, chosen.out / "page-station.png", tall, station=True)
            browser.close()
    finally:
        serving.terminate()
        serving.wait()
    for picture in sorted(chosen.out.glob("page-*.png")):
        smaller(picture)
        sys.stdout.write(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB\n")
