"""What it costs to bring a granule of the true size onto the grid of a lake, against other ways to do so.

Two granules of 1,710 x 1,272 pixels and 172 bands are written once, in the real layout and compressed, with
chunks of 64 x 128 x 32 and of whole lines; more are copies with shifted places. Whatever reads whole files
runs in a process of its own, so that its peak of memory can be told.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import h5py
import numpy as np

from benchmarks.entry import Entry, machine_name
from spectm.data.composite import CompositeConfig, _Accumulator, _part, compose_tile
from spectm.data.granule import open_granule, read_variables
from spectm.data.grid import Grid
from spectm.data.regions import parse_region
from spectm.spectral.sensors import named_sensor

__all__ = ["measure", "peak_megabytes"]

N_LINES, N_PIXELS = 1710, 1272
CHUNKINGS = {"blocks": (64, 128, 32), "lines": (8, N_PIXELS, 172)}
REGION = parse_region("lake-erie-west")
GRID = Grid.over(REGION, 0.0125)
END = np.datetime64("2024-08-12")
ROOT = Path(__file__).parents[1]
N_RUNS = 15


def measure(say: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)) -> list[Entry]:
    """All three comparisons, on files in a temporary folder that are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="spectm-bench-") as folder:
        files = {}
        for name, chunks in CHUNKINGS.items():
            files[name] = _write_granule(Path(folder) / f"PACE_OCI.20240804T175305.{name}.nc", chunks)
            say(f"wrote a granule in {name}: {files[name].stat().st_size / 1e6:.0f} MB")
        return [
            *_against_griddata(files, say),
            *_against_libraries(files["blocks"], say),
            *_scaling(files["blocks"], Path(folder), say),
        ]


def _write_granule(path: Path, chunks: tuple[int, int, int]) -> Path:
    """A swath that climbs over North America with the lake near its middle: water-like spectra with noise."""
    from tests.data.granules import write_l2_granule

    rng = np.random.default_rng(0)
    line, pixel = np.mgrid[:N_LINES, :N_PIXELS].astype(np.float64)
    angle = (pixel / (N_PIXELS - 1) - 0.5) * 2  # pixels grow towards the edges, as those of a scanner do
    across_km = 1330 * (0.65 * angle + 0.35 * angle**3)
    latitude = 41.7 + ((line - N_LINES / 2) * 1.15 - 0.25 * across_km) / 111.2
    longitude = -83.0 + (across_km + 0.25 * (line - N_LINES / 2) * 1.15) / (
        111.2 * np.cos(np.radians(latitude))
    )
    wavelength = named_sensor("oci-aop-v3").wavelength
    shape = np.exp(-(((wavelength - 560) / 70) ** 2)).astype(np.float32)
    level = (0.006 + 0.004 * np.sin(line / 40) * np.cos(pixel / 30)).astype(np.float32)
    Rrs = level[..., None] * (0.3 + shape)
    Rrs += rng.normal(0, 1e-4, (64, N_PIXELS, wavelength.size)).astype(np.float32)[np.arange(N_LINES) % 64]
    return write_l2_granule(
        path, latitude=latitude, longitude=longitude, Rrs=Rrs, wavelength=wavelength, chunks=chunks
    )


def _against_griddata(files: dict[str, Path], say: Callable[[str], None]) -> list[Entry]:
    """One granule to the lake's grid, against reading it whole and scipy's griddata."""
    entries = []
    for name, path in files.items():
        ours, theirs = _in_process("ours", path), _in_process("griddata", path)
        reading, whole = _share_of_reading(path)
        say(f"{name}: ours {ours}, griddata {theirs} (seconds, MB); reading {reading:.2f} of {whole:.2f} s")
        base = f"compose_vs_griddata/{name}"
        share = "finding, reading and decompressing; median of five alternating runs in one process"
        note = "one run each, in processes of their own; the start of Python left out of the time"
        entries += [
            _entry(
                f"{base}/speed",
                1 / ours[0],
                "granules/s",
                "xarray + scipy griddata",
                theirs[0] / ours[0],
                note,
            ),
            _entry(f"{base}/memory", ours[1], "MB", "xarray + scipy griddata", ours[1] / theirs[1], "peak"),
            _entry(f"{base}/reading", reading, "s", "the whole tile", reading / whole, share),
        ]
    return entries


