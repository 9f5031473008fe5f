"""Which period, which cell, which shore: and one line that helps where there is none."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from spectm.apps.csv_cells import quoted_cells
from spectm.apps.history import cell_in, estimate_at, forecast_after, history_at
from spectm.apps.moment import chosen_period, moment_at
from spectm.apps.places import (
    Station,
    find_station,
    parse_point,
    read_stations,
    samples_at,
    stations_of,
    usual_stations,
)
from spectm.apps.shores import outlines_of, read_outlines, water_of
from spectm.apps.store import Store, open_store
from spectm.apps.store_writer import MAPS
from spectm.data.grid import Grid
from spectm.data.labels import read_labels
from spectm.errors import LabelError, RegionError, StoreError
from tests.apps.stores import make_store

MIDDLE = Station(name="M", latitude=41.9813, longitude=-83.4688)  # row 1, column 2


@pytest.fixture
def store(week: Store) -> Store:
    return week


def write_labels(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["station,time,microcystin,latitude,longitude,source", *rows]) + "\n")
    return path


@pytest.fixture
def clouded(tmp_path: Path) -> Store:
    """The last period is there, and nothing was seen in it."""
    folder = make_store(tmp_path / "clouded")
    maps = zarr.open_group(folder / MAPS, mode="r+")
    for name, nothing in (("microcystin", np.nan), ("log10_mean", np.nan), ("flagged", 255)):
        maps[name][-1] = nothing
    return open_store(folder)


def test_latest_is_the_last_period_that_holds_an_estimate(store: Store, clouded: Store) -> None:
    assert (chosen_period(store), chosen_period(clouded)) == (2, 1)
    assert str(moment_at(clouded).period) == "2024-08-12 to 2024-08-19"
    assert chosen_period(clouded, "2024-08-27") == 2  # asked for, it is shown as it is
    assert not moment_at(clouded, "2024-08-20").seen.any()


def test_a_forecast_is_about_days_eight_later(store: Store) -> None:
    ahead = moment_at(store, "2024-08-12", horizon=8.0)
    assert (str(ahead.period), str(ahead.target)) == ("2024-08-12 to 2024-08-19", "2024-08-20 to 2024-08-27")


@pytest.mark.parametrize(
    ("wanted", "horizon", "message"),
    [
        ("2024-07-01", 0.0, "wanted a whole period that holds 2024-07-01, found 3 from 2024-08-04"),
        ("2024-09-01", 0.0, "Predict that period too"),
        ("August", 0.0, "wanted a day as in 2024-08-12, or 'latest', found 'August'"),
        ("2024-08-12", 3.0, "wanted one of the horizons 0, 8 days, found 3"),
    ],
)
def test_a_period_that_is_not_there_is_refused(
    store: Store, wanted: str, horizon: float, message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        moment_at(store, wanted, horizon=horizon)


@pytest.mark.slow
def test_a_store_of_nothing_but_cloud_is_told(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "cloud", n_periods=1)
    zarr.open_group(folder / MAPS, mode="r+")["microcystin"][:] = np.nan
    with pytest.raises(StoreError, match="wanted a period with an estimate, found 1 without any"):
        moment_at(open_store(folder))


def test_exceedance_of_any_threshold(store: Store) -> None:
    moment = moment_at(store)
    kept = moment.maps["exceedance"].sel(threshold=8.0).values
    np.testing.assert_allclose(moment.exceedance(8.0), kept, atol=1e-6)
    between, more = moment.exceedance(7.0), moment.exceedance(9.0)
    assert np.all((more <= kept + 1e-6) | np.isnan(kept))
    assert np.all((kept <= between + 1e-6) | np.isnan(kept))
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(StoreError, match="wanted a threshold in ug/L above zero"):
            moment.exceedance(wrong)


def test_history_of_a_place_is_that_of_its_cell(store: Store) -> None:
    assert cell_in(store, MIDDLE) == (1, 2)
    history = history_at(store, MIDDLE, horizon=8.0)
    cells = store.dataset.isel(lat=1, lon=2).sel(horizon=8.0)
    np.testing.assert_array_equal(history["microcystin"], cells["microcystin"])
    for level, low, high in ((0.5, "low50", "high50"), (0.9, "low90", "high90")):
        ends = cells.sel(level=level)
        np.testing.assert_allclose(history[low], ends["interval_low"], rtol=1e-6)
        np.testing.assert_allclose(history[high], ends["interval_high"], rtol=1e-6)
    np.testing.assert_array_equal(history["flagged"], cells["flagged"] == 1)
    assert list(history["about"].astype(str)) == ["2024-08-16", "2024-08-24", "2024-09-01"]  # middle + 8
    above = estimate_at(store, history, 8.0).exceedance(1.0)
    np.testing.assert_allclose(above, cells["exceedance"].sel(threshold=1.0), atol=1e-6)


def test_an_old_forecast_is_none(clouded: Store) -> None:
    ahead = forecast_after(clouded, MIDDLE)
    assert list(ahead["first"].astype(str)) == ["2024-08-12"]  # about the 24th, in the period without sight
    zarr.open_group(clouded.folder / MAPS, mode="r+")["microcystin"][1:] = np.nan
    assert forecast_after(open_store(clouded.folder), MIDDLE).empty
    assert len(forecast_after(open_store(clouded.folder), MIDDLE, until=np.datetime64("2024-08-12"))) == 1


@pytest.mark.parametrize("place", [(41.9813, -83.6), (42.01, -83.4688), (-83.4688, 41.9813)])
def test_a_place_outside_is_refused(store: Store, place: tuple[float, float]) -> None:
    with pytest.raises(StoreError, match=r"wanted a place on the maps .* from 41\.92 to 42 N"):
        history_at(store, Station(name="far", latitude=place[0], longitude=place[1]))


def test_stations_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text("Name,Latitude,Longitude,note\nPier,41.9,-83.4,x\n0012, 42,-83\n")
    assert read_stations(path) == [
        Station(name="Pier", latitude=41.9, longitude=-83.4),
        Station(name="0012", latitude=42.0, longitude=-83.0),  # a name, not the number 12
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wanted a table of stations"),
        (
            "station,north,east\nA,1,2\n",
            "longitude; found station, north, east",
        ),
        ("station,latitude,longitude\n", "wanted stations of different names, found none"),
        ("station,latitude,longitude\nA,1,2\nA,3,4\n", "wanted stations of different names, found A, A"),
        ("station,latitude,longitude\nA,north,2\n", "line 2: wanted latitude and longitude in degrees"),
        ("station,latitude,longitude\nA,-83.4,241.9\n", "line 2: wanted a name, a latitude within 90"),
        ("station,latitude,longitude\nA,nan,2\n", "line 2: wanted a name, a latitude within 90"),
        ("station,latitude,longitude\n ,1,2\n", "line 2: wanted a name"),
    ],
)
def test_a_file_of_stations_that_can_not_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "stations.csv"
    path.write_text(text)
    with pytest.raises(StoreError, match=message):
        read_stations(path)


def test_points_are_typed_with_the_latitude_first() -> None:
    assert parse_point("41.9, -83.4").latitude == 41.9
    for wrong in ("41.9", "41.9;-83.4", "a,b", "141.9,-83.4"):
        with pytest.raises(StoreError):
            parse_point(wrong)


def test_a_station_nobody_knows_gets_a_hint() -> None:
    stations = [Station(name=name, latitude=0.0, longitude=0.0) for name in ("WE2", "WE12")]
    assert find_station(stations, "WE12") is stations[1]
    with pytest.raises(StoreError, match="Did you mean WE2"):
        find_station(stations, "we2")
    with pytest.raises(StoreError, match="Known: WE2, WE12"):
        find_station(stations, "Toledo")


def test_samples_and_their_stations(tmp_path: Path) -> None:
    rows = [
        "S10,2024-08-13T12:00Z,2.5,41.98,-83.47,simulated",
        "S2,2024-08-12T12:00Z,<0.1,41.95,-83.49,simulated",
        "S2,2024-08-20T12:00Z,,41.95,-83.49,simulated",
    ]
    labels = read_labels(write_labels(tmp_path / "laboratory.csv", rows))
    stations = stations_of(labels)
    assert [one.name for one in stations] == ["S2", "S10"]  # as people count
    found = samples_at(labels, stations, where="laboratory.csv")
    assert found["station"].tolist() == ["S2", "S10"]  # the third was not measured
    assert found["below_detection"].tolist() == [True, False]
    assert found["microcystin"].tolist() == [0.1, 2.5]
    assert found["time"].iloc[0] == pd.Timestamp("2024-08-12 12:00")
    other = [Station(name="s2", latitude=41.95, longitude=-83.49)]
    with pytest.raises(LabelError, match="wanted samples of s2; found those of S10, S2"):
        samples_at(labels, other, where="laboratory.csv")


def test_the_stations_of_erie_are_known_there_only() -> None:
    erie = Grid(west=-83.55, north=42.1, resolution=0.05, n_rows=15, n_columns=23)
    assert {"WE2", "WE4", "WE16"} <= {one.name for one in usual_stations(erie)}
    assert usual_stations(Grid(west=7.0, north=47.0, resolution=0.05, n_rows=15, n_columns=23)) == []


def test_shore_of_erie_and_of_nowhere() -> None:
    erie = Grid(west=-83.55, north=42.1, resolution=0.05, n_rows=15, n_columns=23)
    shore = outlines_of(erie)
    assert len(shore) == 7  # mainland and six islands
    assert all(np.array_equal(line[0], line[-1]) for line in shore)
    assert (shore[0][:, 0] < -82).all()  # longitude first
    nothing = np.zeros(erie.shape, dtype=bool)
    water = water_of(erie, nothing)
    assert water[7, 8]  # 41.725 N, 83.125 W: open water
    assert not water[12, 2]  # 41.475 N, 83.425 W: Ohio
    assert water_of(erie, ~nothing).all()  # what was seen is water, whatever the chart says
    elsewhere = Grid(west=7.0, north=47.0, resolution=0.05, n_rows=15, n_columns=23)
    assert outlines_of(elsewhere) == []
    assert not water_of(elsewhere, nothing).any()


def test_lines_of_a_geojson_file(tmp_path: Path) -> None:
    ring = [[7.0, 46.0], [8.0, 46.0], [8.0, 47.0], [7.0, 46.0]]
    features = [
        {"type": "Polygon", "coordinates": [ring, ring]},
        {"type": "MultiPolygon", "coordinates": [[ring], [ring]]},
        {"type": "LineString", "coordinates": [[7.0, 46.0, 372.0], [8.0, 47.0, 372.0]]},
        {"type": "Point", "coordinates": [7.0, 46.0]},
    ]
    whole = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        "features": [{"type": "Feature", "geometry": one, "properties": {}} for one in features],
    }
    path = tmp_path / "shore.geojson"
    path.write_text(json.dumps(whole))
    lines = read_outlines(path)
    assert [len(line) for line in lines] == [4, 4, 4, 4, 2]
    np.testing.assert_array_equal(lines[-1], [[7.0, 46.0], [8.0, 47.0]])
    grid = Grid(west=7.0, north=47.0, resolution=0.1, n_rows=9, n_columns=9)
    assert len(outlines_of(grid, path)) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "wanted GeoJSON"),
        ("[1]", "wanted GeoJSON, found list"),
        ('{"type": "Point", "coordinates": [7, 46]}', "wanted lines or polygons, found none"),
        ('{"type": "Polygon"}', "wanted whole lines of GeoJSON"),
        ('{"type": "LineString", "coordinates": [[300000, 4600000], [300100, 4600000]]}', "projected"),
        ('{"type": "LineString", "coordinates": [[41.9, -183.4], [41.9, -183]]}', "swapped"),
        (
            '{"type": "LineString", "crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::32617"}}, '
            '"coordinates": [[1, 2], [3, 4]]}',
            "wanted longitude and latitude .* found the projection .*32617",
        ),
    ],
)
def test_a_shore_that_can_not_be_drawn_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "shore.geojson"
    path.write_text(content)
    with pytest.raises(RegionError, match=message):
        read_outlines(path)


def test_cells_that_a_spreadsheet_would_run_are_text() -> None:
    evil = ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", " =1", "|x", "-83.5", "+1e-3", "WE2", ""]
    table = quoted_cells(pd.DataFrame({"=name": evil, "number": np.arange(11.0) - 5}))
    assert table["'=name"].tolist() == [
        *("'=1+1", "'+cmd", "'-cmd", "'@SUM(A1)", "'\t=1", "' =1", "'|x"),
        *("-83.5", "+1e-3", "WE2", ""),
    ]
    assert table["number"].iloc[0] == -5.0
