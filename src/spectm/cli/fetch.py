"""`spectm fetch`: files of NASA's archive for a region and a period, into a folder with a manifest."""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from spectm.cli.tables import print_table
from spectm.data.catalog.fetch import FetchReport, check_workers, fetch, missing, missing_bytes, tidy
from spectm.data.catalog.login import login
from spectm.data.catalog.manifest import MANIFEST, read_manifest
from spectm.data.catalog.search import PRODUCTS, Found, named_product, search, totals
from spectm.data.regions import parse_region, region_names
from spectm.errors import FetchError

__all__ = ["add_arguments", "run"]

GIGABYTE = 1e9
_HEADER = ("product", "version", "status", "files", "GB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Fetch PACE OCI files from NASA's archive. A table of what there is comes first, then a question.\n"
        "Files that are at hand and whole are not fetched again; the same command continues a run that was\n"
        "stopped. Final files replace near-real-time ones.\n\n"
        "Login, only when something is to be fetched: EARTHDATA_TOKEN (or else EARTHDATA_USERNAME and\n"
        "EARTHDATA_PASSWORD), then netrc, then a question if there is a terminal. Nothing secret is stored."
    )
    width = max(map(len, PRODUCTS))
    listed = "\n".join(f"  {name:{width}}  {product.title}" for name, product in PRODUCTS.items())
    parser.epilog = (
        f"products:\n{listed}\n\n"
        "examples:\n"
        "  spectm fetch --product l2-aop --region lake-erie-west --start 2024-08-01 --end 2024-08-07 \\\n"
        "      --cloud-max 80 --out granules\n"
        "  spectm fetch --product l3m-rrs-8d-0p1deg --region=-83.55,41.35,-82.4,42.1 --start 2024-08-01 \\\n"
        "      --end 2024-08-31 --out maps --dry-run"
    )
    parser.add_argument("--product", required=True, metavar="NAME", help="one of those below")
    parser.add_argument(
        "--region",
        required=True,
        metavar="REGION",
        help=f"{', '.join(region_names())}, or WEST,SOUTH,EAST,NORTH in degrees (--region=-83.5,41,-82,42)",
    )
    parser.add_argument("--start", type=_day, required=True, metavar="YYYY-MM-DD", help="first day, UTC")
    parser.add_argument("--end", type=_day, required=True, metavar="YYYY-MM-DD", help="last day, included")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    parser.add_argument(
        "--cloud-max",
        type=float,
        metavar="PERCENT",
        help="level 2: largest cloud cover of a granule by its metadata; granules without it are left out",
    )
    parser.add_argument("--version", metavar="V", help="such as 3.1 (default: the newest of each scene)")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="files at a time (default: 4)")
    parser.add_argument(
        "--verify", action="store_true", help="compare checksums of all files at hand as well"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the table and stop")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Search, show, ask, fetch; 0 if all files are at hand in the end or none was wanted, else 1."""
    logging.getLogger("earthaccess").addHandler(logging.NullHandler())  # it would print a refusal on its own
    check_workers(args.workers)
    found = search(
        args.product,
        parse_region(args.region),
        args.start,
        args.end,
        cloud_max=args.cloud_max,
        version=args.version,
        at_hand=read_manifest(args.out).entries,
    )
    wanted = missing(found, args.out, verify=args.verify)
    at_hand = [file for file in found if file not in wanted]
    _print_table(found)
    size = f"{_count(len(wanted))}, {missing_bytes(wanted, args.out) / GIGABYTE:.3g} GB"
    print(f"at hand: {len(at_hand)}; to fetch: {size}")
    if args.dry_run:
        return 0
    if not wanted:
        print(f"nothing to fetch: all are at hand in {args.out}")
        _print_removed(tidy(at_hand, args.out))
        return 0
    if not (args.yes or _agreed(f"Fetch {size}, into {args.out}? [y/N] ")):
        print("nothing fetched")
        return 0
    granted = login(ask=sys.stdin.isatty())
    print(f"login: {granted.method}")
    _print_removed(tidy(at_hand, args.out))
    with _Progress(wanted) as progress:
        report = fetch(
            wanted,
            args.out,
            login=granted,
            workers=args.workers,
            verify=args.verify,
            advance=progress.advance,
            finished=progress.finished,
        )
    return _finish(report, args.out)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2024-08-01") from None


def _count(n_files: int) -> str:
    return f"{n_files} file{'s' * (n_files != 1)}"


def _print_table(found: Sequence[Found]) -> None:
    """Files and gigabytes, and what one should know before saying yes."""
    rows = totals(found)
    cells = [
        (
            row.product,
            row.version,
            "near-real-time" if row.near_real_time else "final",
            str(row.files),
            f"{row.about_bytes / GIGABYTE:.3g}" + "+?" * bool(row.unknown),
        )
        for row in rows
    ]
    print_table(_HEADER, cells)
    print()
    if any(row.unknown for row in rows):
        print("note: the catalogue does not give the size of every file")
    if named_product(rows[0].product).whole_globe:
        print("note: each of these files holds the whole globe; the archive does not cut them to a region")
    if len(rows) > 1:
        print("note: several processing versions, which can differ in bands and bias; --version chooses one")


def _agreed(question: str) -> bool:
    """Ask on a terminal."""
    if not sys.stdin.isatty():
        raise FetchError(
            "wanted an answer whether to fetch these files, found no terminal to ask on. Add --yes to fetch "
            "them, or --dry-run to see the table only."
        )
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


class _Progress:
    """Bytes and files that are there, and how long the rest will take."""

    def __init__(self, wanted: Sequence[Found]) -> None:
        self._done, self._n_files = 0, len(wanted)
        total = sum(file.about_bytes for file in wanted) or None
        self._bar = tqdm(total=total, unit="B", unit_scale=True, mininterval=1.0, desc=self._label())

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def _label(self) -> str:
        return f"fetching, {self._done} of {self._n_files} files done"

    def advance(self, n_bytes: int) -> None:
        """More bytes."""
        self._bar.update(n_bytes)

    def finished(self, _name: str) -> None:
        """One file more, whole or given up."""
        self._done += 1
        self._bar.set_description(self._label())


def _print_removed(replaced: Sequence[str]) -> None:
    if replaced:
        print(f"removed: {_count(len(replaced))} in near real time that final ones have replaced")


def _finish(report: FetchReport, folder: Path) -> int:
    """Say what became of the files; 1 if one failed."""
    recorded = f"; whole but not recorded before: {len(report.at_hand)}" if report.at_hand else ""
    print(f"fetched: {len(report.fetched)}; failed: {len(report.failed)}{recorded}")
    _print_removed(report.replaced)
    if report.fetched:
        print(f"wrote {folder / MANIFEST}")
    if not report.failed:
        return 0
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.failed.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        print(f"failed: {', '.join(names)}: {reason}", file=sys.stderr)
    return 1
