"""One fold: what may be learned from it, audited, learned and predicted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.context import Context
from spectm.data.splits import Fold
from spectm.evaluation.audit import BUFFERED, audit_borrowed, audit_labels
from spectm.evaluation.baselines import Estimator
from spectm.evaluation.blends import BlendEstimator, rows_clear_of
from spectm.evaluation.task import Task

__all__ = ["Known", "fold_lines", "training_rows"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

Known = dict[tuple[str, bytes, bytes], tuple[FloatArray, FloatArray]]
"""Predictions by task, training rows and test rows: what a deterministic model has answered before."""


def training_rows(task: Task, fold: Fold, context: Context) -> IntArray:
    """The fold's training rows, without those whose last laboratory value is a test label."""
    if context != "season+lab":
        return fold.train
    if fold.split in BUFFERED:
        return task.without_inputs_from(fold.train, fold.test).astype(np.int64)
    tested = task.rows["sample_id"].to_numpy()[fold.test]
    used = task.last["last_sample_id"].to_numpy()[fold.train]
    return fold.train[~np.isin(used, tested)]


def fold_lines(
    task: Task,
    fold: Fold,
    model: str,
    context: Context,
    seed: int,
    make: Callable[[], Estimator],
    *,
    current: Task | None = None,
    choose: Callable[[Task, IntArray], IntArray] | None = None,
    known: Known | None = None,
) -> list[dict[str, Any]]:
    """Audit, fit and predict one fold; one line per test row.

    Parameters
    ----------
    task, fold
        What is tested.
    model, context, seed
        Named in the lines.
    make : callable
        Gives a model that has learned nothing yet.
    current : Task, optional
        What a blend learns from, whatever it is tested on.
    choose : callable, optional
        Takes a task and the rows of it that may be learned from, returns those that are.
    known : dict, optional
        Answers of the same model, context and seed, and of nothing else: two splits may leave out the same
        rows, and are then one piece of work. It is added to.

    Raises
    ------
    LeakageError
        If anything of the test set would be learned from.
    """
    estimator = make()
    blend = isinstance(estimator, BlendEstimator)
    source = current if blend and current is not None else task
    if source is not task:
        train = rows_clear_of(source, task, fold)
    else:
        train = fold.train if blend else training_rows(task, fold, context)
    train = train if choose is None else choose(source, train)
    if source is not task:
        audit_borrowed(source, train, task, fold)
    else:
        audit_labels(task, fold, train, "season" if blend else context)
    known = {} if known is None else known
    key = (task.name, train.tobytes(), fold.test.tobytes())
    if key not in known:
        known[key] = estimator.fit(source, train).predict(task, fold.test)
    mean, spread = known[key]
    constant = {"task": task.name, "split": fold.split, "model": model, "context": context, "seed": seed}
    constant |= {"repeat": fold.repeat, "fold": fold.name}
    rows = zip(fold.test.tolist(), mean.tolist(), spread.tolist(), strict=True)
    return [{**constant, "row": row, "mean": m, "spread": s} for row, m, s in rows]
