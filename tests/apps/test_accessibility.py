"""The bulletin in a real browser: axe finds nothing grave, and nothing is wider than a phone."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from spectm.apps.bulletin.page import write_bulletin
from spectm.apps.places import Station
from spectm.apps.store import Store
from spectm.trust.thresholds import profile
from tests.apps.test_bulletin import samples

AXE = Path(__file__).parents[2] / "tools" / "axe"
NODE, CHROMIUM = shutil.which("node"), shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = [
    what
    for what, there in (
        ("node", NODE),
        ("chromium", CHROMIUM),
        ("its packages (npm ci --prefix tools/axe)", (AXE / "node_modules" / "axe-core").is_dir()),
    )
    if not there
]


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"axe needs {', '.join(MISSING)}")
def test_axe_finds_nothing_grave(week: Store, tmp_path: Path) -> None:
    stations = [
        Station(name="Pier", latitude=41.9813, longitude=-83.4688),
        Station(
            name="A station with a rather long name, which a phone has to wrap",
            latitude=41.95,
            longitude=-83.49,
        ),
    ]
    found = samples(("Pier", "2024-08-15 12:00", 1.5, False), ("Pier", "2024-08-24 12:00", 0.1, True))
    page = tmp_path / "bulletin.html"
    profiles = [profile("who-2020"), profile("ohio-drinking")]
    write_bulletin(week, page, stations=stations, samples=found, profiles=profiles)
    words = [str(NODE), str(AXE / "check.mjs"), str(page), str(CHROMIUM)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert done.stdout, done.stderr
    widths = json.loads(done.stdout)
    assert [one["width"] for one in widths] == [1280, 390]
    for one in widths:
        assert one["violations"] == []
        assert one["rules_passed"] > 20
        assert one["scroll_width"] <= one["width"]  # tables scroll by themselves, the page does not