def _share_of_reading(path: Path) -> tuple[float, float]:
    """Seconds that reading takes, and all of a tile; each the median of five, in turns."""
    seconds: dict[Callable[[Path], None], list[float]] = {_reading: [], _ours: []}
    for _ in range(5):
        for function, runs in seconds.items():
            started = time.perf_counter()
            function(path)
            runs.append(time.perf_counter() - started)
    return median(seconds[_reading]), median(seconds[_ours])


def _against_libraries(path: Path, say: Callable[[str], None]) -> list[Entry]:
    """Arrays in memory to the grid: the crop around the lake, and the whole granule."""
    entries = []
    for extent, region in (("crop", REGION), ("whole", None)):
        with open_granule(path, region=region) as granule:
            arrays = (
                granule["lat"].values.astype(np.float64),
                granule["lon"].values.astype(np.float64),
                read_variables(granule, ["Rrs"])["Rrs"].values.astype(np.float32),
            )
        ways = {"ours": _bin, "pyresample kd-tree": _pyresample, "rasterio": _rasterio}
        if extent == "crop":
            ways["pyresample bucket, one band"] = _bucket
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(N_RUNS if extent == "crop" else 3):
            for way, function in ways.items():
                started = time.perf_counter()
                function(*arrays)
                seconds[way].append(time.perf_counter() - started)
        typical = {way: median(runs) for way, runs in seconds.items()}
        say(f"{extent}: " + ", ".join(f"{way} {value * 1e3:.1f} ms" for way, value in typical.items()))
        for way, value in typical.items():
            if way != "ours":
                name = f"compose_vs_library/{extent}/{way.replace(', ', ' ').replace(' ', '_')}"
                ratio = value / typical["ours"]
                entries.append(
                    _entry(name, 1 / typical["ours"], "granules/s", way, ratio, "arrays in memory")
                )
    return entries


def _scaling(path: Path, folder: Path, say: Callable[[str], None]) -> list[Entry]:
    """A period of 8, 16 and 32 granules: seconds and peak memory of the whole command."""
    granules = folder / "granules"
    granules.mkdir()
    found: dict[int, tuple[float, float]] = {}
    rng = np.random.default_rng(1)
    for n in (8, 16, 32):
        for i in range(len(list(granules.iterdir())), n):
            copy = granules / f"PACE_OCI.20240804T17{i:02d}05.L2.OC_AOP.V3_1.nc"
            shutil.copy(path, copy)
            with h5py.File(copy, "r+") as file:
                start = f"2024-08-{4 + i % 8:02d}T17:{i:02d}:05"
                file.attrs["time_coverage_start"] = np.bytes_(f"{start}.000Z")
                for axis in ("latitude", "longitude"):
                    values = file[f"navigation_data/{axis}"]
                    values[...] = values[...] + rng.uniform(-0.3, 0.3)
        out = folder / f"cube-{n}.zarr"
        found[n] = _in_process("compose", granules, out)
        say(f"{n} granules: {found[n][0]:.1f} s, {found[n][1]:.0f} MB")
    entries = []
    for n, (seconds, megabytes) in found.items():
        base = f"compose_scaling/{n}_granules"
        per_granule = seconds / n / (found[8][0] / 8)
        note = "time for each granule, relative to 8 granules: 1 is linear"
        entries.append(
            _entry(f"{base}/time", seconds, "s", "compose_scaling/8_granules/time", per_granule, note)
        )
        ratio = megabytes / found[8][1]
        entries.append(
            _entry(f"{base}/memory", megabytes, "MB", "compose_scaling/8_granules/memory", ratio, "peak")
        )
    return entries


def _entry(name: str, value: float, unit: str, against: str, ratio: float, note: str) -> Entry:
    return Entry(
        name=name, value=value, unit=unit, machine=machine_name(), against=against, ratio=ratio, note=note
    )


# Ways to bring arrays onto the grid


def _bin(latitude: np.ndarray, longitude: np.ndarray, Rrs: np.ndarray) -> np.ndarray:
    """Mean and spread of the pixels in each cell, as a composite makes them."""
    cell = GRID.cell_of(latitude, longitude, GRID.whole)
    inside = cell >= 0
    values = Rrs[inside]
    whole, cell = np.isfinite(values).all(axis=1), cell[inside]
    if not whole.all():
        cell, values = cell[whole], values[whole]
    accumulator = _Accumulator(GRID.n_rows * GRID.n_columns, Rrs.shape[2], "mean")
    accumulator.add(_part(cell, values, np.zeros(cell.size), None, keep_pixels=False))
    return accumulator.result()[0]


