"""Periods of a composite: NASA's eight days, single days or any other number of days.

Periods begin anew on the first of January, as NASA's do: day 1, 9, 17, ..., 361 of the year for eight days,
so the last one of a year is shorter.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spectm.errors import CubeError

__all__ = ["Period", "period_of", "periods_between"]

MOST_PERIODS = 5000
DateArray = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Whole UTC days from `start` up to, but without, `end`."""

    start: np.datetime64
    end: np.datetime64

    def __str__(self) -> str:
        """First and last day."""
        last = self.end - np.timedelta64(1, "D")
        return str(self.start) if last == self.start else f"{self.start} to {last}"

    @property
    def n_days(self) -> int:
        """Number of days."""
        return int((self.end - self.start).astype(int))


def period_of(time: np.datetime64, days: int) -> Period:
    """Period that a moment falls into.

    Parameters
    ----------
    time : datetime64
        UTC.
    days : int
        Length of a period, 1 to 366 days.

    Raises
    ------
    CubeError
        If the length is another one.

    Examples
    --------
    >>> print(period_of(np.datetime64("2024-08-04T17:53:05"), 8))
    2024-08-04 to 2024-08-11
    """
    if not 1 <= days <= 366:
        raise CubeError(f"wanted periods of 1 to 366 days, found {days}. NASA's composites have 8.")
    day = time.astype("datetime64[D]")
    new_year = day.astype("datetime64[Y]").astype("datetime64[D]")
    next_year = (day.astype("datetime64[Y]") + 1).astype("datetime64[D]")
    start = day - (day - new_year) % np.timedelta64(days, "D")
    return Period(start, min(start + np.timedelta64(days, "D"), next_year))


def periods_between(first: np.datetime64, last: np.datetime64, days: int) -> list[Period]:
    """All periods from the one that holds `first` to the one that holds `last`.

    Raises
    ------
    CubeError
        If `last` is before `first`.
    """
    if last < first:
        raise CubeError(f"wanted a first day before the last, found {first} and {last}. Swap them.")
    if (last - first).astype("timedelta64[D]").astype(int) > MOST_PERIODS * max(days, 1):
        raise CubeError(
            f"wanted at most {MOST_PERIODS} periods, found {first} to {last}. Is a year misspelt?"
        )
    periods = [period_of(first, days)]
    while periods[-1].end <= last.astype("datetime64[D]"):
        periods.append(period_of(periods[-1].end, days))
    return periods
