"""Makes the pictures of docs/maps.md anew, from predictions over a simulated lake.

    python tools/pictures.py runs/demo/predictions --labels runs/demo/lake/laboratory --model runs/demo/model

Pictures of the page need node, chromium and ``npm ci --prefix tools/axe``; without them they stay.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from spectm.cli.main import main

ROOT = Path(__file__).parents[1]
MAPS = {"estimate": [], "interval": [], "exceedance": ["--threshold", "1"]}
COLOURS = 256
MOST_BYTES = 200_000


def run(*words: object) -> None:
    """One command of spectm; the script ends where it fails."""
    if code := main([str(word) for word in words]):
        sys.exit(code)


def smaller(path: Path) -> None:
    """As few bytes as go without loss; where these are too many, fewer colours."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        picture.quantize(COLOURS).save(path, optimize=True)
    if (size := path.stat().st_size) > MOST_BYTES:
        sys.exit(f"{path}: wanted at most {MOST_BYTES:,} bytes, found {size:,}. Make it smaller.")


def draw(args: argparse.Namespace, out: Path) -> None:
    """Maps, the weeks of a station, a spectrum."""
    shared = [args.store, "--labels", args.labels, "--period", args.period]
    for what, more in MAPS.items():
        run("map", *shared, "--what", what, *more, "--out", out / f"map-{what}.png")
    run("map", *shared, "--what", "series", "--station", args.station, "--out", out / "series.png")
    spectrum = ["--what", "spectrum", "--station", args.station, "--model", args.model]
    run("map", *shared, *spectrum, "--out", out / "spectrum.png")


def shoot(args: argparse.Namespace, out: Path) -> None:
    """The page on a desk, on a phone and on paper."""
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if not (node and chromium and (ROOT / "tools" / "axe" / "node_modules").is_dir()):
        sys.stderr.write("no pictures of the page: wanted node, chromium, npm ci --prefix tools/axe\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "bulletin.html"
        run("bulletin", args.store, "--labels", args.labels, "--period", args.period, "--out", page)
        script = ROOT / "tools" / "axe" / "shoot.mjs"
        subprocess.run([node, script, page, out / "bulletin", chromium], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path, metavar="DIR", help="predictions over a simulated lake")
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="its laboratory")
    parser.add_argument("--model", required=True, metavar="DIR", help="that predicted")
    parser.add_argument("--period", default="2024-08-24", metavar="DAY", help="default: %(default)s")
    parser.add_argument("--station", default="WE4", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", metavar="DIR")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw(chosen, chosen.out)
    shoot(chosen, chosen.out)
    for picture in sorted(chosen.out.glob("*.png")):
        smaller(picture)
        sys.stdout.write(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB\n")
