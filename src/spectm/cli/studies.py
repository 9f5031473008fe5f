"""What studies such as `spectm ablate` and `spectm transfer` share: options, data, and the page."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import spectm
from spectm.cli.options import Data, add_data, add_settings, read_data, settings_from, shortened
from spectm.evaluation.page_sections import write_section
from spectm.files import write_text
from spectm.training.settings import Settings

__all__ = ["add_study", "note_of", "publish", "read_study", "record_of", "write_page"]


def add_study(parser: argparse.ArgumentParser, *, quick: str, seeds: int = 10, section: bool = False) -> None:
    """Data, folder, seeds and workers; `section`: whether ``--results`` is a part of a page."""
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write; goes on with what is there"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help=f"pretrainings of each (default: {seeds})")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    page = "write the page into its section of this one as well" if section else "write the page here as well"
    parser.add_argument("--results", type=Path, metavar="FILE", help=page)
    add_settings(parser)


def read_study(args: argparse.Namespace) -> tuple[Settings, Data]:
    """Settings, which ``--quick`` shortens, and data."""
    settings = settings_from(args, Settings)
    return shortened(settings) if args.quick else settings, read_data(args)


def record_of(args: argparse.Namespace, data: Data) -> dict[str, Any]:
    """What a page says of how it was made; folders are left out of its command."""
    words = [Path(word).name if "/" in word else word for word in _words(args)]
    return {
        "command": shlex.join(words),
        "quick": args.quick,
        "simulated": data.patches.simulated,
        "spectm_version": spectm.__version__,
        "files": data.provenance["files"],
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


def publish(page: str, section: str, written: Sequence[Path], results: Path | None) -> None:
    """Write a page's section of another one where asked for, print it, and name all that was written."""
    if results:
        write_section(results, section, page)
    print(page)
    print("wrote " + "\n      ".join(map(str, [*written, *([results] if results else [])])))


def write_page(text: str, *paths: Path) -> None:
    """The same page at one or two places."""
    for path in paths:
        write_text(path, text)
