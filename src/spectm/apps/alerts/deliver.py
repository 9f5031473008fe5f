"""Alerts on their way: each receiver by itself, so that a slow or hostile one holds nobody up.

Delivery is at least once. An alert stands in the journal before it is sent, and "taken" is written after a
receiver took it; a run that is killed in between sends it again, with the same id.
"""

import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spectm.apps.alerts.attempts import Attempt, Deadline
from spectm.apps.alerts.journal import Journal
from spectm.apps.alerts.mail import mail, mail_of
from spectm.apps.alerts.receivers import Receiver, Webhook
from spectm.apps.alerts.text import mail_text, sent_part, subject
from spectm.apps.alerts.webhook import post

__all__ = ["Patience", "Waiting", "body_of", "deliver"]

GRACE_S = 2.0  # for threads that end at the deadline, and have to be heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long deliveries are tried in one run.

    Parameters
    ----------
    waits : tuple of float
        Seconds before the second, third, ... attempt.
    seconds : float
        For all deliveries of the run.
    """

    waits: tuple[float, ...] = (1.0, 4.0)
    seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Alerts that a receiver did not take in this run; the next one tries again.

    Parameters
    ----------
    receiver : str
    target : str
        Host and port.
    n_alerts : int
    detail : str
        Why, of the last attempt.
    """

    receiver: str
    target: str
    n_alerts: int
    detail: str


def body_of(alert: Mapping[str, Any]) -> bytes:
    """What is posted."""
    return json.dumps(sent_part(alert)).encode("ascii")


def deliver(
    journal: Journal, receivers: Mapping[str, Receiver], patience: Patience | None = None
) -> list[Waiting]:
    """Send what receivers do not have yet, and write down how it ended.

    Parameters
    ----------
    journal : Journal
        Held by this run.
    receivers : mapping of str to Receiver
        By name; alerts for others are left waiting.
    patience : Patience, optional

    Returns
    -------
    list of Waiting
        Receivers that did not take all.
    """
    patience = patience or Patience()
    waiting = {name: alerts for name, alerts in journal.waiting().items() if name in receivers}
    heard: queue.Queue[tuple[str, str, Attempt, int] | str] = queue.Queue()
    latest = Deadline(patience.seconds)
    for name, alerts in waiting.items():
        taken_by = {alert["id"]: journal.taken(alert["id"], name)[1] for alert in alerts}
        arguments = (receivers[name], alerts, taken_by, patience.waits, latest, heard)
        # A thread that hangs in a look-up of a name can't be stopped; the process does not wait for it.
        threading.Thread(target=_tell, args=arguments, daemon=True).start()
    details = _written_down(journal, heard, set(waiting), latest)
    left = journal.waiting()
    return [
        Waiting(
            receiver=name,
            target=receivers[name].target,
            n_alerts=len(left[name]),
            detail=details.get(name, "no time was left"),
        )
        for name in waiting
        if name in left
    ]


def _written_down(
    journal: Journal, heard: "queue.Queue[Any]", busy: set[str], latest: Deadline
) -> dict[str, str]:
    """Keep what threads tell until all are done or the time is over; the last word of each failure."""
    details: dict[str, str] = {}
    while busy:
        try:
            told = heard.get(timeout=latest.left + GRACE_S)
        except queue.Empty:
            return details
        if isinstance(told, str):
            busy.discard(told)
            continue
        receiver, alert, attempt, n_attempts = told
        taken = attempt.end == "taken"
        if not taken:
            details[receiver] = attempt.detail
        line = {
            "id": alert,
            "receiver": receiver,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "outcome": "taken" if taken else "failed",
            "attempts": n_attempts,
            "detail": attempt.detail,
        }
        journal.add_delivery(line | ({"taken_by": list(attempt.taken_by)} if attempt.taken_by else {}))
    return details


def _tell(
    receiver: Receiver,
    alerts: Sequence[Mapping[str, Any]],
    taken_by: Mapping[str, frozenset[str]],
    waits: Sequence[float],
    latest: Deadline,
    heard: "queue.Queue[Any]",
) -> None:
    """All alerts of one receiver, one after the other."""
    try:
        for alert in alerts:
            ended = None
            for n_attempts, ended in _attempts(receiver, alert, taken_by[alert["id"]], waits, latest):
                heard.put((receiver.name, alert["id"], ended, n_attempts))
            if ended is None or ended.end in ("again", "closed"):
                return  # the others wait, too
    finally:
        heard.put(receiver.name)


def _attempts(
    receiver: Receiver,
    alert: Mapping[str, Any],
    taken_by: frozenset[str],
    waits: Sequence[float],
    latest: Deadline,
) -> Iterator[tuple[int, Attempt]]:
    """One alert, tried until it is taken or there is no use; what is worth keeping, and its number."""
    pause = threading.Event()
    for number, wait in enumerate((*waits, 0.0), start=1):  # the wait is the one after the attempt
        try:
            attempt = _attempt(receiver, alert, taken_by, latest)
        except (KeyError, TypeError, ValueError) as error:  # a line that somebody wrote by hand
            said = f"its line in the journal can't be sent ({type(error).__name__})"
            attempt = Attempt(end="refused", detail=said)
        taken_by |= set(attempt.taken_by)
        more = attempt.end == "again" and number <= len(waits) and wait < latest.left
        if attempt.taken_by or not more:
            yield number, attempt
        if not more:
            return
        pause.wait(wait)


def _attempt(
    receiver: Receiver, alert: Mapping[str, Any], taken_by: frozenset[str], latest: Deadline
) -> Attempt:
    if isinstance(receiver, Webhook):
        return post(receiver, body_of(alert), alert["id"], latest)
    to = [one for one in receiver.to if one not in taken_by]
    if not to:
        return Attempt(end="taken", detail="all its addresses have taken it")
    message = mail_of(receiver, subject(alert), mail_text(alert), alert["id"], alert["time"])
    return mail(receiver, message, to, latest)
