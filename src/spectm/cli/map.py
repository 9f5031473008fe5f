"""`spectm map`: predictions as pictures that people print."""

import argparse
from pathlib import Path

from spectm.apps.columns import ABOUT
from spectm.apps.figures import draw_series, draw_spectrum, save_figure
from spectm.apps.looks import LOOKS
from spectm.apps.maps import Scene, draw_map, map_title
from spectm.apps.moment import LATEST, moment_at
from spectm.apps.places import Station, find_station, parse_point
from spectm.apps.shores import outlines_of
from spectm.apps.spectra import spectrum_at
from spectm.apps.store import Store, open_store
from spectm.cli.stores import (
    add_period,
    add_places,
    add_profiles,
    add_question,
    add_store,
    labels_from,
    places_from,
    profiles_from,
)
from spectm.errors import OutputError
from spectm.trust.thresholds import CAVEAT

__all__ = ["add_arguments", "run"]

WHAT = (*LOOKS, "series", "spectrum")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Draw a map of the estimate, of how wide its interval is, or of the probability to exceed a "
        "threshold; the weeks of one place beside the laboratory's values; or the spectrum behind an "
        "estimate, with its hidden windows and what the model infers there."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm map runs/week --what estimate --labels glerl/ --out map.png\n"
        "  spectm map runs/week --what exceedance --threshold 8 --period 2024-08-12 --out above.pdf\n"
        "  spectm map runs/week --what series --station WE4 --labels glerl/ --out WE4.png\n"
        "  spectm map runs/week --what spectrum --point 41.76,-83.33 --out spectrum.svg"
    )
    add_store(parser)
    parser.add_argument("--what", default="estimate", choices=WHAT, help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".png, .svg or .pdf")
    add_period(parser)
    add_question(parser, days="of a map", threshold="of exceedance")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--station", metavar="NAME", help="of series and spectrum")
    place.add_argument("--point", metavar="LAT,LON", help="of series and spectrum, degrees")
    add_places(parser)
    add_profiles(parser)
    parser.add_argument("--model", metavar="NAME", help="of the spectrum, where the model was moved")


def run(args: argparse.Namespace) -> int:
    """Draw, and say what."""
    store = open_store(args.store)
    labels = labels_from(args, store)
    stations, samples = places_from(args, store, labels)
    _refuse_what_is_not_listened_to(args)
    if args.what in LOOKS:
        moment = moment_at(store, args.period, horizon=args.days_ahead)
        scene = Scene(outlines=outlines_of(moment.grid, args.shore), stations=stations, samples=samples)
        canvas = draw_map(moment, args.what, scene, threshold=args.threshold)
        title = map_title(moment, args.what, args.threshold)
    else:
        place = _place(args, stations)
        title = f"{args.what} at {place.name}"
        if args.what == "series":
            thresholds = [one for profile in profiles_from(args, store) for one in profile.thresholds]
            until = None if args.period == LATEST else moment_at(store, args.period).period.end
            canvas = draw_series(store, place, samples=samples, thresholds=thresholds, until=until)
        else:
            canvas = draw_spectrum(spectrum_at(moment_at(store, args.period), place, args.model))
    save_figure(canvas, args.out, about=f"{_origin(store)}{title}. {ABOUT}. {CAVEAT}")
    print(f"{title}\nwrote {args.out}")
    return 0


def _refuse_what_is_not_listened_to(args: argparse.Namespace) -> None:
    """A reader may take what was asked for to be what was drawn."""
    is_map = args.what in LOOKS
    if is_map and (args.station is not None or args.point is not None):
        raise OutputError(f"--station and --point are of series and spectrum; a map of {args.what} has none.")
    if not is_map and args.days_ahead:
        raise OutputError(f"--days-ahead is an option of maps; a {args.what} has none of its own.")


def _place(args: argparse.Namespace, stations: list[Station]) -> Station:
    if args.point is not None:
        return parse_point(args.point)
    if args.station is None:
        known = ", ".join(one.name for one in stations) or "none"
        raise OutputError(
            f"wanted --station or --point for a {args.what}, found neither. Known stations: {known}."
        )
    return find_station(stations, args.station)


def _origin(store: Store) -> str:
    """What the file says of itself first."""
    record = store.record
    made_up = "Simulated. " if store.simulated else ""
    return f"{made_up}spectm {record['spectm_version']}, {record['model']['name']}. "
