"""`spectm predict`: a trained regressor and patches in, a CSV out."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from spectm.data.origin import is_simulated
from spectm.data.patches import Patches, read_patches
from spectm.errors import CheckpointError
from spectm.evaluation.results import write_table
from spectm.spectral.sensors import resample
from spectm.training.checkpoint import Checkpoint, check_bands, read_checkpoint
from spectm.training.finetune import RegressionData, load_regressor

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Estimate particulate microcystin (ug/L, raw water) for every patch. A patch without a valid pixel "
        "keeps its line, without an estimate. The spread is the model's own and not calibrated."
    )
    parser.epilog = "example:\n  spectm predict --model runs/current --patches patches.nc --out estimates.csv"
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder of spectm finetune")
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="netCDF")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="CSV")
    parser.add_argument("--resample", action="store_true", help="interpolate other bands to the model's")


def run(args: argparse.Namespace) -> int:
    """Predict, write, and say how many."""
    checkpoint = read_checkpoint(args.model, kind="regressor")
    if checkpoint.meta["n_context"]:
        raise CheckpointError(
            f"{args.model} was trained with context {checkpoint.meta['provenance']['context']!r} beside the "
            "spectrum, which patches alone do not hold; fine-tune with --context none to predict from patches"
        )
    patches = read_patches(args.patches)
    if args.resample:
        patches = _on_bands_of(checkpoint, patches)
    check_bands(checkpoint, patches.wavelength)
    data = RegressionData(Rrs=patches.Rrs, context=np.empty((patches.n_samples, 0)))
    mean, spread = load_regressor(args.model).predict(data)
    valid = patches.valid.any(axis=(1, 2))
    origin = _origin_notes(checkpoint, patches)
    notes = ["resampled"] * args.resample + origin
    table = pd.DataFrame(
        {
            "station": patches.station,
            "overpass_time": np.char.add(np.datetime_as_string(patches.time.astype("datetime64[s]")), "Z"),
            "latitude": patches.latitude,
            "longitude": patches.longitude,
            "microcystin_ug_per_l": np.where(valid, 10**mean, np.nan),
            "spread_log10": np.where(valid, spread, np.nan),
            "note": np.where(valid, "; ".join(notes), "; ".join(["no valid pixel", *origin])),
        }
    )
    write_table(table, args.out)
    resampled = ", resampled to the model's bands" if args.resample else ""
    if origin:
        print(f"note: {'; '.join(origin)}", file=sys.stderr)
    print(f"{int(valid.sum())} of {len(table)} patches estimated{resampled}\nwrote {args.out}")
    return 0


def _origin_notes(checkpoint: Checkpoint, patches: Patches) -> list[str]:
    """What of model and patches was simulated, for everybody who sees an estimate."""
    model = is_simulated(checkpoint.meta.get("provenance", {}))
    return ["simulated patches"] * patches.simulated + ["model of simulated data"] * model


def _on_bands_of(checkpoint: Checkpoint, patches: Patches) -> Patches:
    """Patches interpolated linearly to the model's bands; NaN beyond the ends, as ever."""
    target = np.array(checkpoint.meta["wavelength_nm"])
    by_band_last = np.moveaxis(patches.Rrs, 1, -1)
    resampled = np.moveaxis(resample(by_band_last, patches.wavelength, target), -1, 1)
    if (beyond := ~np.isfinite(resampled).any(axis=(0, 2, 3))).any():
        raise CheckpointError(
            f"{patches.source}: bands from {patches.wavelength[0]:g} to {patches.wavelength[-1]:g} nm can't "
            f"be resampled to the model's {target[beyond][0]:g} nm: nothing is extrapolated. Train a model "
            "on these bands"
        )
    return replace(patches, Rrs=resampled.astype(np.float32), wavelength=target)
