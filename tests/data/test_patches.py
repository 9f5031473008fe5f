from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from spectm.data.patches import Patches, partners, read_patches, write_patches
from spectm.errors import PatchError, SpectmError

TIMES = np.array(["2024-08-04T17:53:05", "2024-08-12T18:01:44"], dtype="datetime64[ns]")


def station_dataset() -> xr.Dataset:
    """Two patches of 1 x 2 pixels and three bands, in the layout of the real station file."""
    Rrs = np.arange(12, dtype="float32").reshape(2, 3, 1, 2) / 1000
    return xr.Dataset(
        {"Rrs": (("sample", "wavelength", "y", "x"), Rrs, {"units": "sr-1"})},
        coords={
            "wavelength": ("wavelength", np.array([443.0, 665.0, 681.0], dtype="float32"), {"units": "nm"}),
            "time": ("sample", TIMES),
            "latitude": ("sample", [41.76, 41.83]),
            "longitude": ("sample", [-83.33, -83.19]),
            "station": ("sample", np.array(["WE2", "WE4"], dtype=object)),
        },
        attrs={"source": "made for a test"},
    )


def pixel_dataset() -> xr.Dataset:
    """Two spectra of three bands, in the layout of the real pixel file."""
    Rrs = np.array([[0.001, 0.002, 0.003], [-0.02, -0.001, 0.004]], dtype="float32")
    return xr.Dataset(
        {"Rrs": (("pixel", "wavelength"), Rrs, {"units": "sr-1"})},
        coords={
            "wavelength": ("wavelength", [443.0, 665.0, 681.0], {"units": "nm"}),
            "time": ("pixel", TIMES),
        },
    )


def saved(dataset: xr.Dataset, folder: Path) -> Path:
    path = folder / "made.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def make_patches(
    days: list[float], *, stations: list[str] | None = None, n_bands: int = 1, Rrs: object = None
) -> Patches:
    n = len(days)
    seconds = np.array([round(day * 86400) for day in days], dtype="timedelta64[s]")
    return Patches(
        Rrs=np.full((n, n_bands, 1, 1), 0.01, dtype="float32") if Rrs is None else np.asarray(Rrs, "float32"),
        wavelength=660.0 + 10.0 * np.arange(n_bands),
        time=np.datetime64("2024-08-04T18:00", "ns") + seconds,
        station=np.array(stations or ["WE2"] * n),
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        source="made",
    )


def test_station_patches_are_read(tmp_path):
    patches = read_patches(saved(station_dataset(), tmp_path))
    assert (patches.n_samples, patches.n_bands) == (2, 3)
    assert patches.Rrs.dtype == np.float32
    assert patches.Rrs[1, 2, 0].tolist() == pytest.approx([0.010, 0.011])
    assert patches.wavelength.dtype == np.float64
    assert patches.wavelength.tolist() == [443, 665, 681]
    assert patches.time.dtype == np.dtype("datetime64[ns]")
    assert (patches.time == TIMES).all()
    assert patches.station.tolist() == ["WE2", "WE4"]
    assert patches.latitude.tolist() == [41.76, 41.83]
    assert patches.longitude.tolist() == [-83.33, -83.19]
    assert patches.source == "made for a test"


def test_pixels_become_patches_of_one_pixel_without_a_place(tmp_path):
    patches = read_patches(saved(pixel_dataset(), tmp_path))
    assert patches.Rrs.shape == (2, 3, 1, 1)
    assert patches.Rrs[1, :, 0, 0].tolist() == pytest.approx([-0.02, -0.001, 0.004])
    assert patches.station.tolist() == ["", ""]
    assert np.isnan(patches.latitude).all()
    assert np.isnan(patches.longitude).all()
    assert patches.source == "made.nc"


@pytest.mark.slow
def test_dimensions_are_found_by_name(tmp_path):
    turned = station_dataset().transpose("y", "wavelength", "x", "sample")
    patches = read_patches(saved(turned, tmp_path))
    assert patches.Rrs[1, 2, 0].tolist() == pytest.approx([0.010, 0.011])
    turned = pixel_dataset().transpose("wavelength", "pixel")
    assert read_patches(saved(turned, tmp_path)).Rrs[1, 0, 0, 0] == pytest.approx(-0.02)


