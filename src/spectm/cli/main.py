"""`spectm`: finds the command, runs it, and turns its errors into one line and an exit code.

A command's module is imported only when it is asked for, so `spectm --help` needs neither torch nor pandas.
"""

import argparse
import importlib
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import spectm
from spectm.errors import ConfigError, SpectmError

__all__ = ["COMMANDS", "main", "module_of"]

COMMANDS = {
    "demo": "run everything on a simulated lake, in minutes, and write one page about it",
    "windows": "print which bands of a sensor the diagnostic windows hold",
    "indices": "print the spectral indices and whether a sensor supports them",
    "fetch": "search NASA's archive and download granules of a region",
    "simulate": "write the files of a simulated lake: granules and a laboratory record",
    "leaves": "write spectra of simulated leaves, to try a sensor and target of one's own",
    "inspect": "print what a granule, map, patch file or cube holds, with a quick look",
    "flags": "print how many pixels each quality flag costs in a granule",
    "compose": "average granules onto a grid, period by period, into one cube",
    "patches": "cut windows from a cube, for pretraining",
    "spectra": "read spectra of one's own sensor, with a target of one's own, from tables",
    "matchups": "pair laboratory samples with pixels, and say why where there are none",
    "pretrain": "learn from unlabelled patches by hiding the pigment bands",
    "finetune": "train a calibrated model of microcystin from pretrained models and laboratory samples",
    "predict": "estimate microcystin for patches, maps or points, with intervals, exceedance and flags",
    "map": "draw maps, the weeks of a place, or a spectrum, from predictions",
    "export": "write predictions as netCDF, GeoTIFF or CSV for other programs",
    "bulletin": "write the weekly page: what changed, maps, stations, forecast, and how earlier ones did",
    "alerts": "evaluate rules on predictions, and tell people by webhook or mail",
    "serve": "show predictions in a browser, and answer programs",
    "explain": "write a page that says what an estimate, or a whole model, rests on",
    "evaluate": "score models and baselines on real data by the protocol, with a report",
    "ablate": "compare masking strategies and pretraining tasks, paired over seeds and dates",
    "label-efficiency": "train on 10 laboratory values, 20, 40, ... and see how many a model needs",
    "transfer": "score the model on other band lists: resampled, and trained anew",
    "own-lake": "see how many samples of another lake a released model wants to serve there",
    "realism": "compare the simulated lake with real spectra and a laboratory record",
}
# Packages that not every command needs -> the extra that installs them.
EXTRAS = {
    "captum": "explain",
    "dask": "geo",
    "distributed": "geo",
    "earthaccess": "fetch",
    "fastapi": "serve",
    "rasterio": "geo",
    "uvicorn": "serve",
    "zarr": "geo",
}
INTERRUPTED = 130  # what a shell expects after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="spectm", description=spectm.__doc__)
    parser.add_argument("--version", action="version", version=f"spectm {spectm.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = next((word for word in words if not word.startswith("-")), None)
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == asked:
            module_of(name).add_arguments(command)
    args = parser.parse_args(words)
    try:
        if getattr(args, "python", None):
            run_python(args.python)
        return int(module_of(args.command).run(args))
    except SpectmError as error:
        line = " ".join(str(error).split())  # libraries, whose words some errors repeat, write several
        print(f"spectm {args.command}: {line}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that can't be written
        if isinstance(error, BrokenPipeError):  # `spectm indices | head`: the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"spectm {args.command}: wanted to read or write, found: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        hint = f'pip install "spectm[{extra}]"'
        print(f"spectm {args.command}: wanted the package {error.name}, found none. {hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"\nspectm {args.command}: interrupted {error}".rstrip(), file=sys.stderr)
        return INTERRUPTED


def module_of(command: str) -> ModuleType:
    """The module of a command: `add_arguments` and `run`."""
    return importlib.import_module(f"spectm.cli.{command.replace('-', '_')}")


def run_python(path: Path) -> None:
    """Run a file that the user named, so that what it registers is known.

    Raises
    ------
    ConfigError
        If there is no such file, or it fails.
    """
    if not path.is_file():
        raise ConfigError(f"--python: wanted a Python file, found none at {path}. Check the path.")
    try:
        runpy.run_path(str(path))
    except SpectmError:
        raise
    except Exception as error:
        raise ConfigError(f"--python: {path} failed: {type(error).__name__}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
