from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spectm.data import overpasses, station_patches
from spectm.data.compose import take_stock
from spectm.data.labels import Labels, read_labels
from spectm.data.matchups import current_matchups
from spectm.data.nearby import Place, km_between, nearest_pixel, variability
from spectm.data.overpasses import WindowConfig
from spectm.data.patches import read_patches
from spectm.data.station_patches import (
    StationMatches,
    match_cube,
    match_granules,
    write_matchups,
    write_station_patches,
)
from spectm.errors import FlagError, PatchError
from tests.data.cubes import make_cube, numbered
from tests.data.granules import swath_grid, write_l2_granule, write_l3_file

NM = np.array([412.0, 443, 555, 665])
NOON = "2024-08-04T18:00:00"
# Line 4, pixel 3 of the swath below: 41.44 N, 83.47 W.
HERE = (41.44, -83.47)
FOUND = ["overpass_time", "hours_apart", "km_apart", "granule", "n_valid", "cv"]

MakeGranule = Callable[..., Path]


@pytest.fixture
def make_granule(tmp_path: Path) -> MakeGranule:
    """Writes a swath of 8 x 8 pixels; Rrs is 0.001 line + 0.0001 pixel + 0.00001 band."""

    def make(name: str = "a.nc", time: str | np.ndarray = NOON, **given) -> Path:
        latitude, longitude = swath_grid(8, 8, tilt=0.0)  # line i at 41.4 + 0.01 i, pixel j at -83.5 + 0.01 j
        line, pixel, band = np.mgrid[:8, :8, : NM.size]
        usual = {"latitude": latitude, "longitude": longitude, "wavelength": NM}
        usual["Rrs"] = 0.001 * line + 0.0001 * pixel + 0.00001 * band
        usual["time"] = np.full(8, np.asarray(time, dtype="datetime64[ns]"))
        (tmp_path / "granules").mkdir(exist_ok=True)
        return write_l2_granule(tmp_path / "granules" / name, **(usual | given))

    return make


@pytest.fixture
def make_labels(tmp_path: Path) -> Callable[..., Labels]:
    """Reads a record of lines: station, time, microcystin, latitude, longitude[, category]."""

    def make(*lines: str) -> Labels:
        path = tmp_path / "lab.csv"
        header = "station,time,microcystin,latitude,longitude,category"
        rows = [line if line.count(",") == 5 else f"{line},surface" for line in lines]
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return read_labels(path)

    return make


def sample(
    hours: float = 1.0, *, station: str = "A", place: Sequence[float] = HERE, value: str = "1.5"
) -> str:
    """A line of the record, so many hours after the overpass."""
    time = np.datetime64(NOON, "s") + np.timedelta64(round(3600 * hours), "s")
    return f"{station},{time}Z,{value},{place[0]},{place[1]}"


def match(paths: Path | Sequence[Path], labels: Labels, **given) -> StationMatches:
    some = {name: given.pop(name) for name in ("max_hours", "every") if name in given}
    inputs = take_stock([paths] if isinstance(paths, Path) else paths)
    assert not inputs.bad
    return match_granules(inputs.headers, labels, config=WindowConfig(**given), **some)


def reason(matches: StationMatches) -> tuple[str, str]:
    """Reason and detail of the one row, which then tells of no overpass."""
    (row,) = matches.rows.to_dict("records")
    assert row["reason"]
    assert all(pd.isna(row[name]) or row[name] == "" for name in FOUND)
    return row["reason"], row["detail"]


