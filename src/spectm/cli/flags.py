"""`spectm flags`: how many pixels each quality flag costs."""

import argparse
from pathlib import Path

import numpy as np

from spectm.cli.tables import print_table
from spectm.data.flags import PRESETS, flag_counts, flag_mask, flag_names, flags_of
from spectm.data.granule import open_granule, read_variables
from spectm.data.regions import parse_region, region_names

__all__ = ["add_arguments", "run"]

_HEADER = ("flag", "excludes", "pixels", "share, %", "lost by it alone")
_CSV_HEADER = ("flag", "excluded_by", "pixels", "share_percent", "alone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Print how many pixels of a level-2 file carry each quality flag, which flags exclude pixels, and "
        "how many each excludes alone: those pixels would stay without it."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm flags PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.nc --region lake-erie-west --flags bloom\n"
        "  spectm flags granule.nc --region=-83.55,41.35,-82.4,42.1 --flags bloom,TURBIDW --csv > flags.csv"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="level-2 granule")
    parser.add_argument(
        "--region",
        metavar="R",
        help=f"count pixels in it only: {', '.join(region_names())}, or W,S,E,N in degrees "
        "(--region=-83.5,41,-82,42)",
    )
    parser.add_argument(
        "--flags",
        default="standard",
        metavar="LIST",
        help="flags that exclude: "
        f"{', '.join(PRESETS)}, names such as LAND,CLDICE, or both (default: %(default)s)",
    )
    parser.add_argument("--csv", action="store_true", help="print CSV instead of an aligned table")


def run(args: argparse.Namespace) -> int:
    """Print the table and what is left; 0."""
    names = flag_names(args.flags)
    region = None if args.region is None else parse_region(args.region)
    with open_granule(args.file, region=region) as granule:
        flags_of(granule)  # a map says here that it has none
        read = read_variables(granule, ["l2_flags"])
    flags = read["l2_flags"]
    inside = flags.copy(data=np.ones(flags.shape, dtype=bool))
    if region is not None:
        inside = flags.copy(data=region.contains(read["lat"].values, read["lon"].values))
    counts = flag_counts(flags, inside, names)
    rows = [
        (flag, "yes" if excluded else "", f"{pixels}", f"{100 * share:.2f}", f"{alone}" if excluded else "")
        for flag, excluded, pixels, share, alone in counts.itertuples(index=False)
    ]
    if args.csv:
        print_table(_CSV_HEADER, rows, as_csv=True)
        return 0
    n_inside = int(inside.sum())
    where = "in the file" if region is None else f"in {region.name}"
    print(f"{args.file.name}: {n_inside:,} pixels {where}; excluding: {args.flags}\n")
    carried = [row for row in rows if row[2] != "0"]
    print_table(_HEADER, carried)
    if absent := [row[0] for row in rows if row not in carried]:
        print(f"\non no pixel: {', '.join(absent)}")
    n_kept = int((inside & ~flag_mask(flags, names)).sum())
    print(f"\nleft: {n_kept:,} of {n_inside:,} pixels ({100 * n_kept / max(n_inside, 1):.1f} %)")
    return 0
