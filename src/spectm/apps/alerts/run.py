"""One run: rules are evaluated on one period, what is new is kept, then sent."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spectm.apps.alerts.decide import Checked, decide
from spectm.apps.alerts.deliver import Patience, Waiting, deliver
from spectm.apps.alerts.evaluate import evaluate
from spectm.apps.alerts.journal import Journal, open_journal, read_journal
from spectm.apps.alerts.rules import RuleBook
from spectm.apps.alerts.text import alert_line
from spectm.apps.moment import LATEST, Moment, chosen_period, moment_at
from spectm.apps.store import Store, open_store
from spectm.errors import SpectmError, StoreError

__all__ = ["Run", "check_all", "dry_run", "run_alerts"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What a run did, or would do.

    Parameters
    ----------
    checked : tuple of Checked
    alerts : tuple of dict
        Lines of new alerts.
    waiting : tuple of Waiting
        Receivers that did not take all.
    unknown : mapping of str to int
        Alerts that wait for receivers which the rules no longer name.
    mended : tuple of str
        Files that half a line of a run that was killed was taken from.
    """

    checked: tuple[Checked, ...]
    alerts: tuple[dict[str, Any], ...]
    waiting: tuple[Waiting, ...] = ()
    unknown: dict[str, int]
    mended: tuple[str, ...] = ()


def run_alerts(
    store: Store, book: RuleBook, folder: Path, *, wanted: str = LATEST, patience: Patience | None = None
) -> Run:
    """Evaluate, keep, and send.

    Parameters
    ----------
    store : Store
    book : RuleBook
    folder : Path
        Of the journal.
    wanted : str
        A day of the period, or "latest".
    patience : Patience, optional

    Raises
    ------
    AlertError
        If another run holds the journal, or it is damaged.
    StoreError
        If there is no such period, or it was rewritten meanwhile.
    OutputError
        If the journal can't be written; nothing is sent then.
    """
    with open_journal(folder) as journal:
        try:
            checked, alerts = check_all(store, book, journal, wanted=wanted)
        except SpectmError:  # what waits from earlier runs is sent whatever is wrong with the predictions
            deliver(journal, book.receivers, patience)
            raise
        journal.add_alerts(alerts)
        journal.add_checks([_check_line(one) for one in checked])
        waiting = deliver(journal, book.receivers, patience)
        return Run(
            checked=tuple(checked),
            alerts=tuple(alerts),
            waiting=tuple(waiting),
            unknown=_unknown(journal, book),
            mended=journal.mended,
        )


def dry_run(store: Store, book: RuleBook, folder: Path, *, wanted: str = LATEST) -> tuple[Run, Journal]:
    """What a run would do, nothing written or sent; and the journal as it would be."""
    journal = read_journal(folder)
    checked, alerts = check_all(store, book, journal, wanted=wanted)
    journal.alerts.extend(alerts)
    return Run(checked=tuple(checked), alerts=tuple(alerts), unknown=_unknown(journal, book)), journal


def check_all(
    store: Store, book: RuleBook, journal: Journal, *, wanted: str = LATEST
) -> tuple[list[Checked], list[dict[str, Any]]]:
    """Every rule at each of its horizons, and lines for the alerts that are new.

    Raises
    ------
    StoreError
        If there is no such period, or another program wrote it meanwhile.
    """
    position = -1 if wanted == LATEST else chosen_period(store, wanted)
    today = datetime.now(UTC).date() if wanted == LATEST else None
    horizons = sorted({horizon for rule in book.rules for horizon in rule.horizons})
    moments = {one: moment_at(store, position, horizon=one) for one in horizons}
    findings = [
        evaluate(rule, moments[horizon], today=today) for rule in book.rules for horizon in rule.horizons
    ]
    _refuse_rewritten(store, next(iter(moments.values())))
    checked = [decide(finding, journal) for finding in findings]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return checked, [
        alert_line(one.finding, one.finding.answer, store, now)
        for one in checked
        if one.outcome == "alert" and one.finding.answer
    ]


def _refuse_rewritten(store: Store, moment: Moment) -> None:
    """A period that was predicted anew while it was read may be half of each."""
    start = str(moment.period.start)
    before, after = (one.dataset.attrs["periods"].get(start) for one in (store, open_store(store.folder)))
    if before != after:
        raise StoreError(
            f"wanted predictions that stay while they are read, found {moment.period} written anew in "
            f"{store.folder}. Run spectm alerts after spectm predict, not beside it."
        )


def _check_line(checked: Checked) -> dict[str, Any]:
    """A check as it is kept."""
    finding = checked.finding
    cells = finding.cells
    return {
        "id": finding.id,
        "asked": finding.rule.digest,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "rule": finding.rule.name,
        "outcome": "alert" if checked.outcome == "known" else checked.outcome,
        "why": checked.why,
        "period": {"first": str(finding.period.start)},
        "horizon": finding.horizon,
        "threshold": finding.rule.asked.value,
        "probability": None if finding.answer is None else round(finding.answer.probability, 4),
        "cells": {
            "water": cells.water,
            "seen": cells.seen,
            "flagged": cells.flagged,
            "too_old": cells.too_old,
            "counted": cells.counted,
        },
    }


def _unknown(journal: Journal, book: RuleBook) -> dict[str, int]:
    return {name: len(alerts) for name, alerts in journal.waiting().items() if name not in book.receivers}
