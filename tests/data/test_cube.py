import itertools
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from spectm.data import composite
from spectm.data import cube as cube_module
from spectm.data.compose import compose, granule_files, take_stock
from spectm.data.composite import CompositeConfig
from spectm.data.cube import cube_layout, cube_losses, open_cube, period_records
from spectm.data.granule import open_granule
from spectm.data.regions import Region
from spectm.errors import CubeError, FlagError, GranuleError
from tests.clusters import two_workers
from tests.data.granules import damage, swath_grid, write_l2_granule, write_l3_file
from tests.processes import PATIENCE_S, python

BANDS = np.array([442.0, 620.0, 709.0])
REGION = Region(name="box", west=-83.5, south=41.4, east=-83.4, north=41.5)
RESOLUTION = 0.02  # 5 x 5 cells


def write_day(folder: Path, day: str, level: float, *, size: int = 10, **options: object) -> Path:
    """A swath over the region with one reflectance; 00Z of the day would do, 17:53 is PACE's hour."""
    latitude, longitude = swath_grid(size, size, south=41.405, west=-83.495, step=0.01, tilt=0)
    version = str(options.get("version", "3.1")).replace(".", "_")
    twin = ".NRT" if options.get("near_real_time") else ""
    return write_l2_granule(
        folder / f"PACE_OCI.{day.replace('-', '')}T175305.L2.OC_AOP.V{version}{twin}.nc",
        latitude=latitude,
        longitude=longitude,
        Rrs=np.full((size, size, options.get("wavelength", BANDS).size), level),
        **({"wavelength": BANDS, "time": f"{day}T17:53:05"} | options),
    )


