import itertools
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from spectm.data.granule import open_granule, read_variables
from spectm.data.regions import Region
from spectm.errors import EmptyRegionError, GranuleError
from tests.data.granules import damage, swath_grid, write_l2_granule, write_l3_file

NM = np.array([443, 560, 665, 681])


def box(west: float, south: float, east: float, north: float) -> Region:
    return Region(name="box", west=west, south=south, east=east, north=north)


@pytest.fixture
def make_granule(tmp_path: Path) -> Callable[..., Path]:
    """Writes a swath of 8 lines x 6 pixels in which Rrs is 0.001 line + 0.0001 pixel + 0.00001 band."""
    numbers = itertools.count()

    def make(n_lines: int = 8, n_pixels: int = 6, wavelength: np.ndarray = NM, **given) -> Path:
        latitude, longitude = swath_grid(n_lines, n_pixels, tilt=0.0)
        line, pixel, band = np.mgrid[:n_lines, :n_pixels, : len(wavelength)]
        usual = {"latitude": latitude, "longitude": longitude, "wavelength": wavelength}
        usual["Rrs"] = 0.001 * line + 0.0001 * pixel + 0.00001 * band
        return write_l2_granule(tmp_path / f"granule-{next(numbers)}.nc", **(usual | given))

    return make


@pytest.fixture
def make_map(tmp_path: Path) -> Callable[..., Path]:
    """Writes a map of 4 x 6 cells whose values are 0.01 row + 0.001 column."""

    def make(**given) -> Path:
        row, column = np.mgrid[:4, :6]
        usual = {"lat": np.array([43.0, 42, 41, 40]), "lon": np.arange(-85.0, -79), "wavelength": NM}
        usual["values"] = (0.01 * row + 0.001 * column)[..., None]
        return write_l3_file(tmp_path / "map.nc", **(usual | given))

    return make


PACKED = (("scale_factor", 1.0), ("add_offset", 0.0))
STEPS = {"Rrs": 2e-6, "Rrs_unc": 5e-8, "nflh": 8.5e-5, "angstrom": 1e-4, "aot_865": 1e-4, "avw": 0.0}


def by_hand(path: Path, name: str) -> np.ndarray:
    """Values as h5py gives them, decoded with the attributes in double precision."""
    with h5py.File(path) as file:
        attrs, raw = file[name].attrs, file[name][()]
        scale, offset = (float(attrs[key][0]) if key in attrs else default for key, default in PACKED)
        return np.where(raw == attrs["_FillValue"][0], np.nan, raw * scale + offset)


# Real files


@pytest.mark.slow
def test_a_real_swath(pace_files: Path) -> None:
    path = pace_files / "pace_l2_sample.nc"
    with open_granule(path) as granule:
        assert dict(granule["Rrs"].sizes) == {"line": 10, "pixel": 10, "wavelength": 172}
        for name in ("Rrs", "Rrs_unc", "avw", "nflh", "angstrom", "aot_865"):
            values = granule[name].values
            assert values.dtype == np.float32
            within = 0.02 * STEPS[name]  # of a step of the packing
            np.testing.assert_allclose(values, by_hand(path, f"geophysical_data/{name}"), rtol=0, atol=within)
        assert int(np.isfinite(granule["Rrs"].values).sum()) == 1892  # 11 pixels are not masked
        np.testing.assert_array_equal(granule["lat"], by_hand(path, "navigation_data/latitude").astype("f4"))
        np.testing.assert_array_equal(granule["lon"], by_hand(path, "navigation_data/longitude").astype("f4"))
        with h5py.File(path) as file:
            np.testing.assert_array_equal(granule["l2_flags"], file["geophysical_data/l2_flags"][()])
            np.testing.assert_array_equal(
                granule["wavelength"], file["sensor_band_parameters/wavelength_3d"][()]
            )
            seconds = file["scan_line_attributes/time"][()]
        assert granule["l2_flags"].dtype == np.int32
        since = (granule["time"].values - np.datetime64("1970-01-01", "ns")).astype(np.int64)
        np.testing.assert_allclose(since, seconds * 1e9, atol=1e3)
        assert str(granule["time"].values[0])[:22] == "2025-03-05T16:09:33.10"  # as the file says it starts
        assert granule["Rrs"].attrs["units"] == granule["Rrs_unc"].attrs["units"] == "sr-1"
        assert granule["wavelength"].attrs["units"] == "nm"
        assert "valid_min" not in granule["Rrs"].attrs
        assert granule.attrs["product"] == "L2_AOP"
        assert granule.attrs["granule"] == "pace_l2_sample.nc"
        assert granule.attrs["processing_version"] == "3.1"
        assert granule.attrs["near_real_time"] == 0
        assert granule.attrs["time_coverage_end"] == "2025-03-05T16:14:32.984Z"


