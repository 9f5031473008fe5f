"""Calibration of any model: every date is predicted by one that has not seen it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.patches import Patches
from spectm.data.splits import Fold
from spectm.errors import CalibrationError
from spectm.evaluation.baselines import Estimator
from spectm.evaluation.blends import BlendEstimator, rows_clear_of
from spectm.evaluation.task import Task
from spectm.training.blend import views_of_encoders
from spectm.training.forecaster import Forecaster
from spectm.trust.calibration import Calibration

__all__ = ["calibrate", "calibrate_forecaster", "calibrations", "out_of_date"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]


def out_of_date(
    make: Callable[[], Estimator], source: Task, task: Task, train: IntArray, allowed: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Predictions of rows, each by a model that saw no row within 60 hours of its date.

    Parameters
    ----------
    make : callable
        Gives a fresh model.
    source : Task
        That the model learns from.
    task : Task
        That it predicts; may be `source`.
    train : ndarray of int, shape (n,)
        Rows of `task` to predict.
    allowed : ndarray of int
        Rows of `source` that may be learned from at all.

    Returns
    -------
    tuple of ndarray, shape (n,)
        Mean and spread, log10; NaN for a date that leaves fewer than two dates to learn from.
    """
    mean, spread = np.full(train.size, np.nan), np.full(train.size, np.nan)
    dates = task.dates[train]
    for date in np.unique(dates):
        own = np.flatnonzero(dates == date)
        held_out = Fold(name=str(date), split="leave-date-out", repeat=0, train=allowed, test=train[own])
        clear = np.intersect1d(rows_clear_of(source, task, held_out), allowed)
        if np.unique(source.dates[clear]).size < 2:
            continue
        model = make()
        model.fit(source, clear)
        mean[own], spread[own] = model.predict(task, train[own])
    return mean, spread


def calibrate(task: Task, train: IntArray, mean: FloatArray, spread: FloatArray) -> Calibration:
    """Calibration from what `out_of_date` gave of rows.

    Raises
    ------
    CalibrationError
        If fewer than three dates could be predicted.
    """
    known = np.isfinite(mean)
    rows = train[known]
    return Calibration.fit(task.y[rows] - mean[known], spread[known], task.below[rows], task.dates[rows])


def calibrate_forecaster(model: Forecaster, patches: Patches, tasks: Mapping[str, Task]) -> Forecaster:
    """The same model with a calibration for each task, learned from the rows that it learned from.

    Parameters
    ----------
    model : Forecaster
        Trained on all rows of the task "current".
    patches : Patches
        That the rows point into.
    tasks : mapping of str to Task
        "current" and "ahead". Where too few dates are there to calibrate the latter, it takes that of the
        former, which is wider than needed.

    Raises
    ------
    CalibrationError
        If fewer than three dates of the task "current" could be predicted.
    """
    indices = model.settings.indices.chosen()
    makes = [
        partial(BlendEstimator, patches, of_model, tuple(of_model), "season", model.record)
        for of_model in views_of_encoders(patches, model.encoders or (None,), indices=indices)
    ]
    return replace(model, calibration=calibrations(makes, tasks))


def calibrations(
    makes: Sequence[Callable[[], Estimator]], tasks: Mapping[str, Task]
) -> dict[str, Calibration]:
    """Calibration of the mean of some models, for each task.

    Parameters
    ----------
    makes : sequence of callable
        Each gives a fresh model, which learns from the task "current".
    tasks : mapping of str to Task
        "current", and "ahead" where there is one; without it, or with too few dates of it, that of the former
        serves.

    Raises
    ------
    CalibrationError
        If fewer than three dates of the task "current" could be predicted.
    """
    source = tasks["current"]
    everything = np.arange(len(source.rows))
    calibration: dict[str, Calibration] = {}
    for name, task in tasks.items():
        rows = np.arange(len(task.rows))
        found = [out_of_date(make, source, task, rows, everything) for make in makes]
        mean = np.mean([one[0] for one in found], axis=0)
        spread = np.sqrt(np.mean([one[1] ** 2 for one in found], axis=0))
        try:
            calibration[name] = calibrate(task, rows, mean, spread)
        except CalibrationError:
            if name == "current":
                raise
    return {**calibration, "ahead": calibration.get("ahead", calibration["current"])}
