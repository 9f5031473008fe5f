"""`spectm export`: predictions as files that other programs open."""

import argparse
from pathlib import Path

from spectm.apps.export.geotiff import write_geotiff
from spectm.apps.export.netcdf import write_netcdf
from spectm.apps.export.table import cell_table, point_table, write_csv
from spectm.apps.moment import LATEST, chosen_period, moment_at
from spectm.apps.store import Store, open_store
from spectm.cli.stores import add_period, add_question, add_store
from spectm.errors import OutputError

__all__ = ["add_arguments", "run"]

FORMATS = {"netcdf": (".nc",), "geotiff": (".tif", ".tiff"), "csv": (".csv",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Write predictions as CF-netCDF (all periods, or one), as a Cloud-Optimised GeoTIFF (one period; "
        "bands estimate, low, high, exceedance and flagged; styles for QGIS beside it) or as CSV (the cells "
        "of one period, or the points). Every file says inside where its numbers come from."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm export runs/week --format netcdf --out week.nc\n"
        "  spectm export runs/week --format geotiff --threshold 8 --days-ahead 8 --out forecast.tif\n"
        "  spectm export runs/week --format csv --period 2024-08-12 --out cells.csv"
    )
    add_store(parser)
    parser.add_argument("--format", required=True, choices=FORMATS, help="of the file")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="to write")
    add_period(parser)
    parser.add_argument("--all", action="store_true", help="netcdf: every period")
    add_question(parser, days="geotiff", threshold="geotiff: of exceedance")
    parser.add_argument("--points", action="store_true", help="csv: the points rather than the cells")


def run(args: argparse.Namespace) -> int:
    """Write, and say what."""
    if args.all and (args.format != "netcdf" or args.period != LATEST):
        raise OutputError(
            "wanted --all with --format netcdf and without --period, found another combination. One file of "
            f"{args.format} holds one period."
        )
    if args.points and args.format != "csv":
        raise OutputError(f"wanted --points with --format csv, found {args.format}. Points are no map.")
    if args.points and (args.period != LATEST or args.days_ahead):
        raise OutputError("--period and --days-ahead are of cells; --points writes all of points.csv.")
    ends = FORMATS[args.format]
    if args.out.suffix.lower() not in ends:
        raise OutputError(
            f"wanted a name that ends in {' or '.join(ends)} for {args.format}, found {args.out}. "
            "Programs go by the end of a name."
        )
    for path in _written(args, open_store(args.store)):
        print(f"wrote {path}")
    return 0


def _written(args: argparse.Namespace, store: Store) -> tuple[Path, ...]:
    if args.points:
        write_csv(point_table(store), args.out)
        return (args.out,)
    position = None if args.all else chosen_period(store, args.period)
    if args.format == "netcdf":
        write_netcdf(store, args.out, position=position)
        return (args.out,)
    if args.format == "csv":
        write_csv(cell_table(store, chosen_period(store, args.period)), args.out)
        return (args.out,)
    moment = moment_at(store, chosen_period(store, args.period), horizon=args.days_ahead)
    return write_geotiff(moment, args.out, threshold=args.threshold)
