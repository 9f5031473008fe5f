"""The weekly page: its numbers worked out beside it, its words, and that everybody can read it."""

import base64
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from matplotlib.figure import Figure

from spectm.apps.bulletin import week as weeks
from spectm.apps.bulletin.at_stations import exceedance_table, history_table, station_table, weeks_at
from spectm.apps.bulletin.lookback import look_back
from spectm.apps.bulletin.page import write_bulletin
from spectm.apps.bulletin.week import Week, week_of
from spectm.apps.figures import draw_series
from spectm.apps.maps import draw_map
from spectm.apps.moment import moment_at
from spectm.apps.places import Station
from spectm.apps.store import Store, open_store
from spectm.apps.store_writer import MAPS
from spectm.cli.main import main
from spectm.errors import StoreError
from spectm.trust.thresholds import CAVEAT, profile
from tests.apps.stores import make_store

EVIL = '<script>alert("x")</script> & $x^2$'
PIER = Station(name="Pier", latitude=41.9813, longitude=-83.4688)  # row 1, column 2
BUOY = Station(name=EVIL, latitude=41.9438, longitude=-83.4813)  # row 4, column 1
LAND = Station(name="Land", latitude=41.9938, longitude=-83.4063)  # never seen
FAR = Station(name="Far <b>away</b>", latitude=45.0, longitude=-83.0)
WHO = profile("who-2020")


class Page(HTMLParser):
    """What of a page can be told without a browser."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def samples(*rows: tuple[str, str, float, bool]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["station", "time", "microcystin", "below_detection"])
    return table.assign(time=pd.to_datetime(table["time"]), date=table["time"].str[:10])


def cell(store: Store, station: Station, position: int, horizon: float, name: str, **more: float) -> float:
    places = {"Pier": (1, 2), EVIL: (4, 1)}
    row, column = places[station.name]
    one = store.dataset[name].isel(time=position, lat=row, lon=column)
    return float(one.sel(horizon=horizon, **more) if "horizon" in one.dims else one)


@pytest.fixture(scope="module")
def seen_week(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A week in which both stations were seen in every period."""
    for seed in itertools.count():
        folder = make_store(tmp_path_factory.mktemp("stores") / "seen", seed=seed)
        values = open_store(folder).dataset["microcystin"].sel(horizon=0.0).values
        if np.isfinite(values[:, [1, 4], [2, 1]]).all():
            return open_store(folder)
    raise AssertionError


