"""`spectm serve`: predictions in a browser, and for programs."""

import argparse
from pathlib import Path

from spectm.apps.places import read_stations
from spectm.cli.stores import same_lake
from spectm.data.labels import read_labels

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Serve predictions over HTTP: a page with maps, places and weeks at /, and an interface for programs "
        "under /api/v1 (its description: /api/v1/openapi.json). It reads the folders that are named here and "
        "changes nothing; without --host it answers this machine alone."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm serve runs/demo\n"
        "  spectm serve west=runs/week saginaw=runs/saginaw --labels glerl/ --port 8080"
    )
    parser.add_argument(
        "stores", nargs="+", metavar="DIR", help="predictions, or NAME=DIR; each is an area of the page"
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0 is any (default: %(default)s)")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a further host name under which browsers may ask, such as lake.example.org; may be repeated",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=100.0,
        metavar="N",
        help="requests a second of one address (default: 100)",
    )
    parser.add_argument(
        "--behind-proxy", action="store_true", help="believe a proxy on this machine who a request is from"
    )
    parser.add_argument("--stations", type=Path, metavar="FILE", help="CSV: station, latitude, longitude")
    parser.add_argument("--labels", type=Path, metavar="PATH", help="laboratory values: CSV file or folder")
    parser.add_argument("--shore", type=Path, metavar="FILE", help="GeoJSON, longitude and latitude")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from spectm.apps.server.app import Bounds, create_app
    from spectm.apps.server.areas import find_areas
    from spectm.apps.server.run import bound_socket, serve
    from spectm.errors import ConfigError

    if not args.rate > 0:
        raise ConfigError(f"--rate wants requests a second above 0, found {args.rate:g}")
    labels = None if args.labels is None else read_labels(args.labels)
    areas = find_areas(
        args.stores,
        stations=None if args.stations is None else read_stations(args.stations),
        labels=labels,
        shore=args.shore,
    )
    for area in areas.values():
        area.ask(lambda now: same_lake(now.store, labels, args.labels))
    listening = bound_socket(args.host, args.port)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    own = (*Bounds().hosts, shown, *args.name)
    app = create_app(areas, Bounds(rate=args.rate, reserve=3 * args.rate, hosts=own))
    print(f"serving {', '.join(areas)} at http://{shown}:{port}/ (Ctrl-C ends it)", flush=True)
    serve(app, listening, behind_proxy=args.behind_proxy)
    return 0
