"""The demo: what it runs, what it writes, and that its page says what the files say."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.apps.demo_map import LakeMap, draw_map, seen_periods
from spectm.apps.store import open_store
from spectm.cli import demo as demo_module
from spectm.cli.main import COMMANDS, main
from spectm.data.cube import open_cube
from spectm.data.grid import Grid
from spectm.data.patches import partners, read_patches
from spectm.data.periods import period_of
from spectm.errors import CubeError
from spectm.evaluation.run_folder import read_run_folder
from spectm.simulation.season import read_season
from tests.data.cubes import make_cube, numbered


class Page(HTMLParser):
    """Sources, links and table cells of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        said = dict(attrs)
        self.sources += [said["src"]] if said.get("src") else []
        self.links += [said["href"]] if said.get("href") else []


def test_commands_in_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []

    def told(words: list[str]) -> int:
        ran.append(words)
        return 1 if words[0] == "matchups" else 0

    monkeypatch.setattr(demo_module, "_told", told)
    assert main(["demo", "--out", str(tmp_path), "--seed", "5"]) == 1
    # the first that fails ends it, with its exit code
    assert [words[0] for words in ran] == ["simulate", "compose", "patches", "matchups"]
    assert {words[0] for words in ran} <= COMMANDS.keys()
    assert ran[0][ran[0].index("--seed") + 1] == "5"


@pytest.mark.slow
def test_the_last_period_that_shows_the_lake(tmp_path: Path) -> None:
    Rrs = numbered(4, 3, 3)
    Rrs[2, 1:] = np.nan  # a third of the water is seen
    Rrs[3] = np.nan
    cube = make_cube(tmp_path / "cube.zarr", Rrs, first="2024-08-04")
    assert seen_periods(cube, 1) == [period_of(np.datetime64("2024-08-12"), 8)]
    assert seen_periods(cube, 5) == [period_of(np.datetime64(day), 8) for day in ("2024-08-04", "2024-08-12")]
    Rrs[:2] = np.nan
    alone = make_cube(tmp_path / "alone.zarr", Rrs, first="2024-08-04")
    assert seen_periods(alone, 3) == [period_of(np.datetime64("2024-08-20"), 8)]
    with pytest.raises(CubeError, match="wanted a period with pixels"):
        seen_periods(make_cube(tmp_path / "none.zarr", np.full_like(Rrs, np.nan)), 1)


@pytest.mark.slow
def test_a_map_is_compared_where_both_are(tmp_path: Path) -> None:
    truth = np.array([[1.0, 1.0, np.nan], [4.0, 0.001, 10.0]])
    estimate = np.array([[1.9, 2.1, 3.0], [4.0, 0.05, np.nan]])
    grid = Grid(west=-83.5, north=42.0, resolution=0.25, n_rows=2, n_columns=3)
    shown = LakeMap(
        period=period_of(np.datetime64("2024-08-12"), 8), grid=grid, estimate=estimate, truth=truth
    )
    assert (shown.n_cells, shown.n_water) == (4, 5)
    assert shown.within_factor == pytest.approx(0.75)  # 2.1 is not; 0.001 and 0.05 both count as 0.1
    assert shown.typical_factor == pytest.approx(1.9**0.5)  # factors 1, 1, 1.9, 2.1: median of logarithms
    # ranks of truth 2.5 2.5 4 1, of estimate 2 3 4 1: 1 - 0.5 / 10, corrected for the tie
    assert shown.rank_correlation == pytest.approx(0.9487, abs=1e-4)
    draw_map(shown, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    small = ("--first", "07-20", "--last", "08-28", "--every", "5", "--steps", "5")
    assert main(["demo", "--out", str(out), *small]) == 0
    said = capfd.readouterr().out
    assert said.count("\n$ spectm ") == 9
    written = said.partition("Done in")[2]
    for name in re.findall(r"^  (\S[\w./, ]*?)  ", written, flags=re.MULTILINE):
        for one in name.split(", "):
            assert (out / one).exists(), one

    patches = read_patches(out / "patches.nc")
    assert patches.simulated
    assert patches.Rrs.shape[2:] == (3, 3)
    assert (partners(patches) >= 0).sum() > 20  # pairs of the temporal task
    with open_cube(out / "cube.zarr") as cube:
        assert cube.attrs["simulated"] == 1
    store = open_store(out / "predictions")
    assert store.simulated
    assert np.isfinite(store.at(-1, 0.0)["microcystin"].values).any()
    assert "simulated" in (out / "bulletin.html").read_text(encoding="utf-8").lower()

    for name in ("matchups.csv", "evaluation/scores.csv", "evaluation/calibration.csv"):
        assert (pd.read_csv(out / name)["simulated"] == 1).all(), name

    run = read_run_folder(out / "evaluation")
    assert run.record["simulated"]
    scores = run.scores[run.scores["seed"] == "ensemble"]
    assert set(scores["model"]) == set(demo_module.MODELS.split(","))
    assert np.isfinite(scores[["r2", "rmse", "skill_climatology"]].to_numpy()).all()
    for name in ("report.html", "evaluation/report.html"):
        assert "Everything here is simulated" in (out / name).read_text(encoding="utf-8")

    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert set(page.links) == {"data:,", "https://urs.earthdata.nasa.gov/"}
    for row in scores.to_dict("records"):
        cell = f"{row['r2']:.2f} [{row['r2_low']:.2f}, {row['r2_high']:.2f}]".replace("-", "−")
        assert cell.replace("−0.00", "0.00") in text
    for task, counts in run.record["counts"].items():
        assert f"Tested on {counts['rows']} laboratory samples" in text, task
    assert len(list((out / "lake" / "granules").iterdir())) == len(read_season(out / "lake").overpasses())
