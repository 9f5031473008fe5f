"""What a map costs: a made-up period of the western basin, and of the whole lake, from cube to store.

Cubes have the bands of the released model and spectra of no meaning; six cells of ten are water. Against them
stands what a notebook would do: one patch at a time, with the period before, from the same cube.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.composing import peak_megabytes
from benchmarks.entry import Entry, entry_of
from spectm.apps.cells import CubeCells, Windows, estimates_of, look_alone, look_at
from spectm.apps.columns import outlook_columns, thresholds_of
from spectm.apps.fields import fields_of
from spectm.apps.planning import HORIZONS, plan
from spectm.apps.predict import predict_maps
from spectm.data.grid import Grid
from spectm.data.patches import Patches
from spectm.data.regions import parse_region
from spectm.training.forecaster import Forecaster
from spectm.training.released import load
from spectm.trust.thresholds import profile

__all__ = ["measure"]

MODEL = os.environ.get("SPECTM_BENCH_MODEL", "erie-2024")
REGIONS = {"basin": "lake-erie-west", "lake": "lake-erie"}
RESOLUTION, FIRST = 0.01, "2024-07-27"
ROOT = Path(__file__).parents[1]
PROFILES = [profile("who-2020"), profile("epa-2019")]
N_SINGLE, N_TRUST, N_RUNS = 30, 1024, 3
_entry = partial(entry_of, "predict")


def measure(say: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)) -> list[Entry]:
    """Speed, what trust adds, and memory, on cubes in a temporary folder that are removed at the end."""
    model = load(MODEL)
    with tempfile.TemporaryDirectory(prefix="spectm-bench-") as name:
        folder = Path(name)
        basin = _make(folder / "basin.zarr", model, REGIONS["basin"], n_periods=2)
        say("made a cube of the western basin")
        entries = [*_speed(basin, folder, model, say), _trust(basin, model, say)]
        return [*entries, *_memory(folder, model, say)]


def _make(path: Path, model: Forecaster, region: str, n_periods: int) -> Path:
    """Cube of spectra around what the model learned from."""
    from tests.data.cubes import make_cube

    rng = np.random.default_rng(0)
    grid = Grid.over(parse_region(region), RESOLUTION)
    wavelength = model.applicability.wavelength
    kept = wavelength >= 400
    typical = np.interp(wavelength, wavelength[kept], model.applicability.spectrum.centre)
    row, column = np.mgrid[: grid.n_rows, : grid.n_columns]
    middle = (grid.n_rows - 1) / 2, (grid.n_columns - 1) / 2
    water = ((row - middle[0]) / grid.n_rows) ** 2 + (
        (column - middle[1]) / grid.n_columns
    ) ** 2 < 0.6 / np.pi
    Rrs = np.full((n_periods, *grid.shape, wavelength.size), np.nan, dtype=np.float32)
    bright = rng.uniform(0.7, 1.3, (n_periods, int(water.sum()), 1))
    Rrs[:, water] = typical * bright * rng.normal(1, 0.01, (n_periods, int(water.sum()), wavelength.size))
    return make_cube(
        path,
        Rrs,
        first=FIRST,
        west=grid.west,
        north=grid.north,
        resolution=RESOLUTION,
        wavelength=wavelength.tolist(),
    )


def _speed(cube: Path, folder: Path, model: Forecaster, say: Callable[[str], None]) -> list[Entry]:
    """Seconds of a period from cube to store, and cells a second against one patch at a time."""
    seconds, busy, n_cells = [], [], 0
    for run in range(N_RUNS):
        started, before = time.perf_counter(), time.process_time()
        report = predict_maps(plan(MODEL, cube, folder / f"out{run}", PROFILES, periods=("latest",)))
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - before)
        n_cells = report.n_estimates
        say(f"{n_cells} cells in {seconds[-1]:.1f} s, {busy[-1]:.1f} s of processors")
    weekly = _weekly(cube, folder / "weekly")
    say(f"with the period before in the store: {weekly:.1f} s")
    single = _one_at_a_time(cube, model)
    say(f"one patch at a time: {single * 1e3:.0f} ms each")
    note = (
        "both horizons, intervals and flags; the period before is looked at too; reading and writing included"
    )
    return [
        _entry("basin/time", median(seconds), "s", runs=tuple(seconds), note=f"{n_cells} cells; {note}"),
        _entry(
            "basin/weekly_time",
            weekly,
            "s",
            note="the same where the period before is in the store, as it is week after week; one run",
        ),
        _entry(
            "basin/processor_time",
            median(busy),
            "s",
            runs=tuple(busy),
            note="the same run, all cores together: half of it is the time on two cores that do nothing else",
        ),
        _entry(
            "basin/speed",
            n_cells / median(seconds),
            "cells/s",
            against="one patch at a time",
            ratio=single * n_cells / median(seconds),
            note=note,
        ),
    ]


def _weekly(cube: Path, out: Path) -> float:
    """Seconds of the latest period where the store holds the one before."""
    predict_maps(plan(MODEL, cube, out, PROFILES, periods=(FIRST,)))
    started = time.perf_counter()
    predict_maps(plan(MODEL, cube, out, PROFILES, periods=("latest",)))
    return time.perf_counter() - started


def _one_at_a_time(cube: Path, model: Forecaster) -> float:
    """Seconds of a patch and the one before it, from cube to columns; one thread, which suits it best."""
    cells, thresholds = CubeCells(cube), thresholds_of(PROFILES)
    row, column = np.nonzero(cells.counts(1, cells.layout.grid.whole) > 0)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = []
    for k in range(N_SINGLE):
        started = time.perf_counter()
        at = row[k : k + 1], column[k : k + 1]
        pair = _pair(*(next(cells.windows(i, *at)) for i in (1, 0)), cells.wavelength)
        outlook_columns(model.outlook(pair, HORIZONS), thresholds)
        seconds.append(time.perf_counter() - started)
    torch.set_num_threads(n_threads)
    return median(seconds)


def _trust(cube: Path, model: Forecaster, say: Callable[[str], None]) -> Entry:
    """What intervals, flags and exceedance add to the estimates of now and of eight days ahead."""
    parts = _windows(cube, 1, N_TRUST)
    wavelength = model.applicability.wavelength
    now = Windows(
        **{
            name: np.concatenate([getattr(one, name) for one in parts])
            for name in Windows.__dataclass_fields__
        }
    )
    thresholds = tuple(one.value for one in PROFILES[0].thresholds)

    def plain() -> None:
        for one in estimates_of(model, now, look_alone(model, [now], wavelength), (), HORIZONS):
            _ = one.median

    def whole() -> None:
        log10, flags = look_at(model, [now], wavelength)
        fields_of(estimates_of(model, now, log10, (), HORIZONS), flags, thresholds)

    seconds: dict[Callable[[], None], list[float]] = {plain: [], whole: []}
    plain()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(5):
        for way, runs in seconds.items():
            started = time.perf_counter()
            way()
            runs.append(time.perf_counter() - started)
    torch.set_num_threads(n_threads)
    typical = {way: median(runs) for way, runs in seconds.items()}
    say(f"estimates {typical[plain]:.2f} s, with intervals, flags and exceedance {typical[whole]:.2f} s")
    return _entry(
        "trust/time",
        typical[whole],
        "s",
        against="estimates alone",
        ratio=typical[whole] / typical[plain],
        runs=tuple(seconds[whole]),
        note=f"{N_TRUST} windows in memory, one thread, runs in turns",
    )


def _memory(folder: Path, model: Forecaster, say: Callable[[str], None]) -> list[Entry]:
    """Peak of a process that predicts one period, for the basin and for the lake."""
    peak: dict[str, float] = {}
    for name, region in REGIONS.items():
        cube = _make(folder / f"one-{name}.zarr", model, region, n_periods=1)
        words = [sys.executable, "-m", "benchmarks.predicting", str(cube), str(folder / f"peak-{name}")]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds, peak[name] = map(float, done.stdout.split()[-2:])
        say(f"{name}: {seconds:.0f} s, peak {peak[name]:.0f} MB")
    note = "peak of a process of its own, two threads, one period"
    return [
        _entry("memory/basin", peak["basin"], "MB", note=note),
        _entry(
            "memory/lake",
            peak["lake"],
            "MB",
            against="predict/memory/basin",
            ratio=peak["lake"] / peak["basin"],
            note=f"{note}; nine times as many cells",
        ),
    ]


def _windows(cube: Path, i: int, n: int) -> list[Windows]:
    """Windows of the first n cells of a period, in parts."""
    cells = CubeCells(cube)
    row, column = np.nonzero(cells.counts(i, cells.layout.grid.whole) > 0)
    return list(cells.windows(i, row[:n], column[:n]))


def _pair(now: Windows, before: Windows, wavelength: np.ndarray) -> Patches:
    """A patch and that of the period before, as one would give them to a model."""
    both = {
        name: np.concatenate([getattr(one, name) for one in (now, before)])
        for name in Windows.__dataclass_fields__
    }
    return Patches(wavelength=wavelength, station=np.full(2, ""), source="a benchmark", **both)


def _main(words: list[str]) -> None:
    cube, out = map(Path, words)
    started = time.perf_counter()
    predict_maps(plan(MODEL, cube, out, PROFILES), workers=2)
    print(time.perf_counter() - started, peak_megabytes())


if __name__ == "__main__":
    _main(sys.argv[1:])
