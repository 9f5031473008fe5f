from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from spectm.data import patches as patches_module
from spectm.data.patch_file import mapped_reflectance, writing_patches
from spectm.data.patches import Patches, read_patches, write_patches
from spectm.errors import PatchError

NM = np.array([443.0, 560.5, 665.0])


def make_file(path: Path, Rrs: np.ndarray, *, step: int = 2) -> Path:
    """A file written a few patches at a time."""
    n = len(Rrs)
    columns = ("time", "latitude", "longitude", "station", "n_valid")
    attrs = {"source": "made for a test"}
    nm = NM if Rrs.shape[1] == 3 else 400.0 + np.arange(Rrs.shape[1])
    with writing_patches(path, Rrs.shape, nm, columns=columns, attrs=attrs, time_name="noon") as writer:
        for first in range(0, n, step):
            rows = np.arange(first, min(first + step, n))
            writer.append(
                Rrs[rows],
                {
                    "time": np.datetime64("2024-08-04T12:00:01") + rows.astype("timedelta64[D]"),
                    "latitude": 41.0 + rows,
                    "longitude": -83.0 - rows,
                    "station": np.array([f"é{row}" for row in rows]),
                    "n_valid": rows,
                },
            )
    return path


@pytest.fixture
def Rrs() -> np.ndarray:
    values = np.random.default_rng(0).normal(0.002, 0.01, (5, 3, 3, 3)).astype("float32")
    values[1, 2, 0, 1], values[3] = np.nan, np.nan
    return values


def backing(array: np.ndarray) -> object:
    """What an array is a view of, at last."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def test_what_is_written_in_parts_is_read_back_in_full(tmp_path: Path, Rrs: np.ndarray) -> None:
    patches = read_patches(make_file(tmp_path / "p.nc", Rrs))
    np.testing.assert_array_equal(patches.Rrs, Rrs)
    assert patches.Rrs.dtype == np.float32
    assert patches.wavelength.tolist() == NM.tolist()
    assert patches.time.astype("datetime64[s]").astype(str).tolist()[4] == "2024-08-08T12:00:01"
    assert patches.station.tolist() == ["é0", "é1", "é2", "é3", "é4"]
    assert patches.latitude.tolist() == [41, 42, 43, 44, 45]
    assert patches.longitude.tolist() == [-83, -84, -85, -86, -87]
    assert patches.source == "made for a test"
    assert [file.name for file in tmp_path.iterdir()] == ["p.nc"]


@pytest.mark.slow
def test_reflectance_is_mapped_and_equals_a_plain_read(tmp_path: Path, Rrs: np.ndarray) -> None:
    path = make_file(tmp_path / "p.nc", Rrs)
    patches = read_patches(path)
    assert isinstance(backing(patches.Rrs), np.memmap)
    assert patches.Rrs.flags.aligned
    assert patches.Rrs.flags.c_contiguous
    with h5py.File(path) as file:
        np.testing.assert_array_equal(patches.Rrs, file["Rrs"][:])
    with xr.open_dataset(path, engine="h5netcdf") as plain:
        np.testing.assert_array_equal(patches.Rrs, plain["Rrs"].values)
        assert plain["Rrs"].attrs["units"] == "sr-1"
    np.testing.assert_array_equal(patches.select(slice(1, 4)).Rrs, Rrs[1:4])
    assert isinstance(backing(patches.select(slice(1, 4)).Rrs), np.memmap)


def test_a_change_in_memory_does_not_reach_the_file(tmp_path: Path, Rrs: np.ndarray) -> None:
    path = make_file(tmp_path / "p.nc", Rrs)
    before = path.read_bytes()
    patches = read_patches(path)
    patches.Rrs[0] = 7.0
    assert path.read_bytes() == before
    np.testing.assert_array_equal(read_patches(path).Rrs, Rrs)


def test_infinite_values_are_missing_before_they_are_written(tmp_path: Path, Rrs: np.ndarray) -> None:
    Rrs[0, 0, 0] = [np.inf, -np.inf, -0.02]
    found = read_patches(make_file(tmp_path / "p.nc", Rrs)).Rrs[0, 0, 0]
    assert np.isnan(found[:2]).all()
    assert found[2] == np.float32(-0.02)


def compress(path: Path) -> None:
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        dataset.load()
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"Rrs": {"zlib": True}})


def chunk(path: Path) -> None:
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        dataset.load()
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"Rrs": {"chunksizes": (2, 3, 3, 3)}})


def turn(path: Path) -> None:
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        dataset.load()
    dataset.transpose("wavelength", ...).to_netcdf(path, engine="h5netcdf")


def attribute(name: str, value: object, on: str = "Rrs") -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            (file[on] if on else file).attrs[name] = value

    return change


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        compress,
        chunk,
        attribute("scale_factor", np.float32(1.0)),
        attribute("missing_value", np.float32(-1.0)),
        attribute("_FillValue", np.float32(-1.0)),
        attribute("format", "another", on=""),
        attribute("format_version", 0, on=""),
    ],
    ids=["compressed", "chunked", "scaled", "missing value", "fill value", "format", "version"],
)
def test_a_file_that_was_changed_since_is_read_as_any_other(
    tmp_path: Path, Rrs: np.ndarray, change: Callable[[Path], None]
) -> None:
    path = make_file(tmp_path / "p.nc", Rrs)
    assert mapped_reflectance(path) is not None
    change(path)
    assert mapped_reflectance(path) is None
    patches = read_patches(path)
    assert not isinstance(backing(patches.Rrs), np.memmap)
    np.testing.assert_array_equal(patches.Rrs, Rrs)


@pytest.mark.slow
def test_turned_dimensions_are_turned_back(tmp_path: Path, Rrs: np.ndarray) -> None:
    path = make_file(tmp_path / "p.nc", Rrs)
    turn(path)
    np.testing.assert_array_equal(read_patches(path).Rrs, Rrs)


def test_bands_that_lie_in_another_order_are_sorted(tmp_path: Path, Rrs: np.ndarray) -> None:
    path = make_file(tmp_path / "p.nc", Rrs)
    with h5py.File(path, "r+") as file:
        file["wavelength"][:] = NM[::-1]
    patches = read_patches(path)
    assert patches.wavelength.tolist() == NM.tolist()
    np.testing.assert_array_equal(patches.Rrs, Rrs[:, ::-1])


@pytest.mark.slow
def test_the_files_of_others_are_not_mapped(tmp_path: Path, Rrs: np.ndarray) -> None:
    write_patches(read_patches(make_file(tmp_path / "p.nc", Rrs)), tmp_path / "other.nc")
    assert mapped_reflectance(tmp_path / "other.nc") is None


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, Rrs: np.ndarray, share: float) -> None:
    path = make_file(tmp_path / "p.nc", Rrs)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PatchError, match=r"complete netCDF-4 file.*p\.nc.*download complete"):
        read_patches(path)


def resident(kind: str) -> int:
    """Bytes of this process that lie in memory."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc here")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[kind].split()[0]) * 1024


