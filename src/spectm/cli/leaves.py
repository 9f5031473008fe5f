"""`spectm leaves`: spectra of simulated leaves with chlorophyll, to try a sensor and target of one's own."""

import argparse
from pathlib import Path

from spectm.simulation.leaf_files import write_leaves

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Write spectra of simulated leaves (400 to 1000 nm) of several sites, some with chlorophyll from a "
        "simulated laboratory: leaves.csv, bands.csv, a description (leaves.toml) and settings to begin with "
        "(settings.toml). Nothing of it was measured; docs/own-sensor.md goes on from there."
    )
    parser.epilog = "example:\n  spectm leaves --out leaves"
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder")
    parser.add_argument("--n", type=int, default=360, metavar="N", help="leaves (default: %(default)s)")
    parser.add_argument(
        "--labelled", type=int, default=120, metavar="N", help="with chlorophyll (default: %(default)s)"
    )
    parser.add_argument("--sites", type=int, default=12, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Write, and name what was written."""
    written = write_leaves(args.out, n=args.n, labelled=args.labelled, sites=args.sites, seed=args.seed)
    print("wrote " + "\n      ".join(map(str, written)))
    return 0
