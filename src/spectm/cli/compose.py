"""`spectm compose`: granules in, a cube of composites out."""

import argparse
import sys
from datetime import date
from pathlib import Path

import numpy as np

from spectm.cli.progress import progress_bar
from spectm.data.compose import ComposeReport, compose, granule_files
from spectm.data.composite import STATISTICS, CompositeConfig
from spectm.data.cube import open_cube
from spectm.data.flags import flag_names
from spectm.data.regions import parse_region, region_names
from spectm.errors import CubeError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Average granules onto a regular grid, period by period, into one Zarr cube. A second run adds new "
        "periods and composes anew those whose granules have changed."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm compose granules --region lake-erie-west --out erie.zarr\n"
        "  spectm compose granules --region=-83.6,41.3,-82,42.2 --out erie.zarr --days 1 --statistic median"
    )
    parser.add_argument("granules", type=Path, nargs="+", metavar="FILE_OR_FOLDER", help="netCDF granules")
    parser.add_argument(
        "--region", required=True, metavar="R", help=f"W,S,E,N in degrees, or {', '.join(region_names())}"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="CUBE", help="folder, such as erie.zarr")
    parser.add_argument(
        "--resolution",
        type=float,
        metavar="DEG",
        help="side of a cell (default: 0.0125; a map keeps its own)",
    )
    parser.add_argument("--days", type=int, default=8, metavar="N", help="length of a period (default: 8)")
    parser.add_argument(
        "--start", metavar="DATE", help="a day of the first period (default: that of the first granule)"
    )
    parser.add_argument(
        "--end", metavar="DATE", help="a day of the last period (default: that of the last granule)"
    )
    parser.add_argument(
        "--flags",
        default="bloom",
        metavar="LIST",
        help="preset (bloom, standard, none) or flags that leave a pixel out (default: bloom)",
    )
    parser.add_argument("--statistic", default="mean", choices=STATISTICS, help="default: mean")
    parser.add_argument(
        "--memory", type=float, default=2000.0, metavar="MB", help="for all tasks together (default: 2000)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: one a core)")
    parser.add_argument(
        "--recompose",
        action="store_true",
        help="also compose anew where granules that a period was made from are gone",
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="dask.distributed scheduler; --memory is then for each task"
    )


def run(args: argparse.Namespace) -> int:
    """Compose, say what was made, and list what could not be used; 1 if there was any."""
    with progress_bar("composing", "tile") as show:
        report = compose(
            granule_files(args.granules),
            args.out,
            parse_region(args.region),
            resolution=args.resolution,
            days=args.days,
            first=_date(args.start),
            last=_date(args.end),
            config=CompositeConfig(flags=flag_names(args.flags), statistic=args.statistic),
            memory_mb=args.memory,
            workers=args.workers,
            cluster=args.cluster,
            recompose=args.recompose,
            progress=show,
        )
    _print(report, args.out)
    return 1 if report.bad or report.kept else 0


def _print(report: ComposeReport, out: Path) -> None:
    with open_cube(out) as cube:
        n_periods, n_rows, n_columns = cube["count"].shape
        n_bands = cube.sizes["wavelength"]
    print(f"{len(report.written)} periods composed, {len(report.unchanged)} left as they were")
    for old, new in report.superseded.items():
        print(f"left out {old}: {new} replaces it")
    for name, twin in report.stand_ins.items():
        print(f"used {twin} in place of {name}, which is damaged")
    print(f"wrote {out}: {n_periods} periods, {n_rows} x {n_columns} cells, {n_bands} bands")
    for period, why in report.kept.items():
        print(f"left as it was: {period}: {why}", file=sys.stderr)
    for name, why in report.bad.items():
        print(f"not used: {name}: {why}", file=sys.stderr)


def _date(text: str | None) -> np.datetime64 | None:
    if text is None:
        return None
    try:
        return np.datetime64(date.fromisoformat(text), "D")
    except ValueError as error:
        raise CubeError(f"wanted a date such as 2024-06-01, found {text!r}.") from error
