"""`spectm realism`: real spectra and a laboratory record in; how the simulated lake compares out."""

import argparse
from pathlib import Path

from spectm.cli.progress import progress_bar
from spectm.data.labels import read_labels
from spectm.data.patches import read_patches
from spectm.errors import ConfigError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Simulate lakes in memory and compare their spectra and laboratory records with real ones: spectral "
        "angles, quartiles of indices, a classifier, and what is learned from the simulated truth. Writes "
        "report.html, realism.json and tables."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm realism --patches patches.nc --pixels pixels.nc --labels glerl/ --out realism\n"
        "  spectm realism --patches patches.nc --pixels pixels.nc --labels glerl/ --lakes 2 "
        "--spectra 1000 --out quick"
    )
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument("--pixels", type=Path, required=True, metavar="FILE", help="single pixels, netCDF")
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="CSV file or folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--results", type=Path, metavar="FILE", help="also write the tables as Markdown")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all chance (default: %(default)s)"
    )
    parser.add_argument(
        "--lakes", type=int, default=8, metavar="N", help="simulated seasons (default: %(default)s)"
    )
    parser.add_argument(
        "--spectra", type=int, default=5000, metavar="N", help="simulated spectra (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Compare, print what came out, and name what was written."""
    from spectm.evaluation.realism import RealismSettings, compare

    if args.seed < 0 or args.lakes < 1 or args.spectra < 100:
        raise ConfigError(
            f"wanted a seed of 0 or more, a lake or more and 100 spectra or more, found --seed {args.seed} "
            f"--lakes {args.lakes} --spectra {args.spectra}. Leave them out for the usual numbers."
        )
    settings = RealismSettings(seed=args.seed, lakes=args.lakes, spectra=args.spectra)
    labels = read_labels(args.labels)
    print(labels.summary())
    with progress_bar("comparing", "step") as show:
        written = compare(
            read_patches(args.patches),
            read_patches(args.pixels),
            labels,
            settings,
            args.out,
            results=args.results,
            progress=show,
        )
    print("wrote " + "\n      ".join(str(path) for path in written))
    return 0
