"""`spectm alerts`: rules over predictions, and people who are told."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spectm.apps.alerts.decide import Checked, counts
from spectm.apps.alerts.deliver import body_of
from spectm.apps.alerts.journal import Journal
from spectm.apps.alerts.mail import mail_of
from spectm.apps.alerts.receivers import Mail, Receiver
from spectm.apps.alerts.rules import RuleBook, read_rules
from spectm.apps.alerts.run import Run, dry_run, run_alerts
from spectm.apps.alerts.text import mail_text, plain, subject
from spectm.apps.moment import days_in_words
from spectm.apps.places import Station, read_stations, usual_stations
from spectm.apps.store import Store, open_store
from spectm.cli.stores import add_store
from spectm.data.grid import grid_of_centres

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Evaluate rules (a place or polygon, a threshold, a probability) on the latest predictions, write "
        "one line for each alert, and send it by webhook or mail. Run it after spectm predict, for example "
        "by cron: what was told is not told again, and what a receiver did not take waits for the next run. "
        "It informs and decides nothing. docs/alerts.md has a file of rules to begin with."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm alerts runs/week --rules alerts.toml --out alerts --dry-run\n"
        "  spectm alerts runs/week --rules alerts.toml --out alerts\n"
        "exit code: 0; 1 for an error, or where a receiver did not take all"
    )
    add_store(parser)
    parser.add_argument(
        "--rules", type=Path, required=True, metavar="FILE", help="rules and receivers (TOML)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="journal: alerts, checks and deliveries"
    )
    parser.add_argument(
        "--period",
        default="latest",
        metavar="DAY",
        help="any day of the period, as 2024-08-12, even of long ago (default: the last period)",
    )
    parser.add_argument(
        "--stations",
        type=Path,
        metavar="FILE",
        help="CSV: station, latitude, longitude (default: GLERL's in western Lake Erie)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be sent and to whom; write and send nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, keep, send; or say what would be."""
    store = open_store(args.store)
    book = read_rules(args.rules, _stations(args.stations, store))
    if args.dry_run:
        done, journal = dry_run(store, book, args.out, wanted=args.period)
        _print_checks(done, store)
        _print_unsent(journal, book, done)
        return 0
    done = run_alerts(store, book, args.out, wanted=args.period)
    _print_checks(done, store)
    return _print_deliveries(done, book)


def _stations(path: Path | None, store: Store) -> list[Station]:
    if path is not None:
        return read_stations(path)
    maps = store.dataset
    return usual_stations(grid_of_centres(maps["lat"].values, maps["lon"].values))


def _print_checks(done: Run, store: Store) -> None:
    """Every rule, also those that could not be evaluated."""
    mark = "simulated " if store.simulated else ""
    print(f"{mark}predictions of {plain(store.record['model']['name'])}: {_days(done.checked)}")
    for one in done.checked:
        ahead = "now" if not one.finding.horizon else f"{one.finding.horizon:g} days"
        print(f"  {plain(one.finding.rule.name)}, {ahead}: {one.outcome}, {plain(one.why)}")
    for name, n in counts(done.checked).items():
        print(f"{n} {name}")
    for name in done.mended:
        print(f"mended {name}: a run that was stopped had left half a line at its end")


def _days(checked: Sequence[Checked]) -> str:
    return days_in_words(checked[0].finding.period)


def _print_deliveries(done: Run, book: RuleBook) -> int:
    for line in done.alerts:
        print(f"alert {line['id']}: {line['why']}")
    for name, n in done.unknown.items():
        print(f"{n} waiting for {plain(name)}, which {book.path} no longer names: kept, and not sent")
    for one in done.waiting:
        print(
            f"spectm alerts: {one.n_alerts} waiting for {plain(one.receiver)} ({one.target}): "
            f"{one.detail.rstrip('.')}. They are kept, and sent with the next run.",
            file=sys.stderr,
        )
    return 1 if done.waiting else 0


def _print_unsent(journal: Journal, book: RuleBook, done: Run) -> None:
    """Every message to every receiver, as it would be sent."""
    new = {line["id"] for line in done.alerts}
    for name, alerts in journal.waiting().items():
        for alert in alerts if name in book.receivers else ():
            why = "" if alert["id"] in new else ", left by an earlier run"
            _print_message(book.receivers[name], alert, why)
    for name, n in done.unknown.items():
        print(f"\n{n} waiting for {plain(name)}, which {book.path} no longer names: kept, and not sent")
    for line in (line for line in done.alerts if not line["receivers"]):
        print(f"\nwould only write: {json.dumps(line)}")
    print("\ndry run: nothing was written or sent")


def _print_message(receiver: Receiver, alert: Mapping[str, Any], why: str) -> None:
    kind = "mail" if isinstance(receiver, Mail) else "post"
    print(f"\nwould {kind} to {plain(receiver.name)} ({receiver.target}){why}")
    for secret in receiver.secrets:
        known = "set" if os.environ.get(secret.variable) else "NOT SET"
        print(f"  with ${secret.variable}, which is {known}")
    if isinstance(receiver, Mail):
        message = mail_of(receiver, subject(alert), mail_text(alert), alert["id"], alert["time"])
        print(f"  to {len(receiver.to)} addresses")
        print(
            f"Subject: {message['Subject']}\nMessage-ID: {message['Message-ID']}\n\n{mail_text(alert)}",
            end="",
        )
    else:
        for name, _ in receiver.headers:
            print(f"  {name}: from the environment")
        print(f"  Idempotency-Key: {alert['id']}\n{body_of(alert).decode('ascii')}")