def test_bands_are_sorted_together_with_their_wavelengths(tmp_path):
    patches = read_patches(saved(station_dataset().isel(wavelength=[2, 0, 1]), tmp_path))
    assert patches.wavelength.tolist() == [443, 665, 681]
    assert patches.Rrs[0, :, 0, 0].tolist() == pytest.approx([0.000, 0.002, 0.004])


def test_packed_values_below_valid_min_are_kept_and_fill_is_missing(tmp_path):
    dataset = station_dataset()
    dataset["Rrs"][0, 0, 0, :] = [-0.015, np.nan]
    packing = {"dtype": "int16", "scale_factor": 2e-6, "add_offset": 0.05, "_FillValue": -32767}
    dataset["Rrs"].encoding = packing
    dataset["Rrs"].attrs["valid_min"] = np.int16(-30000)  # -0.01 once unpacked
    values = read_patches(saved(dataset, tmp_path)).Rrs[0, 0, 0]
    assert values[0] == pytest.approx(-0.015, abs=1e-6)
    assert np.isnan(values[1])


def test_infinite_values_are_missing(tmp_path):
    dataset = station_dataset()
    dataset["Rrs"][0, 0, 0, :] = [np.inf, -np.inf]
    patches = read_patches(saved(dataset, tmp_path))
    assert np.isnan(patches.Rrs[0, 0, 0]).all()
    assert np.isfinite(patches.Rrs[0, 1:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_named(tmp_path, share):
    path = saved(station_dataset(), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PatchError, match=r"complete netCDF-4 file.*made\.nc.*download complete"):
        read_patches(path)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "made.nc"
    path.write_text("station,Rrs\nWE2,0.003\n")
    with pytest.raises(PatchError, match=r"complete netCDF-4 file.*made\.nc.*nccopy"):
        read_patches(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(PatchError, match=r"found nothing at .*none\.nc"):
        read_patches(tmp_path / "none.nc")
    with pytest.raises(PatchError, match="found a folder"):
        read_patches(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Rrs", "wavelength", "time"])
def test_a_missing_variable_is_named_with_those_found(tmp_path, name):
    path = saved(station_dataset().drop_vars(name), tmp_path)
    with pytest.raises(PatchError, match=rf"wanted the variable {name} in .*made\.nc, found \[.*'station'"):
        read_patches(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "units", "message"),
    [
        ("Rrs", "percent", "wanted Rrs in sr-1, found 'percent' in .*made.nc"),
        ("Rrs", None, "wanted Rrs in sr-1, found no units"),
        ("wavelength", "um", "wanted wavelength in nm, found 'um'"),
        ("wavelength", None, "wanted wavelength in nm, found no units"),
    ],
)
def test_other_units_are_refused(tmp_path, name, units, message):
    dataset = station_dataset()
    dataset[name].attrs = {} if units is None else {"units": units}
    with pytest.raises(PatchError, match=message):
        read_patches(saved(dataset, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["sr^-1", "1/sr", "sr**-1"])
def test_the_same_unit_may_be_spelt_otherwise(tmp_path, spelling):
    dataset = station_dataset()
    dataset["Rrs"].attrs["units"] = spelling
    assert read_patches(saved(dataset, tmp_path)).n_samples == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d.rename(sample="site"),
            r"\(pixel, wavelength\), found \('site', 'wavelength', 'y', 'x'\)",
        ),
        (lambda d: d.isel(x=0), r"found \('sample', 'wavelength', 'y'\)"),
        (lambda d: d.isel(sample=slice(0)), r"wanted numbers in Rrs, found the shape \(0, 3, 1, 2\)"),
        (
            lambda d: d.assign_coords(station=("y", ["WE2"])),
            r"wanted station along \('sample',\) only.*\('y',\)",
        ),
        (lambda d: d.assign_coords(time=("sample", [0.5, 1.5])), "wanted times with CF units.*float64"),
        (lambda d: d.assign_coords(time=("sample", [TIMES[0], np.datetime64("NaT")])), "1 of 2 missing"),
    ],
)
def test_other_dimensions_and_times_are_refused(tmp_path, change, message):
    with pytest.raises(PatchError, match=message) as caught:
        read_patches(saved(change(station_dataset()), tmp_path))
    assert "made.nc" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wavelength", "message"),
    [
        ([443.0, 665.0, 443.0], r"found 443 nm more than once in .*made\.nc"),
        ([443.0, np.nan, 681.0], "wanted positive wavelengths"),
        ([443.0, -665.0, 681.0], "wanted positive wavelengths"),
    ],
)
def test_unusable_wavelengths_are_refused(tmp_path, wavelength, message):
    dataset = station_dataset().assign_coords(wavelength=("wavelength", wavelength, {"units": "nm"}))
    with pytest.raises(PatchError, match=message):
        read_patches(saved(dataset, tmp_path))


