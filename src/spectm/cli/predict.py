"""`spectm predict`: a trained model and patches in, a CSV out; or a cube in, a prediction store out."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import spectm
from spectm.apps.cells import on_bands
from spectm.apps.columns import ABOUT, find_profile, outlook_columns, thresholds_of
from spectm.apps.planning import Job, plan
from spectm.apps.points import REASONS_WITHOUT, PointsReport, check_points, predict_points
from spectm.apps.points_file import read_points
from spectm.apps.predict import PredictReport, predict_maps
from spectm.cli.options import add_python, read_sources
from spectm.cli.own import predict_own
from spectm.cli.progress import progress_bar
from spectm.data.matchups import LEAD_DAYS
from spectm.data.origin import is_simulated
from spectm.data.patches import Patches, read_patches
from spectm.data.splits import excluded_by
from spectm.data.times import utc_stamps
from spectm.errors import CheckpointError, ConfigError
from spectm.evaluation.results import write_table
from spectm.files import write_json
from spectm.spectral.resampling import resampling_record
from spectm.training.checkpoint import Checkpoint, check_bands, read_checkpoint
from spectm.training.finetune import RegressionData, load_regressor
from spectm.training.released import KIND, forecaster_of, model_folder
from spectm.training.spectral_model import KIND as OWN_KIND
from spectm.trust.thresholds import Profile, profile_names

__all__ = ["add_arguments", "run"]

KINDS = (KIND, "regressor")  # blends and networks
USUAL_PROFILE = "who-2020"
# Options of --cube, and what they are without being given.
OF_CUBES: dict[str, Any] = {
    "period": ["all"],
    "points": None,
    "only_points": False,
    "size": 3,
    "workers": None,
    "memory": 2000.0,
    "cluster": None,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Estimate particulate microcystin (ug/L, raw water), now and eight days ahead, with 50 and 90 % "
        "intervals, the probability to lie above thresholds, and a flag where the spectrum is unlike those "
        "learned from. What was seen of the same place in the ten days before counts too.\n\n"
        "Of a cube: every cell of every period, into a folder that the other commands read "
        "(docs/predicting.md). It is readable while it is written; after Ctrl-C the same command goes on, "
        "and when the cube has grown it adds what is new. Of patches: one line each, into a CSV; one without "
        "a valid pixel keeps its line, without an estimate. A network (spectm finetune --head network) takes "
        "patches only, and gives what it was trained for, with a spread of its own that is not calibrated."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm predict --model erie-2024 --cube erie.zarr --out predictions\n"
        "  spectm predict --model erie-2024 --cube erie.zarr --out predictions --period latest "
        "--points stations.csv\n"
        "  spectm predict --model erie-2024 --patches patches.nc --profile who-2020 "
        "--profile epa-2019 --out estimates.csv"
    )
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="folder of spectm finetune, or a released model's name"
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--cube", type=Path, metavar="CUBE", help="folder of spectm compose")
    data.add_argument("--patches", type=Path, metavar="FILE", help="netCDF")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="folder for a cube, CSV for patches"
    )
    parser.add_argument(
        "--resample",
        action="store_true",
        help="interpolate other bands to the model's, and record it beside the estimates",
    )
    parser.add_argument(
        "--profile",
        action="append",
        metavar="NAME",
        help="thresholds: a profile that ships, or a file of one's own (.toml); may be repeated (default: "
        f"{USUAL_PROFILE}; known: {', '.join(profile_names())})",
    )
    add_python(parser)
    _add_cube_arguments(parser.add_argument_group("with --cube"))


def _add_cube_arguments(group: Any) -> None:
    """Options that patches do not have; without a default, so that it can be told whether they were given."""
    group.add_argument(
        "--period",
        nargs="+",
        metavar="WHEN",
        help="all, latest, or days of the periods wanted, such as 2024-08-12 (default: all)",
    )
    group.add_argument(
        "--points",
        type=Path,
        metavar="FILE",
        help="CSV with latitude and longitude, and date where there is one: the same rows with estimates go "
        "to points.csv",
    )
    group.add_argument("--only-points", action="store_const", const=True, help="no maps")
    group.add_argument(
        "--size", type=int, metavar="N", help="cells on a side of the window around each cell (default: 3)"
    )
    group.add_argument("--workers", type=int, metavar="N", help="threads (default: one a core)")
    group.add_argument(
        "--memory", "--memory-mb", type=float, metavar="MB", help="for all tasks together (default: 2000)"
    )
    group.add_argument("--cluster", metavar="ADDRESS", help="dask.distributed scheduler")


def run(args: argparse.Namespace) -> int:
    """Predict, write, and say how many."""
    given = [name for name in OF_CUBES if getattr(args, name) is not None]
    for name in OF_CUBES.keys() - given:
        setattr(args, name, OF_CUBES[name])
    if args.cube is not None:
        return _of_cube(args)
    if given:
        option = given[0].replace("_", "-")
        raise ConfigError(f"--{option} is an option of --cube. Leave it out, or give a cube.")
    return _of_patches(args)


def _of_cube(args: argparse.Namespace) -> int:
    """Maps and points into a folder."""
    if args.only_points and args.points is None:
        raise ConfigError("--only-points wants --points FILE, found none. Give the places, or leave it out.")
    profiles = [find_profile(name) for name in args.profile or [USUAL_PROFILE]]
    points = None if args.points is None else read_points(args.points)
    job = plan(
        args.model,
        args.cube,
        args.out,
        profiles,
        periods=args.period,
        size=args.size,
        resample=args.resample,
        maps=not args.only_points,
    )
    if points is not None:
        check_points(job, points)
    if job.source.resampled:
        print("note: the cube is resampled to the model's bands", file=sys.stderr)
    if job.record["simulated"]:
        print(f"note: {_simulated(job)}", file=sys.stderr)
    if not args.only_points:
        with progress_bar("predicting", "tile") as show:
            try:
                report = predict_maps(
                    job,
                    workers=args.workers,
                    memory_mb=args.memory,
                    cluster=args.cluster,
                    progress=show,
                )
            except KeyboardInterrupt:
                raise KeyboardInterrupt("(the same command goes on from here)") from None
        _print_maps(report)
    if points is not None:
        with progress_bar("points", "period") as show:
            _print_points(predict_points(job, points, progress=show))
    print("\n".join(one.describe() for one in profiles))
    print(f"wrote {args.out}")
    return 0


def _simulated(job: Job) -> str:
    parts = [name for name, key in (("cube", "data"), ("model", "model")) if job.record[key]["simulated"]]
    return f"simulated {' and '.join(parts)}"


def _print_maps(report: PredictReport) -> None:
    print(
        f"{len(report.written)} periods predicted, {len(report.unchanged)} left as they were: "
        f"{report.n_estimates:,} estimates, {report.n_flagged:,} flagged"
    )


def _print_points(report: PointsReport) -> None:
    print(
        f"{report.n_rows:,} rows of points, {report.n_lines:,} lines, {report.n_estimates:,} with an estimate"
    )
    for reason, n in report.without.items():
        print(f"  {n:,} without: {reason} ({REASONS_WITHOUT[reason]})")


def _of_patches(args: argparse.Namespace) -> int:
    """One line for each patch."""
    checkpoint = read_checkpoint(model_folder(args.model))
    if checkpoint.kind == OWN_KIND:
        return predict_own(args, checkpoint)
    if checkpoint.kind not in KINDS:
        wanted = " or ".join(map(repr, KINDS))
        raise CheckpointError(
            f"{args.model} holds a {checkpoint.kind!r} checkpoint, wanted {wanted}, as spectm finetune writes"
        )
    profiles = [find_profile(name) for name in args.profile or [USUAL_PROFILE]]
    patches = seen = read_patches(args.patches)
    if args.resample:
        patches = _on_bands_of(checkpoint, patches)
    check_bands(checkpoint.meta, patches.wavelength, where=patches.source)
    estimates = _estimates(args.model, checkpoint, patches, profiles)
    valid = np.asarray(patches.valid.any(axis=(1, 2)))
    origin = _origin_notes(checkpoint, patches)
    notes = ["resampled"] * args.resample + origin
    table = pd.DataFrame(
        {
            "station": patches.station,
            "overpass_time": utc_stamps(patches.time),
            "latitude": patches.latitude,
            "longitude": patches.longitude,
            **estimates,
            "note": ["; ".join(one) for one in _notes(checkpoint, patches, valid, notes, origin)],
            "about": ABOUT,
        }
    )
    write_table(table, args.out)
    written = [args.out, *([_write_record(args, checkpoint, seen)] if args.resample else [])]
    resampled = ", resampled to the model's bands" if args.resample else ""
    if origin:
        print(f"note: {'; '.join(origin)}", file=sys.stderr)
    print(f"{int(valid.sum())} of {len(table)} patches estimated{resampled}{_flagged(estimates)}")
    if checkpoint.kind == KIND:
        print("\n".join(one.describe() for one in profiles))
    print("wrote " + "\n      ".join(map(str, written)))
    return 0


def _write_record(args: argparse.Namespace, checkpoint: Checkpoint, seen: Patches) -> Path:
    """How patches of other bands became the model's, beside the table; the path."""
    path = Path(args.out).with_suffix(".run.json")
    (_, files), target = read_sources([args.patches]), np.array(checkpoint.meta["wavelength_nm"])
    record = {
        "spectm_version": spectm.__version__,
        "model": {"name": Path(args.model).name, "weights": checkpoint.meta["files"]["weights"]},
        "data": files[0],
        "resampling": resampling_record(seen.wavelength, target, source=seen.source),
    }
    write_json(path, record)
    return path


