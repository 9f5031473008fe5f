"""`spectm explain`: a model and patches in; a page that says what an estimate rests on out."""

import argparse
import re
from pathlib import Path

import numpy as np

from spectm.cli.options import add_python
from spectm.cli.own import explain_own_target
from spectm.data.labels import read_labels
from spectm.data.patches import Patches, read_patches
from spectm.errors import CheckpointError, ConfigError
from spectm.evaluation.agreement import SHUFFLES, Agreement, window_test
from spectm.evaluation.attributed import mean_attribution
from spectm.evaluation.explanation import explain
from spectm.evaluation.explanation_page import write_explanation
from spectm.evaluation.hidden_windows import mean_occlusion
from spectm.evaluation.located import find_patch
from spectm.evaluation.model_explanation_page import write_model_explanation
from spectm.evaluation.task import build_task
from spectm.training.checkpoint import check_bands, read_checkpoint
from spectm.training.forecaster import Forecaster
from spectm.training.released import KIND, forecaster_of, model_folder
from spectm.training.spectral_model import KIND as OWN_KIND

__all__ = ["add_arguments", "run"]

FEWEST_DAYS, MOST_DAYS = 5.0, 11.0  # of the rows that forecasts are calibrated on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Write a page that says what an estimate of microcystin rests on: what the calendar says, what each "
        "band and window adds, what was seen before, and what the spectrum would look like with its pigment "
        "windows filled in. With --whole-model, the same over all patches of a file and, with --labels, "
        "whether the model prefers the windows more than chance would have it."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm explain --model erie-2024 --patches patches.nc --station WE2 --date 2024-08-12 --out "
        "why.html\n  spectm explain --model erie-2024 --patches patches.nc --latitude 41.76 --longitude "
        "-83.33 --date 2024-08-12 --horizon 8 --out why.html\n"
        "  spectm explain --model erie-2024 --patches pace_station_patches.nc --labels glerl --whole-model "
        "--out model.html"
    )
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="folder of spectm finetune, or a released model's name"
    )
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="netCDF")
    parser.add_argument("--station", metavar="NAME", help="as the file calls it")
    parser.add_argument(
        "--sample", metavar="NAME", help="of one's own spectra (spectm spectra), in place of station and day"
    )
    parser.add_argument("--latitude", type=float, metavar="DEGREES", help="north, in place of a station")
    parser.add_argument("--longitude", type=float, metavar="DEGREES", help="east")
    parser.add_argument("--date", metavar="DAY", help="local day of the overpass, such as 2024-08-12")
    parser.add_argument("--time", metavar="HH:MM", help="UTC, where a day has several overpasses")
    parser.add_argument(
        "--horizon", type=float, default=0.0, metavar="DAYS", help="days ahead of the overpass (default: 0)"
    )
    parser.add_argument("--whole-model", action="store_true", help="all patches of the file")
    parser.add_argument(
        "--labels", type=Path, metavar="PATH", help="laboratory record that the model learned from"
    )
    parser.add_argument(
        "--shuffles", type=int, default=SHUFFLES, metavar="N", help="models of chance (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the shuffles (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="HTML")
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    """Explain, write, and say where."""
    checkpoint = read_checkpoint(model_folder(args.model))
    if checkpoint.kind == OWN_KIND:
        return explain_own_target(args, checkpoint)
    if checkpoint.kind != KIND:
        raise CheckpointError(
            f"{args.model} holds a {checkpoint.kind!r} checkpoint, wanted {KIND!r}: explanations are of "
            "blends, as spectm finetune --head blend writes them"
        )
    _check_words(args)
    model, patches = forecaster_of(checkpoint), read_patches(args.patches)
    check_bands(model.meta, patches.wavelength, where=args.patches)
    name, file = Path(args.model).name, args.patches.name
    if args.whole_model:
        mean = mean_attribution(model, patches)
        agreement = None if args.labels is None else _agreement(args, model, patches)
        given = (mean, mean_occlusion(model, patches), agreement, model, patches, args.out)
        write_model_explanation(*given, name=name, file=file)
        print(f"{mean.n_patches} spectra; attribution incomplete for {mean.n_incomplete}")
        if agreement is not None:
            print(f"agreement with the windows {agreement.observed:.3f}, p = {agreement.p:.3g}")
    else:
        place = None if args.latitude is None else (args.latitude, args.longitude)
        row = find_patch(patches, args.date, station=args.station, place=place, clock=args.time)
        found = explain(model, patches, row, lead_days=args.horizon)
        write_explanation(found, model, patches, args.out, name=name, file=file)
        print(f"{found.place}, {found.target_day}: {10**found.mean:.3g} ug/L")
        print("\n".join(f"{part.change:+.3f}  {part.name}" for part in found.parts))
    print(f"wrote {args.out}")
    return 0


def _agreement(args: argparse.Namespace, model: Forecaster, patches: Patches) -> Agreement:
    task = build_task("current", patches, read_labels(args.labels), climatology=model.record.climatology)
    rng = np.random.default_rng(args.seed)
    return window_test(model, patches, task.rows, task.y, rng=rng, shuffles=args.shuffles)


def _check_words(args: argparse.Namespace) -> None:
    """Refuse combinations that ask for nothing, or for two things."""
    of_one = {"station": args.station, "latitude": args.latitude, "longitude": args.longitude}
    of_one |= {"date": args.date, "time": args.time, "horizon": args.horizon or None}
    given = [f"--{name}" for name, value in of_one.items() if value is not None]
    if args.sample is not None:
        raise ConfigError("--sample is of a model of one's own target; give --station and --date")
    if args.whole_model:
        if given:
            raise ConfigError(f"--whole-model is about all patches; leave out {', '.join(given)}")
        if args.shuffles < 1:
            raise ConfigError(f"--shuffles wants 1 or more, found {args.shuffles}")
        return
    if args.labels is not None:
        raise ConfigError("--labels goes with --whole-model: a single estimate is explained without them")
    has_place = args.latitude is not None and args.longitude is not None
    if (args.latitude is None) != (args.longitude is None) or (args.station is not None) == has_place:
        raise ConfigError(
            f"wanted --station, or --latitude and --longitude; found {', '.join(given) or 'neither'}"
        )
    if args.date is None or not _is_day(args.date):
        raise ConfigError(f"--date wants a local day such as 2024-08-12, found {args.date!r}")
    if args.time is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", args.time):
        raise ConfigError(f"--time wants hour and minute in UTC such as 17:53, found {args.time!r}")
    if args.horizon != 0 and not FEWEST_DAYS <= args.horizon <= MOST_DAYS:
        raise ConfigError(
            f"--horizon wants 0, or {FEWEST_DAYS:g} to {MOST_DAYS:g} days, found {args.horizon:g}: intervals "
            "of others were not calibrated"
        )


def _is_day(text: str) -> bool:
    try:
        np.datetime64(text, "D")
    except ValueError:
        return False
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None
