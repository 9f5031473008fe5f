"""What `spectm ablate` and `spectm label-efficiency` share: options, data, and the page."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import spectm
from spectm.cli.options import add_settings, read_sources, settings_from
from spectm.data.labels import Labels, read_labels
from spectm.data.patches import Patches
from spectm.files import replacing
from spectm.training.settings import Settings

__all__ = ["add_study", "note_of", "read_study", "record_of", "shortened", "write_page"]

QUICK_STEPS = 60


def add_study(parser: argparse.ArgumentParser, *, quick: str) -> None:
    """Data, folder, seeds and workers."""
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument(
        "--unlabelled",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="more spectra to pretrain on, such as pixels or the patches of a cube; may be repeated",
    )
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="CSV file or folder")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write; goes on with what is there"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="pretrainings of each (default: 10)")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the page here as well")
    add_settings(parser)


def shortened(settings: Settings) -> Settings:
    """With no more than sixty steps of pretraining."""
    loop = settings.pretraining.loop
    short = replace(loop, steps=min(loop.steps, QUICK_STEPS))
    return replace(settings, pretraining=replace(settings.pretraining, loop=short))


def read_study(
    args: argparse.Namespace,
) -> tuple[Settings, Patches, list[Patches], Labels, dict[str, Any]]:
    """Settings, patches, unlabelled spectra and labels; and of what files they are."""
    settings = settings_from(args, Settings)
    settings = shortened(settings) if args.quick else settings
    labels = read_labels(args.labels)
    (patches, *unlabelled), files = read_sources([args.patches, *args.unlabelled])
    print(labels.summary())
    identity = {"files": files, "labels": args.labels.name, "labels_summary": labels.summary()}
    return settings, patches, unlabelled, labels, identity


def record_of(args: argparse.Namespace, patches: Patches, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a page says of how it was made; folders are left out of its command."""
    words = [Path(word).name if "/" in word else word for word in _words(args)]
    return {
        "command": shlex.join(words),
        "quick": args.quick,
        "simulated": patches.simulated,
        "spectm_version": spectm.__version__,
        "files": identity["files"],
    }


def _words(args: argparse.Namespace) -> Sequence[str]:
    words = ["spectm", args.command, "--patches", str(args.patches)]
    words += [word for name in args.unlabelled for word in ("--unlabelled", str(name))]
    words += ["--labels", str(args.labels), "--out", "DIR", "--config", "settings.toml"]
    words += ["--seeds", str(args.seeds)] if args.seeds else []
    return [*words, "--quick"] if args.quick else words


def note_of(record: Mapping[str, Any]) -> str:
    """What a figure says above its panels."""
    said = ["Simulated."] if record["simulated"] else []
    return " ".join([*said, "Quick run: no claim."] if record["quick"] else said)


def write_page(text: str, *paths: Path) -> None:
    """The same page at one or two places."""
    for path in paths:
        with replacing(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