@pytest.fixture(scope="module")
def page(seen_week: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pages") / "bulletin.html"

    def once(draw: Callable[..., Figure]) -> Callable[..., Figure]:
        """The first figure is drawn, the others are empty: drawing takes longest."""
        count = itertools.count()
        return lambda *args, **options: Figure(figsize=(1, 1)) if next(count) else draw(*args, **options)

    found = samples(
        ("Pier", "2024-08-15 12:00", 1.5, False),
        (EVIL, "2024-08-25 12:00", 0.1, True),
    )
    stations = [BUOY, PIER, LAND, FAR]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spectm.apps.bulletin.page.draw_map", once(draw_map))
        patch.setattr("spectm.apps.bulletin.page.draw_series", once(draw_series))
        write_bulletin(seen_week, out, stations=stations, samples=found, profiles=[WHO])
    return out


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures, where a test is about words: drawing takes longest."""
    for name in ("draw_map", "draw_series"):
        monkeypatch.setattr(f"spectm.apps.bulletin.page.{name}", lambda *_, **__: Figure(figsize=(1, 1)))


@pytest.fixture(scope="module")
def read(page: Path) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def test_it_has_language_title_and_one_main_heading(page: Path, read: Page) -> None:
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert read.of("html") == [{"lang": "en"}]
    assert [name for name, _ in read.tags].count("h1") == 1
    assert [name for name, _ in read.tags].count("main") == 1
    assert "Simulated: Microcystin bulletin, 20 to 27 August 2024" in read.text


def test_headings_skip_no_level(read: Page) -> None:
    levels = [int(name[1]) for name, _ in read.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_picture_has_words_and_every_table_a_caption_and_heads(read: Page) -> None:
    pictures = read.of("img")
    assert len(pictures) == 4 + 3  # maps, and a chart for each station on them
    assert all(len(str(one["alt"])) > 40 for one in pictures)
    assert all(str(one["src"]).startswith("data:image/svg+xml;base64,") for one in pictures)
    names = [name for name, _ in read.tags]
    assert names.count("table") == names.count("caption") == names.count("thead") > 5
    assert all(attrs.get("scope") in ("col", "row") for attrs in read.of("th"))
    regions = [attrs for attrs in read.of("div") if "scroll" in str(attrs.get("class"))]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)


def test_every_chart_has_a_table_after_it(read: Page) -> None:
    inside = False
    for name, attrs in read.tags:
        if "gallery" in str(attrs.get("class")):
            assert not inside, "a gallery without a table"
            inside = True
        inside = inside and name != "table"
    assert not inside


def test_links_within_the_page_lead_somewhere(read: Page) -> None:
    ids = {attrs["id"] for _, attrs in read.tags if "id" in attrs}
    targets = [str(attrs["href"]) for attrs in read.of("a")]
    assert targets
    assert all(target.startswith("#") and target[1:] in ids for target in targets)


def test_it_needs_no_other_host_and_no_script(page: Path, read: Page) -> None:
    assert not read.of("script")
    assert all(str(attrs.get("href", "data:,")).startswith(("#", "data:")) for _, attrs in read.tags)
    style = page.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "@media print" in style


def test_names_from_files_are_text_and_nothing_else(page: Path, read: Page) -> None:
    assert EVIL in read.text.replace(" & ", " & ")
    assert "Far <b>away</b>" in read.text
    assert not read.of("b")
    whole = page.read_text(encoding="utf-8")
    for one in read.of("img"):
        svg = base64.b64decode(str(one["src"]).partition(",")[2]).decode("utf-8")
        assert "<script" not in svg
        whole = whole.replace(str(one["src"]), "")
    assert "<script" not in whole


def test_it_says_what_it_is_and_is_not(read: Page) -> None:
    assert CAVEAT in read.text
    assert "informs and decides nothing" in read.text
    assert "Simulated. Nothing here was measured" in read.text
    for text in ("made-up-2024", "WHO/HEP/ECH/WSH/2020.6", "0123456789abcdef" * 4):
        assert text in read.text
    assert "Beyond the maps, and left out: Far <b>away</b>" in read.text


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_real_store_has_no_banner(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "real", simulated=False, n_periods=1)
    write_bulletin(open_store(folder), tmp_path / "page.html", stations=[])
    text = Page((tmp_path / "page.html").read_text(encoding="utf-8")).text
    assert "Simulated" not in text
    assert "There is no estimate of the month before" in text
    assert "No stations were given" in text
    assert "No laboratory values were given" in text


def test_what_changed_is_counted(seen_week: Store) -> None:
    now, before = (seen_week.dataset["microcystin"].sel(horizon=0.0).values[i].astype(float) for i in (2, 1))
    both = np.isfinite(now) & np.isfinite(before)
    ratio = now[both] / before[both]
    said = weeks.changes(week_of(seen_week), [WHO])
    assert said[0].startswith(
        f"In the {both.sum()} cells seen in both periods the middle estimate is higher: "
    )
    assert f"{np.median(now[both]):.2g} ug/L, after {np.median(before[both]):.2g} ug/L in 12 to 19" in said[0]
    assert f"{100 * (ratio > 1.5).mean():.0f} % rose by more than a factor of 1.5, 0 % fell" in said[1]
    above = seen_week.dataset["exceedance"].sel(horizon=0.0, threshold=1.0).values
    km2 = (0.0125 * 111.2) ** 2 * np.cos(np.deg2rad(42.0 - 0.0125 * (np.arange(6) + 0.5)))[:, None]
    areas = [float((both * (np.nan_to_num(above[i]) >= 0.5) * km2).sum()) for i in (2, 1)]
    assert (
        f"above 1 ug/L {float(f'{areas[0]:.2g}'):g} km² ({float(f'{areas[1]:.2g}'):g} km² before)" in said[2]
    )


def test_what_was_seen_is_counted(seen_week: Store) -> None:
    one = seen_week.dataset.isel(time=2)
    seen = np.isfinite(one["microcystin"].sel(horizon=0.0).values)
    week = week_of(seen_week)
    water = week.water
    said = weeks.coverage(week)
    assert f"saw {seen.sum()} of {water.sum()} cells of water" in said[0]
    age = one["pixel_age"].values[seen]
    assert f"at most {np.median(age):.1f} days old" in said[1]
    assert f"{100 * (age > 4).mean():.0f} % is older than 4 days" in said[1]
    flagged = int((one["flagged"].values == 1).sum())
    assert said[2].startswith(f"{flagged} of these cells ({100 * flagged / seen.sum():.0f} %) are flagged")


def test_areas_add_up_to_the_water(seen_week: Store) -> None:
    week = week_of(seen_week)
    table = weeks.area_table(week, [WHO])
    assert [row[0] for row in table.rows] == [
        *("up to 1 ug/L", "over 1 to 12 ug/L", "over 12 to 24 ug/L", "over 24 ug/L", "not seen"),
    ]
    assert table.columns[1:] == (
        *("12 to 19 August 2024", "20 to 27 August 2024"),
        "28 August to 4 September 2024, forecast",
    )
    whole = float((week.water * week.now.cell_km2).sum())
    for column in (1, 2, 3):
        total = sum(float(row[column].removesuffix(" km²").replace(",", "")) for row in table.rows)
        assert total == pytest.approx(whole, rel=0.05)  # of two digits each


@pytest.mark.slow
def test_stations_have_estimate_trend_and_forecast(seen_week: Store) -> None:
    week = week_of(seen_week)
    table = station_table(week, weeks_at(week, [PIER, LAND]))
    pier = dict(zip(table.columns, table.rows[0], strict=True))
    now, before = (cell(seen_week, PIER, i, 0.0, "microcystin") for i in (2, 1))
    assert pier["Estimate, ug/L"] == f"{now:.2g}"
    ends = [cell(seen_week, PIER, 2, 0.0, name, level=0.9) for name in ("interval_low", "interval_high")]
    assert pier["90 % interval"] == f"{ends[0]:.2g} to {ends[1]:.2g}"
    assert pier["Since the last estimate"].startswith(f"↑ up, × {now / before:.1f}")
    assert pier["Forecast, ug/L"] == f"{cell(seen_week, PIER, 2, 8.0, 'microcystin'):.2g}"
    assert pier["Age of pixels"] == f"{cell(seen_week, PIER, 2, 0.0, 'pixel_age'):.1f} days"
    land = dict(zip(table.columns, table.rows[1], strict=True))
    assert set(list(land.values())[1:]) == {"not seen", "–"}
    at_the_median = replace(WHO, thresholds=(replace(WHO.thresholds[0], value=now),))
    likely = exceedance_table(week, weeks_at(week, [PIER, LAND]), at_the_median)
    assert len(likely.rows) == 1  # of what was not seen there is none
    assert re.fullmatch(r"50 %, then \d+ %", likely.rows[0][1])


@pytest.mark.slow
def test_the_table_of_weeks_has_the_laboratory_beside_the_estimates(seen_week: Store) -> None:
    week = week_of(seen_week, "2024-08-12")
    found = samples(("Pier", "2024-08-13", 2.5, False), ("Pier", "2024-08-05", 0.1, True))
    table = history_table(week, weeks_at(week, [PIER, LAND]), found, 12)
    assert [row[0] for row in table.rows] == ["2024-08-12", "2024-08-04"]  # nothing of the week after
    assert table.rows[0][1].endswith("; laboratory 2.5")
    assert table.rows[1][1].endswith("; laboratory below 0.1")
    assert table.rows[0][2] == "not seen"


def looked_back(store: Store, found: pd.DataFrame | None) -> Any:
    week = week_of(store)
    return look_back(week, weeks_at(week, [PIER, BUOY]), found)


@pytest.mark.slow
def test_last_weeks_forecast_is_held_against_the_laboratory(seen_week: Store) -> None:
    median = cell(seen_week, PIER, 1, 8.0, "microcystin")
    high = cell(seen_week, BUOY, 1, 8.0, "interval_high", level=0.9)
    found = samples(
        ("Pier", "2024-08-24 06:00", median, False),
        (EVIL, "2024-08-23 06:00", 1.2 * high, False),
        ("Pier", "2024-12-24 06:00", 1.0, False),  # no estimate is near
    )
    back = looked_back(seen_week, found)
    assert (
        "20 to 27 August 2024: 2 laboratory values came in. 1 of 2 lie in the 90 % interval"
        in back.sentences[0]
    )
    assert "1 in the 50 % interval, and 1 within a factor of 2" in back.sentences[0]
    assert "The model is not at hand" in back.sentences[1]
    rows = {row[0]: row for row in back.last_week.rows}
    assert (rows["Pier"][-1], rows[EVIL][-1]) == ("yes", "no")
    assert rows["Pier"][4] == "2024-08-24"
    ahead = back.so_far.rows[1]
    assert ahead[:4] == ("forecast, 8 days ahead", "2", "1 (50 %)", "1 (50 %)")
    assert back.so_far.rows[0][1] == "2"  # estimates of the same week


@pytest.mark.slow
def test_below_detection_is_covered_where_the_interval_reaches_down(seen_week: Store) -> None:
    low = cell(seen_week, BUOY, 0, 8.0, "interval_low", level=0.9)
    for limit, inside in ((low * 1.01, 1), (low * 0.5, 0)):
        back = looked_back(seen_week, samples((EVIL, "2024-08-16", limit, True)))
        assert back.so_far.rows[1][3].startswith(f"{inside} ")


@pytest.mark.slow
def test_it_says_plainly_where_nothing_can_be_told(seen_week: Store) -> None:
    assert looked_back(seen_week, None).sentences == [
        "No laboratory values were given, so nothing is known here of how well estimates did."
    ]
    far_off = looked_back(seen_week, samples(("Pier", "2023-08-16", 1.0, False)))
    assert far_off.so_far is None
    assert "No laboratory value lies within 4 days" in far_off.sentences[0]
    earlier = looked_back(seen_week, samples(("Pier", "2024-08-08", 1.0, False)))
    assert "can’t be checked yet" in earlier.sentences[0]
    assert earlier.last_week is None
    assert earlier.so_far.rows[1] == ("forecast, 8 days ahead", "0", "–", "–", "–")


def with_nothing_seen(folder: Path, positions: Sequence[int]) -> Store:
    maps = zarr.open_group(folder / MAPS, mode="r+")
    for name in ("microcystin", "log10_mean", "log10_spread", "interval_low", "interval_high", "exceedance"):
        for position in positions:
            maps[name][position] = np.nan
    for position in positions:
        maps["flagged"][position] = 255
    return open_store(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_week_of_cloud_is_told_and_skipped(tmp_path: Path) -> None:
    store = with_nothing_seen(make_store(tmp_path / "week", n_periods=4), [2])
    week = week_of(store)
    assert str(week.now.period.start) == "2024-08-28"
    assert week.before is not None
    assert str(week.before.period.start) == "2024-08-12"
    assert "in 12 to 19 August 2024 (8 days without an estimate lie between)" in weeks.changes(week, [])[0]
    out = tmp_path / "cloud.html"
    write_bulletin(store, out, stations=[PIER], profiles=[WHO], wanted="2024-08-20")
    text = Page(out.read_text(encoding="utf-8")).text
    assert "The satellite saw 0 of" in text
    assert "No station was seen, so there is no probability to give" in text


@pytest.mark.slow
def test_too_old_a_week_is_not_compared_with(tmp_path: Path) -> None:
    store = with_nothing_seen(make_store(tmp_path / "week", n_periods=6), [1, 2, 3, 4])
    assert week_of(store).before is None


def test_stations_that_are_all_elsewhere_are_refused(seen_week: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"wanted a place on the maps .* found Far <b>away</b> at 45, -83"):
        write_bulletin(seen_week, tmp_path / "page.html", stations=[FAR])
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_command(seen_week: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stations, out = tmp_path / "stations.csv", tmp_path / "page.html"
    stations.write_text("station,latitude,longitude\nPier,41.9813,-83.4688\n")
    words = ["bulletin", str(seen_week.folder), "--stations", str(stations), "--out", str(out)]
    assert main([*words, "--profile", "ohio-2021", "--period", "2024-08-12"]) == 0
    assert "12 to 19 August 2024: " in capsys.readouterr().out
    text = Page(out.read_text(encoding="utf-8")).text
    assert "Ohio recreational advisory, 2021 (ohio-2021): probability to lie above" in text
    labels = tmp_path / "labels.csv"
    labels.write_text("station,time,microcystin,source\nBuoy,2024-08-13T12:00Z,1,simulated\n")
    for more, message in (
        (["--profile", "ohio"], "no threshold profile named 'ohio'"),
        (["--period", "2025-08-12"], "wanted a whole period that holds 2025-08-12"),
        (["--labels", str(labels)], "wanted samples of Pier; found those of Buoy"),
    ):
        assert main([*words, *more]) == 1
        assert message in capsys.readouterr().err


def test_the_week_before_is_the_one_before(week: Store) -> None:
    found: Week = week_of(week, "2024-08-12")
    assert found.before is not None
    np.testing.assert_array_equal(found.before.microcystin, moment_at(week, 0).microcystin)
    np.testing.assert_array_equal(found.ahead.microcystin, moment_at(week, 1, horizon=8.0).microcystin)
