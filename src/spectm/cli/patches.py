"""`spectm patches`: a cube in, one file of patches for training out."""

import argparse
from pathlib import Path

from spectm.cli.progress import progress_bar
from spectm.cli.shares import share_or_number
from spectm.data.cutting import CuttingConfig, cut_cube
from spectm.data.regions import parse_region, region_names

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Cut a cube into square windows that hold enough valid cells, and write them as one file of patches, "
        "by period, then from north to south, then from west to east. A patch is named after its place on "
        "the grid (r0012c0034: row and column of its centre), so that the same place in the next period is "
        "found for the temporal task."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm patches erie.zarr --out patches.nc\n"
        "  spectm patches erie.zarr --out dense.nc --size 5 --stride 1 --region lake-erie-west\n"
        "  spectm pretrain --patches patches.nc --out runs/pretrained"
    )
    parser.add_argument("cube", type=Path, metavar="CUBE", help="folder that `spectm compose` wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="netCDF file to write")
    parser.add_argument("--size", type=int, default=3, metavar="N", help="cells on a side, odd (default: 3)")
    parser.add_argument(
        "--min-valid",
        type=share_or_number,
        default=0.5,
        metavar="X",
        help="valid cells wanted: a share such as 0.5, or a number such as 5 (default: 0.5)",
    )
    parser.add_argument(
        "--stride", type=int, metavar="N", help="cells from one window to the next (default: the size)"
    )
    parser.add_argument(
        "--region",
        metavar="R",
        help=f"only windows centred there: W,S,E,N in degrees, or {', '.join(region_names())}",
    )
    parser.add_argument(
        "--memory", type=float, default=256.0, metavar="MB", help="reflectance held at a time (default: 256)"
    )


def run(args: argparse.Namespace) -> int:
    """Cut, and say how many patches there are; 0."""
    with progress_bar("cutting", "period") as show:
        report = cut_cube(
            args.cube,
            args.out,
            config=CuttingConfig(size=args.size, min_valid=args.min_valid, stride=args.stride),
            region=None if args.region is None else parse_region(args.region),
            memory_mb=args.memory,
            progress=show,
        )
    print(
        f"wrote {args.out}: {report.n_patches:,} patches of {args.size} x {args.size} cells at "
        f"{report.n_places:,} places in {report.n_periods} periods"
    )
    return 0