def every_pixel(*, but: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Pixels of the window around line 4, pixel 3."""
    return [(i, j) for i in (3, 4, 5) for j in (2, 3, 4) if (i, j) not in but]


# A match


@pytest.mark.slow
def test_a_match_in_numbers(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    labels = make_labels(sample(-2.5, place=(41.442, -83.47), value="<0.1"))
    path = make_granule(flags={"CLDICE": [(3, 2)], "TURBIDW": [(4, 3)], "CHLWARN": [(5, 4)]})
    matches = match(path, labels, every=True)
    (row,) = matches.rows.to_dict("records")
    assert (row["station"], row["granule"], row["reason"], row["detail"]) == ("A", "a.nc", "", "")
    assert row["sample_time"] == pd.Timestamp("2024-08-04T15:30Z")
    assert row["overpass_time"] == pd.Timestamp("2024-08-04T18:00Z")
    assert row["hours_apart"] == -2.5  # sample minus overpass
    assert row["km_apart"] == pytest.approx(0.002 * 111.195, rel=1e-3)  # a degree of latitude is 111.195 km
    assert row["n_valid"] == 8  # CLDICE excludes one, the others none
    assert (row["microcystin"], row["below_detection"]) == (0.1, True)
    assert (row["date"], row["latitude"], row["longitude"]) == ("2024-08-04", 41.442, -83.47)
    assert (row["file"], row["line"], row["time_known"]) == ("lab.csv", 2, True)
    (look,) = matches.looks
    assert look.Rrs.shape == (4, 3, 3)
    assert np.isnan(look.Rrs[:, 0, 0]).all()
    assert look.Rrs[2, 2, 1] == pytest.approx(0.005 + 0.0003 + 0.00002, abs=1.1e-6)  # line 5, pixel 3
    assert not match(path, labels).looks[0].Rrs  # not asked for


@pytest.mark.slow
def test_a_row_for_every_surface_sample(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    labels = make_labels(
        sample(3, station="B"), sample(2), sample(1) + ",scum", sample(1.5) + ",bottom", sample(50, value="")
    )
    rows = match(make_granule(), labels).rows
    assert rows["station"].tolist() == ["A", "B", "A"]
    assert rows["reason"].tolist() == ["", "", "no granule within hours"]
    assert np.isnan(rows["microcystin"].iloc[2])


@pytest.mark.slow
def test_the_nearest_in_time_is_taken_and_of_two_the_earlier(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    paths = [
        make_granule("c.nc", "2024-08-05T18:00"),
        make_granule("a.nc", "2024-08-04T18:00"),
        make_granule("b.nc", "2024-08-06T18:00"),
    ]
    labels = make_labels(sample(11), sample(12), sample(13), sample(60, station="B"))
    rows = match(paths, labels).rows
    assert rows["granule"].tolist() == ["a.nc", "a.nc", "c.nc", "b.nc"]
    assert rows["hours_apart"].tolist() == [11, 12, -11, 12]


@pytest.mark.slow
def test_one_that_cannot_be_used_gives_way_to_the_next(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    paths = [
        make_granule("a.nc", "2024-08-04T18:00", flags={"LAND": every_pixel()}),
        make_granule("b.nc", "2024-08-05T18:00"),
    ]
    rows = match(paths, make_labels(sample(1))).rows
    assert (rows["granule"][0], rows["hours_apart"][0]) == ("b.nc", -23)


@pytest.mark.slow
def test_the_station_lies_at_the_median_of_its_positions(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    """The sample's own position is mistyped by 0.7 degrees; a bottom sample's counts, too."""
    labels = make_labels(
        sample(1, place=(42.14, -83.47)),
        sample(200),
        sample(300, place=(41.441, -83.471)) + ",bottom",
    )
    row = match(make_granule(), labels).rows.iloc[0]
    assert row["reason"] == ""
    assert (row["latitude"], row["longitude"]) == (41.441, -83.47)


@pytest.mark.slow
def test_the_time_of_the_line_counts(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    lines = np.datetime64(NOON, "ns") + (60 * np.arange(8)).astype("timedelta64[s]")
    rows = match(make_granule(time=lines), make_labels(sample(0))).rows
    assert rows["overpass_time"][0] == pd.Timestamp("2024-08-04T18:04Z")  # line 4


@pytest.mark.slow
@pytest.mark.parametrize(("size", "first_line", "first_pixel"), [(1, 4, 3), (5, 2, 1), (7, 1, 0)])
def test_the_window_may_be_of_any_odd_size(
    make_granule: MakeGranule,
    make_labels: Callable[..., Labels],
    size: int,
    first_line: int,
    first_pixel: int,
) -> None:
    look = match(make_granule(), make_labels(sample()), size=size, every=True).looks[0]
    assert look.n_valid == size**2
    line, pixel = np.mgrid[first_line : first_line + size, first_pixel : first_pixel + size]
    np.testing.assert_allclose(look.Rrs[0], 0.001 * line + 0.0001 * pixel, atol=1.1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("slab_bytes", [64_000_000, 0])
def test_beyond_the_edge_of_the_granule_nothing_is_valid(
    make_granule: MakeGranule,
    make_labels: Callable[..., Labels],
    monkeypatch: pytest.MonkeyPatch,
    slab_bytes: int,
) -> None:
    """Read together or each by itself, windows are the same."""
    monkeypatch.setattr(overpasses, "SLAB_BYTES", slab_bytes)
    labels = make_labels(
        sample(1, station="A", place=(41.4, -83.5)),  # line 0, pixel 0
        sample(2, station="B", place=(41.47, -83.46)),  # line 7, pixel 4
        sample(3, station="C"),
    )
    looks = match(make_granule(), labels, min_valid=4, every=True).looks
    assert [look.n_valid for look in looks] == [4, 6, 9]
    corner, rim, inner = (look.Rrs[0] for look in looks)
    assert np.isnan(corner[0]).all()
    assert np.isnan(corner[:, 0]).all()
    np.testing.assert_allclose(corner[1:, 1:], [[0, 0.0001], [0.001, 0.0011]], atol=1.1e-6)
    assert np.isnan(rim[2]).all()
    np.testing.assert_allclose(rim[:2, 1], [0.0064, 0.0074], atol=1.1e-6)
    assert inner[1, 1] == pytest.approx(0.0043, abs=1.1e-6)


@pytest.mark.slow
def test_a_station_at_the_date_line(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    latitude, longitude = swath_grid(8, 8, west=179.97, tilt=0.0)  # pixel 3 lies at 180
    path = make_granule(latitude=latitude, longitude=longitude)
    labels = make_labels(sample(1, place=(41.44, 180.0)), sample(2, station="B", place=(41.44, -179.991)))
    rows = match(path, labels).rows
    assert rows["reason"].tolist() == ["", ""]
    assert rows["km_apart"][0] == pytest.approx(0, abs=1e-3)
    assert rows["km_apart"][1] == pytest.approx(0.001 * 111.195 * np.cos(np.deg2rad(41.44)), rel=0.02)


@pytest.mark.slow
def test_a_place_on_the_seam_of_two_granules_is_one_overpass(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    """The second granule goes on where the first ends; the third is the next orbit."""
    latitude, longitude = swath_grid(8, 8, south=41.47 + 0.01, tilt=0.0)
    there = {"latitude": latitude, "longitude": longitude}
    paths = [
        make_granule("a.nc", "2024-08-04T18:00"),
        make_granule("b.nc", "2024-08-04T18:05", **there, flags={"CLDICE": [(0, 3)]}),
        make_granule("c.nc", "2024-08-04T19:38"),
    ]
    labels = make_labels(sample(0.08, place=(41.477, -83.47)))  # near line 0 of the second
    matches = match(paths, labels, min_valid=1, every=True)
    # Six pixels in the first, its line 7 being nearest but one; five of six in the second.
    assert [(look.granule, look.n_valid) for look in matches.looks] == [("a.nc", 6), ("c.nc", 6)]
    assert matches.rows["granule"].tolist() == ["a.nc"]


@pytest.mark.slow
def test_a_real_granule(pace_files: Path, make_labels: Callable[..., Labels]) -> None:
    """Every pixel of it carries HISATZEN."""
    path = pace_files / "pace_l2_sample.nc"
    with xr.open_dataset(path, group="geophysical_data", engine="h5netcdf") as values:
        Rrs = values["Rrs"].values
    Rrs[~np.isfinite(Rrs).all(axis=-1)] = np.nan
    line, pixel = np.argwhere(np.isfinite(Rrs[1:-1, 1:-1, 0]))[0] + 1  # 11 pixels are not missing
    with xr.open_dataset(path, group="navigation_data", engine="h5netcdf") as where:
        place = [float(where[name].values[line, pixel]) for name in ("latitude", "longitude")]
    labels = make_labels(f"A,2025-03-05T17:00Z,1.0,{place[0]},{place[1]}")
    name, detail = reason(match(path, labels))
    assert name == "all pixels flagged"
    assert detail.startswith("0 of 9 pixels, wanted 5; flagged: ")
    assert "HISATZEN 9" in detail
    (look,) = match(path, labels, flags=("none",), min_valid=1, every=True).looks
    window = Rrs[line - 1 : line + 2, pixel - 1 : pixel + 2]
    np.testing.assert_allclose(look.Rrs, np.moveaxis(window, -1, 0), atol=1e-7)
    assert str(look.time)[:15] == "2025-03-05T16:0"


# Each reason by itself


@pytest.mark.slow
def test_no_granule_within_hours(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    path = make_granule()
    assert match(path, make_labels(sample(48.5))).rows["reason"][0] == ""
    found = reason(match(path, make_labels(sample(48.6))))
    assert found == ("no granule within hours", "the nearest is 48.6 h apart: a.nc")
    found = reason(match(path, make_labels(sample(-3.1)), max_hours=3))
    assert found == ("no granule within hours", "the nearest is 3.1 h apart: a.nc")


@pytest.mark.slow
def test_the_hours_are_those_of_the_line_not_of_the_granule(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    lines = np.datetime64(NOON, "ns") + (3600 * np.arange(8)).astype("timedelta64[s]")  # line 4 at 22:00
    found = reason(match(make_granule(time=lines), make_labels(sample(2)), max_hours=1))
    assert found == ("no granule within hours", "the nearest is 2.0 h apart: a.nc")


@pytest.mark.slow
def test_outside_every_granule(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    found = reason(match(make_granule(), make_labels(sample(1, place=(41.44, -83.2)))))
    assert found == ("outside every granule", "no pixel near 41.440 N, -83.200 E; a.nc, 1.0 h apart")


@pytest.mark.slow
def test_the_nearest_pixel_may_be_too_far(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    labels = make_labels(sample(1, place=(41.49, -83.47)))  # 0.02 degrees north of line 7
    found = reason(match(make_granule(), labels))
    assert found == ("nearest pixel too far", "2.22 km, wanted 2; a.nc, 1.0 h apart")
    assert match(make_granule(), labels, max_km=2.3).rows["reason"][0] == ""


@pytest.mark.slow
def test_all_pixels_flagged_says_what_costs_most(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    flags = {"STRAYLIGHT": every_pixel()[:4], "CLDICE": every_pixel()[2:], "TURBIDW": every_pixel()}
    path, labels = make_granule(flags=flags), make_labels(sample())
    found = reason(match(path, labels, min_valid=1))
    assert found == (
        "all pixels flagged",
        "0 of 9 pixels, wanted 1; flagged: CLDICE 7, STRAYLIGHT 4; a.nc, 1.0 h apart",
    )
    assert match(path, labels, flags=("LAND",)).rows["reason"][0] == ""
    assert match(path, labels, flags=("STRAYLIGHT",)).rows["n_valid"][0] == 5


@pytest.mark.slow
def test_too_few_valid_pixels(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    Rrs = np.full((8, 8, 4), 0.01)
    for i, j in every_pixel()[:3]:
        Rrs[i, j, 1] = np.nan  # one band is enough
    path, labels = make_granule(Rrs=Rrs, flags={"LAND": [(5, 3), (5, 4)]}), make_labels(sample())
    found = reason(match(path, labels))
    assert found == ("too few valid pixels", "4 of 9 pixels, wanted 5; flagged: LAND 2; a.nc, 1.0 h apart")
    assert match(path, labels, min_valid=4).rows["n_valid"][0] == 4
    found = reason(match(make_granule(Rrs=np.nan), labels))  # not flagged, and nothing there
    assert found == ("too few valid pixels", "0 of 9 pixels, wanted 5; a.nc, 1.0 h apart")


@pytest.mark.slow
def test_too_variable(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    Rrs = np.full((8, 8, 4), 0.01)
    Rrs[:, ::2] = 0.012  # three or six pixels of nine: (3 x 0.01 + 6 x 0.012) / 9 and a spread of 0.001
    path, labels = make_granule(Rrs=Rrs), make_labels(sample())
    cv = np.std([0.012] * 6 + [0.01] * 3, ddof=1) / (0.102 / 9)
    assert match(path, labels).rows["cv"][0] == pytest.approx(cv, rel=1e-3)  # off by default
    assert match(path, labels, max_cv=0.0885).rows["reason"][0] == ""
    found = reason(match(path, labels, max_cv=0.088))
    assert found == ("too variable", "coefficient of variation 0.088, wanted 0.088; a.nc, 1.0 h apart")


@pytest.mark.slow
def test_a_single_pixel_has_no_variation_to_be_refused_for(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    row = match(make_granule(), make_labels(sample()), size=1, max_cv=0.01).rows.iloc[0]
    assert row["reason"] == ""
    assert np.isnan(row["cv"])


def test_no_position(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    found = reason(match(make_granule(), make_labels("A,2024-08-04T18:00Z,1.5,,")))
    assert found == ("no position", "no row of the station gives one")


def test_no_time(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    labels = make_labels(sample())
    timeless = labels.table.assign(time=pd.Series([pd.NaT], dtype=labels.table["time"].dtype))
    assert reason(match(make_granule(), replace(labels, table=timeless)))[0] == "no time"


@pytest.mark.slow
def test_of_several_reasons_the_one_that_came_furthest_is_told(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    away = dict(zip(("latitude", "longitude"), swath_grid(8, 8, west=-80.0, tilt=0.0), strict=True))
    paths = [
        make_granule("a.nc", "2024-08-04T18:00", **away),
        make_granule("b.nc", "2024-08-05T18:00", flags={"LAND": every_pixel(but=[(4, 3)])}),
        make_granule("c.nc", "2024-08-05T20:00", flags={"HILT": every_pixel(but=[(4, 3), (5, 3)])}),
        make_granule("d.nc", "2024-08-06T08:00", flags={"CLDICE": every_pixel()}),
    ]
    matches = match(paths, make_labels(sample(1)))
    assert reason(matches) == (
        "too few valid pixels",
        "1 of 9 pixels, wanted 5; flagged: LAND 8; b.nc, 23.0 h apart",
    )
    assert matches.reasons == {"too few valid pixels": 1}
    assert reason(match(paths[:1] + paths[3:], make_labels(sample(1))))[0] == "all pixels flagged"


# Errors


@pytest.mark.slow
def test_a_granule_damaged_inside_is_listed_and_the_rest_goes_through(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    paths = [make_granule("a.nc"), make_granule("b.nc", "2024-08-05T18:00")]
    with h5py.File(paths[0], "r+") as file:
        del file["geophysical_data/Rrs"]
    matches = match(paths, make_labels(sample(1), sample(80, station="B")))
    assert matches.rows["granule"].tolist() == ["b.nc", ""]
    assert list(matches.bad) == ["a.nc"]
    assert "wanted the variables Rrs" in matches.bad["a.nc"]
    alone = match(paths[:1], make_labels(sample(1)))
    assert reason(alone) == ("no granule within hours", "no granule could be read")


def test_maps_are_refused_with_what_to_do(tmp_path: Path, make_labels: Callable[..., Labels]) -> None:
    row = np.arange(3.0)
    path = write_l3_file(
        tmp_path / "m.nc", lat=42 - row, lon=row - 84, values=np.full((3, 3, 4), 0.01), wavelength=NM
    )
    with pytest.raises(PatchError, match=r"wanted level-2 granules, found L3M_RRS in .*m\.nc.*--cube"):
        match(path, make_labels(sample()))


def test_a_flag_that_is_mistyped_is_noticed_where_no_station_is_seen(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    with pytest.raises(FlagError, match=r"wanted the flag CLOUDICE.*Did you mean CLDICE"):
        match(make_granule(), make_labels(sample(500)), flags=("CLOUDICE",))


def test_a_flag_that_is_mistyped_is_no_damage(
    make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    with pytest.raises(FlagError, match=r"wanted the flag CLOUD, .*a\.nc"):
        match(make_granule(), make_labels(sample()), flags=("CLOUD",))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 4}, "odd size"),
        ({"min_valid": 10}, "a number from 1 to 9"),
        ({"max_km": 0}, "limits above 0, found 0 km"),
        ({"max_cv": -0.1}, "coefficient of variation of -0.1"),
        ({"max_hours": -1.0}, "hours of 0 or more, found -1.0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    make_granule: MakeGranule, make_labels: Callable[..., Labels], given: dict[str, float], message: str
) -> None:
    with pytest.raises(PatchError, match=message):
        match(make_granule(), make_labels(sample()), **given)


@pytest.mark.slow
def test_nothing_to_match_is_said(make_granule: MakeGranule, make_labels: Callable[..., Labels]) -> None:
    with pytest.raises(PatchError, match="wanted surface samples, found none among 1 rows"):
        match(make_granule(), make_labels(sample() + ",scum"))
    with pytest.raises(PatchError, match="wanted level-2 granules, found none"):
        match_granules([], make_labels(sample()))
    red = {"wavelength": np.array([620.0, 665.0]), "Rrs": np.full((8, 8, 2), 0.01)}
    with pytest.raises(PatchError, match=r"bands between 405 and 570 nm.*from 620 to 665 nm"):
        match(make_granule(**red), make_labels(sample()), max_cv=0.15)
    assert match(make_granule(**red), make_labels(sample())).rows["reason"][0] == ""


# The files


@pytest.mark.slow
def test_the_table_is_written_as_the_formats_say(
    tmp_path: Path, make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    labels = make_labels(sample(-2.5, place=(41.442, -83.47)), sample(90, station="B", value="<0.2"))
    write_matchups(match(make_granule(Rrs=np.full((8, 8, 4), 0.01)), labels), tmp_path / "m.csv")
    header, first, second = (tmp_path / "m.csv").read_text().splitlines()
    assert header == (
        "station,sample_time,time_known,date,latitude,longitude,microcystin,below_detection,overpass_time,"
        "hours_apart,km_apart,granule,n_valid,cv,reason,detail,file,line"
    )
    cells = first.split(",")
    assert float(cells.pop(10)) == pytest.approx(0.2224, abs=2e-4)  # places are stored as float32
    assert ",".join(cells) == (
        "A,2024-08-04T15:30:00Z,True,2024-08-04,41.442,-83.47,1.5,False,2024-08-04T18:00:00Z,-2.5,a.nc,9,0,,,"
        "lab.csv,2"
    )
    assert second == (
        "B,2024-08-08T12:00:00Z,True,2024-08-08,41.44,-83.47,0.2,True,,,,,,,no granule within hours,"
        "the nearest is 90.0 h apart: a.nc,lab.csv,3"
    )


@pytest.mark.slow
def test_all_usable_overpasses_are_written_and_evaluate_can_pair_them(
    tmp_path: Path, make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    paths = [
        make_granule("c.nc", "2024-08-20T18:00"),  # no sample around
        make_granule("a.nc", "2024-08-04T18:00", flags={"CLDICE": [(3, 3)]}),
        make_granule("b.nc", "2024-08-12T18:00", flags={"CLDICE": [(5, 5), (5, 6), (6, 5), (6, 6), (5, 7)]}),
    ]
    south, north = (41.42, -83.46), (41.46, -83.44)  # line 2, pixel 4; line 6, pixel 6
    labels = make_labels(
        sample(5, station="N", place=north),
        sample(6, station="S", place=south),
        sample(7 * 24, station="S", place=south),
        sample(8 * 24 - 2, station="N", place=north),
    )
    matches = match(paths, labels, every=True)
    assert [look.granule for look in matches.looks] == ["a.nc", "a.nc", "b.nc", "c.nc", "c.nc"]
    write_station_patches(matches, tmp_path / "s.nc", provenance={"labels": "lab.csv"})
    patches = read_patches(tmp_path / "s.nc")
    assert patches.station.tolist() == [
        "N",
        "S",
        "S",
        "N",
        "S",
    ]  # by time, then station; N is clouded on the 12th
    assert patches.time.astype("datetime64[D]").astype(str).tolist() == (
        ["2024-08-04"] * 2 + ["2024-08-12"] + ["2024-08-20"] * 2
    )
    assert patches.latitude.tolist() == [41.46, 41.42, 41.42, 41.46, 41.42]
    assert patches.longitude[0] == -83.44
    assert patches.source == "NASA PACE OCI L2_AOP, version 3.1, pixels of the swath"
    assert np.argwhere(~patches.valid[1]).tolist() == [[2, 0]]  # lines 1 to 3, pixels 3 to 5
    assert patches.Rrs[0, 0, 1, 1] == pytest.approx(0.006 + 0.0006, abs=1.1e-6)
    pairs = current_matchups(patches, labels)
    rows = matches.rows[matches.rows["reason"] == ""]
    assert pairs["hours_apart"].tolist() == rows["hours_apart"].tolist() == [5, 6, -24]
    assert pairs["overpass_time"].tolist() == rows["overpass_time"].tolist()
    with xr.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as found:
        assert found["Rrs"].dims == ("sample", "wavelength", "y", "x")
        assert set(found.coords) == {"time", "latitude", "longitude", "station", "granule", "wavelength"}
        assert found["granule"].values.tolist() == ["a.nc", "a.nc", "b.nc", "c.nc", "c.nc"]
        assert found["n_valid"].values.tolist() == [9, 8, 9, 9, 9]
        np.testing.assert_allclose(found["km_apart"], 0, atol=1e-3)
        assert found.attrs["labels"] == "lab.csv"
        assert '"flags": ["bloom"]' in found.attrs["settings"]


@pytest.mark.slow
def test_the_real_layout_is_the_same(
    tmp_path: Path, lake_erie: Path, make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    write_station_patches(match(make_granule(), make_labels(sample()), every=True), tmp_path / "s.nc")
    with (
        xr.open_dataset(lake_erie / "pace_station_patches.nc", engine="h5netcdf") as real,
        xr.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as made,
    ):
        assert made["Rrs"].dims == real["Rrs"].dims
        assert made["Rrs"].dtype == real["Rrs"].dtype
        assert made["Rrs"].attrs["units"] == real["Rrs"].attrs["units"]
        for name in real.coords:
            assert made[name].dims == real[name].dims
            assert made[name].dtype.kind == real[name].dtype.kind


@pytest.mark.slow
def test_without_a_usable_window_there_is_no_file(
    tmp_path: Path, make_granule: MakeGranule, make_labels: Callable[..., Labels]
) -> None:
    matches = match(make_granule(Rrs=np.nan), make_labels(sample()), every=True)
    with pytest.raises(PatchError, match=r"wanted windows around stations to write to .*s\.nc, found none"):
        write_station_patches(matches, tmp_path / "s.nc")
    assert not (tmp_path / "s.nc").exists()


# From a cube


@pytest.mark.slow
def test_from_a_cube_the_time_is_that_of_what_is_in_the_window(
    tmp_path: Path, make_labels: Callable[..., Labels]
) -> None:
    Rrs, age = numbered(2, 4, 4), np.full((2, 4, 4), 3.0)
    Rrs[0, 0, :] = np.nan  # row 0
    age[0, 1, 0] = 6.0  # eight days: 4 to 12 August
    cube = make_cube(tmp_path / "a.zarr", Rrs, age=age, north=41.5, resolution=0.01)  # row 1 at 41.485
    labels = make_labels(sample(4 * 24, place=(41.485, -83.485)))  # column 1; 8 August, 18:00
    matches = match_cube(cube, labels, every=True)
    (row,) = matches.rows.to_dict("records")
    assert row["granule"] == "a.zarr 2024-08-04 to 2024-08-11"
    assert row["n_valid"] == 6
    # Ages 6, 3, 3, 3, 3, 3: three and a half days before the 12th.
    assert row["overpass_time"] == pd.Timestamp("2024-08-08T12:00Z")
    assert row["hours_apart"] == 6
    assert row["km_apart"] == pytest.approx(0, abs=1e-3)
    first, second = matches.looks
    np.testing.assert_allclose(first.Rrs, np.moveaxis(Rrs[0, :3, :3], -1, 0).astype("f4"))
    assert second.time == np.datetime64("2024-08-17")
    assert matches.config.flags == ("LAND", "CLDICE")
    write_station_patches(matches, tmp_path / "s.nc")
    patches = read_patches(tmp_path / "s.nc")
    assert patches.n_samples == 2
    assert patches.source == "a.zarr: composites of NASA PACE OCI L2_AOP over 8 days"


@pytest.mark.slow
def test_a_sample_without_a_window_of_the_cube_has_a_reason(
    tmp_path: Path, make_labels: Callable[..., Labels]
) -> None:
    Rrs = numbered(1, 3, 3)
    Rrs[0, :2] = np.nan
    cube = make_cube(tmp_path / "a.zarr", Rrs, north=41.5, resolution=0.01)
    labels = make_labels(
        sample(0, station="hours", place=(41.485, -83.485)),
        sample(90, station="few", place=(41.485, -83.485)),
        sample(91, station="out", place=(43.0, -83.485)),
        sample(92, station="far", place=(41.52, -83.485)),
    )
    rows = match_cube(cube, labels).rows
    assert dict(zip(rows["station"], rows["reason"], strict=True)) == {
        "hours": "no granule within hours",
        "few": "too few valid pixels",
        "out": "outside every granule",
        "far": "nearest pixel too far",
    }
    assert rows["detail"][0] == "the nearest is 78.0 h apart: a.zarr 2024-08-04 to 2024-08-11"
    assert rows["detail"][1].startswith("3 of 9 pixels, wanted 5; a.zarr 2024-08-04")
    edge = match_cube(
        cube, make_labels(sample(90, place=(41.4751, -83.475))), config=WindowConfig(min_valid=2)
    )
    assert edge.rows["n_valid"].tolist() == [2]  # row 2, column 2: the corner


def test_a_cube_of_surface_reflectance_is_refused(tmp_path: Path, make_labels: Callable[..., Labels]) -> None:
    cube = make_cube(tmp_path / "a.zarr", numbered(1, 3, 3), product="L3M_SFREFL")
    with pytest.raises(PatchError, match=r"\(Rrs\), found surface reflectance \(rhos"):
        match_cube(cube, make_labels(sample()))


# Distance and variability


def test_distances_by_hand() -> None:
    here = Place("here", 0.0, 0.0)
    degree = 2 * np.pi * 6371.0088 / 360
    places = np.array([[0, 0], [1, 0], [0, 1], [0, -179.5], [90, 77], [0, 359]])
    expected = np.array([0, 1, 1, 179.5, 90, 1]) * degree
    np.testing.assert_allclose(km_between(places[:, 0], places[:, 1], here), expected, atol=1e-9)
    # WE2 to WE4 by the spherical law of cosines, another formula.
    a, b = np.deg2rad([41.7628, -83.3303]), np.deg2rad([41.8265, -83.1946])
    cosine = np.sin(a[0]) * np.sin(b[0]) + np.cos(a[0]) * np.cos(b[0]) * np.cos(a[1] - b[1])
    found = km_between(np.array([41.8265]), np.array([-83.1946]), Place("WE2", 41.7628, -83.3303))
    assert found[0] == pytest.approx(6371.0088 * np.arccos(cosine), rel=1e-6)


@pytest.mark.parametrize("centre", [(41.5, -83.0), (0.0, 179.95), (-89.95, 30.0), (78.0, -179.99)])
def test_the_nearest_pixel_is_that_of_trying_all(centre: tuple[float, float]) -> None:
    rng = np.random.default_rng(5)
    latitude = np.clip(centre[0] + rng.uniform(-0.3, 0.3, (30, 20)), -90, 90)
    longitude = (centre[1] + rng.uniform(-0.3, 0.3, (30, 20)) + 180) % 360 - 180
    latitude[rng.random((30, 20)) < 0.1] = np.nan
    for _ in range(20):
        place = Place(
            "x", np.clip(centre[0] + rng.uniform(-0.4, 0.4), -90, 90), centre[1] + rng.uniform(-0.4, 0.4)
        )
        km = np.where(np.isfinite(latitude), km_between(latitude, longitude, place), np.inf)
        found = nearest_pixel(latitude, longitude, place, 3.0)
        if km.min() > 3.0:
            assert found is None
        else:
            assert found == (np.unravel_index(km.argmin(), km.shape), pytest.approx(km.min()))


def test_variability_by_hand() -> None:
    nm = np.array([400.0, 405.0, 500.0, 570.0, 571.0])
    spectra = np.full((4, 5), 0.01)
    spectra[:, 0], spectra[:, 4] = [0.1, 0.2, 0.3, 0.9], [0.1, 0.2, 0.3, 0.9]  # not looked at
    spectra[:, 1] = [0.02, 0.02, 0.04, 0.04]  # 0.03 +- 0.0115470
    spectra[:, 2] = [-0.001, -0.002, -0.003, -0.002]  # -0.002 +- 0.000816497
    assert variability(spectra, nm) == pytest.approx(0.0115470 / 0.03, rel=1e-5)  # between 0 and 0.408248
    # Five pixels, the last further than 1.5 standard deviations (0.0447) from the mean (0.02).
    outlier = np.array([[0.01], [0.01], [0.012], [0.008], [0.1]])
    assert variability(outlier, np.array([500.0])) == pytest.approx(0.00163299 / 0.01, rel=1e-5)
    assert np.isnan(variability(spectra[:1], nm))
    assert np.isnan(variability(spectra, nm + 500))


def test_hours_between_a_time_and_a_scene() -> None:
    class Scene:
        start, end = np.datetime64("2024-08-04T12:00"), np.datetime64("2024-08-04T13:00")

    times = np.array(["2024-08-04T10:30", "2024-08-04T12:59", "2024-08-04T15:00"], dtype="datetime64[ns]")
    assert station_patches._hours_from(Scene(), times).tolist() == [1.5, 0, 2]