def test_the_error_is_one_that_callers_know():
    assert issubclass(PatchError, SpectmError)
    assert issubclass(PatchError, ValueError)


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(PatchError, match=r"with 2 wavelengths, found the shape \(1, 3, 1, 1\)"):
        make_patches([0], n_bands=2, Rrs=np.zeros((1, 3, 1, 1)))
    with pytest.raises(PatchError, match=r"one station for each of 2 patches, found the shape \(1,\)"):
        make_patches([0, 1], stations=["WE2"])
    good = make_patches([0], n_bands=2)
    kept = {field.name: getattr(good, field.name) for field in fields(good)}
    with pytest.raises(PatchError, match="strictly increasing wavelengths"):
        Patches(**(kept | {"wavelength": np.array([681.0, 665.0])}))


def test_the_mean_is_over_pixels_with_all_bands():
    Rrs = np.array([[[[1, 2, 9]], [[3, 5, np.nan]]], [[[1, 2, 3]], [[np.nan] * 3]]])  # (2, 2, 1, 3)
    patches = make_patches([0, 1], n_bands=2, Rrs=Rrs)
    assert patches.valid.tolist() == [[[True, True, False]], [[False, False, False]]]
    mean = patches.mean_spectrum()
    assert mean.dtype == np.float64
    assert mean[0].tolist() == [1.5, 4.0]  # the 9 lacks its second band
    assert np.isnan(mean[1]).all()


def test_the_year_before_is_that_of_the_first_patch():
    patches = make_patches([0.0, -216.0, -217.0])  # 2024-08-04, 2024-01-01, 2023-12-31
    assert patches.year_before == 2022
    assert patches.select(slice(2)).year_before == 2023


def test_rows_are_selected_with_all_that_belongs_to_them():
    patches = make_patches([0, 1, 2], stations=["WE2", "WE4", "WE6"], Rrs=np.reshape([1, 2, 3], (3, 1, 1, 1)))
    for rows in (np.array([2, 0]), np.array([True, False, True]), slice(0, 3, 2)):
        chosen = patches.select(rows)
        expected = [2, 0] if not isinstance(rows, slice) and rows.dtype == np.int64 else [0, 2]
        assert chosen.Rrs[:, 0, 0, 0].tolist() == [i + 1 for i in expected]
        assert chosen.station.tolist() == [["WE2", "WE4", "WE6"][i] for i in expected]
        assert (chosen.time == patches.time[expected]).all()
        assert chosen.wavelength.tolist() == patches.wavelength.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("spans_days", [False, True])
@pytest.mark.parametrize("nanoseconds", [0, 123_456_789])
def test_what_is_written_is_read_back_in_full(tmp_path, nanoseconds, spans_days):
    rng = np.random.default_rng(0)
    Rrs = rng.normal(0.003, 0.01, (3, 4, 3, 3)).astype("float32")
    Rrs[0, 1, 2, 0], Rrs[2] = np.nan, np.nan
    patches = Patches(
        Rrs=Rrs,
        wavelength=np.array([443.1, 620.0, 665.25, 681.0]),
        time=np.array(["2024-03-10T06:59", "2024-08-04", "2025-01-01"], "datetime64[ns]") + nanoseconds,
        station=np.array(["WE2", "", "2024.1 é"]),
        latitude=np.array([41.76, np.nan, 0.1]),
        longitude=np.array([-83.33, np.nan, 0.2]),
        source="by hand, ünicode",
    )
    if spans_days:
        four_days = np.array([[-4, 4]], "timedelta64[D]")
        patches = replace(patches, time_bounds=patches.time[:, None] + four_days)
    path = tmp_path / "patches.nc"
    write_patches(patches, path)
    back = read_patches(path)
    for field in fields(Patches):
        wrote, read = getattr(patches, field.name), getattr(back, field.name)
        if not isinstance(wrote, np.ndarray):
            assert read == wrote
        else:
            assert read.dtype == wrote.dtype
            np.testing.assert_array_equal(read, wrote)
    assert [file.name for file in tmp_path.iterdir()] == ["patches.nc"]
    with h5py.File(path) as file:
        assert file["Rrs"].attrs["units"] in ("sr-1", b"sr-1")


