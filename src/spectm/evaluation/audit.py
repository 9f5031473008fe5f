"""Refuses leaks: every fold is checked before anything is learned from it.

The checks look at what is handed over to be learned from (rows, laboratory samples, spectra), not at how it
was chosen, so that a wrong split, a wrong join or a forgotten exclusion stops the run.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import Context
from spectm.data.patches import Patches
from spectm.data.splits import BUFFER_HOURS, Fold, excluded_by, near_rows
from spectm.errors import LeakageError
from spectm.evaluation.task import Task

__all__ = [
    "BUFFERED",
    "audit_auxiliary",
    "audit_borrowed",
    "audit_labels",
    "audit_own_last_value",
    "audit_spectra",
    "pixel_keys",
]

IntArray = npt.NDArray[np.integer[Any]]

BUFFERED = ("leave-date-out", "leave-date-out-strict", "forward")
"""Splits whose folds leave out whole dates, and everything within 60 hours of them."""


def audit_labels(task: Task, fold: Fold, train: IntArray, context: Context) -> None:
    """Refuse training rows that hold a test label as target or as an input.

    Parameters
    ----------
    task : Task
        All rows.
    fold : Fold
        Says what is tested.
    train : ndarray of int
        Rows about to be learned from.
    context : {"none", "season", "season+lab"}
        With "season+lab" the last laboratory value is an input.

    Raises
    ------
    LeakageError
        Naming the fold and the first offending row.
    """
    samples = task.rows["sample_id"].to_numpy()
    where = f"{task.name}, {fold.split}, fold {fold.name}"
    shared = np.isin(samples[train], samples[fold.test])
    _refuse(shared, train, task, f"{where}: the label of a test row would be a training target")
    buffered = fold.split in BUFFERED
    if buffered:
        tested = np.isin(np.arange(len(task.rows)), fold.test)
        near = near_rows(task.rows, tested, strict=fold.split != "leave-date-out")[train]
        _refuse(near, train, task, f"{where}: a training row lies within {BUFFER_HOURS:g} h of a test row")
    _refuse_other_side(task, train, task, fold, where)
    if context == "season+lab":
        key, test = (
            ("last_date", task.dates[fold.test]) if buffered else ("last_sample_id", samples[fold.test])
        )
        leaked = np.isin(task.last[key].to_numpy()[train].astype(test.dtype), test)
        _refuse(leaked, train, task, f"{where}: the last value of a training row is a test label")


def audit_borrowed(source: Task, train: IntArray, task: Task, fold: Fold) -> None:
    """Refuse training rows of another task that hold, or lie too near to, a test row of this one.

    Parameters
    ----------
    source : Task
        The task whose rows are learned from.
    train : ndarray of int
        Rows of it.
    task, fold
        What is tested.

    Raises
    ------
    LeakageError
        Naming the fold and the first offending row.
    """
    where = f"{task.name}, {fold.split}, fold {fold.name}, learned from {source.name}"
    tested = task.rows.iloc[fold.test]
    shared = source.rows["sample_id"].isin(set(tested["sample_id"])).to_numpy()[train]
    _refuse(shared, train, source, f"{where}: the label of a test row would be a training target")
    if fold.split in BUFFERED:
        times, test_times = _times(source.rows.iloc[train]), _times(tested)
        apart = np.abs(times[:, None, :, None] - test_times[None, :, None, :]) / np.timedelta64(1, "h")
        near = (apart <= BUFFER_HOURS).any(axis=(1, 2, 3))
        near |= np.isin(source.dates[train], task.dates[fold.test])
        _refuse(near, train, source, f"{where}: a training row lies within {BUFFER_HOURS:g} h of a test row")
    _refuse_other_side(source, train, task, fold, where)


def _refuse_other_side(source: Task, train: IntArray, task: Task, fold: Fold, where: str) -> None:
    """Refuse rows of `source` that the split's own rule leaves out: later ones, those of a test station."""
    tested = task.rows.iloc[fold.test]
    if fold.split == "forward":
        begin = _times(tested).min()
        late = (_times(source.rows.iloc[train]) >= begin).any(axis=1)
        _refuse(late, train, source, f"{where}: a training row is later than the test")
    if fold.split == "leave-station-out":
        same = source.rows["station"].isin(set(tested["station"])).to_numpy()[train]
        _refuse(same, train, source, f"{where}: a training row is of a test station")


def _times(rows: pd.DataFrame) -> npt.NDArray[np.datetime64]:
    """Times of samples and of overpasses, shape (n, 2)."""
    return rows[["sample_time", "overpass_time"]].to_numpy(dtype="datetime64[ns]")


