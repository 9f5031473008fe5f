"""Swaths of a simulated lake: geometry, files beside a real one, flags and their reasons, errors."""

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import pytest

from spectm.data.compose import compose, take_stock
from spectm.data.cube import open_cube
from spectm.data.flags import flag_counts, flag_mask, flag_table
from spectm.data.granule import open_granule
from spectm.data.regions import Region, parse_region
from spectm.errors import SimulationError
from spectm.simulation.bands import seen_bands
from spectm.simulation.granule_file import Granule
from spectm.simulation.noise import NoiseConfig, Pixels, retrieval_error, smooth_chance
from spectm.simulation.orbit import NODE, glint, overpasses, scan_angles, sun_angles, view
from spectm.simulation.quality import (
    FLAGS,
    Conditions,
    bits,
    chlorophyll_by_ratio,
    seen_flags,
    spectral_flags,
    unseen,
)
from spectm.simulation.sensor import WHOLE, SensorConfig, lake_overpasses, look, observe, write_granule
from spectm.spectral.optics import Water, band_reflectance
from spectm.spectral.sensors import named_sensor

OCI = named_sensor("oci-aop-v3")
DAY = np.datetime64("2024-08-10T18:00", "ns")
NO_ERROR = SensorConfig(noise=NoiseConfig(scale=0.0))
LAKE_WATER = {
    "chlorophyll": 6.0,
    "cyano_chlorophyll": 8.0,
    "phycocyanin": 4.0,
    "cdom_440": 0.4,
    "minerals": 7.0,
}
MIDDLE = Region(name="middle", west=-83.0, south=41.55, east=-82.8, north=41.7)  # open water, a few pixels
CLOUD_AT = (41.80, -83.00)  # a cloud a few pixels wide over a uniform lake


@dataclass(frozen=True)
class StubState:
    """A lake with land along its western side; the same water everywhere."""

    latitude: np.ndarray
    longitude: np.ndarray
    land: np.ndarray
    cloud: np.ndarray
    held: dict[str, Any]

    def water(self) -> Water:
        return Water(**{name: np.where(self.land, np.nan, value) for name, value in self.held.items()})


@dataclass
class StubLake:
    held: dict[str, Any] = field(default_factory=lambda: LAKE_WATER)
    cloudy: bool = True
    wind: float = 5.0

    def state(self, time: np.datetime64) -> StubState:
        latitude, longitude = 42.1 - 0.0125 * (np.arange(60) + 0.5), -83.55 + 0.0125 * (np.arange(92) + 0.5)
        land = np.zeros((60, 92), dtype=bool)
        land[:, :16] = True  # to 83.35 W
        near = np.hypot(latitude[:, None] - CLOUD_AT[0], 0.75 * (longitude - CLOUD_AT[1])) < 0.05
        return StubState(latitude, longitude, land, (near & self.cloudy).astype(float), self.held)

    def wind_speed(self, time: np.datetime64) -> float:
        return self.wind


