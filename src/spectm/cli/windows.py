"""`spectm windows`: how many bands of a sensor the diagnostic windows hold."""

import argparse

import numpy as np

from spectm.cli.tables import add_sensor_arguments, chosen_sensor, print_table
from spectm.spectral.sensors import Sensor
from spectm.spectral.windows import WindowSet, guard_bands, named_windows, window_set_names

__all__ = ["add_arguments", "run"]

_CSV_HEADER = ("window", "low_nm", "high_nm", "n_bands", "first_nm", "last_nm", "share_percent", "source")
_HEADER = ("window", "from, nm", "to, nm", "bands", "first, nm", "last, nm", "share, %")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Print the windows of a set: range, the bands of the sensor inside, their share, and the guard bands."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm windows --sensor oci-sfrefl-v3 --half-width-nm 4\n"
        "  spectm windows --set snow-minerals --bands my_sensor.csv --csv > windows.csv"
    )
    add_sensor_arguments(parser)
    parser.add_argument(
        "--set",
        default="cyanobacteria",
        metavar="NAME",
        help=f"window set: {', '.join(window_set_names())} (default: %(default)s)",
    )
    parser.add_argument(
        "--half-width-nm",
        type=float,
        default=0.0,
        metavar="NM",
        help="count bands up to this far beyond a window's edge as inside (default: 0)",
    )
    parser.add_argument(
        "--guard-nm",
        type=float,
        default=0.0,
        metavar="NM",
        help="count bands up to this far beyond that as guards (default: 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table of windows; 0."""
    sensor = chosen_sensor(args)
    window_set = named_windows(args.set, half_width_nm=args.half_width_nm)
    rows = _rows(window_set, sensor, args.guard_nm)
    if args.csv:
        print_table(_CSV_HEADER, rows, as_csv=True)
        return 0
    print(f"{window_set.name}: {window_set.description}")
    print(
        f"{sensor.name}: {sensor.n_bands} bands, {sensor.wavelength[0]:g}-{sensor.wavelength[-1]:g} nm; "
        f"half width {args.half_width_nm:g} nm, guard {args.guard_nm:g} nm\n"
    )
    print_table(_HEADER, [row[:-1] for row in rows])
    print("\nsources:")
    for source in dict.fromkeys(window.source for window in window_set.windows):
        print(f"  {source}")
    return 0


def _rows(window_set: WindowSet, sensor: Sensor, guard_nm: float) -> list[tuple[str, ...]]:
    """One row for each window, one for all of them, one for the guard bands."""
    number = window_set.band_windows(sensor.wavelength)
    guard = guard_bands(window_set, sensor.wavelength, guard_nm)
    rows = [
        (
            window.name,
            f"{window.low_nm:g}",
            f"{window.high_nm:g}",
            *_counts(sensor, number == i),
            window.source,
        )
        for i, window in enumerate(window_set.windows)
    ]
    total = ("total", "", "", *_counts(sensor, number >= 0), "")
    return [*rows, total, ("guard", "", "", *_counts(sensor, guard), "")]


def _counts(sensor: Sensor, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[str, ...]:
    """Count, first centre, last centre and share of some bands, as text."""
    centres, share = sensor.wavelength[inside], f"{100 * inside.mean():.1f}"
    if not centres.size:
        return "0", "", "", share
    return str(centres.size), f"{centres[0]:g}", f"{centres[-1]:g}", share
