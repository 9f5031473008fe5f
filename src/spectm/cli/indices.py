"""`spectm indices`: which spectral indices a sensor supports."""

import argparse

from spectm.cli.tables import add_sensor_arguments, chosen_sensor, print_table
from spectm.spectral.indices import INDICES, Index, supported_indices

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Print every spectral index: units, the bands it needs, whether the sensor has them, a reference."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm indices --sensor oci-sfrefl-v3\n"
        "  spectm indices --bands my_sensor.csv --csv > indices.csv"
    )
    add_sensor_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table of indices; 0."""
    sensor = chosen_sensor(args)
    reasons = supported_indices(sensor.wavelength)
    rows = [
        (
            name,
            index.units,
            _needs(index),
            "yes" if reasons[name] is None else "no",
            index.reference,
            reasons[name] or "",
        )
        for name, index in INDICES.items()
    ]
    if args.csv:
        print_table(("index", "units", "needs_nm", "supported", "reference", "missing"), rows, as_csv=True)
        return 0
    print(f"{sensor.name}: {sensor.n_bands} bands, {sensor.wavelength[0]:g}-{sensor.wavelength[-1]:g} nm\n")
    print_table(("index", "units", "needs, nm", "supported", "reference"), [row[:5] for row in rows])
    for name, reason in reasons.items():
        if reason is not None:
            print(f"\n{name}: {reason}")
    return 0


def _needs(index: Index) -> str:
    """Bands of an index as text: '665 708', or '400-700' where it needs a whole range."""
    return ("-" if index.continuous else " ").join(f"{nm:g}" for nm in index.needs_nm)
