"""What was alerted, checked and delivered: three files of JSON lines that survive a kill at any moment.

Lines are only ever added, and are on the disk before anything is done about them. What a kill can leave is
half a line at the end; the next run takes it away. Only one run at a time holds the folder: the lock is the
operating system's, so that it ends with the process.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spectm.errors import AlertError, OutputError

__all__ = ["ALERTS", "CHECKS", "DELIVERIES", "Journal", "open_journal", "read_journal"]

ALERTS, CHECKS, DELIVERIES = "alerts.jsonl", "checks.jsonl", "deliveries.jsonl"
LOCK = ".lock"
NEEDED = {
    ALERTS: ("id", "asked", "horizon", "period", "probability", "receivers"),
    CHECKS: ("id", "asked", "horizon", "period", "outcome"),
    DELIVERIES: ("id", "receiver", "outcome"),
}
Line = dict[str, Any]


class Journal:
    """The folder of alerts, as it stands.

    Parameters
    ----------
    folder : Path
    lines : mapping of str to list
        Lines of each file, in order.
    mended : sequence of str
        Files that half a line was taken from.
    """

    def __init__(self, folder: Path, lines: Mapping[str, list[Line]], mended: Sequence[str] = ()) -> None:
        self.folder, self.mended = folder, tuple(mended)
        self.alerts, self.checks, self.deliveries = (lines[name] for name in (ALERTS, CHECKS, DELIVERIES))

    @property
    def known(self) -> set[str]:
        """Ids of all alerts."""
        return {one["id"] for one in self.alerts}

    def last_alert(self, asked: str, horizon: float, first: str) -> Line | None:
        """The newest alert of a question about a period that begins on a day or earlier."""
        told = [
            one
            for one in self.alerts
            if (one["asked"], one["horizon"]) == (asked, horizon) and one["period"]["first"] <= first
        ]
        return (
            max(enumerate(told), key=lambda pair: (pair[1]["period"]["first"], pair[0]))[1] if told else None
        )

    def ended_between(self, asked: str, horizon: float, after: str, before: str) -> bool:
        """Whether a period between two others was found below the probability."""
        return any(
            one["outcome"] == "below"
            for one in self.checks
            if (one["asked"], one["horizon"]) == (asked, horizon) and after < one["period"]["first"] < before
        )

    def taken(self, alert: str, receiver: str) -> tuple[bool, frozenset[str]]:
        """Whether a receiver has an alert, and which addresses of it have."""
        here = [one for one in self.deliveries if (one["id"], one["receiver"]) == (alert, receiver)]
        addresses = frozenset(address for one in here for address in one.get("taken_by", ()))
        return any(one["outcome"] == "taken" for one in here), addresses

    def waiting(self) -> dict[str, list[Line]]:
        """Alerts that a receiver does not have yet, by its name, the oldest first."""
        done = {(one["id"], one["receiver"]) for one in self.deliveries if one["outcome"] == "taken"}
        found: dict[str, list[Line]] = {}
        for alert in self.alerts:
            for receiver in alert["receivers"]:
                if (alert["id"], receiver) not in done:
                    found.setdefault(receiver, []).append(alert)
        return found

    def add_alerts(self, lines: Sequence[Line]) -> None:
        """Keep alerts; on the disk when this returns."""
        _append(self.folder / ALERTS, lines)
        self.alerts.extend(lines)

    def add_checks(self, lines: Sequence[Line]) -> None:
        """Keep checks that are not yet known with the same outcome."""
        known = {(one["id"], one["outcome"]) for one in self.checks}
        new = [one for one in lines if (one["id"], one["outcome"]) not in known]
        _append(self.folder / CHECKS, new)
        self.checks.extend(new)

    def add_delivery(self, line: Line) -> None:
        """Keep how a delivery ended; on the disk when this returns."""
        _append(self.folder / DELIVERIES, [line])
        self.deliveries.append(line)


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """The journal of a folder, made where there is none, mended, and held against other runs.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    AlertError
        If another run holds it, or a line other than the last is damaged.
    OutputError
        If the folder can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"wanted a folder for the journal, found a file at {folder}.") from error
    # Never removed: who holds a lock on a file that is gone holds nothing.
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlertError(
                f"wanted the journal {folder}, found it held by another run of spectm alerts. "
                "Nothing was done; that run goes on. Try again when it is over."
            ) from error
        mended = [name for name in NEEDED if _mend(folder / name)]
        yield Journal(folder, {name: _read(folder / name) for name in NEEDED}, mended)
    finally:
        os.close(lock)


def read_journal(folder: Path) -> Journal:
    """The journal as it can be read now, nothing written; an empty one where there is none.

    Raises
    ------
    AlertError
        If a line other than the last is damaged.
    """
    return Journal(folder, {name: _read(folder / name) for name in NEEDED})


def _read(path: Path) -> list[Line]:
    """Whole lines of a file."""
    if not path.is_file():
        return []
    lines = []
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        line = _parsed(text)
        if line is None or not all(key in line for key in NEEDED[path.name]):
            raise AlertError(
                f"{path}, line {number}: wanted a JSON object with {', '.join(NEEDED[path.name])}; found "
                "something else. Did another program write here, or the disk fail? Mend that line, or give "
                "another --out, which knows nothing of what was sent."
            )
        lines.append(line)
    return lines


def _parsed(text: bytes) -> Line | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _mend(path: Path) -> bool:
    """Take away half a line that a kill left at the end; complete one that lacks its end alone."""
    if not path.is_file():
        return False
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end == len(data):
        return False
    with path.open("r+b") as file:
        if _parsed(data[end:]) is not None:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(end)
        file.flush()
        os.fsync(file.fileno())
    return True


def _append(path: Path, lines: Sequence[Line]) -> None:
    """Add lines; they are on the disk when this returns, or the file is as it was."""
    if not lines:
        return
    data = "".join(json.dumps(line) + "\n" for line in lines).encode("ascii")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(file).st_size
        try:
            _write_all(file, data)
            os.fsync(file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(file, size)
            raise OutputError(
                f"wanted to write {path}, found: {error.strerror}. Nothing is sent before it is "
                "written. Make room and run it again."
            ) from error
    finally:
        os.close(file)
    if not size:
        _sync_folder(path.parent)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_folder(folder: Path) -> None:
    """Put the name of a new file on the disk, too."""
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