@pytest.mark.slow
def test_a_real_map(pace_files: Path) -> None:
    path = pace_files / "pace_l3_sample.nc"
    with open_granule(path) as granule:
        assert granule["Rrs"].dims == ("lat", "lon", "wavelength")
        np.testing.assert_allclose(granule["Rrs"], by_hand(path, "Rrs"), rtol=0, atol=4e-8)
        assert granule["lat"].values[0] > granule["lat"].values[-1]
        assert set(granule.variables) == {"Rrs", "lat", "lon", "wavelength"}
        assert granule.attrs["product"] == "L3M_RRS"
        assert granule.attrs["temporal_range"] == "3-month"
    with open_granule(path, region=box(-161.9, 0.9, -161.7, 1.1)) as granule:
        np.testing.assert_allclose(granule["lat"], [1.0625, 1.0208, 0.9792, 0.9375], atol=1e-4)
        np.testing.assert_allclose(
            granule["lon"], [-161.8958, -161.8542, -161.8125, -161.7708, -161.7292], atol=1e-4
        )
        np.testing.assert_allclose(granule["Rrs"], by_hand(path, "Rrs")[22:26, 2:7], rtol=0, atol=4e-8)


def test_a_crop_of_a_real_swath(pace_files: Path) -> None:
    path = pace_files / "pace_l2_sample.nc"
    region = box(-67.4, 32.5, -67.2, 32.6)
    latitude, longitude = (
        by_hand(path, "navigation_data/latitude"),
        by_hand(path, "navigation_data/longitude"),
    )
    inside = [
        (i, j)
        for i in range(10)
        for j in range(10)
        if 32.5 <= latitude[i, j] <= 32.6 and -67.4 <= longitude[i, j] <= -67.2
    ]
    first, last = np.min(inside, axis=0), np.max(inside, axis=0) + 1
    with open_granule(path, region=region) as granule:
        assert granule["lat"].shape == tuple(last - first) == (9, 3)
        expected = by_hand(path, "geophysical_data/Rrs")[first[0] : last[0], first[1] : last[1]]
        np.testing.assert_allclose(granule["Rrs"], expected, rtol=0, atol=4e-8)


# Values and shapes


@pytest.mark.slow
@pytest.mark.parametrize("n_bands", [172, 184])
def test_any_number_of_bands(make_granule, n_bands: int) -> None:
    """172 in version 3, 184 in version 2."""
    wavelength = np.arange(340, 340 + 2 * n_bands, 2)
    version = "3.1" if n_bands == 172 else "2.0"
    with open_granule(make_granule(wavelength=wavelength, version=version)) as granule:
        np.testing.assert_array_equal(granule["wavelength"], wavelength)
        assert granule.attrs["processing_version"] == version
        assert granule["Rrs"].sel(wavelength=342).values[2, 3] == pytest.approx(0.002 + 0.0003 + 0.00001)


def test_negative_and_missing_values(make_granule) -> None:
    """Below valid_min of the file, -0.01, a value is still one."""
    Rrs = np.full((8, 6, 4), 0.002)
    Rrs[0, 0] = [-0.0125, -0.0001, 0.0, np.nan]
    with open_granule(make_granule(Rrs=Rrs)) as granule:
        np.testing.assert_allclose(granule["Rrs"].values[0, 0], [-0.0125, -0.0001, 0, np.nan], atol=1e-7)
        assert int(np.isnan(granule["Rrs"].values).sum()) == 1


def test_packing_is_read_from_the_file(make_granule) -> None:
    path = make_granule()
    with h5py.File(path, "r+") as file:
        attrs = file["geophysical_data/Rrs"].attrs
        attrs["scale_factor"], attrs["add_offset"] = np.float32([4e-6]), np.float32([0.1])
    with open_granule(path) as granule:  # 0.0023 = -23850 steps of 2e-6 above 0.05
        assert granule["Rrs"].values[2, 3, 0] == pytest.approx(-23850 * 4e-6 + 0.1, abs=1e-7)


