"""`spectm demo`: everything, from simulated satellite files to one page, by the commands users type."""

import argparse
import shlex
import time
from pathlib import Path

from spectm.simulation.season import SeasonConfig

__all__ = ["add_arguments", "run"]

# A third of the passes of two summers, under skies that are clearer than real ones: as many samples with a
# pass as the real season gives, in minutes. It ends within the bloom, so that the last map shows one.
SEASON = SeasonConfig(first="05-15", last="09-05", every=3, record_years=4, cloudiness=0.3)
# Cells a little larger than pixels: few passes of pixels of 1.2 km would leave holes in a finer grid.
CELLS = ("--region", "lake-erie-west", "--resolution", "0.02")
SHOWN_PERIODS = 4  # so that a bulletin has something to compare with
MODELS = "mean,climatology,persistence,ridge,blend-plain,spectm,spectm-blend"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Simulate a lake, its satellite and its laboratory, then compose, cut patches, pretrain, fine-tune, "
        "evaluate, predict and write a bulletin: about five minutes on two cores, no account, no download. "
        "Ends with DIR/report.html, one page that explains what was done and how well it works, and "
        "DIR/bulletin.html, what an agency would read. Each command is printed as it is run."
    )
    parser.epilog = "examples:\n  spectm demo\n  spectm demo --out runs/other --seed 7"
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument(
        "--seed", type=int, default=SEASON.seed, metavar="N", help="another lake (default: %(default)s)"
    )
    for which in ("first", "last"):
        parser.add_argument(
            f"--{which}",
            default=getattr(SEASON, which),
            metavar="MM-DD",
            help=f"{which} day of satellite files in both years (default: %(default)s)",
        )
    parser.add_argument(
        "--every", type=int, default=SEASON.every, metavar="N", help="every N-th pass (default: %(default)s)"
    )
    parser.add_argument(
        "--steps", type=int, default=200, metavar="N", help="of pretraining (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Run every command, then write the page; the exit code of the first that fails, else 0."""
    started, commands = time.monotonic(), []
    for words in _until_evaluation(args):
        commands.append(shlex.join(["spectm", *words]))
        if code := _told(words):
            return code
    from spectm.apps.demo_map import seen_periods

    periods = seen_periods(args.out / "cube.zarr", SHOWN_PERIODS)
    for words in _faces(args.out, [str(period.start) for period in periods]):
        commands.append(shlex.join(["spectm", *words]))
        if code := _told(words):
            return code
    from spectm.apps.demo_page import write_demo_page

    write_demo_page(args.out, periods[-1], commands, seconds=time.monotonic() - started)
    print(_written(args.out, minutes=(time.monotonic() - started) / 60))
    return 0


def _until_evaluation(args: argparse.Namespace) -> list[list[str]]:
    """Words of the commands up to the scores."""
    out, lake = args.out, args.out / "lake"
    granules, laboratory, stations = (
        str(lake / "granules"),
        str(lake / "laboratory"),
        str(out / "stations.nc"),
    )
    patches, pretrained = str(out / "patches.nc"), str(out / "pretrained")
    years = [str(year) for year in SEASON.years]
    steps = ["--set", f"pretraining.loop.steps={args.steps}"]
    labelled = ["--patches", stations, "--labels", laboratory]
    # fmt: off
    return [
        ["simulate", "--out", str(lake), "--seed", str(args.seed), "--years", *years,
         "--first", args.first, "--last", args.last, "--every", str(args.every),
         "--cloudiness", f"{SEASON.cloudiness:g}", "--record-years", str(SEASON.record_years)],
        ["compose", granules, *CELLS, "--out", str(out / "cube.zarr")],
        ["patches", str(out / "cube.zarr"), "--out", patches],
        ["matchups", "--granules", granules, "--labels", laboratory, "--min-valid", "1",
         "--out", str(out / "matchups.csv"), "--write-patches", stations],
        ["pretrain", "--patches", patches, "--out", pretrained, *steps],
        ["finetune", "--pretrained", pretrained, *labelled, "--out", str(out / "model")],
        ["evaluate", *labelled, "--unlabelled", patches, "--out", str(out / "evaluation"), "--quick",
         "--models", MODELS, *steps],
    ]
    # fmt: on


def _faces(out: Path, days: list[str]) -> list[list[str]]:
    """Words of the commands that estimate every cell of some periods, and write the last as a bulletin."""
    predictions, laboratory = str(out / "predictions"), str(out / "lake" / "laboratory")
    # fmt: off
    return [
        ["predict", "--model", str(out / "model"), "--cube", str(out / "cube.zarr"),
         "--out", predictions, "--period", *days],
        ["bulletin", predictions, "--labels", laboratory, "--period", days[-1],
         "--out", str(out / "bulletin.html")],
    ]
    # fmt: on


def _told(words: list[str]) -> int:
    """Print a command and run it."""
    from spectm.cli.main import main

    print(f"\n$ {shlex.join(['spectm', *words])}", flush=True)
    return main(words)


def _written(out: Path, *, minutes: float) -> str:
    """What there is now, and where to begin."""
    made = {
        "report.html": "READ THIS: one page on all of it",
        "evaluation/report.html": "every score, figure and setting",
        "lake": "satellite files and laboratory tables of the simulated lake",
        "cube.zarr, patches.nc": "composites of eight days, and windows cut from them",
        "stations.nc, matchups.csv": "what was seen at the stations, and which sample belongs to it",
        "pretrained, model": "pretrained on spectra alone; then with the laboratory, for now and days ahead",
        "predictions, map.png": "estimates of the last periods; a map of the last one beside the truth",
        "bulletin.html": "the weekly page that a water agency would read",
    }
    lines = [f"  {name:<26}  {what}" for name, what in made.items()]
    serve = shlex.join(["spectm", "serve", str(out), "--labels", str(out / "lake" / "laboratory")])
    done = f"\nDone in {minutes:.1f} minutes; everything is simulated. In {out}:"
    return "\n".join([done, *lines, "", f"Look around in a browser:  {serve}"])
