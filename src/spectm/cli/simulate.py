"""`spectm simulate`: a seed in; the files of a satellite and a laboratory at a simulated lake out."""

import argparse
from pathlib import Path

from spectm.cli.progress import progress_bar
from spectm.simulation.mixes import MIXES
from spectm.simulation.season import WHOLE_GRANULE, SeasonConfig, write_season

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    usual = SeasonConfig()
    parser.description = (
        "Simulate western Lake Erie, what PACE OCI would deliver of it (DIR/granules/*.nc, level-2 AOP) and "
        "what a laboratory would find in it (DIR/laboratory/*.csv). Nothing is downloaded and nothing in it "
        "was measured. The same settings give the same bytes; an interrupted run goes on where it stopped."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm simulate --out lake\n"
        "  spectm simulate --out small --years 2024 --first 07-01 --last 09-30 --every 4 --cloudiness 0.4\n"
        "  spectm compose lake/granules --region lake-erie-west --out lake.zarr\n"
        "  spectm matchups --granules lake/granules --labels lake/laboratory --out matchups.csv"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--years",
        type=int,
        nargs="+",
        default=list(usual.years),
        metavar="YEAR",
        help=f"years of granules (default: {' '.join(map(str, usual.years))})",
    )
    parser.add_argument(
        "--record-years",
        type=int,
        default=usual.record_years,
        metavar="N",
        help="years before them in which the laboratory sampled, too (default: %(default)s)",
    )
    for which in ("first", "last"):
        parser.add_argument(
            f"--{which}",
            default=getattr(usual, which),
            metavar="MM-DD",
            help=f"{which} day of granules in each year (default: %(default)s)",
        )
    parser.add_argument(
        "--every", type=int, default=usual.every, metavar="N", help="write every N-th pass (default: all)"
    )
    parser.add_argument(
        "--cloudiness",
        type=float,
        default=usual.cloudiness,
        metavar="X",
        help="share of cloud in the long run, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--resolution",
        type=float,
        default=usual.resolution,
        metavar="DEG",
        help="side of the lake's own cells, degrees (default: %(default)s)",
    )
    parser.add_argument(
        "--optics",
        default=usual.optics,
        metavar="NAME",
        help=f"what the water is like: {', '.join(MIXES)} (default: %(default)s)",
    )
    parser.add_argument(
        "--region",
        default=usual.region,
        metavar="R",
        help=f"lines and pixels that hold it are written: W,S,E,N in degrees, or {WHOLE_GRANULE} "
        "(default: the lake)",
    )
    parser.add_argument(
        "--near-real-time", action="store_true", help="write the near-real-time twin of each granule, too"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Simulate, and say what was written; 0."""
    config = SeasonConfig(
        seed=args.seed,
        years=tuple(args.years),
        first=args.first,
        last=args.last,
        every=args.every,
        record_years=args.record_years,
        cloudiness=args.cloudiness,
        resolution=args.resolution,
        region=args.region,
        near_real_time=args.near_real_time,
        optics=args.optics,
    )
    with progress_bar("simulating", "file") as show:
        season = write_season(args.out, config, workers=args.workers, progress=show)
    megabytes = sum(path.stat().st_size for path in season.granules) / 1e6
    there = len(season.granules) + len(season.tables) - season.n_written
    print(
        f"wrote {args.out}, all of it simulated: {len(season.granules)} granules ({megabytes:.0f} MB), "
        f"{len(season.tables)} laboratory tables" + (f"; {there} files were there" if there else "")
    )
    return 0
