"""One cell of a laboratory file -> a number, a date, a moment; or a problem, or an error that says where."""

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TypedDict
from zoneinfo import ZoneInfo

from spectm.errors import LabelError

UNREADABLE = "not one number: dropped"
NO_LIMIT = "below detection without a limit (write it as <x): dropped"
ZERO = "zero is no measurement (write the detection limit as <x): dropped"
BAD_TIME = "time not readable as hours:minutes: local noon taken"
AMBIGUOUS = "this local time happened twice, the clock went back: the first, daylight saving, taken"

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_US_DATE = re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})")
_ISO_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_NOT_MEASURED = {"", "nd", "ns", "na", "n/a", "nan"}
_BELOW = {"bdl", "<bdl"}
_NOON = time(12)
_YEARS = range(1900, 2101)  # outside is a typing error, and nanoseconds end in 2262


class Problem(TypedDict):
    """One thing that was not taken as written: where, what, and what was done about it."""

    file: str
    line: int
    column: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell stands, for messages; `problems` is the list of the file being read."""

    file: str
    line: int
    column: str
    problems: list[Problem] = field(default_factory=list, compare=False, repr=False)

    def error(self, wanted: str, found: str, advice: str) -> LabelError:
        """Return an error that names file, line and column."""
        where = f"{self.file}, line {self.line}, column {self.column!r}"
        return LabelError(f"{where}: wanted {wanted}, found {found[:80]!r}. {advice}")

    def report(self, value: str, why: str) -> None:
        """Note that a cell was not taken as written."""
        self.problems.append(
            Problem(file=self.file, line=self.line, column=self.column, value=value, why=why)
        )


def number(text: str, place: Place, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the number in a cell; NaN where nothing was measured or the cell can't be read (reported).

    Parameters
    ----------
    text : str
        The cell.
    place : Place
        Where it stands.
    low, high : float
        What the number can possibly be.

    Raises
    ------
    LabelError
        If the number is impossible: below `low` or above `high`.

    Examples
    --------
    >>> place = Place("lake.csv", 2, "turbidity")
    >>> number("3.5", place), number("ns", place), number("about 3", place)
    (3.5, nan, nan)
    >>> place.problems[0]["why"]
    'not one number: dropped'
    """
    value = _finite(text)
    if value is None:
        if text.lower() not in _NOT_MEASURED:
            place.report(text, UNREADABLE)
        return math.nan
    if not low <= value <= high:
        raise place.error(f"a number from {low:g} to {high:g}", text, "Correct the cell, or leave it blank.")
    return value


def quantity(text: str, place: Place, *, limit: float | None) -> tuple[float, bool]:
    """Return a measured value and whether it is below detection; the value then is the limit.

    Parameters
    ----------
    text : str
        The cell: a number, `<x`, `bdl`, or blank, `nd`, `ns` for not measured.
    place : Place
        Where it stands.
    limit : float or None
        What a bare `bdl` means; None where that is not known.

    Returns
    -------
    value : float
        In the unit of the column; NaN where nothing was measured or the cell was dropped (reported).
    below_detection : bool
        True where `value` is a limit.

    Raises
    ------
    LabelError
        If the value is negative.

    Examples
    --------
    >>> place = Place("lake.csv", 2, "microcystin")
    >>> [quantity(text, place, limit=0.1) for text in ("<0.15", "bdl", "2")]
    [(0.15, True), (0.1, True), (2.0, False)]
    """
    if text.lower() in _BELOW:
        if limit is None:
            place.report(text, NO_LIMIT)
            return math.nan, False
        return limit, True
    below = text.startswith("<")
    value = _finite(text.removeprefix("<").strip())
    if value is None:
        if text.lower() not in _NOT_MEASURED:  # "<nd" is neither a limit nor a gap
            place.report(text, UNREADABLE)
        return math.nan, False
    if value < 0:
        raise place.error("a number from 0 up", text, "Correct the cell; write below detection as <x.")
    if value == 0:
        place.report(text, ZERO)
        return math.nan, False
    return value, below


