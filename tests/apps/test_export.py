"""Files that other programs open: all numbers in them, and where they come from."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spectm.apps.export.geotiff import BANDS, style, write_geotiff
from spectm.apps.export.netcdf import write_netcdf
from spectm.apps.export.provenance import made_up
from spectm.apps.export.table import cell_table, station_table, write_csv
from spectm.apps.looks import LOOKS
from spectm.apps.moment import moment_at
from spectm.apps.places import Station
from spectm.apps.store import Store, open_store
from spectm.cli.main import main
from spectm.errors import OutputError
from tests.apps.stores import make_store

CHECKER = Path(sys.executable).with_name("compliance-checker")


@pytest.fixture
def store(week: Store) -> Store:
    return week


def fails(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    return found


@pytest.mark.slow
def test_netcdf_holds_all_of_the_store(store: Store, tmp_path: Path) -> None:
    write_netcdf(store, tmp_path / "week.nc")
    with xr.open_dataset(tmp_path / "week.nc", decode_timedelta=False) as found:
        for name, kept in store.dataset.data_vars.items():
            moved = found[name].transpose(*kept.dims) if name != "time_bnds" else found[name]
            np.testing.assert_array_equal(moved.values, kept.values, err_msg=name)
        for name in ("lat", "lon", "time", "horizon", "level", "threshold"):
            np.testing.assert_array_equal(found[name].values, store.dataset[name].values)
        assert found["microcystin"].dims == ("horizon", "time", "lat", "lon")  # CF wants T, Y, X last
        assert found["applicability"].attrs["flag_masks"].dtype == np.uint32
        assert found["microcystin"].attrs["ancillary_variables"] == "flagged applicability"
        assert found["microcystin"].attrs["grid_mapping"] == "crs"
        attrs = found.attrs
        assert attrs["model"] == "made-up-2024"
        assert attrs["simulated"] == 1
        assert attrs["summary"].startswith("Simulated.")
        assert "Dissolved microcystin comes on top" in attrs["caveat"]
        assert "WHO/HEP/ECH/WSH/2020.6" in attrs["thresholds"]
        assert json.loads(attrs["spectm_record"]) == store.record
        assert attrs["geospatial_lat_max"] == pytest.approx(42.0)
        assert attrs["geospatial_lon_max"] == pytest.approx(-83.4)
        assert attrs["time_coverage_end"] == "2024-08-28T00:00:00Z"


@pytest.mark.slow
def test_netcdf_of_one_period(store: Store, tmp_path: Path) -> None:
    write_netcdf(store, tmp_path / "one.nc", position=1)
    with xr.open_dataset(tmp_path / "one.nc", decode_timedelta=False) as found:
        assert found.sizes["time"] == 1
        np.testing.assert_array_equal(
            found["microcystin"].isel(time=0).values, store.dataset["microcystin"].isel(time=1).values
        )
        assert found.attrs["time_coverage_start"] == "2024-08-12T00:00:00Z"


@pytest.mark.slow
@pytest.mark.skipif(not CHECKER.is_file(), reason="needs compliance-checker")
def test_netcdf_follows_the_conventions(store: Store, tmp_path: Path) -> None:
    write_netcdf(store, tmp_path / "week.nc")
    words = [str(CHECKER), "--test=cf:1.11", "--criteria=strict", str(tmp_path / "week.nc")]
    found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert "All tests passed!" in found.stdout, found.stdout


@pytest.mark.slow
def test_geotiff_holds_bands_with_names_units_and_origin(store: Store, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    moment = moment_at(store, "2024-08-12", horizon=8.0)
    written = write_geotiff(moment, tmp_path / "map.tif", threshold=3.0)
    assert [path.name for path in written] == ["map.tif", "map.qml", "map.exceedance.qml"]
    ends = store.dataset.isel(time=1).sel(horizon=8.0, level=0.9)
    wanted = {
        "estimate": moment.maps["microcystin"].values,
        "low": ends["interval_low"].values,
        "high": ends["interval_high"].values,
        "exceedance": moment.exceedance(3.0),
        "flagged": np.where(moment.maps["flagged"].values == 255, np.nan, moment.maps["flagged"].values),
    }
    with rasterio.open(tmp_path / "map.tif") as raster:
        assert raster.descriptions == BANDS
        assert raster.units == ("ug/L", "ug/L", "ug/L", "1", "1")
        assert all(np.isnan(value) for value in raster.nodatavals)
        assert raster.crs.to_epsg() == 4326
        assert raster.bounds == pytest.approx((-83.5, 41.925, -83.4, 42.0))
        for number, name in enumerate(BANDS, start=1):
            np.testing.assert_allclose(raster.read(number), wanted[name], rtol=1e-5, err_msg=name)
        tags = raster.tags()
        assert (tags["period_start"], tags["days_ahead"]) == ("2024-08-12", "8")
        assert (tags["model"], tags["simulated"]) == ("made-up-2024", "1")
        assert "Dissolved microcystin comes on top" in tags["caveat"]
        assert raster.tags(4)["long_name"] == "probability of more than 3 ug/L"


@pytest.mark.slow
def test_geotiff_is_cloud_optimised(store: Store, tmp_path: Path) -> None:
    validation = pytest.importorskip("rio_cogeo")
    write_geotiff(moment_at(store), tmp_path / "map.tif", threshold=8.0)
    assert validation.cog_validate(tmp_path / "map.tif", strict=True) == (True, [], [])


@pytest.mark.parametrize(("name", "band"), [("estimate", 1), ("exceedance", 4)])
def test_style_has_the_colours_of_the_map(name: str, band: int) -> None:
    root = ElementTree.fromstring(style(LOOKS[name], band))
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.attrib["type"] == "singlebandpseudocolor"
    assert renderer.attrib["band"] == str(band)
    items = renderer.findall("rastershader/colorrampshader/item")
    values = [float(item.attrib["value"]) for item in items]
    assert values == sorted(values)
    assert (values[0], values[-1]) == ((0.1, 30.0) if name == "estimate" else (0.0, 1.0))
    if name == "estimate":
        assert items[0].attrib["color"] == "#fde725"  # the yellow end of viridis


def test_cells_as_csv(store: Store, tmp_path: Path) -> None:
    write_csv(cell_table(store, 2), tmp_path / "cells.csv")
    found = pd.read_csv(tmp_path / "cells.csv", keep_default_na=False)
    one = store.dataset.isel(time=2)
    seen = np.isfinite(one["microcystin"].sel(horizon=0.0).values)
    assert len(found) == seen.sum()
    row, column = np.argwhere(seen)[7]
    assert found["latitude"][7] == pytest.approx(42.0 - 0.0125 * (row + 0.5), abs=1e-6)
    assert found["longitude"][7] == pytest.approx(-83.5 + 0.0125 * (column + 0.5), abs=1e-6)
    cell = one.isel(lat=row, lon=column)
    assert found["microcystin_ug_per_l"][7] == pytest.approx(float(cell["microcystin"][0]), rel=1e-5)
    assert found["ahead_high90_ug_per_l"][7] == pytest.approx(float(cell["interval_high"][1, 1]), rel=1e-5)
    assert found["above_8_probability"][7] == pytest.approx(
        float(cell["exceedance"].sel(threshold=8.0, horizon=0.0)), abs=1e-5
    )
    assert found["flagged"].tolist() == np.where(one["flagged"].values[seen] == 1, "yes", "no").tolist()
    flagged = found[found["flagged"] == "yes"]
    assert flagged["reasons"].str.contains("too dark").all()
    end = pd.Timestamp("2024-08-28", tz="UTC")
    age = (end - pd.to_datetime(found["observed"])).dt.total_seconds() / 86400
    np.testing.assert_allclose(age, one["pixel_age"].values[seen], atol=1e-4)
    assert set(found["period_end"]) == {"2024-08-28"}  # the day after, as in points.csv
    assert set(found["simulated"]) == {1}
    assert set(found["about"]) == {
        "particulate microcystin in raw surface water, ug/L; dissolved toxin is not included, "
        "other toxins are not counted, and nothing is said of finished water"
    }


@pytest.mark.slow
def test_names_from_files_do_not_run_in_a_spreadsheet(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "week", n_periods=1)
    record = json.loads((folder / "run.json").read_text())
    record["model"]["name"] = '=HYPERLINK("http://evil.example")'
    (folder / "run.json").write_text(json.dumps(record))
    write_csv(cell_table(open_store(folder), 0), tmp_path / "cells.csv")
    assert set(pd.read_csv(tmp_path / "cells.csv")["model"]) == {'\'=HYPERLINK("http://evil.example")'}


@pytest.mark.slow
def test_command_writes_each_format(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rasterio")
    for name, words in (
        ("all.nc", ["--format", "netcdf", "--all"]),
        ("one.nc", ["--format", "netcdf"]),
        ("map.tif", ["--format", "geotiff", "--days-ahead", "8", "--threshold", "1"]),
        ("cells.csv", ["--format", "csv", "--period", "2024-08-05"]),
    ):
        assert main(["export", str(store.folder), *words, "--out", str(tmp_path / name)]) == 0
        assert f"wrote {tmp_path / name}" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "all.nc") as every, xr.open_dataset(tmp_path / "one.nc") as one:
        assert (every.sizes["time"], one.sizes["time"]) == (3, 1)
    assert set(pd.read_csv(tmp_path / "cells.csv")["period_start"]) == {"2024-08-04"}


@pytest.mark.slow
def test_points_are_exported_with_their_origin(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "week", n_periods=1)
    (folder / "points.csv").write_text("name,latitude,microcystin_ug_per_l,about\n@pier,41.9,1.5,mine\n")
    out = tmp_path / "points.csv"
    assert main(["export", str(folder), "--format", "csv", "--points", "--out", str(out)]) == 0
    found = pd.read_csv(out)
    assert found["name"].tolist() == ["'@pier"]
    assert found["about"].tolist() == ["mine"]
    assert found["model"].tolist() == ["made-up-2024"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "geotiff", "--out", "map.png"], "wanted a name that ends in .tif or .tiff for geotiff"),
        (["--format", "csv", "--out", "cells.nc"], "wanted a name that ends in .csv for csv"),
        (["--format", "netcdf", "--out", "season"], "wanted a name that ends in .nc for netcdf"),
        (["--format", "csv", "--all", "--out", "x.csv"], "One file of csv holds one period"),
        (["--format", "netcdf", "--points", "--out", "x.nc"], "wanted --points with --format csv"),
        (["--format", "csv", "--points", "--out", "x.csv"], "found maps alone"),
        (["--format", "csv", "--period", "2023-01-01", "--out", "x.csv"], "Predict that period too"),
        (["--format", "geotiff", "--threshold", "-1", "--out", "x.tif"], "wanted a threshold in ug/L above"),
        (["--format", "geotiff", "--days-ahead", "3", "--out", "x.tif"], "wanted one of the horizons"),
    ],
)
def test_what_can_not_be_exported_is_refused(
    store: Store, capsys: pytest.CaptureFixture[str], words: list[str], message: str, tmp_path: Path
) -> None:
    words = [*words[:-1], str(tmp_path / words[-1])]
    assert message in fails(capsys, "export", store.folder, *words)
    assert list(tmp_path.iterdir()) == []


def test_stations_have_a_line_each_whether_they_were_seen_or_not(store: Store) -> None:
    moment = moment_at(store, 1)
    seen, unseen = (np.argwhere(moment.seen == one)[0] for one in (True, False))
    side = moment.grid.resolution

    def station(name: str, cell: Sequence[int]) -> Station:
        row, column = cell  # not its centre: a station lies anywhere in its cell
        place = moment.grid.north - (row + 0.3) * side, moment.grid.west + (column + 0.6) * side
        return Station(name=name, latitude=place[0], longitude=place[1])

    far = Station(name="far", latitude=0.0, longitude=0.0)
    table = station_table(store, 1, [station("cloudy", unseen), far, station("clear", seen)])
    assert list(table["station"]) == ["cloudy", "clear"]
    assert np.isnan(table["microcystin_ug_per_l"][0])
    assert (table["flagged"][0], table["observed"][0]) == ("", "")
    cells = cell_table(store, 1)
    here = np.isclose(cells[["latitude", "longitude"]], table[["latitude", "longitude"]].iloc[1]).all(axis=1)
    one = table.drop(columns="station").tail(1).reset_index(drop=True)
    pd.testing.assert_frame_equal(one, cells[here].reset_index(drop=True))


@pytest.mark.parametrize(
    ("lake", "model", "said"),
    [
        (True, True, "Simulated. Nothing here was measured"),
        (True, False, "only the model that reads them learned from measurements"),
        (False, True, "the model that reads them learned from a computer’s lake alone"),
        (False, False, ""),
    ],
)
def test_says_what_is_simulated(store: Store, lake: bool, model: bool, said: str) -> None:
    record = {"data": {"simulated": lake}, "model": {"simulated": model}}
    found = made_up(replace(store, record=record))
    assert said in found
    assert bool(found) == (lake or model)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export", "map", "bulletin"])
def test_a_store_that_is_none_or_half_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = ["--format", "csv"] if command == "export" else []
    rest += ["--out", tmp_path / "out.csv"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "run.json" in fails(capsys, command, empty, *rest)
    half = make_store(tmp_path / "half", n_periods=2, unfinished=(0, 1))
    assert "wanted at least one whole period" in fails(capsys, command, half, *rest)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.slow
def test_a_period_that_was_not_finished_is_not_exported(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "week", unfinished=(2,)))
    write_netcdf(store, tmp_path / "week.nc")
    with xr.open_dataset(tmp_path / "week.nc") as found:
        assert found.sizes["time"] == 2


def test_a_map_without_suffix_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Change its suffix"):
        write_geotiff(moment_at(store), tmp_path / "map", threshold=8.0)
