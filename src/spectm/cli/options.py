"""Options that several commands share: settings, device, data."""

import argparse
import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lightning_fabric import Fabric

from spectm.config import read_settings, to_toml
from spectm.data.labels import Labels, read_labels
from spectm.data.patches import Patches, read_patches
from spectm.errors import ConfigError
from spectm.files import write_text
from spectm.training.modes import bfloat16_fallback, compiler_fallback
from spectm.training.settings import Settings

T = TypeVar("T", bound=Settings)

__all__ = [
    "Data",
    "add_data",
    "add_device",
    "add_python",
    "add_settings",
    "fabric_from",
    "keep_settings",
    "may_compile",
    "read_data",
    "read_sources",
    "settings_from",
    "shortened",
    "source_record",
]

QUICK_STEPS = 60


def add_settings(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--set``."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML; see docs/settings.md")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting, such as masking.guard_nm=5; may be repeated",
    )
    add_python(parser)


def add_python(parser: argparse.ArgumentParser) -> None:
    """``--python``: a file that is run first, to register indices."""
    parser.add_argument(
        "--python",
        type=Path,
        metavar="FILE",
        help="run this Python file first; it may register indices (docs/own-sensor.md)",
    )


def settings_from(args: argparse.Namespace, kind: type[T]) -> T:
    """Settings that the options ask for."""
    return read_settings(kind, args.config, args.set)


def shortened(settings: T) -> T:
    """With no more than sixty steps of pretraining: what ``--quick`` asks for."""
    loop = settings.pretraining.loop
    short = replace(loop, steps=min(loop.steps, QUICK_STEPS))
    return replace(settings, pretraining=replace(settings.pretraining, loop=short))


def keep_settings(settings: Settings, folder: Path) -> None:
    """Write the settings beside what was made with them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "settings.toml", to_toml(settings))


def add_data(parser: argparse.ArgumentParser, *, labels: bool = True) -> None:
    """``--patches``, ``--unlabelled`` and ``--labels``, which may be left out where `labels` is False."""
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument(
        "--unlabelled",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="more spectra to pretrain on, such as pixels or the patches of a cube; may be repeated",
    )
    parser.add_argument("--labels", type=Path, required=labels, metavar="PATH", help="CSV file or folder")


def add_device(parser: argparse.ArgumentParser) -> None:
    """``--device``, ``--processes`` and ``--precision``; bfloat16 falls back where there is none."""
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda or auto (default: auto)")
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="devices or processes (default: 1)"
    )
    parser.add_argument(
        "--precision", default="32-true", choices=["32-true", "bf16-mixed"], help="default: %(default)s"
    )


def fabric_from(args: argparse.Namespace) -> Fabric:
    """Device, precision and processes; several CPU processes talk through gloo."""
    strategy = "ddp" if args.processes > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=args.device, devices=args.processes, precision=args.precision, strategy=strategy
        )
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"--device {args.device} --processes {args.processes}: {error}") from error
    if args.precision == "bf16-mixed" and (reason := bfloat16_fallback(fabric.device)):
        print(f"training in float32: {reason}", file=sys.stderr)
        args.precision = "32-true"
        return fabric_from(args)
    fabric.launch()
    return fabric


def may_compile(args: argparse.Namespace) -> bool:
    """Whether to compile, as ``--compile`` asks for; where that is not possible it says why."""
    if not args.compile:
        return False
    if reason := compiler_fallback():
        print(f"training without compiling: {reason}", file=sys.stderr)
    return reason is None


def _digest(path: Path) -> str:
    """SHA-256 of a file that may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sources(paths: list[Path]) -> tuple[list[Patches], list[dict[str, Any]]]:
    """Patch files, and what a checkpoint records of each: name, checksum, number and times of patches."""
    sources = [read_patches(path) for path in paths]
    provenance = [source_record(path, patches) for path, patches in zip(paths, sources, strict=True)]
    return sources, provenance


def source_record(path: Path, patches: Patches) -> dict[str, Any]:
    """What a checkpoint records of one file of patches that was read."""
    return {
        "file": path.name,
        "sha256": _digest(path),
        "source": patches.source,
        "simulated": patches.simulated,
        "n_patches": patches.n_samples,
        "first": str(patches.time.min()),
        "last": str(patches.time.max()),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What `add_data` asks for, read.

    Parameters
    ----------
    patches : Patches
        Of stations.
    unlabelled : list of Patches
        More spectra.
    labels : Labels
        The laboratory record.
    provenance : dict
        ``files`` as of `read_sources`, ``labels`` (name) and ``labels_summary``.
    """

    patches: Patches
    unlabelled: list[Patches]
    labels: Labels
    provenance: dict[str, Any]


def read_data(args: argparse.Namespace) -> Data:
    """Read the files of `add_data`, and print what was read of the laboratory record."""
    labels = read_labels(args.labels)
    (patches, *unlabelled), files = read_sources([args.patches, *args.unlabelled])
    print(labels.summary())
    provenance = {"files": files, "labels": args.labels.name, "labels_summary": labels.summary()}
    return Data(patches, unlabelled, labels, provenance)