@pytest.mark.slow
def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    n_bytes = 60_000_000
    block = np.full((1500, 100, 10, 10), 0.004, dtype="float32")
    make_file(tmp_path / "p.nc", block, step=250)
    assert (tmp_path / "p.nc").stat().st_size > n_bytes
    del block
    before = resident("VmRSS")
    patches = read_patches(tmp_path / "p.nc")
    assert resident("VmRSS") - before < 0.2 * n_bytes
    before = resident("RssAnon")
    patches_module.PART_BYTES, usual = 4_000_000, patches_module.PART_BYTES
    assert np.allclose(patches.mean_spectrum(), 0.004)
    patches_module.PART_BYTES = usual
    # Pages that were looked at can be dropped at any time; what the process itself needs stays small.
    assert resident("RssAnon") - before < 0.3 * n_bytes


def test_mean_and_validity_do_not_depend_on_the_parts(
    monkeypatch: pytest.MonkeyPatch, Rrs: np.ndarray
) -> None:
    n = len(Rrs)
    patches = Patches(
        Rrs=Rrs,
        wavelength=NM,
        time=np.full(n, np.datetime64("2024-08-04", "ns")),
        station=np.full(n, "A"),
        latitude=np.zeros(n),
        longitude=np.zeros(n),
        source="made",
    )
    mean, valid = patches.mean_spectrum(), patches.valid
    np.testing.assert_array_equal(valid, np.isfinite(Rrs).all(axis=1))
    monkeypatch.setattr(patches_module, "PART_BYTES", 2 * Rrs[0].nbytes)
    np.testing.assert_array_equal(patches.mean_spectrum(), mean)
    np.testing.assert_array_equal(patches.valid, valid)
