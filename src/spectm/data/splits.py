"""Which rows train and which are tested: groups in, positions out.

Every split takes the rows of one task (`spectm.data.matchups`) and returns folds of positions into them.
Leave-date-out and forward keep a *buffer* of 60 hours around the samples and overpasses of the test part. In
``leave-date-out`` a row is left out of training when its sample or overpass lies within it of a test sample,
or its overpass of a test overpass; ``leave-date-out-strict`` and ``forward`` also leave out rows *sampled*
within it of a test overpass. The protocol's text asks for the latter, its reference scores were made by the
former (eight days ahead; on the current task both leave out the same rows), so both are kept, by two names.
Random-5 and leave-station-out have no buffer, as every station is visited on the same days; they are there
for comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.errors import SplitError

__all__ = [
    "BUFFER_HOURS",
    "Fold",
    "date_blocks",
    "excluded_by",
    "forward",
    "group_folds",
    "leave_date_out",
    "leave_station_out",
    "near_rows",
    "random_five",
    "row_times",
]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
TimeArray = npt.NDArray[np.datetime64]

# Two and a half days: an overpass pairs with samples up to 48.5 h away, and weather lasts about as long.
BUFFER_HOURS = 60.0
N_BLOCKS = 5
FIRST_FORWARD_DATE = 5  # the sixth date: five must have been seen to learn anything of the season


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """One division of the rows.

    Parameters
    ----------
    name : str
        What is tested: a date, a station, or the fold's number.
    split : str
        "leave-date-out", "leave-date-out-strict", "random-5", "leave-station-out" or "forward".
    repeat : int
        Number of the shuffle; 0 where nothing is shuffled.
    train, test : ndarray of int
        Positions of the rows, increasing.
    """

    name: str
    split: str
    repeat: int
    train: IntArray
    test: IntArray


def excluded_by(
    times: TimeArray, test_times: TimeArray, hours: float = BUFFER_HOURS, *, until: TimeArray | None = None
) -> BoolArray:
    """Tell which times lie too near to a test time to be learned from.

    Parameters
    ----------
    times : ndarray of datetime64, shape (n,)
        UTC; of training rows, or of spectra without labels.
    test_times : ndarray of datetime64, any number
        UTC; samples and overpasses of the test part, as `row_times` gives them.
    hours : float
        Buffer on either side; exactly so many hours apart is still too near.
    until : ndarray of datetime64, shape (n,), optional
        End of what covers more than a moment, as a composite does from `times` on.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where a test time is within the buffer. An unknown time (NaT), on either side, excludes: nobody
        can say that it is far away.

    Examples
    --------
    >>> times = np.array(["2024-08-01T11", "2024-08-01T12", "2024-08-09T00"], dtype="datetime64[ns]")
    >>> test_times = np.array(["2024-08-04T00"], dtype="datetime64[ns]")
    >>> print(excluded_by(times, test_times))
    [False  True False]
    >>> print(excluded_by(times, test_times, until=times + np.timedelta64(8, "D")))
    [ True  True False]
    """
    first, test_times = times.astype("datetime64[ns]"), np.sort(test_times.astype("datetime64[ns]"))
    last = first if until is None else until.astype("datetime64[ns]")
    if test_times.size == 0:
        return np.zeros(first.shape, dtype=np.bool_)
    if np.isnat(test_times[-1]):  # NaT sorts to the end
        return np.ones(first.shape, dtype=np.bool_)
    buffer = np.timedelta64(round(hours * 3600), "s")
    n_before = np.searchsorted(test_times, first - buffer, side="left")
    n_until = np.searchsorted(test_times, last + buffer, side="right")
    return (n_until > n_before) | np.isnat(first) | np.isnat(last)


def row_times(rows: pd.DataFrame) -> TimeArray:
    """Return the times of all samples, then of all overpasses of the rows, UTC, shape (2 n,)."""
    columns = [rows[name].to_numpy(dtype="datetime64[ns]") for name in ("sample_time", "overpass_time")]
    return np.concatenate(columns)


def leave_date_out(rows: pd.DataFrame, *, strict: bool = False) -> list[Fold]:
    """One fold for each sampling date, with the buffer around it.

    Parameters
    ----------
    rows : DataFrame
        Rows of one task, with the columns ``date``, ``sample_time`` and ``overpass_time``.
    strict : bool
        Leave out rows sampled near a test overpass too, when the spectrum of the test was seen.

    Returns
    -------
    list of Fold
        In the order of dates; every row is tested once.

    Raises
    ------
    SplitError
        If the buffer leaves nothing to train on.
    """
    dates = rows["date"].to_numpy(dtype=str)
    split = "leave-date-out-strict" if strict else "leave-date-out"
    folds = []
    for date in np.unique(dates):
        test = dates == date
        near = near_rows(rows, test, strict=strict)
        folds.append(_fold(str(date), split, ~test & ~near, test))
    return folds


def random_five(rows: pd.DataFrame, *, seed: int) -> list[Fold]:
    """Five shuffled folds over rows, without a buffer: for comparison with papers only.

    Rows of one date share weather and overpass, so that this split flatters whatever is tested by it.

    Parameters
    ----------
    rows : DataFrame
        Rows of one task.
    seed : int
        Number of the shuffle, kept as `Fold.repeat`: the same shuffle then serves every model. The protocol
        takes 0 to 9.

    Returns
    -------
    list of Fold
        Five folds whose sizes differ by one at most; every row is tested once.

    Raises
    ------
    SplitError
        If there are fewer than five rows.
    """
    if len(rows) < 5:
        raise SplitError(
            f"wanted at least 5 rows for five folds, found {len(rows)}. Are labels and patches paired?"
        )
    order = np.random.default_rng(seed).permutation(len(rows))
    folds = []
    for number, part in enumerate(np.array_split(order, 5)):
        test = np.isin(np.arange(len(rows)), part)
        folds.append(_fold(str(number), "random-5", ~test, test, repeat=seed))
    return folds


def leave_station_out(rows: pd.DataFrame) -> list[Fold]:
    """One fold for each station, without a buffer.

    Neighbouring stations may share a pixel, and all are visited on the same days: this asks about places, not
    about times.

    Parameters
    ----------
    rows : DataFrame
        Rows of one task, with the column ``station``.

    Returns
    -------
    list of Fold
        In the order of names; every row is tested once.

    Raises
    ------
    SplitError
        If there is only one station.
    """
    stations = rows["station"].to_numpy(dtype=str)
    tests = ((str(station), stations == station) for station in np.unique(stations))
    return [_fold(station, "leave-station-out", ~test, test) for station, test in tests]


def forward(rows: pd.DataFrame) -> list[Fold]:
    """One fold for each date from the sixth on, trained on what was known before, with the buffer.

    Parameters
    ----------
    rows : DataFrame
        Rows of one task, with the columns ``date``, ``sample_time`` and ``overpass_time``.

    Returns
    -------
    list of Fold
        In the order of dates. A training row's sample and overpass both precede every overpass of the test
        date: when a prediction is asked for, nothing later is known.

    Raises
    ------
    SplitError
        If there are fewer than six dates, or nothing was known before one of them.
    """
    dates = rows["date"].to_numpy(dtype=str)
    tested = np.unique(dates)[FIRST_FORWARD_DATE:]
    if tested.size == 0:
        raise SplitError(
            f"wanted at least {FIRST_FORWARD_DATE + 1} sampling dates for an expanding window, found "
            f"{np.unique(dates).size}. Use leave-date-out."
        )
    known = row_times(rows).reshape(2, -1).max(axis=0)  # when both the spectrum and the label were there
    folds = []
    for date in tested:
        test = dates == date
        asked = rows["overpass_time"].to_numpy(dtype="datetime64[ns]")[test].min()
        near = near_rows(rows, test, strict=True)
        folds.append(_fold(str(date), "forward", (known < asked) & ~near, test))
    return folds


def group_folds(groups: npt.NDArray[Any], n_folds: int) -> list[tuple[IntArray, IntArray]]:
    """Folds for choosing settings inside a training part, in which no group is divided.

    The largest group goes first, each to the fold with the fewest rows so far. Choosing by single rows
    instead lets rows of one date vouch for each other.

    Parameters
    ----------
    groups : ndarray, shape (n,)
        Group of each row; sampling dates here.
    n_folds : int
        Wanted number of folds; fewer where there are fewer groups.

    Returns
    -------
    list of (train, test)
        Positions into `groups`, increasing; every row is tested once.

    Raises
    ------
    SplitError
        If there are fewer than two groups or folds.

    Examples
    --------
    >>> for train, test in group_folds(np.array(["a", "a", "a", "b", "b", "c"]), 2):
    ...     print(train, test)
    [3 4 5] [0 1 2]
    [0 1 2] [3 4 5]
    """
    names, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n_folds = min(n_folds, names.size)
    if n_folds < 2:
        raise SplitError(
            f"wanted at least 2 folds of 2 groups, found {names.size} groups among {groups.size} rows. "
            "Give rows of more sampling dates."
        )
    load = np.zeros(n_folds, dtype=np.int64)
    fold_of = np.zeros(names.size, dtype=np.int64)
    for largest in np.argsort(-sizes, kind="stable"):
        fold_of[largest] = load.argmin()
        load[load.argmin()] += sizes[largest]
    fold = fold_of[group]
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(n_folds)]


def date_blocks(dates: Sequence[str]) -> IntArray:
    """Block of neighbouring dates to which each date belongs; one pretraining serves a block.

    The dates of Lake Erie 2024 have fixed blocks, in the file ``tables/erie_2024_date_blocks.csv``: whatever
    subset is asked for, and for either task. They are contiguous, hold 37 to 42 rows of both tasks together,
    and are cut where at least six days lie between two dates. If any date is not in that file, all dates
    given are dealt anew into five contiguous blocks of about equally many distinct dates (fewer blocks for
    fewer dates); such blocks depend on what is given, so give the dates of all tasks at once.

    Parameters
    ----------
    dates : sequence of str
        Local sampling dates, YYYY-MM-DD; repetitions are fine.

    Returns
    -------
    ndarray of int, shape (n,)
        Block 0 to 4 of each date.

    Examples
    --------
    >>> print(date_blocks(["2024-04-24", "2024-10-24", "2024-07-08"]))
    [0 4 1]
    >>> print(date_blocks([f"2019-07-{day:02}" for day in (1, 8, 15, 18, 22, 29)]))
    [0 0 1 2 3 4]
    """
    table = resources.files("spectm.data").joinpath("tables", "erie_2024_date_blocks.csv")
    with table.open(encoding="utf-8") as lines:
        fixed = pd.read_csv(lines, dtype={"date": str, "block": np.int64})
    block = dict(zip(fixed["date"], fixed["block"], strict=True))
    if not set(dates) <= block.keys():
        parts = np.array_split(np.unique(np.asarray(dates, dtype=str)), N_BLOCKS)
        block = {str(date): number for number, part in enumerate(parts) for date in part}
    return np.array([block[date] for date in dates], dtype=np.int64)


def near_rows(rows: pd.DataFrame, test: BoolArray, *, strict: bool) -> BoolArray:
    """Tell which rows lie in the buffer of the test rows.

    Parameters
    ----------
    rows : DataFrame
        Rows of one task.
    test : ndarray of bool, shape (n,)
        Those that are tested.
    strict : bool
        As in `leave_date_out`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    sample, overpass = row_times(rows).reshape(2, -1)
    near = excluded_by(sample, sample[test]) | excluded_by(overpass, sample[test])
    near |= excluded_by(overpass, overpass[test])
    return near | excluded_by(sample, overpass[test]) if strict else near


def _fold(name: str, split: str, train: BoolArray, test: BoolArray, repeat: int = 0) -> Fold:
    """Fold of two boolean arrays; an empty training part is an error."""
    if not train.any():
        raise SplitError(
            f"{split}: nothing is left to train on when {name} is tested: all other {(~test).sum()} rows "
            f"are too near ({BUFFER_HOURS:g} h) or too late. Give more sampling dates, or another split."
        )
    return Fold(name=name, split=split, repeat=repeat, train=np.flatnonzero(train), test=np.flatnonzero(test))
