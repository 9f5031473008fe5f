"""`spectm predict`: a trained model and patches in, a CSV out."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.matchups import LEAD_DAYS
from spectm.data.origin import is_simulated
from spectm.data.patches import Patches, read_patches
from spectm.errors import CheckpointError
from spectm.evaluation.results import write_table
from spectm.spectral.sensors import resample
from spectm.training.checkpoint import Checkpoint, check_bands, read_checkpoint
from spectm.training.finetune import RegressionData, load_regressor
from spectm.training.forecaster import load, model_folder

__all__ = ["add_arguments", "run"]

FloatArray = npt.NDArray[np.floating[Any]]

KINDS = ("forecaster", "regressor")  # blends and networks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Estimate particulate microcystin (ug/L, raw water) for every patch. A patch without a valid pixel "
        "keeps its line, without an estimate. A blend also looks at the patches of the same place in the ten "
        "days before, and estimates eight days ahead. The spread is the model's own and not calibrated."
    )
    parser.epilog = "example:\n  spectm predict --model runs/current --patches patches.nc --out estimates.csv"
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="folder of spectm finetune, or a released model's name"
    )
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="netCDF")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="CSV")
    parser.add_argument("--resample", action="store_true", help="interpolate other bands to the model's")


def run(args: argparse.Namespace) -> int:
    """Predict, write, and say how many."""
    checkpoint = read_checkpoint(model_folder(args.model))
    if checkpoint.kind not in KINDS:
        wanted = " or ".join(map(repr, KINDS))
        raise CheckpointError(
            f"{args.model} holds a {checkpoint.kind!r} checkpoint, wanted {wanted}, as spectm finetune writes"
        )
    patches = read_patches(args.patches)
    if args.resample:
        patches = _on_bands_of(checkpoint, patches)
    check_bands(checkpoint, patches.wavelength)
    estimates = _estimates(args.model, checkpoint, patches)
    valid = patches.valid.any(axis=(1, 2))
    origin = _origin_notes(checkpoint, patches)
    notes = ["resampled"] * args.resample + origin
    table = pd.DataFrame(
        {
            "station": patches.station,
            "overpass_time": np.char.add(np.datetime_as_string(patches.time.astype("datetime64[s]")), "Z"),
            "latitude": patches.latitude,
            "longitude": patches.longitude,
            **{name: np.where(valid, values, np.nan) for name, values in estimates.items()},
            "note": np.where(valid, "; ".join(notes), "; ".join(["no valid pixel", *origin])),
        }
    )
    write_table(table, args.out)
    resampled = ", resampled to the model's bands" if args.resample else ""
    if origin:
        print(f"note: {'; '.join(origin)}", file=sys.stderr)
    print(f"{int(valid.sum())} of {len(table)} patches estimated{resampled}\nwrote {args.out}")
    return 0


def _estimates(name: str, checkpoint: Checkpoint, patches: Patches) -> dict[str, FloatArray]:
    """Columns of estimates: of a blend now and eight days ahead, of a network what it was trained for."""
    if checkpoint.kind == "forecaster":
        model = load(name)
        now, ahead = model.predict_patches(patches, (0.0, LEAD_DAYS))
        return {
            "microcystin_ug_per_l": 10 ** now[0],
            "spread_log10": now[1],
            "ahead_ug_per_l": 10 ** ahead[0],
            "ahead_spread_log10": ahead[1],
        }
    if checkpoint.meta.get("n_context"):
        raise CheckpointError(
            f"{name} was trained with context {checkpoint.meta['provenance']['context']!r} beside the "
            "spectrum, which patches alone do not hold; fine-tune with --context none to predict from patches"
        )
    data = RegressionData(Rrs=patches.Rrs, context=np.empty((patches.n_samples, 0)))
    mean, spread = load_regressor(Path(name)).predict(data)
    return {"microcystin_ug_per_l": 10**mean, "spread_log10": spread}


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
