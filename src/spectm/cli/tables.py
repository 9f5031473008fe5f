"""What the commands that print tables for a sensor share."""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from spectm.spectral.sensors import Sensor, named_sensor, read_sensor, sensor_names

__all__ = ["add_sensor_arguments", "chosen_sensor", "print_table"]


def add_sensor_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command that prints a table for a sensor."""
    parser.add_argument(
        "--sensor",
        default="oci-aop-v3",
        metavar="NAME",
        help=f"named sensor: {', '.join(sensor_names())} (default: %(default)s)",
    )
    parser.add_argument(
        "--bands",
        type=Path,
        metavar="FILE",
        help="CSV with columns wavelength_nm and width_nm, used instead of a named sensor",
    )
    parser.add_argument("--csv", action="store_true", help="print CSV instead of an aligned table")


def chosen_sensor(args: argparse.Namespace) -> Sensor:
    """Sensor that --bands or else --sensor asks for."""
    return named_sensor(args.sensor) if args.bands is None else read_sensor(args.bands)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, as_csv: bool = False) -> None:
    """Print rows under a header, as aligned columns or as CSV."""
    table = [header, *rows]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(table)
        return
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * width for width in widths])
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
