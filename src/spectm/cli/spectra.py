"""`spectm spectra`: tables of one's own spectra and a description in; a file for the other commands out."""

import argparse
from pathlib import Path

import numpy as np

from spectm.data.spectra_file import Spectra, write_spectra
from spectm.data.spectra_table import described_spectra
from spectm.evaluation.results import write_table

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Read spectra of any sensor, with any target, from CSV, Excel, NetCDF or Zarr. A TOML file says "
        "which "
        "bands there are, which columns are what, and the target with its unit and detection limit "
        "(docs/own-sensor.md). The file that is written holds all of it: pretrain, finetune, evaluate, "
        "predict "
        "and explain take it as --patches, without --labels."
    )
    parser.epilog = "example:\n  spectm spectra own.toml --out spectra.nc"
    parser.add_argument("description", type=Path, metavar="FILE", help="TOML")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where the files of spectra lie (default: beside FILE)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="netCDF")
    parser.add_argument("--problems", type=Path, metavar="FILE", help="CSV of what was not taken as written")


def run(args: argparse.Namespace) -> int:
    """Read, write, and say what was found."""
    spectra, problems = described_spectra(args.description, args.folder)
    write_spectra(spectra, args.out)
    print(_summary(spectra))
    for one in problems.head(5).itertuples():
        print(f"{one.file}, line {one.line}, column {one.column}: {one.value!r} {one.why}")
    if len(problems) > 5:
        print(f"and {len(problems) - 5} more")
    if args.problems:
        write_table(problems, args.problems)
    print(f"wrote {args.out}")
    return 0


def _summary(spectra: Spectra) -> str:
    """What there is to learn from."""
    patches, target, rows = spectra.patches, spectra.target, spectra.labelled
    whole = int(patches.valid.any(axis=(1, 2)).sum())
    lines = [
        f"{patches.n_samples} spectra of {np.unique(spectra.group).size} groups, {whole} of them whole; "
        f"{patches.n_bands} bands from {patches.wavelength[0]:g} to {patches.wavelength[-1]:g} nm"
    ]
    if rows.size:
        value = spectra.value[rows]
        lines.append(
            f"{target.name}: {rows.size} values in {np.unique(spectra.group[rows]).size} groups, "
            f"{int(spectra.below[rows].sum())} below detection ({target.detection_limit:g} {target.unit}); "
            f"{value.min():.3g} to {value.max():.3g} {target.unit}"
        )
    else:
        lines.append("no target: for pretraining and prediction")
    if whole < patches.n_samples:
        names = ", ".join(spectra.sample[~patches.valid.any(axis=(1, 2))][:5])
        lines.append(f"not used, as bands are missing: {patches.n_samples - whole} spectra ({names}, ...)")
    return "\n".join(lines)
