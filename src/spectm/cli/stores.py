"""Options of the commands that show a store of predictions: period, stations, laboratory values, shore."""

import argparse
from pathlib import Path

import pandas as pd

from spectm.apps.columns import USUAL_THRESHOLD, find_profile
from spectm.apps.moment import LATEST
from spectm.apps.places import Station, read_stations, samples_at, stations_of, usual_stations
from spectm.apps.store import Store
from spectm.data.grid import grid_of_centres
from spectm.data.labels import Labels, read_labels
from spectm.data.origin import same_origin
from spectm.trust.thresholds import Profile, profile_names

__all__ = [
    "add_period",
    "add_places",
    "add_profiles",
    "add_question",
    "add_store",
    "labels_from",
    "places_from",
    "profiles_from",
    "same_lake",
]


def add_store(parser: argparse.ArgumentParser) -> None:
    """The folder."""
    parser.add_argument("store", type=Path, metavar="DIR", help="predictions: --out of spectm predict")


def add_period(parser: argparse.ArgumentParser) -> None:
    """``--period``."""
    parser.add_argument(
        "--period",
        default=LATEST,
        metavar="DAY",
        help="any day of the period, as 2024-08-12 (default: the latest that holds an estimate)",
    )


def add_question(parser: argparse.ArgumentParser, *, days: str, threshold: str) -> None:
    """``--days-ahead`` and ``--threshold``; the texts say what they are of."""
    parser.add_argument(
        "--days-ahead", type=float, default=0.0, metavar="DAYS", help=f"{days}: 0 or 8 (default: 0)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=USUAL_THRESHOLD,
        metavar="X",
        help=f"{threshold}, ug/L (default: %(default)g)",
    )


def add_places(parser: argparse.ArgumentParser) -> None:
    """``--stations``, ``--labels`` and ``--shore``."""
    parser.add_argument(
        "--stations",
        type=Path,
        metavar="FILE",
        help="CSV: station, latitude, longitude (default: those of "
        "the labels, or GLERL's in western Lake Erie)",
    )
    parser.add_argument("--labels", type=Path, metavar="PATH", help="laboratory values: CSV file or folder")
    parser.add_argument(
        "--shore",
        type=Path,
        metavar="FILE",
        help="GeoJSON, longitude and latitude; western Lake Erie needs none",
    )


def add_profiles(parser: argparse.ArgumentParser) -> None:
    """``--profile``."""
    parser.add_argument(
        "--profile",
        action="append",
        metavar="NAME",
        help="thresholds: a profile that ships, or a file of one's own (.toml); may be repeated (default: "
        f"those of the predictions; known: {', '.join(profile_names())})",
    )


def profiles_from(args: argparse.Namespace, store: Store) -> list[Profile]:
    """Profiles that were asked for, or those of the store."""
    return [find_profile(name) for name in args.profile] if args.profile else list(store.profiles)


def labels_from(args: argparse.Namespace, store: Store) -> Labels | None:
    """The laboratory's record, real for a real store and simulated for a simulated one."""
    if args.labels is None:
        return None
    labels = read_labels(args.labels)
    same_lake(store, labels, args.labels)
    return labels


def same_lake(store: Store, labels: Labels | None, path: Path | None) -> None:
    """Refuse a real record beside a simulated store, and the other way round."""
    if labels is not None:
        simulated = bool(store.record["data"]["simulated"])  # the lake's; the model may be of another
        same_origin([(f"the cube of {store.folder}", simulated), (str(path), labels.simulated)])


def places_from(
    args: argparse.Namespace, store: Store, labels: Labels | None
) -> tuple[list[Station], pd.DataFrame | None]:
    """Stations, and what the laboratory found there."""
    maps = store.dataset
    if args.stations is not None:
        stations = read_stations(args.stations)
    elif labels is not None:
        stations = stations_of(labels)
    else:
        stations = usual_stations(grid_of_centres(maps["lat"].values, maps["lon"].values))
    return stations, None if labels is None else samples_at(labels, stations, where=args.labels)
