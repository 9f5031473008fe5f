"""What studies such as `spectm ablate` and `spectm transfer` share: options, data, and the page."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import spectm
from spectm.cli.options import Data, add_data, add_settings, read_data, settings_from, shortened
from spectm.evaluation.page_sections import write_section
from spectm.files import write_bytes
from spectm.training.settings import Settings

__all__ = ["add_study", "made_by", "note_of", "publish", "read_study", "record_of", "section_of"]

OWN_WORDS = ("seeds", "draws", "models", "lists")  # options that not every study has


def add_study(parser: argparse.ArgumentParser, *, quick: str, seeds: int = 10) -> None:
    """Data, folder, seeds, workers, and the page that a section goes to."""
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write; goes on with what is there"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help=f"pretrainings of each (default: {seeds})")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write the page into its section of this one as well"
    )
    add_settings(parser)


def read_study(args: argparse.Namespace) -> tuple[Settings, Data]:
    """Settings, which ``--quick`` shortens, and data."""
    settings = settings_from(args, Settings)
    return shortened(settings) if args.quick else settings, read_data(args)


def record_of(args: argparse.Namespace, data: Data) -> dict[str, Any]:
    """What a page says of how it was made; folders are left out of its command."""
    words = [Path(word).name if "/" in word else word for word in _words(args)]
    return {
        **made_by(shlex.join(words)),
        "quick": args.quick,
        "simulated": data.patches.simulated,
        "files": data.provenance["files"],
    }


def made_by(command: str) -> dict[str, str]:
    """What any page says of its writing."""
    written = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "spectm_version": spectm.__version__, "written": written}


def _words(args: argparse.Namespace) -> Sequence[str]:
    words = ["spectm", args.command, "--patches", str(args.patches)]
    for option in ("unlabelled", "simulated"):
        words += [word for name in getattr(args, option, []) for word in (f"--{option}", str(name))]
    words += [word for text in getattr(args, "tries", []) for word in ("--try", text)]
    words += ["--labels", str(args.labels), "--out", "DIR", "--config", "settings.toml"]
    asked = {name: value for name in OWN_WORDS if (value := getattr(args, name, None))}
    words += [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    return [*words, "--quick"] if args.quick else words


def note_of(record: Mapping[str, Any]) -> str:
    """What a figure says above its panels."""
    said = ["Simulated."] if record["simulated"] else []
    return " ".join([*said, "Quick run: no claim."] if record["quick"] else said)


def section_of(name: str, data: Data) -> str:
    """Section of a study's page; that of a simulated lake stands beside that of the real one."""
    return f"{name}-simulated" if data.patches.simulated else name


def publish(page: str, section: str, written: Sequence[Path], results: Path | None) -> None:
    """Write a page's section of another one where asked for, print it, and name all that was written.

    A figure of the page goes along, to ``images`` beside the other one.
    """
    print(page)
    named = list(written)
    if results:
        for figure in (path for path in written if f"]({path.name})" in page):
            copy = results.parent / "images" / f"results-{section}{figure.suffix}"
            write_bytes(copy, figure.read_bytes())
            page = page.replace(f"]({figure.name})", f"](images/{copy.name})")
            named.append(copy)
        write_section(results, section, page)
        named.append(results)
    print("wrote " + "\n      ".join(map(str, named)))
