"""How sure a model is of dates that it has not seen: distributions calibrated inside each training part."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectm.data.context import DETECTION_LIMIT, Context
from spectm.data.splits import Fold
from spectm.errors import CalibrationError
from spectm.evaluation.audit import audit_borrowed, audit_labels
from spectm.evaluation.baselines import Estimator
from spectm.evaluation.blends import BlendEstimator, rows_clear_of
from spectm.evaluation.calibrated import calibrate, out_of_date
from spectm.evaluation.calibration_scores import LEVELS, censored_crps
from spectm.evaluation.task import Task
from spectm.trust.estimate import Estimate

__all__ = ["ASKED", "CALIBRATED", "Fitted", "Remembering", "distribution_lines", "probability_column"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
Fitted = dict[tuple[str, bytes], Estimator]

CALIBRATED = ("climatology", "gp", "blend-plain", "spectm-blend")
"""Models that get intervals: the calendar, the baseline with a distribution of its own, and the blends."""
ASKED = (0.3, 1.0, 1.6, 8.0)
"""Thresholds that a probability is given for, ug/L: those of the protocol, and 8."""


def probability_column(threshold: float) -> str:
    """Name of the column with the probability to lie above a threshold (ug/L).

    Examples
    --------
    >>> probability_column(1.0)
    'p_1'
    """
    return f"p_{threshold:g}"


@dataclass(slots=True)
class Remembering:
    """A model that is fitted once to the same rows, whoever asks.

    Leaving out date a and then b leaves the same rows as b and then a: half of the fits inside training
    parts have been made before.

    Parameters
    ----------
    make : callable
        Gives a fresh model, always the same one.
    fitted : dict
        Shared by all that are made alike; added to.
    """

    make: Callable[[], Estimator]
    fitted: Fitted
    model_: Estimator = field(init=False)

    def fit(self, task: Task, train: IntArray) -> Self:
        """Learn from the rows `train`, or remember what was learned from them."""
        key = (task.name, train.tobytes())
        if key not in self.fitted:
            self.fitted[key] = self.make().fit(task, train)
        self.model_ = self.fitted[key]
        return self

    def predict(self, task: Task, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 ug/L, each of shape (n_rows,)."""
        return self.model_.predict(task, rows)


def distribution_lines(
    task: Task,
    fold: Fold,
    model: str,
    context: Context,
    make: Callable[[], Estimator],
    *,
    current: Task | None = None,
    fitted: Fitted | None = None,
) -> list[dict[str, Any]]:
    """Calibrated distributions of the test rows of a fold.

    Every date of the training part is predicted by a model that learned from the other dates of it; the
    calibration is learned from these predictions, and applied to those of a model of the whole part.

    Parameters
    ----------
    task, fold
        What is tested: dates as a whole.
    model, context : str
        Named in the lines; not "season+lab", whose last laboratory values may be of a tested date.
    make : callable
        Gives a model that has learned nothing yet.
    current : Task, optional
        What a blend learns from, whatever it is tested on.
    fitted : dict, optional
        Of the same model; see `Remembering`.

    Returns
    -------
    list of dict
        One line per test row: ``mean`` and ``spread`` of the model, ``low_50``, ``high_50``, ``low_90``,
        ``high_90`` (all log10 ug/L), ``p_0.3`` and the like, ``p_below_detection``, ``crps`` (log10) and
        ``n_dates``, that were calibrated on. None where fewer than three dates can be calibrated on.

    Raises
    ------
    LeakageError
        If anything of the test set would be learned from.
    """
    source, allowed = _learned_from(task, fold, context, make, current)
    remembered: Fitted = {} if fitted is None else fitted

    def again() -> Remembering:
        return Remembering(make, remembered)

    try:
        inner = out_of_date(again, source, task, fold.train, allowed)
        calibration = calibrate(task, fold.train, *inner)
    except CalibrationError:
        return []
    mean, spread = again().fit(source, allowed).predict(task, fold.test)
    found = Estimate(mean=mean, spread=spread, calibration=calibration, least=DETECTION_LIMIT)
    columns: dict[str, FloatArray] = {"mean": mean, "spread": spread}
    for level in LEVELS:
        low, high = calibration.interval(mean, spread, level)
        columns |= {f"low_{100 * level:g}": low, f"high_{100 * level:g}": high}
    columns |= {probability_column(threshold): found.exceedance(threshold) for threshold in ASKED}
    columns["p_below_detection"] = found.below_detection
    columns["crps"] = censored_crps(task.observations(fold.test), found)
    about = {"task": task.name, "split": fold.split, "model": model, "context": context, "fold": fold.name}
    return [
        {**about, "row": int(row), **{name: float(values[i]) for name, values in columns.items()}}
        | {"n_dates": calibration.n_dates}
        for i, row in enumerate(fold.test)
    ]


def _learned_from(
    task: Task, fold: Fold, context: Context, make: Callable[[], Estimator], current: Task | None
) -> tuple[Task, npt.NDArray[np.int64]]:
    """The task that a model learns from, and the rows of it that a fold leaves, audited."""
    if context == "season+lab":
        raise ValueError("calibration inside a training part knows no last laboratory values")
    if isinstance(make(), BlendEstimator) and current is not None and current is not task:
        allowed = rows_clear_of(current, task, fold)
        audit_borrowed(current, allowed, task, fold)
        return current, allowed
    audit_labels(task, fold, fold.train, context)
    return task, fold.train
