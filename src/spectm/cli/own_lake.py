"""`spectm own-lake`: a released model, patches and a record of another lake in; what own samples add out."""

import argparse
import shlex
from pathlib import Path
from typing import Any

__all__ = ["add_arguments", "run"]

QUICK: dict[str, Any] = {"draws": 2, "dates": (2, 4)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Tune a released model with samples of 2 dates, 3, 4, ... and all, drawn many times, and test it on "
        "other dates of the same years, and in another year; beside it the model unchanged, and ridge "
        "regression and the blend on the same samples alone. Writes own_lake.csv and own_lake.md, "
        "in minutes. After Ctrl-C, the same command goes on."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm simulate --optics humic --years 2023 2024 --out lake\n"
        "  spectm matchups --granules lake/granules --labels lake/laboratory --out matchups.csv "
        "--write-patches stations.nc\n"
        "  spectm own-lake --start erie-2024 --patches stations.nc --labels lake/laboratory --out runs/own"
    )
    parser.add_argument("--start", required=True, metavar="NAME", help="released model, or a folder")
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="CSV file or folder")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write; goes on with what is there"
    )
    parser.add_argument("--draws", type=int, metavar="N", help="choices of dates (default: 20)")
    parser.add_argument("--test-year", type=int, metavar="YEAR", help="default: the last")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="two draws of few dates: to see that it works")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write the page into its section of this one as well"
    )


def run(args: argparse.Namespace) -> int:
    """Draw, tune and test, print the page, and name what was written."""
    from spectm.cli.options import read_sources
    from spectm.cli.studies import made_by, publish
    from spectm.data.labels import read_labels
    from spectm.evaluation.own_lake import OwnLakeConfig, own_lake
    from spectm.evaluation.own_lake_page import own_lake_page
    from spectm.files import write_text
    from spectm.training.checkpoint import read_checkpoint
    from spectm.training.released import KIND, forecaster_of, model_folder

    asked: dict[str, Any] = dict(QUICK) if args.quick else {}
    asked |= {} if args.draws is None else {"draws": args.draws}
    config = OwnLakeConfig(**asked, test_year=args.test_year, workers=args.workers)
    checkpoint = read_checkpoint(model_folder(args.start), kind=KIND)
    (patches,), files = read_sources([args.patches])
    labels = read_labels(args.labels)
    print(labels.summary())
    identity = {"files": files, "labels": labels.summary(), "start": checkpoint.meta["files"]["weights"]}
    table = own_lake(forecaster_of(checkpoint), patches, labels, config, args.out, identity=identity)
    record = {
        **made_by(_command(args)),
        "quick": args.quick,
        "simulated": patches.simulated,
        "files": files,
        "start": model_folder(args.start).name,
        "optics": _optics(args.labels),
    }
    page = own_lake_page(table, record)
    write_text(args.out / "own_lake.md", page)
    publish(page, "own-lake", [args.out / "own_lake.csv", args.out / "own_lake.md"], args.results)
    return 0


def _optics(labels: Path) -> str:
    """What the water of a simulated lake is like, where the record lies in the folder of one."""
    from spectm.simulation.mixes import named_mix
    from spectm.simulation.season import RECORD, read_season

    folder = labels if labels.is_dir() else labels.parent
    if not (folder.parent / RECORD).is_file():
        return ""
    made = read_season(folder.parent)
    words = ["spectm", "simulate", "--seed", made.seed, "--optics", made.optics, "--years", *made.years]
    words += ["--first", made.first, "--last", made.last, "--every", made.every]
    words += ["--cloudiness", f"{made.cloudiness:g}", "--record-years", made.record_years]
    return f"simulated by `{' '.join(map(str, words))}`; {named_mix(made.optics).description}"


def _command(args: argparse.Namespace) -> str:
    """As a page has it, folders left out."""
    words = ["spectm", "own-lake", "--start", Path(args.start).name, "--patches", args.patches.name]
    words += ["--labels", args.labels.name, "--out", "DIR"]
    words += ["--draws", str(args.draws)] if args.draws else []
    words += ["--test-year", str(args.test_year)] if args.test_year else []
    return shlex.join([*words, "--quick"] if args.quick else words)