def audit_auxiliary(task: Task, fold: Fold, samples: IntArray, dates: npt.NDArray[np.str_]) -> None:
    """Refuse laboratory samples whose other columns (chlorophyll, ...) would be auxiliary targets.

    For a model that learns another laboratory quantity beside the target, from whatever samples have it. No
    model of the protocol does, so that `spectm.evaluation.protocol` does not call this: targets and inputs,
    which it does hand over, are checked by `audit_labels`. The first model with auxiliary targets has to call
    it for each fold, before it learns, with the samples that these targets are of.

    Parameters
    ----------
    task : Task
        All rows.
    fold : Fold
        Says what is tested.
    samples : ndarray of int
        Row of the label table of each auxiliary target, as ``sample_id``.
    dates : ndarray of str
        Local sampling date of each.

    Raises
    ------
    LeakageError
        If one is a test sample or, where whole dates are left out, of a test date.
    """
    leaked = np.isin(samples, task.rows["sample_id"].to_numpy()[fold.test])
    if fold.split in BUFFERED:
        leaked |= np.isin(dates, task.dates[fold.test])
    if leaked.any():
        raise LeakageError(
            f"{task.name}, {fold.split}, fold {fold.name}: laboratory sample {samples[leaked][0]} of the "
            f"test set "
            f"({dates[leaked][0]}) would be an auxiliary target; leave out every column of a test date"
        )


def audit_own_last_value(task: Task) -> None:
    """Refuse rows whose last laboratory value is of their own sampling date.

    Raises
    ------
    LeakageError
        If a row's target, or a neighbour of the same cruise, stands among its inputs.
    """
    own = task.last["last_date"].to_numpy(dtype=np.str_) == task.dates
    own |= task.last["last_sample_id"].to_numpy() == task.rows["sample_id"].to_numpy()
    _refuse(own, np.arange(own.size), task, f"{task.name}: the target would be its own last laboratory value")


def audit_spectra(
    sources: Sequence[Patches],
    test: Patches,
    test_times: npt.NDArray[np.datetime64],
    split: str,
    *,
    purpose: str,
) -> None:
    """Refuse unlabelled spectra that are, or lie too near in time to, what is tested.

    Parameters
    ----------
    sources : sequence of Patches
        About to be learned from.
    test : Patches
        The patches of all test rows.
    test_times : ndarray of datetime64
        Samples and overpasses of all test rows, UTC.
    split : str
        ``leave-date-out`` keeps 60 hours away from every test time, ``forward`` uses only what came before.
    purpose : str
        For the message: "pretraining", "normalisation".

    Raises
    ------
    LeakageError
        Naming the first offending spectrum.
    """
    tested = set().union(*pixel_keys(test))
    for source in sources:
        same = np.array([not keys.isdisjoint(tested) for keys in pixel_keys(source)], dtype=bool)
        _refuse_spectrum(same, source, f"{split}: a test spectrum would enter {purpose}")
        near = np.zeros_like(same)
        if split in BUFFERED:
            near = excluded_by(source.first, test_times, until=source.last)
        _refuse_spectrum(near, source, f"{split}: a spectrum within {BUFFER_HOURS:g} h would enter {purpose}")
        late = source.last >= test_times.min() if split == "forward" else np.zeros_like(same)
        _refuse_spectrum(late, source, f"{split}: a spectrum later than the test would enter {purpose}")


def pixel_keys(patches: Patches) -> list[set[bytes]]:
    """The distinct pixels of each patch that hold any number, as bytes that can be compared."""
    pixels = np.moveaxis(patches.Rrs, 1, -1)  # (sample, y, x, band)
    pixels = np.where(np.isnan(pixels), np.float32(np.nan), pixels)  # one bit pattern for all that is missing
    held: npt.NDArray[np.bool_] = np.logical_or.reduce(np.isfinite(pixels), axis=-1)
    return [
        {np.ascontiguousarray(pixel).tobytes() for pixel in of_sample[some]}
        for of_sample, some in zip(pixels, held, strict=True)
    ]


def _refuse(leaked: npt.NDArray[np.bool_], rows: IntArray, task: Task, what: str) -> None:
    if leaked.any():
        row = task.rows.iloc[int(rows[np.flatnonzero(leaked)[0]])]
        raise LeakageError(
            f"{what}: station {row['station']}, sample of {row['date']} ({int(leaked.sum())} such rows). "
            f"Nothing was "
            "trained; mend the split or the join"
        )


def _refuse_spectrum(leaked: npt.NDArray[np.bool_], source: Patches, what: str) -> None:
    if leaked.any():
        raise LeakageError(
            f"{what}: {source.source}, overpass {source.time[leaked][0]} UTC ({int(leaked.sum())} such "
            f"spectra). "
            "Nothing was trained; leave them out"
        )