@pytest.fixture(scope="module")
def pace_sample() -> Path:
    shared = Path(os.environ.get("SPECTM_SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "data" / "pace_files" / "pace_l2_sample.nc"
    if not path.is_file():
        pytest.skip("no real data: set SPECTM_SHARED to the folder that holds data/pace_files")
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_granule(StubLake(), DAY, tmp_path_factory.mktemp("granule"), seed=3)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without errors, so that values are known."""
    return write_granule(StubLake(), DAY, tmp_path_factory.mktemp("clean"), seed=3, config=NO_ERROR)


# Geometry


def test_a_line_of_a_real_granule_is_met() -> None:
    """First, middle and last pixel as the header of PACE_OCI.20250305T160933 states them."""
    since = (np.datetime64("2025-03-05T16:09:33.1017", "ns") - NODE) / np.timedelta64(1, "s")
    lat, lon, *_ = view(NODE, np.array([since]), scan_angles()[[0, 636, 1271]])
    assert lat[0] == pytest.approx([32.4261, 35.566864, 37.989334], abs=0.01)
    assert lon[0] == pytest.approx([-67.51633, -53.363544, -38.467503], abs=0.01)


def test_ten_lines_of_a_real_granule_are_met(pace_sample: Path) -> None:
    with h5netcdf.File(pace_sample) as file:
        lines, places = file["scan_line_attributes"], file["navigation_data"]
        seconds = lines["time"][...] * 1e9
        time = np.datetime64("1970-01-01", "ns") + seconds.astype("timedelta64[ns]")
        since = (time - NODE) / np.timedelta64(1, "s")
        lat, lon, zenith, _ = view(NODE, since, scan_angles()[:10])
        np.testing.assert_allclose(lat, places["latitude"][...], atol=0.01)
        np.testing.assert_allclose(lon, places["longitude"][...], atol=0.01)
        middle = sun_angles(time, lines["clat"][...], lines["clon"][...])[0]
        np.testing.assert_allclose(middle, lines["csol_z"][...], atol=0.02)
    assert zenith.min() > 60  # every pixel of that file carries HISATZEN


def test_the_sun_at_a_solstice() -> None:
    """Over the tropic of Cancer at noon; at the equator it rises in the east on the day of an equinox."""
    noon = np.array("2024-06-20T12:01:45", dtype="datetime64[ns]")  # mean noon at Greenwich, and 1.75 minutes
    zenith, azimuth = sun_angles(noon, np.array(51.5), np.array(0.0))
    assert zenith == pytest.approx(51.5 - 23.436, abs=0.03)
    assert azimuth == pytest.approx(180, abs=0.3)
    morning = sun_angles(
        np.array("2024-03-20T06:07:30", dtype="datetime64[ns]"), np.array(0.0), np.array(0.0)
    )
    assert morning == pytest.approx((90, 90), abs=0.3)


def test_pixels_grow_to_the_side() -> None:
    """From 678 km 0.089 degrees are 1.2 km wide in the middle, and nearly seven times that at the side."""
    lat, lon, zenith, _ = view(NODE, np.array([640.0]), scan_angles())
    width = np.hypot(np.diff(lat[0]), np.diff(lon[0]) * np.cos(np.deg2rad(lat[0, 1:]))) * 111.2
    assert width[636] == pytest.approx(1.16, abs=0.06)
    assert 5 < width[0] / width[636] < 8
    assert zenith[0, 636] == pytest.approx(22.3, abs=0.5)  # tilted by 20 degrees, over a round earth
    assert zenith[0, [0, -1]] == pytest.approx([71.2, 71.2], abs=0.5)


@pytest.mark.slow
def test_overpasses_come_at_their_time_of_day() -> None:
    """Real granules of 2024 began between 16:57 and 19:01 UTC, one or two a day."""
    passes = lake_overpasses(np.datetime64("2024-04-20"), np.datetime64("2024-05-09"))
    minutes = [(one.time - one.time.astype("datetime64[D]")) / np.timedelta64(1, "m") for one in passes]
    assert min(minutes) > 16 * 60 + 45
    assert max(minutes) < 19 * 60 + 20
    days = np.array([one.time.astype("datetime64[D]") for one in passes])
    assert np.unique(days).size == 20
    assert 20 < len(passes) <= 40
    assert all(early.time < late.time for early, late in itertools.pairwise(passes))


@pytest.mark.parametrize("name", ["20240616T172214", "20240822T182403", "20241007T183524"])
def test_real_overpasses_are_met_within_ten_minutes(name: str) -> None:
    start = np.datetime64(f"{name[:4]}-{name[4:6]}-{name[6:8]}T{name[9:11]}:{name[11:13]}:{name[13:]}")
    near = min(abs(one.time - start - np.timedelta64(150, "s")) for one in lake_overpasses(start, start))
    assert near < np.timedelta64(10, "m")


@pytest.mark.slow
@pytest.mark.parametrize("latitude", [-40.0, 0.0, 41.7])
def test_passes_are_as_many_as_the_swath_is_wide(latitude: float) -> None:
    """14.65 orbits a day, each as wide as from where its first pixel crosses the latitude to its last."""
    since = latitude / 360 * 5898.43 + np.arange(-300.0, 300.0)
    lat, lon, *_ = view(NODE, since, scan_angles()[[0, -1]])
    side = [np.interp(latitude, lat[:, i], np.unwrap(lon[:, i], period=360)) for i in (0, 1)]
    wanted = 61 * (86400 / 5898.43) * float(side[1] - side[0]) / 360
    found = overpasses(np.datetime64("2024-05-01"), np.datetime64("2024-06-30"), latitude, 10.0)
    assert len(found) == pytest.approx(wanted, rel=0.06)


def test_an_earlier_pass_looks_from_the_east() -> None:
    """The earth turns: the earlier track lies further east, so the lake is in the west of its lines."""
    early, late = lake_overpasses(np.datetime64("2024-08-11"), np.datetime64("2024-08-11"))
    assert early.pixel < 300
    assert late.pixel > 900


def test_a_place_that_cannot_be() -> None:
    with pytest.raises(SimulationError, match="Latitude is first"):
        overpasses(DAY, DAY, -83.0, 241.7)


# The file


@pytest.mark.slow
def test_the_ordinary_reader_opens_it(written: Path) -> None:
    assert written.name == "PACE_OCI.20240810T175941.L2.OC_AOP.V3_1.nc"
    with open_granule(written, region=parse_region("lake-erie-west")) as granule:
        assert granule.attrs["product"] == "L2_AOP"
        assert granule["Rrs"].shape[2] == 172
        assert granule["Rrs"].attrs["units"] == "sr-1"
        np.testing.assert_array_equal(granule["wavelength"], OCI.wavelength)
        seen = np.isfinite(granule["Rrs"].values[:, :, 0])
        assert 0.5 < seen.mean() < 0.95
        for name in ("Rrs_unc", "nflh", "aot_865", "angstrom"):
            assert np.isfinite(granule[name].values[seen]).all(), name
            assert np.isnan(granule[name].values[~seen]).all(), name
        assert np.isnan(granule["avw"].values[~seen]).all()
        assert 400 < np.nanmin(granule["avw"]) < np.nanmax(granule["avw"]) < 700  # NaN where blue is too low
        assert granule["time"].values[0].astype("datetime64[m]") == np.datetime64("2024-08-10T18:02")


@pytest.mark.slow
def test_it_says_that_it_is_simulated(written: Path) -> None:
    with h5netcdf.File(written) as file:
        said = file.attrs
        assert said["simulated"] == 1
        assert said["simulation_seed"] == 3
        assert "simulated" in said["title"]
        assert "simulated" in said["history"]
        assert "simulated" in said["comment"]
        assert "NASA" not in "".join(str(value) for value in said.values())


@pytest.mark.slow
def test_truth_comes_back_from_a_clear_pixel(clean: Path) -> None:
    wanted = band_reflectance(Water(**LAKE_WATER), seen_bands())
    with open_granule(clean) as granule:
        place = np.hypot(granule["lat"] - 41.6, granule["lon"] + 82.8).values
        line, pixel = np.unravel_index(place.argmin(), place.shape)
        np.testing.assert_allclose(granule["Rrs"].values[line, pixel], wanted, atol=1.01e-6)  # half a count


@pytest.mark.slow
def test_pixels_mix_what_lies_in_them() -> None:
    """A lake whose water changes from cell to cell, seen at the side of a swath: nearly its mean."""
    patchy = np.random.default_rng(0).uniform(2, 12, (60, 92))
    lake = StubLake(held=LAKE_WATER | {"minerals": patchy}, cloudy=False)
    early, _ = lake_overpasses(np.datetime64("2024-08-11"), np.datetime64("2024-08-11"))
    middle = lake_overpasses(DAY, DAY)[0]
    spread = {}
    for name, one in (("side", early), ("middle", middle)):
        granule = observe(lake, one, seed=1, config=NO_ERROR)
        spread[name] = float(granule.Rrs[_open_lake(granule), 80].std())
    assert spread["side"] < 0.75 * spread["middle"]


def _open_lake(granule: Granule) -> np.ndarray:
    """Spectra well within the map, without a shore."""
    box = Region(name="open", west=-83.2, south=41.5, east=-82.5, north=41.95)
    return box.contains(
        *(place[granule.line, granule.pixel] for place in (granule.latitude, granule.longitude))
    )


def _listed(path: Path) -> dict[str, tuple[Any, ...]]:
    """Every variable with its type, dimensions and the types of its attributes."""
    listed = {}
    with h5netcdf.File(path) as file:
        for group_name, group in file.groups.items():
            for name, variable in group.variables.items():
                attrs = {key: np.asarray(value).dtype.kind for key, value in variable.attrs.items()}
                listed[f"{group_name}/{name}"] = (variable.dtype, variable.dimensions, attrs)
    return listed


@pytest.mark.slow
def test_layout_beside_a_real_file(pace_sample: Path, written: Path) -> None:
    ours, theirs = _listed(written), _listed(pace_sample)
    assert set(ours) == set(theirs)
    for name, (kind, dims, attrs) in theirs.items():
        assert ours[name][:2] == (kind, dims), name
        missing = set(attrs) ^ set(ours[name][2])
        assert missing <= ({"comment"} if name.endswith("k_oz") else set()), name
    with h5netcdf.File(written) as file, h5netcdf.File(pace_sample) as real:
        assert set(real.groups) == set(file.groups)
        assert set(file.attrs) ^ set(real.attrs) == {"simulated", "simulation_seed", "comment"}
        for group in ("navigation_data", "processing_control"):
            assert set(file[group].attrs) == set(real[group].attrs)
        assert set(file["processing_control"].groups) == set(real["processing_control"].groups)
        shares = "processing_control/flag_percentages"
        assert set(file[shares].attrs) == set(real[shares].attrs)
        for key in ("instrument", "platform", "processing_level", "processing_version", "Conventions"):
            assert file.attrs[key] == real.attrs[key]
        for name in ("geospatial_lat_min", "geospatial_lon_max", "start_center_latitude"):
            assert np.asarray(file.attrs[name]).dtype == np.asarray(real.attrs[name]).dtype


@pytest.mark.slow
def test_packing_units_and_flags_are_those_of_a_real_file(pace_sample: Path, written: Path) -> None:
    told = {"add_offset", "scale_factor", "_FillValue", "valid_min", "valid_max", "units", "long_name"}
    told |= {"coordinates", "standard_name", "flag_masks", "flag_meanings", "calendar", "dtype"}
    with h5netcdf.File(written) as file, h5netcdf.File(pace_sample) as real:
        for group in real.groups:
            for name, variable in real[group].variables.items():
                for key in told & set(variable.attrs):
                    ours, theirs = file[group][name].attrs[key], variable.attrs[key]
                    assert np.array_equal(ours, theirs), (name, key)
                    assert np.asarray(ours).dtype.kind == np.asarray(theirs).dtype.kind, (name, key)
        names = ("sensor_band_parameters/wavelength_3d", "navigation_data/tilt")
        np.testing.assert_array_equal(file[names[0]][...], real[names[0]][...])
        assert file[names[1]][0] == real[names[1]][0]


@pytest.mark.slow
def test_both_are_opened_as_the_same_dataset(pace_sample: Path, written: Path) -> None:
    with open_granule(pace_sample) as real, open_granule(written) as ours:
        assert set(ours.data_vars) == set(real.data_vars)
        assert set(ours.coords) == set(real.coords)
        for name in ours.variables:
            assert ours[name].dims == real[name].dims
            assert ours[name].dtype == real[name].dtype
            assert set(ours[name].attrs) == set(real[name].attrs)
        assert flag_table(ours["l2_flags"]) == flag_table(real["l2_flags"])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    first, again, other = (
        write_granule(StubLake(), DAY, tmp_path / name, seed=seed, crop=MIDDLE)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert again.read_bytes() == first.read_bytes()
    with open_granule(again) as one, open_granule(other) as two:
        np.testing.assert_array_equal(one["lat"].values, two["lat"].values)
        seen = np.isfinite(one["Rrs"].values)
        np.testing.assert_array_equal(seen, np.isfinite(two["Rrs"].values))
        assert np.mean(one["Rrs"].values[seen] == two["Rrs"].values[seen]) < 0.1


@pytest.mark.slow
def test_a_smaller_crop_holds_its_region() -> None:
    bay = Region(name="bay", west=-83.1, south=41.6, east=-82.9, north=41.7)
    one = lake_overpasses(DAY, DAY)[0]
    small, large = (
        observe(StubLake(), one, seed=1, crop=crop) for crop in (bay, parse_region("lake-erie-west"))
    )
    assert small.latitude.size < large.latitude.size / 10
    inside = [int(bay.contains(granule.latitude, granule.longitude).sum()) for granule in (small, large)]
    assert inside[0] == inside[1] > 100
    assert small.start == large.start
    assert small.line_time[0] > large.line_time[0]
    with pytest.raises(SimulationError, match="wanted pixels in"):
        observe(StubLake(), one, seed=1, crop=Region(name="fiji", west=176, south=-20, east=179, north=-15))


@pytest.mark.slow
def test_a_whole_granule(tmp_path: Path) -> None:
    path = write_granule(StubLake(), DAY, tmp_path, seed=3, crop=WHOLE)
    assert path.stat().st_size < 30e6
    with open_granule(path) as granule:
        assert (granule.sizes["line"], granule.sizes["pixel"]) == (1709, 1272)
        assert set(np.unique(granule["l2_flags"].isel(line=0).values & 2)) == {
            2
        }  # all land, far from the lake
    with open_granule(path, region=parse_region("lake-erie-west")) as crop:
        assert np.isfinite(crop["Rrs"].values[:, :, 0]).mean() > 0.5


def test_bands_look_where_their_rounded_centres_say() -> None:
    """Each within half a nanometre of its label, at steps that change smoothly: no zigzag of 2 and 3 nm."""
    seen = seen_bands()
    np.testing.assert_array_equal(np.round(seen.wavelength), OCI.wavelength)
    blue = np.diff(seen.wavelength[OCI.wavelength < 600])
    assert np.ptp(blue) < 0.1
    assert np.abs(np.diff(blue)).max() < 0.003
    np.testing.assert_array_equal(seen.width_nm, OCI.width_nm)


# Two granules and twins


@pytest.mark.slow
def test_two_passes_of_a_day_share_the_water_and_not_the_error() -> None:
    lake = StubLake(cloudy=False)
    passes = lake_overpasses(np.datetime64("2024-08-11"), np.datetime64("2024-08-11"))
    true = [observe(lake, one, seed=1, config=NO_ERROR) for one in passes]
    seen = [observe(lake, one, seed=1) for one in passes]
    whole = [one.Rrs[_open_lake(one)].mean(axis=0) for one in true]
    np.testing.assert_allclose(whole[0], whole[1], rtol=1e-6)
    errors = [(a.Rrs - b.Rrs).mean(axis=0) for a, b in zip(seen, true, strict=True)]
    assert abs(errors[0][0] - errors[1][0]) > 1e-4
    assert true[0].start != true[1].start
    np.testing.assert_array_equal(true[0].wavelength, true[1].wavelength)


@pytest.mark.slow
def test_each_pass_has_an_error_of_its_own() -> None:
    """Between real scenes the blue differs by 7e-3; light's way alone would move it by a few 1e-4."""
    lake, blue = StubLake(cloudy=False), []
    for one in lake_overpasses(np.datetime64("2024-08-01"), np.datetime64("2024-08-06")):
        true, seen = (
            observe(lake, one, seed=1, crop=MIDDLE, config=config) for config in (NO_ERROR, SensorConfig())
        )
        blue.append(float((seen.Rrs - true.Rrs)[:, 0].mean()))
    assert np.std(blue) > 2e-3
    assert np.ptp(blue) > 5e-3


@pytest.mark.slow
def test_an_error_does_not_depend_on_what_was_asked_before() -> None:
    first, second = lake_overpasses(np.datetime64("2024-08-11"), np.datetime64("2024-08-11"))
    alone = observe(StubLake(), second, seed=1)
    observe(StubLake(), first, seed=1)
    np.testing.assert_array_equal(observe(StubLake(), second, seed=1).Rrs, alone.Rrs)


@pytest.mark.slow
def test_the_near_real_time_twin(tmp_path: Path, written: Path) -> None:
    twin = write_granule(StubLake(), DAY, tmp_path, seed=3, near_real_time=True)
    assert twin.name == written.name.replace(".nc", ".NRT.nc")
    with open_granule(twin) as early, open_granule(written) as final:
        assert early.attrs["near_real_time"] == 1
        np.testing.assert_array_equal(early["lat"].values, final["lat"].values)
        difference = (early["Rrs"] - final["Rrs"]).values
        floor = (early["Rrs"].values < -0.0155) | (final["Rrs"].values < -0.0155)
        change = difference[np.isfinite(difference).all(axis=2) & ~floor.any(axis=2)]  # (pixel, band)
        assert 0 < np.abs(change).max() < 3e-3
        assert change.std(axis=0).max() < 2e-6  # another calibration, not another noise
    stock = take_stock([twin, written])
    assert [header.path for header in stock.headers] == [written]
    assert stock.superseded == {twin.name: written.name}
    assert not stock.bad


@pytest.mark.slow
def test_composing_it(tmp_path: Path, clean: Path) -> None:
    box = Region(name="box", west=-82.9, south=41.55, east=-82.7, north=41.65)
    report = compose([clean], tmp_path / "cube.zarr", box)
    assert len(report.written) == 1
    assert not report.bad
    with open_cube(tmp_path / "cube.zarr") as cube:
        values = cube["Rrs"].isel(time=0).values
        known = np.isfinite(values).all(axis=-1)
        assert known.mean() > 0.9
        wanted = band_reflectance(Water(**LAKE_WATER), seen_bands())
        np.testing.assert_allclose(values[known].mean(axis=0), wanted, atol=5e-6)


# Flags


@pytest.fixture
def flagged(clean: Path) -> Any:
    with open_granule(clean) as granule:
        yield granule.load()


def _at(granule: Any, latitude: float, longitude: float) -> tuple[int, int]:
    away = np.hypot(granule["lat"].values - latitude, 0.75 * (granule["lon"].values - longitude))
    line, pixel = np.unravel_index(away.argmin(), away.shape)
    return int(line), int(pixel)


def _names(granule: Any, place: tuple[int, int]) -> set[str]:
    value = int(granule["l2_flags"].values[place]) & 0xFFFFFFFF
    return {name for name, mask in flag_table(granule["l2_flags"]).items() if value & mask}


@pytest.mark.slow
def test_a_cloud_and_its_stray_light(flagged: Any) -> None:
    line, pixel = _at(flagged, *CLOUD_AT)
    assert _names(flagged, (line, pixel)) >= {"CLDICE", "PRODFAIL"}
    assert "STRAYLIGHT" not in _names(flagged, (line, pixel))
    cloudy = flag_mask(flagged["l2_flags"], "CLDICE").values
    stray = flag_mask(flagged["l2_flags"], "STRAYLIGHT").values
    assert np.isnan(flagged["Rrs"].values[cloudy]).all()
    edge = line + int(np.flatnonzero(~cloudy[line:, pixel])[0])  # the first clear line beyond the cloud
    assert stray[[edge, edge + 1], pixel].all()
    assert not stray[edge + 2, pixel]
    assert np.isfinite(flagged["Rrs"].values[edge, pixel]).all()
    assert not (stray & cloudy).any()
    assert stray.sum() > 20


@pytest.mark.slow
def test_without_clouds_nothing_is_cloudy() -> None:
    granule = observe(StubLake(cloudy=False), lake_overpasses(DAY, DAY)[0], seed=1, config=NO_ERROR)
    either = np.uint32(1 << FLAGS.index("CLDICE") | 1 << FLAGS.index("STRAYLIGHT"))
    flags = granule.flags.view(np.uint32)[granule.line, granule.pixel]
    assert not (flags[_open_lake(granule)] & either).any()  # at the shore, leaves may count as cloud


@pytest.mark.slow
def test_land_has_no_reflectance(flagged: Any) -> None:
    land = flag_mask(flagged["l2_flags"], "LAND").values
    west, east = _at(flagged, 41.6, -83.45), _at(flagged, 41.6, -83.25)
    assert land[west]
    assert not land[east]
    assert np.isnan(flagged["Rrs"].values[land]).all()
    unset = ~land & ~flag_mask(flagged["l2_flags"], "CLDICE").values
    assert np.isfinite(flagged["Rrs"].values[unset]).all()
    assert not flag_mask(flagged["l2_flags"], "PRODFAIL").values[unset].any()


@pytest.mark.slow
def test_a_shore_puts_leaves_into_its_pixels() -> None:
    """Beyond 705 nm leaves are ten times as bright as water: a pixel that is a third land counts as cloud."""
    seen = look(StubLake(cloudy=False), lake_overpasses(DAY, DAY)[0])
    wet, land = ~unseen(seen.conditions), seen.conditions.land
    assert wet[land == 0].any()
    assert not wet[land > 0.2].any()  # pi 0.1 sr^-1 of leaves on a fifth of the pixel: 0.06
    assert (seen.conditions.bright & (land > 0.2) & (land < 0.5)).any()
    assert not seen.conditions.bright[land == 0].any()


@pytest.mark.slow
def test_dense_scum_counts_as_cloud() -> None:
    """A tenth of the surface as bright as leaves is more than the limit, a hundredth is less."""
    overpass = lake_overpasses(DAY, DAY)[0]
    for share, hidden in ((0.01, False), (0.3, True)):
        seen = look(StubLake(held=LAKE_WATER | {"scum_fraction": share}, cloudy=False), overpass)
        assert seen.conditions.bright[seen.conditions.land == 0].any() == hidden


@pytest.mark.slow
@pytest.mark.parametrize("side", [1, 3, 40])
def test_smooth_chance_has_variance_one(side: int) -> None:
    """In scenes of a pixel as in large ones; and it changes little within its reach."""
    line, pixel = (places.ravel() for places in np.mgrid[:side, :side])
    flat = np.zeros(side**2)
    pixels = Pixels(line=line, pixel=pixel, shape=(side, side), km=(1.2, 1.5), path=flat, near_cloud=flat)
    rng = np.random.default_rng(1)
    for km in (1.5, 12.0):
        drawn = np.array([smooth_chance(pixels, km, rng) for _ in range(400)])
        assert drawn.std() == pytest.approx(1, abs=0.15)
        if side == 40:
            steps = np.diff(drawn.reshape(-1, side, side), axis=1).std()
            assert steps == pytest.approx({1.5: 0.75, 12.0: 0.1}[km], abs=0.15)


@pytest.mark.slow
def test_lake_water_is_turbid_and_else_good(flagged: Any) -> None:
    assert _names(flagged, _at(flagged, 41.6, -82.8)) == {"COASTZ", "TURBIDW", *_white(flagged)}
    counts = flag_counts(flagged["l2_flags"], None, "standard").set_index("flag")
    assert counts.loc["HISATZEN", "pixels"] == 0


def _white(granule: Any) -> set[str]:
    """COCCOLITH, if the water of the stub is as white as that by the numbers that are typed here."""
    Rrs = band_reflectance(Water(**LAKE_WATER), OCI)
    blue, green = (Rrs[int(np.abs(OCI.wavelength - nm).argmin())] for nm in (443, 555))
    return {"COCCOLITH"} if blue > 0.006 and green > 0.010 and 0.45 < blue / green < 1.3 else set()


def _conditions(**given: float) -> Conditions:
    usual = {"land": 0.0, "cloud": 0.0, "sun_zenith": 30.0, "view_zenith": 30.0, "relative_azimuth": 90.0}
    return Conditions(
        **{
            name: np.full((1, 1), value)
            for name, value in ({**usual, "glint": 0.0, "bright": False} | given).items()
        }
    )


@pytest.mark.parametrize(
    ("given", "raised"),
    [
        ({}, {"COASTZ"}),
        ({"land": 0.5}, {"LAND", "PRODFAIL"}),
        ({"land": 0.4}, {"COASTZ"}),
        ({"bright": True}, {"COASTZ", "CLDICE", "PRODFAIL"}),
        ({"cloud": 0.3}, {"COASTZ", "CLDICE", "PRODFAIL"}),
        ({"cloud": 0.2}, {"COASTZ"}),
        ({"view_zenith": 60.1}, {"COASTZ", "HISATZEN"}),
        ({"sun_zenith": 75.1}, {"COASTZ", "HISOLZEN"}),
        ({"glint": 0.0051}, {"COASTZ", "HIGLINT"}),
        ({"glint": 0.004}, {"COASTZ", "MODGLINT"}),
        # Light that turns by 90 degrees is polarised most: sun and sensor 45 degrees off, on opposite sides.
        ({"sun_zenith": 45.0, "view_zenith": 45.0, "relative_azimuth": 180.0}, {"COASTZ", "HIPOL"}),
        ({"sun_zenith": 5.0, "view_zenith": 5.0}, {"COASTZ"}),
    ],
)
def test_each_flag_of_place_has_its_reason(given: dict[str, float], raised: set[str]) -> None:
    flags = seen_flags(_conditions(**given))
    found = {name for name, mask in flags.items() if mask[0, 0]} - (set() if "HIPOL" in raised else {"HIPOL"})
    assert found == raised


USUAL = {346: 0.002, 443: 0.004, 490: 0.007, 510: 0.009, 555: 0.015, 670: 0.006, 719: 0.003}


@pytest.mark.parametrize(
    ("changed", "raised"),
    [
        ({}, {"TURBIDW"}),
        ({670: 0.001}, set()),
        ({719: 0.009}, {"TURBIDW", "MAXAERITER"}),
        ({443: 0.008}, {"TURBIDW", "COCCOLITH"}),
        ({555: 0.0007, 443: 0.0005, 490: 0.0006, 510: 0.0007, 670: 0.0}, {"LOWLW"}),
        ({346: -0.0101}, {"TURBIDW", "PRODWARN"}),
        ({443: -0.01, 490: -0.004, 510: -0.001}, {"TURBIDW", "CHLFAIL"}),
        ({443: 0.001, 490: 0.002, 510: 0.005}, {"TURBIDW", "CHLWARN"}),
    ],
)
def test_each_flag_of_a_spectrum_has_its_reason(changed: dict[int, float], raised: set[str]) -> None:
    values = USUAL | changed
    nm = np.array(sorted(values), dtype=float)
    flags = spectral_flags(np.array([[values[int(one)] for one in nm]]), nm)
    assert {name for name, mask in flags.items() if mask[0]} == raised


@pytest.mark.slow
def test_blooms_trip_flags_that_clear_water_does_not() -> None:
    bloom = LAKE_WATER | {"cyano_chlorophyll": 100.0, "phycocyanin": 120.0}
    tripped = {}
    for name, held in (("usual", LAKE_WATER), ("bloom", bloom)):
        lake, overpass = StubLake(held=held, cloudy=False), lake_overpasses(DAY, DAY)[0]
        granule = observe(lake, overpass, seed=2, crop=MIDDLE, config=NO_ERROR)
        flags = granule.flags.view(np.uint32)[granule.line, granule.pixel]
        tripped[name] = float(np.mean(flags & np.uint32(1 << FLAGS.index("MAXAERITER")) != 0))
    assert tripped == {"usual": 0.0, "bloom": 1.0}


def test_chlorophyll_by_hand() -> None:
    """Blue as bright as green: the polynomial is its first number, 10 ** 0.3272 = 2.124."""
    nm, Rrs = (
        np.array([443.0, 490.0, 510.0, 555.0]),
        np.array([[0.004, 0.004, 0.004, 0.004], [-1, -1, -1, 0.1]]),
    )
    assert chlorophyll_by_ratio(Rrs, nm) == pytest.approx([2.124, np.nan], rel=1e-3, nan_ok=True)


def test_bits_of_the_real_table() -> None:
    """Of a name that stands for several bits the first is set; the highest bit is negative."""
    mask = np.array([True, False])
    assert bits({"ATMFAIL": mask, "CLDICE": ~mask}).tolist() == [1, 512]
    assert bits({"PRODFAIL": mask, "SPARE": ~mask}).tolist() == [1 << 30, 1 << 7]
    assert len(FLAGS) == 32
    assert FLAGS.count("SPARE") == 5


def test_glint_is_where_a_mirror_would_be() -> None:
    """Brightest opposite the sun; a calm lake is a mirror, a rough one glitters far off."""
    at_mirror, beside = (float(glint(30.0, 30.0, azimuth, 5.0)) for azimuth in (180.0, 90.0))
    assert at_mirror > 100 * beside
    # Straight down, sun overhead: rho = ((1.34 - 1) / (1.34 + 1)) ** 2 = 0.0211, over 4 pi (0.003 + 0.0256).
    assert glint(0.0, 0.0, 0.0, 5.0) == pytest.approx(0.02111 / (4 * np.pi * 0.0286), rel=0.01)
    assert glint(30.0, 60.0, 180.0, 10.0) > glint(30.0, 60.0, 180.0, 2.0)


# Errors


def _errors(n_scenes: int, config: NoiseConfig | None = None, truth: float = 0.004) -> np.ndarray:
    """Errors of 100 pixels in each of some scenes, shape (n_scenes, 100, n_bands)."""
    line, pixel = (places.ravel() for places in np.mgrid[:10, :10])
    calm = np.zeros(100)
    pixels = Pixels(line=line, pixel=pixel, shape=(40, 40), km=(1.2, 1.2), path=calm + 1, near_cloud=calm)
    Rrs = np.full((100, OCI.n_bands), truth)
    return np.stack(
        [
            retrieval_error(
                Rrs,
                OCI.wavelength,
                pixels,
                config or NoiseConfig(),
                scene=np.random.default_rng([7, scene]),
                sensor=np.random.default_rng(7),
            )
            for scene in range(n_scenes)
        ]
    )


@pytest.mark.slow
def test_errors_grow_to_the_blue_with_a_long_negative_tail() -> None:
    """Bounds of what real spectra show: 0.61, 0.27, 0.06, 0.00 are negative at 346, 400, 450, 555 nm."""
    errors = _errors(200).reshape(-1, OCI.n_bands)
    at = {
        nm: errors[:, int(np.abs(OCI.wavelength - nm).argmin())] for nm in (346, 400, 450, 510, 555, 665, 719)
    }
    spreads = [float(values.std()) for values in at.values()]
    assert all(a > b for a, b in itertools.pairwise(spreads[:-1]))
    assert 4e-3 < spreads[0] < 10e-3
    assert spreads[-1] < 6e-4  # water vapour: 12 % of 0.004
    low, middle, high = np.percentile(at[346], [2, 50, 98])
    assert middle - low > 1.1 * (high - middle)
    # The tail takes the green along.
    worst = at[346] < low
    assert at[555][worst].mean() < -1.5e-3
    share = (0.0035 + at[346] < 0).mean(), (0.0028 + at[400] < 0).mean(), (0.016 + at[555] < 0).mean()
    assert 0.35 < share[0] < 0.75
    assert 0.2 < share[1] < 0.45
    assert share[2] < 0.01


@pytest.mark.slow
def test_errors_are_alike_near_by() -> None:
    """Most of the spread is between scenes; neighbours are nearer to each other than pixels 10 km apart."""
    blue = _errors(120)[:, :, 0].reshape(-1, 10, 10)
    between, within = blue.mean(axis=(1, 2)).std(), np.median(blue.std(axis=(1, 2)))
    assert between > 2 * within
    assert 0.7e-3 < within < 3.5e-3
    near, far = (np.sqrt(np.mean((blue[:, :, step:] - blue[:, :, :-step]) ** 2)) for step in (1, 8))
    assert far > 1.3 * near


QUIET = {
    **dict.fromkeys(("scene_mean", "scene_spread", "scene_tail", "regional", "local", "pixel"), 0.0),
    **dict.fromkeys(("white", "white_mean", "brightness", "water_in_nir"), 0.0),
    **dict.fromkeys(("line", "line_mean", "pattern"), 0.0),
}


def _band(nm: float) -> int:
    return int(np.abs(OCI.wavelength - nm).argmin())


@pytest.mark.slow
def test_noise_of_single_bands() -> None:
    """Real spectra differ from band to band by some 1e-4 in the ultraviolet and 1e-5 in the red."""
    noise = _errors(20, NoiseConfig(**QUIET, shared=0.0, shared_floor=0.0)).reshape(-1, OCI.n_bands)
    spread = noise.std(axis=0)
    assert spread[0] == pytest.approx(1.9e-4, rel=0.1)
    # What falls has long fallen: the floor is left, and 0.4 of it that a scene shares.
    floor = 2.8e-5 * np.hypot(1, 0.4)
    assert spread[_band(550)] == pytest.approx(floor, rel=0.1)
    assert spread[_band(692)] == pytest.approx(0.36 * floor, rel=0.1)
    assert 0.4 < np.corrcoef(noise[:, 10], noise[:, 11])[0, 1] < 0.7


@pytest.mark.slow
def test_noise_that_neighbours_share() -> None:
    """Two bands see the same nodes by weights 3.5 nm wide: d nm apart they go together by exp(-d^2 / 49)."""
    noise = _errors(30, NoiseConfig(**QUIET, band=0.0, floor=0.0)).reshape(-1, OCI.n_bands)
    assert noise.std(axis=0)[_band(692)] == pytest.approx(2.2e-5, rel=0.1)
    for nm, other in ((500, 505), (690, 695), (690, 704)):
        apart = OCI.wavelength[_band(other)] - OCI.wavelength[_band(nm)]
        found = np.corrcoef(noise[:, _band(nm)], noise[:, _band(other)])[0, 1]
        assert found == pytest.approx(np.exp(-(apart**2) / 49), abs=0.12)


@pytest.mark.slow
def test_water_vapour_takes_a_share_of_the_red_end() -> None:
    """Twice the light, twice the loss; nothing at 700 nm; scenes differ."""
    still = NoiseConfig(**(QUIET | {"line_mean": 1.0}), band=0.0, floor=0.0, shared=0.0, shared_floor=0.0)
    one, two = (_errors(40, still, truth)[:, :, _band(719)] for truth in (0.0, 0.004))
    lost = (two - one) / 0.004
    assert -0.25 < lost.mean() < -0.05
    assert lost.mean(axis=1).std() > 0.05
    dim, bright = (_errors(1, still, truth) - _errors(1, still, 0.0) for truth in (0.004, 0.008))
    np.testing.assert_allclose(bright, 2 * dim)


def test_scale_zero_leaves_the_truth() -> None:
    assert not _errors(2, NoiseConfig(scale=0.0)).any()


@pytest.mark.slow
def test_the_blue_has_a_floor(tmp_path: Path) -> None:
    """The packing holds nothing below -0.015532: what is lower lies flat there, and is not missing."""
    config = SensorConfig(noise=NoiseConfig(scene_mean=-0.05))
    path = write_granule(StubLake(), DAY, tmp_path, seed=3, crop=MIDDLE, config=config)
    with open_granule(path) as granule:
        Rrs = granule["Rrs"].values
        seen = ~flag_mask(granule["l2_flags"], "PRODFAIL").values
        assert np.isfinite(Rrs[seen]).all()
        assert np.nanmin(Rrs) == pytest.approx(-0.015532, abs=1e-7)
        assert (Rrs[seen][:, 0] < -0.01553).mean() > 0.99
        assert flag_mask(granule["l2_flags"], "PRODWARN").values[seen].mean() > 0.99