def sampling_date(text: str, place: Place, *, iso: bool) -> date:
    """Return the date in a cell.

    Parameters
    ----------
    text : str
        The cell.
    place : Place
        Where it stands.
    iso : bool
        Year-month-day when True, else month/day/year.

    Raises
    ------
    LabelError
        If there is no such date: without it a sample can't be placed.
    """
    match = (_ISO_DATE if iso else _US_DATE).fullmatch(text)
    wanted = "a date year-month-day such as 2024-08-19" if iso else "a date month/day/year such as 8/19/2024"
    advice = "Correct the date or remove the row."
    if match is None or int(match["year"]) not in _YEARS:
        raise place.error(wanted, text, advice)
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError as error:
        raise place.error(wanted, text, f"There is no such day ({error}). {advice}") from error


def clock(text: str, place: Place) -> time | None:
    """Return the time of day in a cell; None where it is missing or can't be read (reported).

    Raises
    ------
    LabelError
        If there is no such time, as 25:10.
    """
    if text.lower() in _NOT_MEASURED:
        return None
    match = _CLOCK.fullmatch(text)
    if match is None:
        place.report(text, BAD_TIME)
        return None
    hour, minute, second = (int(part or 0) for part in match.groups())
    if hour > 23 or minute > 59 or second > 59:
        raise place.error("a time from 0:00 to 23:59", text, "Correct the time, or leave it blank.")
    return time(hour, minute, second)


def zone(name: str, place: Place) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises
    ------
    LabelError
        If there is no zone of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder, as "America"
        raise place.error("an IANA time zone", name, "Write it as America/New_York or UTC.") from error


def to_utc(day: date, at: time | None, timezone: ZoneInfo, place: Place) -> datetime:
    """Return local date and time as UTC; a missing time counts as noon.

    Raises
    ------
    LabelError
        If the clock skipped that time, going forward to daylight saving.

    Notes
    -----
    Of a time that happened twice, as the clock went back, the first is taken and the choice is reported.

    Examples
    --------
    >>> from datetime import date, time
    >>> to_utc(date(2024, 7, 8), time(9, 30), zone("America/New_York", place := Place("a", 2, "b")), place)
    datetime.datetime(2024, 7, 8, 13, 30, tzinfo=datetime.timezone.utc)
    """
    local = datetime.combine(day, at or _NOON, tzinfo=timezone)
    moment = local.astimezone(UTC)
    if moment.astimezone(timezone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise place.error(
            f"a local time of {timezone.key}",
            f"{local:%Y-%m-%d %H:%M}",
            "The clock skipped it, going forward to daylight saving. Was the time written in another zone?",
        )
    if local.replace(fold=1).utcoffset() != local.utcoffset():
        place.report(f"{local:%Y-%m-%d %H:%M}", AMBIGUOUS)
    return moment


def iso_moment(text: str, place: Place) -> datetime:
    """Return the moment in a cell, in the offset it was written with.

    Raises
    ------
    LabelError
        If it is no ISO 8601 date and time, or states no offset from UTC.
    """
    wanted = "ISO 8601 with an offset, such as 2024-08-19T10:30-04:00 or 2024-08-19T14:30Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise place.error(wanted, text, f"There is no such time ({error}).") from error
    if moment.year not in _YEARS:
        raise place.error(wanted, text, f"Is the year {moment.year} meant?")
    if moment.tzinfo is None:
        raise place.error(
            wanted, text, "Local times go into the columns date, time and timezone instead (docs/labels.md)."
        )
    return moment


def _finite(text: str) -> float | None:
    """Return the number that a text is; None where it is none, or too large to hold."""
    if not _NUMBER.fullmatch(text):  # float() also takes "inf", "1_000" and digits of other scripts
        return None
    value = float(text)
    return value if math.isfinite(value) else None