def test_rhos_has_no_unit_in_the_archive(make_map) -> None:
    with open_granule(make_map(suite="SFREFL")) as granule:
        assert granule.attrs["product"] == "L3M_SFREFL"
        assert granule["rhos"].attrs["units"] == "1"
        assert granule["rhos"].values[2, 3, 0] == pytest.approx(0.023, abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("units", ["1", "dimensionless", "unitless"])
def test_spellings_of_no_unit(make_map, units: str) -> None:
    with open_granule(make_map(suite="SFREFL", units={"rhos": units})) as granule:
        assert granule["rhos"].attrs["units"] == "1"


@pytest.mark.slow
def test_names_of_version_3_2(make_map, make_granule, tmp_path: Path) -> None:
    """OC_AOP and RRS are called AOP there, and the map has more variables."""
    path = make_map(suite="AOP", version="3.2", extra={"avw": np.full((4, 6), 500.0)})
    with open_granule(path) as granule:
        assert granule.attrs["product"] == "L3M_RRS"
        assert granule["avw"].values[0, 0] == 500
    name = "PACE_OCI.20250701T175305.L2.AOP.V3_2.nc"
    with open_granule(make_granule(attrs={"product_name": name})) as granule:
        assert granule.attrs["product"] == "L2_AOP"


@pytest.mark.slow
def test_near_real_time(make_granule, make_map) -> None:
    with open_granule(make_granule(near_real_time=True)) as granule:
        assert granule.attrs["near_real_time"] == 1
    with open_granule(make_map(near_real_time=True)) as granule:
        assert granule.attrs["near_real_time"] == 1
    with open_granule(make_map()) as granule:
        assert granule.attrs["near_real_time"] == 0


def test_flags_stay_bits_whatever_their_fill_value_is(make_granule) -> None:
    path = make_granule(flags={"LAND": [(1, 2)], "CLDICE": [(1, 2)]})
    with h5py.File(path, "r+") as file:
        file["geophysical_data/l2_flags"].attrs["_FillValue"] = np.int32([514])
    with open_granule(path) as granule:
        assert granule["l2_flags"].dtype == np.int32
        assert granule["l2_flags"].values[1, 2] == 514


def test_it_can_be_sent_to_another_process(make_granule) -> None:
    with open_granule(make_granule(), region=box(-83.48, 41.42, -83.46, 41.44)) as granule:
        again = pickle.loads(pickle.dumps(granule))
        xr.testing.assert_identical(again.load(), granule.load())
        again.close()


# Times


def seconds(path: Path, values: list[float], **attrs) -> Path:
    with h5py.File(path, "r+") as file:
        time = file["scan_line_attributes/time"]
        time[...] = values
        for name, value in attrs.items():
            time.attrs[name] = value
    return path


def test_times_of_lines(make_granule) -> None:
    times = np.datetime64("2024-08-04T17:53:05.250", "ns") + np.arange(8) * np.timedelta64(200, "ms")
    with open_granule(make_granule(time=times)) as granule:
        assert granule["time"].dims == ("line",)
        assert np.abs(granule["time"].values - times).max() < np.timedelta64(1, "us")


def test_seconds_of_the_day_run_over_midnight(make_granule) -> None:
    path = make_granule(2, time="2024-08-04T23:59:59")
    with open_granule(seconds(path, [86399.5, 0.5], units="seconds")) as granule:
        found = granule["time"].values.astype("datetime64[ms]")
    expected = np.array(["2024-08-04T23:59:59.500", "2024-08-05T00:00:00.500"], dtype="datetime64[ms]")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_year_day_and_milliseconds(make_granule) -> None:
    """As version 2 has them; 2024-08-04 is day 217."""
    path = make_granule(2, leave_out=["scan_line_attributes/time"])
    with h5py.File(path, "r+") as file:
        group = file["scan_line_attributes"]
        lines = group["day"].dims[0][0]
        for name, values in {"year": [2024, 2024], "msec": [64_385_000, 64_385_175]}.items():
            group[name] = np.array(values, dtype=np.int32)
            group[name].dims[0].attach_scale(lines)
    with open_granule(path) as granule:
        found = granule["time"].values.astype("datetime64[ms]")
    expected = np.array(["2024-08-04T17:53:05.000", "2024-08-04T17:53:05.175"], dtype="datetime64[ms]")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_without_line_times_the_coverage_is_spread(make_granule) -> None:
    coverage = {"time_coverage_start": "2024-08-04T17:53:00Z", "time_coverage_end": "2024-08-04T17:53:14Z"}
    path = make_granule(8, leave_out=["scan_line_attributes"], attrs=coverage)
    with open_granule(path) as granule:
        expected = np.datetime64("2024-08-04T17:53:00") + 2 * np.arange(8)
        np.testing.assert_array_equal(granule["time"].values.astype("datetime64[s]"), expected)
    with open_granule(path, region=box(-84, 41.415, -83, 41.435)) as granule:  # lines 2 and 3
        np.testing.assert_array_equal(granule["time"].values.astype("datetime64[s]"), expected[2:4])


@pytest.mark.slow
def test_a_missing_line_time_comes_from_the_coverage(make_granule) -> None:
    path = make_granule(3, time=np.datetime64("2024-08-04T17:53:00") + np.array([0, 2, 4]))
    with h5py.File(path, "r+") as file:
        file["scan_line_attributes/time"][1] = -32767
    with open_granule(path) as granule:
        assert granule["time"].values[1] == np.datetime64("2024-08-04T17:53:02")


def test_no_time_at_all(make_granule) -> None:
    path = make_granule(leave_out=["scan_line_attributes"], attrs={"time_coverage_start": None})
    with pytest.raises(GranuleError, match=r"time_coverage_start such as 2024.*granule-0\.nc"):
        open_granule(path)


def test_time_in_another_unit(make_granule) -> None:
    with pytest.raises(GranuleError, match=r"in seconds, found 'fortnights' in .*granule-0\.nc"):
        open_granule(make_granule(units={"time": "fortnights"}))


# Crops


def test_the_smallest_window_around_a_region(make_granule) -> None:
    """Lines lie 0.01 degrees apart from 41.40, pixels from -83.50."""
    with open_granule(make_granule(), region=box(-83.485, 41.415, -83.455, 41.445)) as granule:
        np.testing.assert_allclose(granule["lat"].values[:, 0], [41.42, 41.43, 41.44], atol=1e-5)
        np.testing.assert_allclose(granule["lon"].values[0], [-83.48, -83.47, -83.46], atol=1e-5)
        expected = 0.001 * np.arange(2, 5)[:, None] + 0.0001 * np.arange(2, 5)
        np.testing.assert_allclose(granule["Rrs"].values[:, :, 0], expected, atol=1e-8)
        assert granule["l2_flags"].shape == granule["nflh"].shape == (3, 3)
        assert granule["time"].size == 3


def test_a_region_that_the_swath_meets_in_two_pieces(make_granule) -> None:
    """The swath leaves the box and comes back: one window holds both parts."""
    _, longitude = swath_grid(tilt=0.0)
    longitude[3:5] += 1.0
    path = make_granule(longitude=longitude)
    with open_granule(path, region=box(-83.495, 41.415, -83.465, 41.455)) as granule:
        assert granule["Rrs"].shape == (4, 3, 4)
        inside = box(-83.495, 41.415, -83.465, 41.455).contains(granule["lat"].values, granule["lon"].values)
        np.testing.assert_array_equal(inside.all(axis=1), [True, False, False, True])


@pytest.mark.slow
def test_across_the_date_line(make_granule) -> None:
    latitude, longitude = swath_grid(8, 6, west=179.97, tilt=0.0)
    assert longitude[0, -1] < 0 < longitude[0, 0]
    path = make_granule(latitude=latitude, longitude=longitude)
    with open_granule(path, region=box(179.985, 41.0, -179.985, 42.0)) as granule:
        np.testing.assert_allclose(granule["lon"].values[0] % 360, [179.99, 180, 180.01], atol=1e-4)
    with open_granule(path, region=box(-180, 41.0, -179.985, 42.0)) as granule:
        assert granule.sizes["pixel"] == 2


@pytest.mark.slow
def test_missing_places_lie_nowhere(make_granule) -> None:
    latitude, longitude = swath_grid(tilt=0.0)
    latitude[2], longitude[2] = np.nan, np.nan
    latitude[5, 1] = np.nan
    path = make_granule(latitude=latitude, longitude=longitude)
    with open_granule(path, region=box(-83.6, 41.415, -83.4, 41.455)) as granule:
        np.testing.assert_allclose(granule["lat"].values[:, 0], [41.43, 41.44, 41.45], atol=1e-5)
        assert np.isnan(granule["lat"].values[2, 1])
    with open_granule(path) as granule:
        assert int(np.isnan(granule["lat"].values).sum()) == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "bounds", [(10, 41, 11, 42), (-83.6, -10, -83.4, -9), (-83.4955, 41.4, -83.4945, 41.5)]
)
def test_no_pixel_in_the_region(make_granule, bounds: tuple[float, ...]) -> None:
    """On another continent, on another hemisphere, and between two pixels."""
    with pytest.raises(EmptyRegionError, match=r"granule-0\.nc covers latitudes 41\.40 to 41\.47 and long"):
        open_granule(make_granule(), region=box(*bounds))


