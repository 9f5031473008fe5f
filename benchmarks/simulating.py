"""How fast lakes are simulated: spectra from the forward model, and granules written as files."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.entry import Entry, machine_name
from spectm.simulation.granule_file import Granule, write_granule_file
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.sensor import lake_overpasses, observe
from spectm.spectral.optics import Water, band_reflectance
from spectm.spectral.sensors import named_sensor

__all__ = ["measure"]

RUNS = 5
N_SPECTRA, N_SINGLE = 2000, 40
DAY = np.datetime64("2024-08-11")


def measure() -> list[Entry]:
    """Spectra a second against one water at a time; megabytes a second against plain xarray."""
    waters = _waters()
    granule = _granule()
    size = _bytes(granule) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = Path(folder) / "ours.nc", Path(folder) / "plain.nc"
        seconds = _alternating(
            lambda: _all_at_once(waters),
            lambda: _one_by_one(waters),
            lambda: write_granule_file(granule, ours),
            lambda: _plain(granule, plain),
        )
        note = "megabytes of float32 held; a whole packed file of the archive's layout against its two "
        note += "spectral variables as float32; "
        note += f"files of {ours.stat().st_size / 1e6:.1f} and {plain.stat().st_size / 1e6:.1f} MB"
    amounts = (N_SPECTRA, N_SINGLE, size, size)
    rates = [[amount / one for one in runs] for amount, runs in zip(amounts, seconds, strict=True)]
    return [
        *_pair("spectra", "spectra/s", ("vectorised", "one-by-one"), rates[0], rates[1]),
        *_pair("granule", "MB/s", ("packed", "plain-xarray"), rates[2], rates[3], note),
    ]


def _pair(
    what: str, unit: str, modes: tuple[str, str], fast: list[float], slow: list[float], note: str = ""
) -> list[Entry]:
    """Two entries, the first as a ratio to the second."""
    names = [f"simulate/cpu/float64/{mode}/{what}_per_second" for mode in modes]
    values = [median(runs) for runs in (fast, slow)]
    about: dict[str, Any] = {"unit": unit, "machine": machine_name(), "note": note}
    ratio = values[0] / values[1]
    return [
        Entry(name=names[0], value=values[0], against=names[1], ratio=ratio, runs=tuple(fast), **about),
        Entry(name=names[1], value=values[1], runs=tuple(slow), **about),
    ]


def _alternating(*jobs: Callable[[], None]) -> list[list[float]]:
    """Seconds of each run of each job; jobs take turns, so that what slows the machine slows all."""
    seconds: list[list[float]] = [[] for _ in jobs]
    for _ in range(RUNS):
        for runs, job in zip(seconds, jobs, strict=True):
            start = time.perf_counter()
            job()
            runs.append(time.perf_counter() - start)
    return seconds


def _waters() -> Water:
    rng = np.random.default_rng(0)
    amounts = {"chlorophyll": 8.0, "cyano_chlorophyll": 10.0, "phycocyanin": 6.0, "minerals": 8.0}
    return Water(**{name: middle * rng.lognormal(0, 0.7, N_SPECTRA) for name, middle in amounts.items()})


def _all_at_once(waters: Water) -> None:
    band_reflectance(waters, named_sensor("oci-aop-v3"))


def _one_by_one(waters: Water) -> None:
    sensor = named_sensor("oci-aop-v3")
    varied = {name: values for name, values in asdict(waters).items() if np.ndim(values)}
    for k in range(N_SINGLE):
        band_reflectance(Water(**{name: values[k] for name, values in varied.items()}), sensor)


def _granule() -> Granule:
    lake = SimulatedLake(0, (2024,), cloudiness=0.1)
    return observe(lake, lake_overpasses(DAY, DAY)[-1], seed=0)


def _bytes(granule: Granule) -> int:
    """Size of the two spectral variables, unpacked to float32: what a reader gets."""
    return 2 * granule.latitude.size * granule.wavelength.size * 4


def _plain(granule: Granule, path: Path) -> None:
    """The same spectra as float32 through xarray, compressed as much."""
    shape = (*granule.latitude.shape, granule.wavelength.size)
    variables = {}
    for name, values in (("Rrs", granule.Rrs), ("Rrs_unc", granule.uncertainty)):
        whole = np.full(shape, np.nan, dtype=np.float32)
        whole[granule.line, granule.pixel] = values
        variables[name] = (("line", "pixel", "wavelength"), whole)
    encoding: dict[str, dict[str, Any]] = {
        name: {"compression": "gzip", "compression_opts": 4} for name in variables
    }
    xr.Dataset(variables).to_netcdf(path, engine="h5netcdf", encoding=encoding)