def _notes(
    checkpoint: Checkpoint,
    patches: Patches,
    valid: npt.NDArray[np.bool_],
    notes: list[str],
    origin: list[str],
) -> Iterator[list[str]]:
    """What is to be said of each patch: estimates of days that a model has seen are better than others."""
    times = np.array(checkpoint.meta.get("times", []), dtype="datetime64[ns]")
    learned = excluded_by(patches.first, times, until=patches.last)
    for is_valid, is_learned in zip(valid, learned, strict=True):
        if is_valid:
            yield ["within 60 hours of samples learned from"] * bool(is_learned) + notes
        else:
            yield ["no valid pixel", *origin]


def _flagged(estimates: Mapping[str, npt.NDArray[Any]]) -> str:
    """How many spectra are unlike those learned from."""
    return f", {int((estimates['flagged'] == 'yes').sum())} flagged" if "flagged" in estimates else ""


def _estimates(
    name: str, checkpoint: Checkpoint, patches: Patches, profiles: Sequence[Profile]
) -> dict[str, npt.NDArray[Any]]:
    """Columns of estimates: of a blend now and eight days ahead, of a network what it was trained for."""
    if checkpoint.kind == KIND:
        outlook = forecaster_of(checkpoint).outlook(patches, (0.0, LEAD_DAYS))
        return outlook_columns(outlook, thresholds_of(profiles))
    if checkpoint.meta.get("n_context"):
        raise CheckpointError(
            f"{name} was trained with context {checkpoint.meta['provenance']['context']!r} beside the "
            "spectrum, which patches alone do not hold; fine-tune with --context none to predict from patches"
        )
    data = RegressionData(Rrs=patches.Rrs, context=np.empty((patches.n_samples, 0)))
    mean, spread = load_regressor(Path(name)).predict(data)
    valid = patches.valid.any(axis=(1, 2))
    found = {"microcystin_ug_per_l": 10**mean, "spread_log10": spread}
    return {column: np.where(valid, values, np.nan) for column, values in found.items()}


def _origin_notes(checkpoint: Checkpoint, patches: Patches) -> list[str]:
    """What of model and patches was simulated, for everybody who sees an estimate."""
    model = is_simulated(checkpoint.meta.get("provenance", {}))
    return ["simulated patches"] * patches.simulated + ["model of simulated data"] * model


def _on_bands_of(checkpoint: Checkpoint, patches: Patches) -> Patches:
    """Patches interpolated linearly to the model's bands; NaN beyond the ends, as ever."""
    target = np.array(checkpoint.meta["wavelength_nm"])
    by_band_last = np.moveaxis(patches.Rrs, 1, -1)
    resampled = np.moveaxis(on_bands(by_band_last, patches.wavelength, target, patches.source), -1, 1)
    return replace(patches, Rrs=resampled.astype(np.float32), wavelength=target)