def test_a_swath_without_any_place(make_granule) -> None:
    nowhere = np.full((8, 6), np.nan)
    with pytest.raises(EmptyRegionError, match="latitudes nan to nan"):
        open_granule(make_granule(latitude=nowhere, longitude=nowhere), region=box(-84, 41, -83, 42))


@pytest.mark.slow
def test_crops_of_maps(make_map) -> None:
    with open_granule(make_map(), region=box(-83.5, 40.5, -81.5, 42.5)) as granule:
        np.testing.assert_array_equal(granule["lat"], [42, 41])
        np.testing.assert_array_equal(granule["lon"], [-83, -82])
        np.testing.assert_allclose(
            granule["Rrs"].values[:, :, 0], [[0.012, 0.013], [0.022, 0.023]], atol=1e-7
        )
    with pytest.raises(EmptyRegionError, match=r"map\.nc covers latitudes 40\.00 to 43\.00"):
        open_granule(make_map(), region=box(10, 41, 11, 42))


def test_a_map_across_the_date_line(make_map) -> None:
    """Both ends of the grid, from west to east, and not the whole globe between them."""
    path = make_map(lon=np.array([-179.0, -178, -10, 10, 178, 179]))
    with open_granule(path, region=box(177.5, 40.5, -178.5, 41.5)) as granule:
        np.testing.assert_array_equal(granule["lon"], [178, 179, -179])
        np.testing.assert_allclose(granule["Rrs"].values[0, :, 1], [0.024, 0.025, 0.020], atol=1e-7)


