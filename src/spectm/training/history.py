"""From estimates of single overpasses to an estimate for a place and day: what lasts is the departure.

Each overpass of the last ten days says how far the water departs from what is usual. The departures of a
place are averaged, newer ones weighing more, and what is left of them after the time to the target is added
to what is usual then. How fast departures fade comes from the laboratory record (`spectm.data.memory`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.memory import Memory

__all__ = ["MAX_DAYS", "Departures", "carried"]

FloatArray = npt.NDArray[np.floating[Any]]
TimeArray = npt.NDArray[np.datetime64]
StringArray = npt.NDArray[np.str_]

MAX_DAYS = 10.0
SAME_PASS_DAYS = 0.05  # neighbouring granules of one overpass start minutes apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Departures:
    """Departures from the climatology that are known, each of a place and a moment.

    Parameters
    ----------
    value : ndarray, shape (n,)
        log10; NaN is not known.
    place : ndarray of str, shape (n,)
        Name of a place.
    time : ndarray of datetime64, shape (n,)
        UTC.
    """

    value: FloatArray
    place: StringArray
    time: TimeArray


def carried(
    known: Departures,
    place: StringArray,
    time: TimeArray,
    lead_days: FloatArray,
    memory: Memory,
    *,
    own: FloatArray | None = None,
    own_age_days: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    r"""Departure to expect at places, some days after a moment, from what is known up to that moment.

    Parameters
    ----------
    known : Departures
        Those later than `time`, or more than ten days older, are not looked at.
    place : ndarray of str, shape (n,)
        Names of places.
    time : ndarray of datetime64, shape (n,)
        Moment up to which anything is known, UTC: the newest overpass.
    lead_days : ndarray, shape (n,)
        Days from `time` to the target; none or negative is now.
    memory : Memory
        How fast departures fade.
    own, own_age_days : ndarray, shape (n,), optional
        One more departure of each row, which no other row may see, and its age; NaN where there is none. Its
        age is not limited.

    Returns
    -------
    tuple of ndarray, shape (n,)
        Departure, log10, NaN where nothing is known of the place; and the share of it that is left at the
        target.

    Notes
    -----
    :math:`d = e^{-L/\tau} \sum_k e^{-a_k/\tau} d_k / \sum_k e^{-a_k/\tau}` with ages :math:`a_k` and the
    lead L.
    """
    finite, empty = np.flatnonzero(np.isfinite(known.value)), np.empty(0, dtype=np.intp)
    known_at = {one: finite[rows] for one, rows in _positions(known.place[finite]).items()}
    total, weighted = np.zeros(time.size), np.zeros(time.size)
    for one, rows in _positions(place).items():
        seen = known_at.get(one, empty)
        age = (time[rows][:, None] - known.time[seen]) / np.timedelta64(1, "D")  # (row, known)
        use = (age >= -SAME_PASS_DAYS) & (age <= MAX_DAYS)
        weight = np.where(use, memory.left(age), 0.0)
        total[rows], weighted[rows] = weight.sum(axis=1), weight @ known.value[seen]
    if own is not None and own_age_days is not None:
        more = np.where(np.isfinite(own), memory.left(own_age_days), 0.0)
        total, weighted = total + more, weighted + np.where(more > 0, more * own, 0.0)
    mean = weighted / np.where(total > 0, total, np.nan)
    left = memory.left(np.maximum(lead_days, 0.0))
    return left * mean, left


def _positions(place: StringArray) -> dict[str, npt.NDArray[np.intp]]:
    """Where each place stands: a map has as many places as rows, so that all pairs would not fit."""
    order = np.argsort(place, kind="stable")
    names, first = np.unique(place[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, first[1:]), strict=True)) if names.size else {}