def test_a_broken_write_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "patches.nc"
    write_patches(make_patches([0, 1]), path)
    older = path.read_bytes()

    def disk_full(self: xr.Dataset, target: Path, **_: object) -> None:
        target.write_bytes(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", disk_full)
    with pytest.raises(OSError, match="no space"):
        write_patches(make_patches([0, 1, 2]), path)
    assert path.read_bytes() == older
    assert [file.name for file in tmp_path.iterdir()] == ["patches.nc"]


@pytest.mark.parametrize(
    ("days", "stations", "expected"),
    [
        ([0, 2, 8, 9], ["a", "a", "a", "b"], [2, 2, -1, -1]),  # six days are still near enough
        ([0, 7, 9], ["a"] * 3, [1, -1, -1]),  # a tie: the earlier
        ([9, 0, 7], ["a"] * 3, [-1, 2, -1]),  # whatever the order in the file
        ([0, 5, 20], ["a"] * 3, [1, -1, -1]),  # five days: the edge
        ([0, 4.99, 16.1], ["a"] * 3, [-1, -1, -1]),  # just outside, on both sides
        ([0, 8], ["", ""], [-1, -1]),  # nobody knows whether these are one place
    ],
)
def test_partners_by_hand(days, stations, expected):
    assert partners(make_patches(days, stations=stations)).tolist() == expected


def test_partners_need_a_valid_pixel_on_both_sides():
    Rrs = np.full((4, 1, 1, 1), 0.01)
    Rrs[1] = np.nan
    assert partners(make_patches([0, 8, 9, 17], Rrs=Rrs)).tolist() == [2, -1, 3, -1]
    Rrs[0] = np.nan
    assert partners(make_patches([0, 8, 9, 17], Rrs=Rrs)).tolist() == [-1, -1, 3, -1]


def test_a_partner_is_later_even_where_the_tolerance_is_wider_than_the_lead():
    found = partners(make_patches([0, 0.5, 3]), lead_days=1, tolerance_days=5)
    assert found.tolist() == [1, 2, -1]


@pytest.mark.slow
@given(
    days=st.lists(st.integers(0, 40 * 4).map(lambda n: n / 4), min_size=1, max_size=12),
    lead=st.sampled_from([4.0, 8.0]),
)
def test_partners_agree_with_trying_all_pairs(days, lead):
    expected = []
    for start in days:
        leads = [(abs(day - start - lead), day, i) for i, day in enumerate(days)]
        near = [each for each in leads if each[0] <= 3 and each[1] > start]
        expected.append(min(near)[2] if near else -1)
    assert partners(make_patches(days), lead_days=lead).tolist() == expected


def test_the_real_station_patches(lake_erie):
    patches = read_patches(lake_erie / "pace_station_patches.nc")
    with h5py.File(lake_erie / "pace_station_patches.nc") as file:
        raw = file["Rrs"][:]
    assert patches.Rrs.shape == (246, 172, 3, 3)
    np.testing.assert_array_equal(patches.Rrs, raw)  # nothing clipped
    assert (patches.Rrs < -0.01).sum() > 3000
    assert patches.wavelength[[0, -1]].tolist() == [346, 719]
    assert patches.time.min() == np.datetime64("2024-04-22T18:16:58")
    assert sorted(set(patches.station.tolist()))[:3] == ["2024.1", "2024.2", "WE12"]
    assert patches.valid.any(axis=(1, 2)).all()
    assert (partners(patches) >= 0).sum() == 109


@pytest.mark.slow
def test_the_real_pixels(lake_erie):
    pixels = read_patches(lake_erie / "pace_pixels.nc")
    assert pixels.Rrs.shape == (2041, 172, 1, 1)
    assert pixels.valid.all()
    assert pixels.time.min() == np.datetime64("2024-03-07T17:42:36")
    stations = read_patches(lake_erie / "pace_station_patches.nc")
    known = {spectrum.tobytes() for spectrum in stations.Rrs.transpose(0, 2, 3, 1)[stations.valid]}
    again = np.array([spectrum.tobytes() in known for spectrum in pixels.Rrs[:, :, 0, 0]])
    assert (again.sum(), (~again).sum()) == (1275, 766)  # counts of the protocol
    months = pixels.time[~again].astype("datetime64[M]")
    assert sorted(set(months.astype(str).tolist())) == ["2024-03", "2024-12"]