# What is read


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts the values that h5py reads from each variable with more than one dimension."""
    counts: dict[str, int] = {}
    plain = h5py.Dataset.__getitem__

    def counted(self, key, **options):
        values = plain(self, key, **options)
        if self.ndim > 1:
            name = self.name.rpartition("/")[2]
            counts[name] = counts.get(name, 0) + np.size(values)
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    return counts


@pytest.mark.slow
def test_only_the_window_is_read(make_granule, reads) -> None:
    region = box(-83.485, 41.415, -83.455, 41.445)  # 3 x 3 of 40 x 30 pixels
    with open_granule(make_granule(40, 30), region=region) as granule:
        assert reads == {"latitude": 40 * 30, "longitude": 3 * 30}
        granule["Rrs"].sel(wavelength=[560, 681]).load()
        granule["l2_flags"].load()
        assert reads["Rrs"] == 3 * 3 * 2
        assert reads["l2_flags"] == 3 * 3
        assert "Rrs_unc" not in reads
        granule["lat"].load(), granule["lon"].load()
        assert reads["latitude"] == 40 * 30


@pytest.mark.slow
def test_opening_reads_nothing_else(make_granule, make_map, reads) -> None:
    with open_granule(make_granule(40, 30)), open_granule(make_map()):
        assert reads == {}
    with open_granule(make_map(), region=box(-83.5, 40.5, -81.5, 42.5)) as granule:
        assert reads == {}
        granule["Rrs"].load()
        assert reads == {"Rrs": 2 * 2 * 4}


@pytest.mark.slow
def test_damage_outside_the_window_does_no_harm(make_granule) -> None:
    """Every chunk but the one around the region is garbage."""
    path = make_granule(12, 9, chunks=(4, 3, 4), wavelength=NM)
    for line, pixel in itertools.product(range(0, 12, 4), range(0, 9, 3)):
        if (line, pixel) != (4, 3):
            damage(path, "geophysical_data/Rrs", (line, pixel, 0))
    with open_granule(path, region=box(-83.475, 41.435, -83.445, 41.475)) as granule:  # lines 4-7, pixels 3-5
        assert granule["Rrs"].values[0, 0, 0] == pytest.approx(0.0043)
        assert granule["Rrs"].shape == (4, 3, 4)
    with open_granule(path) as granule, pytest.raises(GranuleError, match=r"could not read .*granule-0\.nc"):
        read_variables(granule, ["Rrs"])


def open_files(folder: Path) -> int:
    places = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    return sum(str(folder) in os.readlink(place) for place in places if place.is_symlink())  # noqa: PTH115


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_no_file_stays_open(make_granule, make_map, tmp_path: Path) -> None:
    swath, plain = make_granule(), make_map()
    for _ in range(2):
        for path in (swath, plain):
            with open_granule(path, region=box(-83.55, 40.5, -81.5, 42.5)) as granule:
                granule.load()
                assert open_files(tmp_path) > 0
            with pytest.raises(EmptyRegionError):
                open_granule(path, region=box(10, 41, 11, 42))
        with pytest.raises(GranuleError):
            open_granule(make_granule(units={"Rrs": "percent"}))
    assert open_files(tmp_path) == 0


def test_read_variables(make_granule) -> None:
    with open_granule(make_granule()) as granule:
        read = read_variables(granule.sel(wavelength=[665]), ["Rrs", "avw"])
        assert set(read.data_vars) == {"Rrs", "avw"}
        assert read["Rrs"].shape == (8, 6, 1)
        with pytest.raises(GranuleError, match=r"wanted the variables chlor_a, found .*granule-0\.nc"):
            read_variables(granule, ["chlor_a"])
    np.testing.assert_allclose(read["Rrs"].values[1, 1, 0], 0.00112, atol=1e-8)  # also after closing


# Refusals


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match=r"found nothing at .*absent\.nc"):
        open_granule(tmp_path / "absent.nc")
    with pytest.raises(GranuleError, match=r"found a folder at "):
        open_granule(tmp_path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_truncated_file(make_granule, share: float) -> None:
    path = make_granule(20, 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        GranuleError, match=r"complete netCDF-4 file, could not read .*granule-0\.nc.*Fetch it"
    ):
        open_granule(path)


def test_a_page_of_html_in_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "granule.nc"
    path.write_text("<html>Earthdata Login</html>")
    with pytest.raises(GranuleError, match=r"could not read .*granule\.nc"):
        open_granule(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "attrs",
    [
        {"product_name": "PACE_OCI.20240804T175305.L2.OC_BGC.V3_0.nc", "title": "OCI Level-2 Data BGC"},
        {"instrument": "MODIS", "title": "MODISA Level-2 Data"},
        {"processing_level": "L1B", "title": "PACE OCI Level-1B Data"},
        {"processing_level": "L3 Binned", "title": "OCI Level-3 Binned Data"},
        {"processing_level": None, "title": None},
    ],
)
def test_another_product(make_granule, attrs: dict[str, str | None]) -> None:
    found = attrs["title"] or "PACE_OCI"
    with pytest.raises(
        GranuleError, match=rf"of PACE OCI; found '{found}.*granule-0\.nc.*spectm fetch --help"
    ):
        open_granule(make_granule(attrs=attrs))


def test_another_map(make_map) -> None:
    name = "PACE_OCI.20240804.L3m.DAY.CHL.V3_0.chlor_a.4km.nc"
    with pytest.raises(GranuleError, match=rf"found .*{name}.* in .*map\.nc"):
        open_granule(make_map(attrs={"product_name": name}))


@pytest.mark.slow
def test_a_product_without_its_name_is_known_by_its_content(make_granule, make_map) -> None:
    with open_granule(make_granule(attrs={"product_name": None})) as granule:
        assert granule.attrs["product"] == "L2_AOP"
    with open_granule(make_map(attrs={"product_name": None}, suite="SFREFL")) as granule:
        assert granule.attrs["product"] == "L3M_SFREFL"


@pytest.mark.parametrize("group", ["geophysical_data", "navigation_data", "sensor_band_parameters"])
def test_a_missing_group(make_granule, group: str) -> None:
    path = make_granule()
    with h5py.File(path, "r+") as file:
        del file[group]
    with pytest.raises(GranuleError, match=rf"wanted the groups {group}, found .* in .*granule-0\.nc"):
        open_granule(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["geophysical_data/Rrs", "geophysical_data/l2_flags", "sensor_band_parameters/wavelength_3d"]
)
def test_a_missing_variable(make_granule, name: str) -> None:
    path = make_granule()
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(
        GranuleError, match=rf"wanted the variables {name.split('/')[1]}, found .*granule-0\.nc"
    ):
        open_granule(path)


@pytest.mark.parametrize("name", ["latitude", "longitude"])
def test_missing_places(make_granule, name: str) -> None:
    path = make_granule()
    with h5py.File(path, "r+") as file:
        del file[f"navigation_data/{name}"]
    with pytest.raises(GranuleError, match=rf"wanted the variables {name}, found .*granule-0\.nc"):
        open_granule(path)


@pytest.mark.slow
def test_uncertainty_may_be_missing(make_granule) -> None:
    with open_granule(make_granule(leave_out=["geophysical_data/Rrs_unc"])) as granule:
        assert "Rrs_unc" not in granule


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "units", "said"),
    [
        ("Rrs", "percent", "wanted Rrs in sr-1, found 'percent'"),
        ("Rrs", None, "wanted Rrs in sr-1, found no units"),
        ("Rrs_unc", "1", "wanted Rrs_unc in sr-1, found '1'"),
        ("wavelength_3d", "um", "wanted wavelength in nm, found 'um'"),
        ("latitude", "radians", "wanted latitude in degrees_north, found 'radians'"),
        ("longitude", "degrees_west", "wanted longitude in degrees_east, found 'degrees_west'"),
    ],
)
def test_a_wrong_unit(make_granule, name: str, units: str | None, said: str) -> None:
    with pytest.raises(GranuleError, match=rf"{said} in .*granule-0\.nc"):
        open_granule(make_granule(units={name: units}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "units"), [("rhos", "sr^-1"), ("wavelength", None), ("lat", "degrees"), ("lon", None)]
)
def test_a_wrong_unit_in_a_map(make_map, name: str, units: str | None) -> None:
    with pytest.raises(GranuleError, match=rf"wanted {name} in .*, found .* in .*map\.nc"):
        open_granule(make_map(suite="SFREFL", units={name: units}))


@pytest.mark.slow
@pytest.mark.parametrize("wavelength", [[443, 443, 560], [560, 443, 665], [-32767, 443, 560]])
def test_wavelengths_must_increase(make_granule, wavelength: list[int]) -> None:
    with pytest.raises(GranuleError, match=r"wanted increasing wavelengths, found .*granule-0\.nc"):
        open_granule(make_granule(wavelength=np.array(wavelength)))


@pytest.mark.slow
def test_since_version_3_2_wavelengths_lie_beside_the_reflectance_unrounded(tmp_path: Path) -> None:
    latitude, longitude = swath_grid(3, 4)
    wavelength = np.array([346.0, 348.5, 350.9, 719.0])
    Rrs = np.arange(48).reshape(3, 4, 4) / 1e4
    path = write_l2_granule(
        tmp_path / "new.nc",
        latitude=latitude,
        longitude=longitude,
        Rrs=Rrs,
        wavelength=wavelength,
        version="3.2",
    )
    with h5py.File(path) as file:
        assert file["sensor_band_parameters/wavelength_3d"][()].tolist() == [346, 348, 351, 719]
    with open_granule(path) as granule:
        np.testing.assert_allclose(granule["wavelength"], wavelength, atol=1e-4)
        assert granule["Rrs"].dims == ("line", "pixel", "wavelength")
        np.testing.assert_allclose(granule["Rrs"].values, Rrs, atol=1.1e-6)
        assert {"Rrs_unc", "l2_flags", "nflh"} <= set(granule)
