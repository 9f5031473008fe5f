"""`python -m benchmarks.run [--only NAME]`: measures, prints, and writes ``benchmarks/results.json``."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import composing, explaining, predicting, pretraining, serving, simulating, whole_run
from benchmarks.entry import Entry, machine_name

__all__ = ["BENCHMARKS", "main", "write_results"]

RESULTS = Path(__file__).parent / "results.json"

BENCHMARKS: dict[str, Callable[[], list[Entry]]] = {
    "compose": composing.measure,
    "explain": explaining.measure,
    "predict": predicting.measure,
    "pretraining": pretraining.measure,
    "serve": serving.measure,
    "simulate": simulating.measure,
    "whole_pretraining": whole_run.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks asked for; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="default: %(default)s")
    args = parser.parse_args(arguments)
    names = [args.only] if args.only else list(BENCHMARKS)
    print(f"machine: {machine_name()}", flush=True)
    for name in names:
        print(f"\n{name}", flush=True)
        started = time.monotonic()
        entries = BENCHMARKS[name]()
        write_results(entries, name, args.out)
        print_entries(entries)
        print(f"{name}: {time.monotonic() - started:.0f} s")
    print(f"\nwrote {args.out}")
    return 0


def write_results(entries: Sequence[Entry], benchmark: str, path: Path) -> None:
    """Replace the entries of one benchmark in a results file and keep those of the others.

    Parameters
    ----------
    entries : sequence of Entry
        All of the benchmark.
    benchmark : str
        What the names of its entries begin with.
    path : Path
        A JSON list, made where it is missing.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    kept = [item for item in known if not item["name"].startswith((f"{benchmark}/", f"{benchmark}_"))]
    text = json.dumps([*kept, *(asdict(entry) for entry in entries)], indent=1, allow_nan=False) + "\n"
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def print_entries(entries: Sequence[Entry]) -> None:
    """One line for each entry."""
    for entry in entries:
        value = "not measured" if entry.value is None else f"{entry.value:.4g} {entry.unit}"
        ratio = "" if entry.ratio is None else f"  ({entry.ratio:.3g} of {entry.against})"
        note = f"  [{entry.note}]" if entry.note else ""
        print(f"  {entry.name:<50} {value}{ratio}{note}")


if __name__ == "__main__":
    sys.exit(main())
