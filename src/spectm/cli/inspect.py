"""`spectm inspect`: what is in a file, as a table and as a picture."""

import argparse
from pathlib import Path

import numpy as np

from spectm.cli.tables import print_table
from spectm.data.contents import (
    Contents,
    cube_contents,
    granule_contents,
    holds_patches,
    patches_contents,
)
from spectm.data.cube import open_cube
from spectm.data.granule import open_granule
from spectm.data.patches import read_patches
from spectm.data.regions import Region, parse_region, region_names
from spectm.errors import EmptyRegionError, RegionError

__all__ = ["add_arguments", "run"]

_HEADER = ("variable", "unit", "valid, %", "1st percentile", "median", "99th percentile")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Print what a file holds: product, time, size, place, and the range of its variables, spectra at up "
        "to eleven bands. Draw a quick look on request."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm inspect PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.nc --region lake-erie-west \\\n"
        "      --picture look.png\n"
        "  spectm inspect pace_station_patches.nc\n"
        "  spectm inspect erie.zarr --picture composite.png"
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="level-2 or level-3 mapped granule, patches, or a cube"
    )
    parser.add_argument(
        "--region",
        metavar="R",
        help=f"look at this part only: {', '.join(region_names())}, or W,S,E,N in degrees "
        "(--region=-83.5,41,-82,42)",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PNG",
        help="draw approximate true colours (patches: their spectra and places) to this file",
    )


def run(args: argparse.Namespace) -> int:
    """Print the tables and draw the picture; 0."""
    if holds_patches(args.file):
        return _inspect_patches(args)
    region = None if args.region is None else parse_region(args.region)
    if args.file.is_dir():
        return _inspect_cube(args, region)
    with open_granule(args.file, region=region) as granule:
        _print_contents(granule_contents(granule))
        if args.picture is not None:
            from spectm.data.quicklook import draw_granule

            print(f"\nwrote {args.picture}: {draw_granule(granule, args.picture)}")
    return 0


def _inspect_cube(args: argparse.Namespace, region: Region | None) -> int:
    """The same for a cube, cropped to whole rows and columns."""
    with open_cube(args.file) as cube:
        if region is not None:
            rows = (cube["lat"] >= region.south) & (cube["lat"] <= region.north)
            columns = region.contains(np.full(cube["lon"].shape, region.south), cube["lon"].values)
            cube = cube.isel(lat=np.flatnonzero(rows), lon=np.flatnonzero(columns))
            if not cube["lat"].size or not cube["lon"].size:
                raise EmptyRegionError(
                    f"wanted cells in {region.name}, found none in {args.file}. Choose another region."
                )
        _print_contents(cube_contents(cube, args.file))
        if args.picture is not None:
            from spectm.data.quicklook import draw_cube

            print(f"\nwrote {args.picture}: {draw_cube(cube, args.picture)}")
    return 0


def _inspect_patches(args: argparse.Namespace) -> int:
    """The same for a file of patches."""
    if args.region is not None:
        raise RegionError(
            f"wanted a granule for --region, found patches in {args.file}: they are looked at as a whole. "
            "Leave --region out."
        )
    patches = read_patches(args.file)
    _print_contents(patches_contents(patches, args.file))
    if args.picture is not None:
        from spectm.data.quicklook import draw_patches

        print(f"\nwrote {args.picture}: {draw_patches(patches, args.picture)}")
    return 0


def _print_contents(contents: Contents) -> None:
    """Facts in two columns, then the table of variables."""
    width = max(map(len, contents.facts))
    for name, fact in contents.facts.items():
        print(f"{name:<{width}}  {fact}")
    print()
    rows = [
        (variable, unit, f"{100 * valid:.1f}", *(f"{value:.4g}" for value in values))
        for variable, unit, valid, *values in contents.variables.itertuples(index=False)
    ]
    print_table(_HEADER, rows)
