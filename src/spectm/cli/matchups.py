"""`spectm matchups`: granules or a cube, and a laboratory record in; an overpass for each sample out."""

import argparse
import sys
from pathlib import Path

from spectm.cli.progress import progress_bar
from spectm.cli.shares import share_or_number
from spectm.data.compose import granule_files, take_stock
from spectm.data.flags import PRESETS
from spectm.data.labels import Labels, read_labels
from spectm.data.overpasses import WindowConfig
from spectm.data.station_patches import (
    MAX_HOURS,
    Progress,
    StationMatches,
    match_cube,
    match_granules,
    write_matchups,
    write_station_patches,
)
from spectm.errors import PatchError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Find for every surface sample of a laboratory record the overpass nearest in time whose window "
        "around the station can be used, and write one row for each sample: the overpass, or the reason why "
        "there is none. With --write-patches, also write the windows of all overpasses for `spectm evaluate`."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm matchups --granules granules --labels glerl --min-valid 1 --out matchups.csv "
        "--write-patches stations.nc\n"
        "  spectm matchups --granules granules --labels lab.csv --max-hours 3 --size 5 --max-cv 0.15 "
        "--flags standard --out strict.csv\n"
        "  spectm matchups --cube erie.zarr --labels glerl --max-hours 96 --out from-cube.csv"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--granules", type=Path, nargs="+", metavar="FILE_OR_FOLDER", help="level-2 granules")
    source.add_argument("--cube", type=Path, metavar="CUBE", help="folder that `spectm compose` wrote")
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="CSV file or folder")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="table to write")
    parser.add_argument(
        "--write-patches", type=Path, metavar="FILE", help="also write all usable windows, netCDF"
    )
    parser.add_argument(
        "--max-hours",
        type=float,
        default=MAX_HOURS,
        metavar="H",
        help="between sample and overpass (default: %(default)s)",
    )
    parser.add_argument(
        "--max-km",
        type=float,
        default=2.0,
        metavar="KM",
        help="between station and nearest pixel (default: 2)",
    )
    parser.add_argument("--size", type=int, default=3, metavar="N", help="pixels on a side, odd (default: 3)")
    parser.add_argument(
        "--min-valid",
        type=share_or_number,
        default=0.5,
        metavar="X",
        help="valid pixels wanted: a share such as 0.5, or a number such as 5 (default: 0.5)",
    )
    parser.add_argument(
        "--max-cv",
        type=float,
        metavar="X",
        help="largest coefficient of variation, such as NASA's 0.15 (default: any, blooms are patchy)",
    )
    parser.add_argument(
        "--flags",
        metavar="LIST",
        help=f"flags that leave a pixel of a granule out: {', '.join(PRESETS)}, or names (default: bloom)",
    )


def run(args: argparse.Namespace) -> int:
    """Match, write, and count the reasons; 1 if a granule could not be used."""
    if args.cube is not None and args.flags is not None:
        raise PatchError(
            f"wanted granules for --flags {args.flags}, found the cube {args.cube}: its flags were chosen "
            "when it was composed. Leave --flags out, or compose with others."
        )
    config = WindowConfig(
        max_km=args.max_km,
        size=args.size,
        min_valid=args.min_valid,
        max_cv=args.max_cv,
        flags=(args.flags or "bloom",),
    )
    labels = read_labels(args.labels)
    print(labels.summary())
    with progress_bar("looking", "granule") as show:
        matches, unusable = _matches(args, config, labels, show)
    write_matchups(matches, args.out)
    _print(matches, args.out)
    bad = unusable | matches.bad
    for name, why in bad.items():
        print(f"not used: {name}: {why}", file=sys.stderr)
    if args.write_patches is not None:
        write_station_patches(matches, args.write_patches, provenance={"labels": args.labels.name})
        print(f"wrote {args.write_patches}: {len(matches.looks):,} patches")
    return 1 if bad else 0


def _matches(
    args: argparse.Namespace, config: WindowConfig, labels: Labels, show: Progress
) -> tuple[StationMatches, dict[str, str]]:
    """What was found, and the files that could not be used from the start."""
    every = args.write_patches is not None
    if args.cube is not None:
        found = match_cube(
            args.cube, labels, max_hours=args.max_hours, config=config, every=every, progress=show
        )
        return found, {}
    inputs = take_stock(granule_files(args.granules))
    if not inputs.headers:
        first = next(iter(inputs.bad.values()), "no file was given.")
        raise PatchError(f"wanted level-2 granules, found none that can be used. First: {first}")
    for old, new in inputs.superseded.items():
        print(f"left out {old}: {new} replaces it")
    found = match_granules(
        inputs.headers, labels, max_hours=args.max_hours, config=config, every=every, progress=show
    )
    return found, inputs.bad


def _print(matches: StationMatches, out: Path) -> None:
    """How many samples have an overpass, and how many lack one for which reason."""
    n_found = int((matches.rows["reason"] == "").sum())
    print(f"{n_found:,} of {len(matches.rows):,} surface samples have an overpass")
    for reason, n_samples in matches.reasons.items():
        print(f"  {n_samples:>6,}  {reason}")
    print(f"wrote {out}")
