"""What explaining many patches costs: seconds a patch, and whether memory grows with their number.

Each number of patches is explained by a process of its own, with the released model; spectra have no meaning.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.composing import peak_megabytes
from benchmarks.entry import Entry, entry_of
from spectm.data.patches import Patches
from spectm.evaluation.attributed import PATCHES_AT_ONCE, mean_attribution
from spectm.evaluation.hidden_windows import mean_occlusion
from spectm.training.forecaster import Forecaster
from spectm.training.released import load

__all__ = ["measure"]

MODEL = os.environ.get("SPECTM_BENCH_MODEL", "erie-2024")
FEW, MANY = PATCHES_AT_ONCE, 8 * PATCHES_AT_ONCE
ROOT = Path(__file__).parents[1]
_entry = partial(entry_of, "explain")


def measure(say: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)) -> list[Entry]:
    """Time and memory of the bands' attribution, for few patches and for eight times as many."""
    seconds, occluding, peak = {}, {}, {}
    for n in (FEW, MANY):
        words = [sys.executable, "-m", "benchmarks.explaining", str(n)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds[n], occluding[n], peak[0], peak[n] = map(float, done.stdout.split()[-4:])
        say(f"{n} patches: {seconds[n]:.0f} s, windows {occluding[n]:.1f} s, peak {peak[n]:.0f} MB")
    note = "a process of its own, one thread, five members, 3 x 3 pixels"
    few = f"explain/memory/{FEW}"
    return [
        _entry("time", seconds[MANY] / MANY, "s/patch", note=f"bands; {MANY} patches; {note}"),
        _entry("windows/time", occluding[MANY] / MANY, "s/patch", note=f"occlusion; {MANY} patches; {note}"),
        _entry(
            "memory/0", peak[0], "MB", note="the program with the model and the patches, before it explains"
        ),
        _entry(f"memory/{FEW}", peak[FEW], "MB", note=note),
        _entry(f"memory/{MANY}", peak[MANY], "MB", against=few, ratio=peak[MANY] / peak[FEW], note=note),
    ]


def _patches(model: Forecaster, n: int) -> Patches:
    """Spectra around what the model learned from, 3 x 3 pixels each."""
    rng = np.random.default_rng(0)
    wavelength = model.applicability.wavelength
    kept = wavelength >= 400
    typical = np.interp(wavelength, wavelength[kept], model.applicability.spectrum.centre)
    bright, noise = rng.uniform(0.7, 1.3, (n, 1, 1, 1)), rng.normal(1, 0.01, (n, wavelength.size, 3, 3))
    return Patches(
        Rrs=(typical[:, None, None] * bright * noise).astype(np.float32),
        wavelength=wavelength,
        time=np.full(n, "2024-08-04T18:00", dtype="datetime64[ns]"),
        station=np.full(n, ""),
        latitude=np.full(n, 41.7),
        longitude=np.full(n, -83.3),
        source="a benchmark",
    )


def _main(words: list[str]) -> None:
    torch.set_num_threads(1)
    model = load(MODEL)
    patches = _patches(model, int(words[0]))
    before, started = peak_megabytes(), time.perf_counter()
    found = mean_attribution(model, patches)
    attributed = time.perf_counter()
    if found.n_patches != patches.n_samples:
        raise RuntimeError(f"{patches.n_samples - found.n_patches} of {patches.n_samples} were not explained")
    mean_occlusion(model, patches)
    print(attributed - started, time.perf_counter() - attributed, before, peak_megabytes())


if __name__ == "__main__":
    _main(sys.argv[1:])