def write_archive(place: Path) -> Path:
    """Three granules in two periods of eight days, with an empty period between them."""
    folder = place / "granules"
    folder.mkdir()
    for day, level in (("2024-07-20", 0.001), ("2024-07-21", 0.003), ("2024-08-04", 0.007)):
        write_day(folder, day, level)
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path)


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cube of that archive; it is for reading."""
    folder = tmp_path_factory.mktemp("composed")
    granules = granule_files([write_archive(folder)])
    compose(granules, folder / "cube.zarr", REGION, resolution=RESOLUTION)
    return folder / "cube.zarr"


@pytest.fixture
def made(composed: Path, tmp_path: Path) -> Path:
    """A copy of it where `make` makes one."""
    return Path(shutil.copytree(composed, tmp_path / "cube.zarr"))


@pytest.fixture
def make(archive: Path, tmp_path: Path) -> Callable[..., object]:
    def call(out: Path = tmp_path / "cube.zarr", **options: object):
        return compose(granule_files([archive]), out, REGION, **({"resolution": RESOLUTION} | options))

    return call


def same(one: Path, two: Path) -> None:
    with open_cube(one) as first, open_cube(two) as second:
        xr.testing.assert_identical(first.load(), second.load())


@pytest.mark.slow
def test_a_cube_holds_each_period_once_and_the_empty_one_too(make, tmp_path: Path) -> None:
    report = make()
    assert [str(period.start) for period in report.written] == ["2024-07-19", "2024-07-27", "2024-08-04"]
    with open_cube(tmp_path / "cube.zarr") as cube:
        assert dict(cube.sizes) == {"time": 3, "lat": 5, "lon": 5, "wavelength": 3, "bnds": 2}
        assert cube["time_bnds"].values[-1].astype("datetime64[D]").astype(str).tolist() == [
            "2024-08-04",
            "2024-08-12",
        ]
        assert cube["Rrs"].dtype == np.float32
        means = cube["Rrs"].mean(("lat", "lon", "wavelength")).values
        assert means == pytest.approx([0.002, np.nan, 0.007], abs=1e-7, nan_ok=True)
        assert cube["count"].sum(("lat", "lon")).values.tolist() == [200, 0, 100]
        # Two days of 0.001 and 0.003 in each cell, four pixels each: deviation 0.001 with n - 1 = 7.
        assert cube["Rrs_std"].values[0] == pytest.approx(np.sqrt(8 / 7) * 0.001, rel=1e-4)
        assert cube["age"].values[2] == pytest.approx(8 - (17 * 60 + 53) / 1440, abs=1e-3)
        assert cube["Rrs"].attrs["units"] == "sr-1"
        assert cube["lat"].values.tolist() == pytest.approx([41.49, 41.47, 41.45, 41.43, 41.41])


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_a_second_run_changes_nothing(make, tmp_path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cube.zarr").rglob("*") if file.is_file()}
    report = make()
    assert (report.written, len(report.unchanged)) == ([], 3)
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "cube.zarr").rglob("*") if file.is_file()}
    assert after == before


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_a_cube_grows_at_its_end_to_what_one_run_would_give(make, archive: Path, tmp_path: Path) -> None:
    write_day(archive, "2024-08-13", 0.004)
    write_day(archive, "2024-08-05", 0.009)  # changes a period that is there
    report = make()
    assert [str(period.start) for period in report.written] == ["2024-08-04", "2024-08-12"]
    assert [str(period.start) for period in report.unchanged] == ["2024-07-19", "2024-07-27"]
    make(tmp_path / "at-once.zarr")
    same(tmp_path / "cube.zarr", tmp_path / "at-once.zarr")
    with open_cube(tmp_path / "cube.zarr") as cube:
        assert float(cube["Rrs"].sel(time="2024-08-04").mean()) == pytest.approx(0.008, abs=1e-7)


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_a_cube_does_not_grow_at_its_beginning(make, archive: Path, tmp_path: Path) -> None:
    write_day(archive, "2024-07-01", 0.004)
    with pytest.raises(
        CubeError, match="wanted periods from 2024-06-25 on, found a cube that begins 2024-07-19"
    ):
        make()
    make(first=np.datetime64("2024-07-19"))


@pytest.mark.slow
def test_dates_choose_the_periods(make, tmp_path: Path) -> None:
    make(first=np.datetime64("2024-07-28"), last=np.datetime64("2024-08-20"))
    with open_cube(tmp_path / "cube.zarr") as cube:
        days = cube["time"].values.astype("datetime64[D]").astype(str).tolist()
        assert days == ["2024-07-27", "2024-08-04", "2024-08-12", "2024-08-20"]
        assert cube["count"].sum(("lat", "lon")).values.tolist() == [0, 100, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"days": 1}, "days"),
        ({"resolution": 0.01}, "grid"),
        ({"config": CompositeConfig(flags=("standard",))}, "flags"),
        ({"config": CompositeConfig(statistic="median")}, "statistic"),
    ],
)
@pytest.mark.usefixtures("made")
def test_other_settings_want_another_cube(make, tmp_path: Path, changed, name: str) -> None:
    with pytest.raises(CubeError, match=f"wanted a cube with {name} = .* write to another folder"):
        make(**changed)
    assert cube_layout(tmp_path / "cube.zarr").days == 8


@pytest.mark.slow
def test_the_final_granule_replaces_its_near_real_time_twin_and_old_versions(make, archive: Path) -> None:
    write_day(archive, "2024-08-04", 0.05, near_real_time=True)
    write_day(archive, "2024-07-20", 0.05, version="3.0")
    report = make()
    assert report.superseded == {
        "PACE_OCI.20240720T175305.L2.OC_AOP.V3_0.nc": "PACE_OCI.20240720T175305.L2.OC_AOP.V3_1.nc",
        "PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.NRT.nc": "PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.nc",
    }
    assert not report.bad


@pytest.mark.slow
def test_a_bad_granule_is_listed_and_the_rest_goes_through(
    make, archive: Path, composed: Path, tmp_path: Path
) -> None:
    whole = write_day(archive, "2024-08-05", 0.05).read_bytes()
    cut = archive / "PACE_OCI.20240806T175305.L2.OC_AOP.V3_1.nc"
    cut.write_bytes(whole[: len(whole) // 2])
    (archive / "PACE_OCI.20240805T175305.L2.OC_AOP.V3_1.nc").unlink()
    write_day(archive, "2024-08-07", 0.05, wavelength=np.array([442.0, 620.0]))
    report = make()
    assert sorted(report.bad) == [cut.name, "PACE_OCI.20240807T175305.L2.OC_AOP.V3_1.nc"]
    assert "found L2_AOP with 2 bands" in report.bad[sorted(report.bad)[1]]
    same(tmp_path / "cube.zarr", composed)


@pytest.mark.slow
def test_damage_found_by_one_tile_is_left_out_of_all(tmp_path: Path) -> None:
    folder, size = tmp_path / "g", 90
    folder.mkdir()
    region = Region(name="wide", west=-83.5, south=41.4, east=-82.6, north=42.3)
    one = write_day(folder, "2024-08-04", 0.002, size=size, chunks=(10, 90, 3))
    compose([one], tmp_path / "one.zarr", region, resolution=0.01)
    two = write_day(folder, "2024-08-05", 0.004, size=size, chunks=(10, 90, 3))
    damage(two, chunk=(80, 0, 0))  # the northernmost lines
    report = compose([one, two], tmp_path / "two.zarr", region, resolution=0.01, memory_mb=2.0, workers=1)
    assert list(report.bad) == [two.name]
    assert period_records(tmp_path / "two.zarr")["2024-08-04"]["granules"] == [[one.name, one.stat().st_size]]
    with open_cube(tmp_path / "one.zarr") as first, open_cube(tmp_path / "two.zarr") as second:
        np.testing.assert_array_equal(first["Rrs"].values, second["Rrs"].values)
        np.testing.assert_array_equal(first["count"].values, second["count"].values)


@pytest.mark.slow
def test_a_twin_stands_in_for_a_granule_whose_damage_comes_to_light(tmp_path: Path) -> None:
    day, other = "2024-08-04", "2024-08-05"
    files = [write_day(tmp_path, other, 0.003), write_day(tmp_path, day, 0.005, near_real_time=True)]
    files.append(final := write_day(tmp_path, day, 0.001, chunks=(10, 10, 3)))
    damage(final)
    report = compose(files, tmp_path / "c.zarr", REGION, resolution=RESOLUTION)
    twin = files[1].name
    assert report.stand_ins == {final.name: twin}
    assert list(report.bad) == [final.name]
    assert report.superseded == {}
    with open_cube(tmp_path / "c.zarr") as cube:
        assert float(cube["Rrs"].mean()) == pytest.approx(0.004, abs=1e-7)  # of 0.003 and 0.005
    names = [name for name, _ in period_records(tmp_path / "c.zarr")[day]["granules"]]
    assert names == [twin, files[0].name]


@pytest.mark.slow
def test_damaged_twins_are_gone_through_to_the_last(tmp_path: Path) -> None:
    def write(level: float, **options: object) -> Path:
        return write_day(tmp_path, "2024-08-04", level, chunks=(10, 10, 3), **options)

    soon, *finals = write(0.009, near_real_time=True), write(0.005, version="3.0"), write(0.001)
    for path in finals:
        damage(path)
    report = compose([*finals, soon], tmp_path / "c.zarr", REGION, resolution=RESOLUTION)
    assert report.stand_ins == {finals[0].name: soon.name}  # the other's stand-in was damaged, too
    assert set(report.bad) == {path.name for path in finals}
    assert report.superseded == {}
    with open_cube(tmp_path / "c.zarr") as cube:
        assert float(cube["Rrs"].mean()) == pytest.approx(0.009, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("boxed", [False, True])
def test_a_region_without_granules_is_no_cube_but_one_of_clouds_is(tmp_path: Path, boxed: bool) -> None:
    box = {"geospatial_lat_min": 41.3, "geospatial_lat_max": 41.6}
    box |= {"geospatial_lon_min": -83.6, "geospatial_lon_max": -83.3}
    cloudy = {"CLDICE": list(itertools.product(range(10), range(10)))}
    path = write_day(tmp_path, "2024-08-04", 0.001, flags=cloudy, attrs=box if boxed else {})
    away = Region(name="lake-elsewhere", west=10, south=41.4, east=10.1, north=41.5)
    with pytest.raises(
        CubeError, match=r"with pixels in lake-elsewhere, found none in any of 1; .*Is the region"
    ):
        compose([path], tmp_path / "c.zarr", away, resolution=RESOLUTION)
    days = {"first": np.datetime64("2024-09-01"), "last": np.datetime64("2024-09-02")}
    with pytest.raises(CubeError, match=r"found granules of 2024-08-04 to 2024-08-04 only\. Choose"):
        compose([path], tmp_path / "c.zarr", REGION, resolution=RESOLUTION, **days)
    assert not (tmp_path / "c.zarr").exists()
    compose([path], tmp_path / "c.zarr", REGION, resolution=RESOLUTION)
    with open_cube(tmp_path / "c.zarr") as cube:
        assert cube["count"].sum(("lat", "lon")).values.tolist() == [0]


@pytest.mark.slow
def test_a_granule_that_says_it_is_elsewhere_is_not_opened_again(tmp_path: Path, monkeypatch) -> None:
    box = {f"geospatial_{name}": value for name, value in (("lat_min", 41.3), ("lat_max", 41.6))}
    box |= {"geospatial_lon_min": -83.6, "geospatial_lon_max": -83.3}
    away = {name: value + 20 for name, value in box.items()}
    here = write_day(tmp_path, "2024-08-04", 0.001, attrs=box)
    there = write_day(tmp_path, "2024-08-05", 0.003, attrs=away)
    opened = []
    monkeypatch.setattr(
        composite,
        "open_granule",
        lambda path, region: opened.append(path) or open_granule(path, region=region),
    )
    compose([here, there], tmp_path / "c.zarr", REGION, resolution=RESOLUTION)
    assert opened == [here]
    assert len(period_records(tmp_path / "c.zarr")["2024-08-04"]["granules"]) == 2


@pytest.mark.slow
def test_losses_are_kept_by_period(make, archive: Path, tmp_path: Path) -> None:
    flags = {"CLDICE": [(0, 0), (1, 1)], "HIGLINT": [(1, 1)], "TURBIDW": [(2, 2)]}
    write_day(archive, "2024-08-05", 0.003, flags=flags)
    make()
    losses = cube_losses(tmp_path / "cube.zarr").query("period == '2024-08-04'").set_index("flag")
    assert losses.loc[["(seen)", "(used)", "(incomplete)"], "pixels"].tolist() == [200, 198, 0]
    assert losses.loc[["CLDICE", "HIGLINT", "TURBIDW"], "pixels"].tolist() == [2, 1, 1]
    assert losses.loc[["CLDICE", "HIGLINT", "TURBIDW"], "alone"].tolist() == [1, 0, 0]
    assert losses.loc[["CLDICE", "HIGLINT", "TURBIDW"], "excluded_by"].tolist() == [True, True, False]


@pytest.mark.slow
def test_maps_keep_their_own_cells_and_rhos_its_name(tmp_path: Path) -> None:
    lat, lon = np.arange(41.9, 41.0, -0.1), np.arange(-83.95, -83.0, 0.1)
    values = np.full((lat.size, lon.size, 3), 0.02)
    files = [
        write_l3_file(
            tmp_path / f"{suite}.nc", lat=lat, lon=lon, values=values, wavelength=BANDS, suite=suite
        )
        for suite in ("RRS", "SFREFL")
    ]
    for file, name in zip(files, ("Rrs", "rhos"), strict=True):
        compose(
            [file],
            tmp_path / f"{name}.zarr",
            Region(name="b", west=-83.7, south=41.25, east=-83.2, north=41.75),
        )
        with open_cube(tmp_path / f"{name}.zarr") as cube:
            assert cube[name].shape == (1, 5, 5, 3)
            np.testing.assert_allclose(cube["lat"], [41.7, 41.6, 41.5, 41.4, 41.3])
            assert float(cube[name].mean()) == pytest.approx(0.02, abs=2e-5)
    report = compose([*files, files[0]], tmp_path / "both.zarr", REGION, resolution=0.05)
    assert len(report.bad) == 1


@pytest.mark.slow
@pytest.mark.parametrize("step", ["resize", "_put_times", "consolidate"])
@pytest.mark.usefixtures("made")
def test_a_run_killed_while_the_cube_grows_is_done_again_in_full(
    make, archive: Path, tmp_path: Path, monkeypatch, step: str
) -> None:
    write_day(archive, "2024-08-21", 0.004)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        if step == "resize":
            resize, count = zarr.Array.resize, itertools.count()
            broken.setattr(
                zarr.Array,
                "resize",
                lambda self, shape: killed() if next(count) == 2 else resize(self, shape),
            )
        else:
            broken.setattr(cube_module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            make()
    make()
    make(tmp_path / "at-once.zarr")
    same(tmp_path / "cube.zarr", tmp_path / "at-once.zarr")


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_a_finished_period_is_not_made_anew_from_less(make, archive: Path, tmp_path: Path) -> None:
    (archive / "PACE_OCI.20240720T175305.L2.OC_AOP.V3_1.nc").unlink()
    write_day(archive, "2024-07-22", 0.009)
    options = {"first": np.datetime64("2024-07-19")}
    report = make(**options)
    assert list(report.kept) == ["2024-07-19 to 2024-07-26"]
    assert "found 1 of them missing" in report.kept["2024-07-19 to 2024-07-26"]
    with open_cube(tmp_path / "cube.zarr") as cube:
        assert int(cube["count"][0].sum()) == 200
    assert [str(period.start) for period in make(recompose=True, **options).written] == ["2024-07-19"]


@pytest.mark.slow
def test_a_newer_twin_of_other_bands_does_not_push_out_the_one_that_fits(make, archive: Path) -> None:
    write_day(archive, "2024-08-04", 0.05, version="3.2", wavelength=BANDS + 0.4)
    report = make()
    assert list(report.bad) == ["PACE_OCI.20240804T175305.L2.OC_AOP.V3_2.nc"]
    assert "3 bands (442, 620, ... nm) as most files, found L2_AOP with 3 bands (442.4," in next(
        iter(report.bad.values())
    )
    assert report.superseded == {}


def test_swaths_without_coverage_are_dated_by_their_lines(tmp_path: Path) -> None:
    bare = {"time_coverage_start": None, "time_coverage_end": None}
    one, two = (write_day(tmp_path, f"2024-08-0{day}", day / 1000, attrs=bare) for day in (4, 5))
    assert [str(header.start)[:10] for header in take_stock([one, two]).headers] == [
        "2024-08-04",
        "2024-08-05",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"workers": 0}, "workers of at least 1"),
        ({"memory_mb": float("nan")}, "memory above 0 MB"),
        ({"resolution": 1e-9}, "Is the resolution in degrees"),
        ({"last": np.datetime64("2204-08-01"), "days": 1}, "at most 5000 periods"),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(make, tmp_path: Path, options, match: str) -> None:
    with pytest.raises(CubeError, match=match):
        make(**options)
    assert not (tmp_path / "cube.zarr").exists()


def test_a_misspelt_flag_is_refused_before_anything_is_made(make, tmp_path: Path) -> None:
    with pytest.raises(FlagError, match=r"wanted the flag CLOUDICE.*Did you mean CLDICE"):
        make(config=CompositeConfig(flags=("LAND", "CLOUDICE")))
    assert not (tmp_path / "cube.zarr").exists()


@pytest.mark.slow
def test_a_map_of_more_than_a_period_is_not_used(tmp_path: Path) -> None:
    lat, lon = np.arange(41.9, 41.0, -0.1), np.arange(-83.95, -83.0, 0.1)
    options = {"lat": lat, "lon": lon, "values": np.full((lat.size, lon.size, 3), 0.02), "wavelength": BANDS}
    eight = write_l3_file(tmp_path / "eight.nc", **options, end="2024-08-12T02:20:35")
    month = write_l3_file(
        tmp_path / "month.nc", **options, start="2024-08-01T00:00:00", end="2024-08-31T23:59:59"
    )
    report = compose([eight, month], tmp_path / "c.zarr", REGION, resolution=0.05)
    assert list(report.bad) == ["month.nc"]
    assert (
        "within the period 2024-07-27 to 2024-08-03, found one that ends 2024-08-31" in report.bad["month.nc"]
    )
    with open_cube(tmp_path / "c.zarr") as cube:
        assert cube["time"].values.astype("datetime64[D]").astype(str).tolist() == ["2024-08-04"]


def test_what_is_no_cube_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="wanted a cube, found nothing"):
        open_cube(tmp_path / "none.zarr")
    header = made / "zarr.json"
    content = json.loads(header.read_text())
    content["attributes"]["format_version"] = 99
    header.write_text(json.dumps(content))
    with pytest.raises(CubeError, match=r"found 99 in .* Use a newer spectm"):
        open_cube(made)
    content["attributes"] = {}
    header.write_text(json.dumps(content))
    with pytest.raises(CubeError, match="found another Zarr store"):
        open_cube(made)


def test_nothing_to_compose_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match=r"found nothing at .*Fetch some first"):
        granule_files([tmp_path / "none.nc"])
    with pytest.raises(GranuleError, match="found none in the folder"):
        granule_files([tmp_path])
    (tmp_path / "a.nc").write_text("text")
    with pytest.raises(CubeError, match=r"none that can be used. First: .*a\.nc"):
        compose(granule_files([tmp_path]), tmp_path / "c.zarr", REGION)
    assert not (tmp_path / "c.zarr").exists()
    assert list(take_stock([tmp_path / "a.nc"]).bad) == ["a.nc"]


@pytest.mark.usefixtures("made")
def test_an_unfinished_period_is_not_shown(make, tmp_path: Path) -> None:
    header = tmp_path / "cube.zarr" / "zarr.json"
    content = json.loads(header.read_text())
    del content["attributes"]["periods"]["2024-07-27"]
    header.write_text(json.dumps(content))
    with open_cube(tmp_path / "cube.zarr") as cube:
        assert cube["time"].values.astype("datetime64[D]").astype(str).tolist() == [
            "2024-07-19",
            "2024-08-04",
        ]
    assert [str(period.start) for period in make().written] == ["2024-07-27"]


@pytest.mark.slow
def test_no_scheduler_is_an_error_that_says_how_to_start_one(make, tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="Start one with `dask scheduler`"):
        make(cluster="no-such-scheme://127.0.0.1:1")
    assert not (tmp_path / "cube.zarr").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of event loops and ports inside distributed
def test_a_cluster_of_two_workers_gives_the_identical_cube(make, archive: Path, tmp_path: Path) -> None:
    for day in range(5, 12):
        write_day(archive, f"2024-08-{day:02d}", day / 1000)
    make()
    with two_workers() as (address, done):
        make(tmp_path / "cluster.zarr", cluster=address, memory_mb=50.0)
    assert (len(done), len(set(done))) == (3, 2)  # a tile for each period
    same(tmp_path / "cube.zarr", tmp_path / "cluster.zarr")
    with open_cube(tmp_path / "cluster.zarr") as cube:
        means = cube["Rrs"].mean(("lat", "lon", "wavelength")).values
    last = (7 + 5 + 6 + 7 + 8 + 9 + 10 + 11) / 8000  # of 4 August, and of the 5th to the 11th
    assert means == pytest.approx([0.002, np.nan, last], abs=1e-7, nan_ok=True)


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_with_the_cube_of_an_unbroken_one(
    archive: Path, tmp_path: Path
) -> None:
    chance = random.Random(0)
    for day in range(5, 29):
        write_day(archive, f"2024-08-{day:02d}", day / 1000)
    compose(granule_files([archive]), tmp_path / "whole.zarr", REGION, resolution=RESOLUTION, days=1)
    out = tmp_path / "killed.zarr"
    words = ["compose", str(archive), "--region=-83.5,41.4,-83.4,41.5", "--resolution", str(RESOLUTION)]
    words += ["--days", "1", "--out", str(out)]
    code = f"import sys; from spectm.cli.main import main; sys.exit(main({words}))"
    seen = []
    for _ in range(20):
        wanted = n_finished(out) + chance.randint(
            0, 3
        )  # what is finished counts: the machine's speed plays no part
        with subprocess.Popen([sys.executable, "-c", code]) as run:
            started = time.monotonic()
            while run.poll() is None and n_finished(out) < wanted and time.monotonic() < started + PATIENCE_S:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.2))
            run.kill()
        if out.exists():
            with open_cube(out) as cube, open_cube(tmp_path / "whole.zarr") as whole:
                seen.append(cube.sizes["time"])
                xr.testing.assert_equal(cube.load(), whole.sel(time=cube["time"]).load())
    assert python("-c", code).returncode == 0
    same(out, tmp_path / "whole.zarr")
    assert any(0 < n < 40 for n in seen), seen  # some died in the middle


def n_finished(out: Path) -> int:
    """Periods of a cube that is being written, 0 before there is one."""
    return len(period_records(out)) if out.exists() else 0