def _pyresample(latitude: np.ndarray, longitude: np.ndarray, Rrs: np.ndarray) -> np.ndarray:
    """Nearest pixel of each cell, by a kd-tree."""
    from pyresample import geometry, kd_tree

    source = geometry.SwathDefinition(lons=longitude, lats=latitude)
    lon, lat = np.meshgrid(GRID.longitude, GRID.latitude)
    target = geometry.SwathDefinition(lons=lon, lats=lat)
    return kd_tree.resample_nearest(source, Rrs, target, radius_of_influence=2000, fill_value=np.nan)


def _bucket(latitude: np.ndarray, longitude: np.ndarray, Rrs: np.ndarray) -> np.ndarray:
    """Averages of one band by pyresample's buckets; all bands would take as often as long."""
    import dask.array as da
    from pyresample.area_config import create_area_def
    from pyresample.bucket import BucketResampler

    west, north = GRID.west, GRID.north
    south, east = north - GRID.n_rows * GRID.resolution, west + GRID.n_columns * GRID.resolution
    area = create_area_def("lake", "EPSG:4326", shape=GRID.shape, area_extent=(west, south, east, north))
    lon, lat = (da.from_array(axis) for axis in (longitude, latitude))
    return BucketResampler(area, lon, lat).get_average(da.from_array(Rrs[..., 0])).compute()


def _rasterio(latitude: np.ndarray, longitude: np.ndarray, Rrs: np.ndarray) -> np.ndarray:
    """Nearest pixel by GDAL's warper and geolocation arrays."""
    from rasterio.crs import CRS
    from rasterio.transform import from_origin
    from rasterio.warp import Resampling, reproject

    bands = np.ascontiguousarray(np.moveaxis(Rrs, 2, 0))
    made = np.full((bands.shape[0], *GRID.shape), np.nan, dtype=np.float32)
    reproject(
        bands,
        made,
        src_geoloc_array=np.stack([longitude, latitude]),
        src_crs=CRS.from_epsg(4326),
        dst_crs=CRS.from_epsg(4326),
        dst_transform=from_origin(GRID.west, GRID.north, GRID.resolution, GRID.resolution),
        resampling=Resampling.nearest,
        src_nodata=np.nan,
        dst_nodata=np.nan,
    )
    return made


# What runs in a process of its own


def _in_process(way: str, *paths: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one of the functions below."""
    words = [sys.executable, "-m", "benchmarks.composing", way, *map(str, paths)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def _ours(path: Path) -> None:
    compose_tile([path], GRID, GRID.whole, 172, END, CompositeConfig())


def _reading(path: Path) -> None:
    """What `compose_tile` reads, and nothing done with it."""
    with open_granule(path, region=GRID.region_of(GRID.whole)) as granule:
        read_variables(granule, ["Rrs", "l2_flags"])


def _griddata(path: Path) -> None:
    """The way of many notebooks: everything into memory, then interpolate all bands at once."""
    import xarray as xr
    from scipy.interpolate import griddata

    with xr.open_dataset(path, group="navigation_data", engine="h5netcdf") as places:
        latitude, longitude = places["latitude"].values.ravel(), places["longitude"].values.ravel()
    with xr.open_dataset(path, group="geophysical_data", engine="h5netcdf", decode_timedelta=False) as data:
        Rrs = data["Rrs"].values.reshape(latitude.size, -1)
    target = np.meshgrid(GRID.longitude, GRID.latitude)
    griddata((longitude, latitude), Rrs, tuple(target), method="linear")


def _compose(granules: Path, out: Path) -> None:
    from spectm.data.compose import compose, granule_files

    compose(granule_files([granules]), out, REGION, memory_mb=1000)


def _main(words: list[str]) -> None:
    function = {"ours": _ours, "griddata": _griddata, "compose": _compose}[words[0]]
    started = time.perf_counter()
    function(*map(Path, words[1:]))
    seconds = time.perf_counter() - started
    print(seconds, peak_megabytes())


def peak_megabytes() -> float:
    """Most memory that this process held; what `getrusage` says would include its parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(
            line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
        )
        return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    _main(sys.argv[1:])
