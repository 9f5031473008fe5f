"""`spectm bulletin`: predictions of a week as one page."""

import argparse
from pathlib import Path

from spectm.apps.bulletin.page import write_bulletin
from spectm.apps.moment import days_in_words, moment_at
from spectm.apps.shores import outlines_of
from spectm.apps.store import open_store
from spectm.cli.stores import (
    add_period,
    add_places,
    add_profiles,
    add_store,
    labels_from,
    places_from,
    profiles_from,
)

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Write one HTML page on a week: what changed, maps, stations with estimate, interval, trend and "
        "exceedance, the forecast, what was seen and how old it is, how well earlier forecasts did, and what "
        "to know before using any of it. It holds everything in itself; a browser prints it."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm bulletin runs/week --out bulletin.html\n"
        "  spectm bulletin runs/week --labels glerl/ --profile ohio-2021 --out bulletin.html"
    )
    add_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="HTML")
    add_period(parser)
    add_places(parser)
    add_profiles(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page, and say of which week."""
    store = open_store(args.store)
    labels = labels_from(args, store)
    stations, samples = places_from(args, store, labels)
    grid = moment_at(store, 0).grid
    week = write_bulletin(
        store,
        args.out,
        stations=stations,
        samples=samples,
        profiles=profiles_from(args, store),
        outlines=outlines_of(grid, args.shore),
        wanted=args.period,
    )
    print(f"{days_in_words(week.now.period)}: {int(week.now.seen.sum()):,} cells, {len(stations)} stations")
    print(f"wrote {args.out}")
    return 0
