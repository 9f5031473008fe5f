"""Predictions of models trained on few labels to curves, and to the labels needed to equal a baseline."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.evaluation.blends import BLENDS
from spectm.evaluation.claims import claims, mean_over_seeds, score_draws
from spectm.evaluation.scores import interval_of
from spectm.evaluation.task import Task

__all__ = ["ALL", "FLOOR_MODEL", "curves", "equal_labels", "labels_needed"]

FloatArray = npt.NDArray[np.floating[Any]]

ALL = "all"
FLOOR_MODEL = "climatology"


class _Point(NamedTuple):
    """One size of a curve."""

    size: str
    labels: float
    n_draws: int
    pooled: FloatArray  # (1 + 2000,): mean R2 over draws of labels, then in each draw of dates and labels


_Key = tuple[str, str, str, str]  # task, by, model, context


def curves(tasks: dict[str, Task], lines: pd.DataFrame) -> pd.DataFrame:
    """R2 by number of labels.

    Parameters
    ----------
    tasks : dict of Task
    lines : DataFrame
        task, model, context, by, size, draw, labels (rows learned from), row, mean; ``size`` and ``by`` are
        "all" where all rows were learned from.

    Returns
    -------
    DataFrame
        task, by, model, context, size, labels (mean over draws and folds), n_draws, r2 (mean over draws),
        low, high (95 %, dates and draws of labels drawn together). The climatology has one line, without
        labels.
    """
    found = [
        {**_named(key), "size": point.size, "labels": point.labels, "n_draws": point.n_draws}
        | _r2(point.pooled)
        for key, points in _curves(tasks, lines).items()
        for point in points
    ]
    return pd.DataFrame(found)


def _named(key: _Key) -> dict[str, Any]:
    return dict(zip(("task", "by", "model", "context"), key, strict=True))


def _r2(pooled: FloatArray) -> dict[str, float]:
    interval = interval_of(pooled)
    return {"r2": interval.value, "low": interval.low, "high": interval.high}


def _curves(tasks: dict[str, Task], lines: pd.DataFrame) -> dict[_Key, list[_Point]]:
    """Points of every curve, from few labels to all; the climatology first."""
    ways = [way for way in dict.fromkeys(lines["by"]) if way != ALL] or [ALL]
    found: dict[_Key, list[_Point]] = {}
    for task in dict.fromkeys(lines["task"]):
        of_task = tasks[task]
        floor = score_draws(of_task.observations(_all_rows(of_task)), of_task.climatology[None])[0]
        for way in ways:
            found[task, way, FLOOR_MODEL, "season"] = [_Point("0", 0.0, 1, floor)]
    keys = ["task", "model", "context", "by", "size"]
    for key, group in lines.groupby(keys, sort=False):
        task, model, context, by, size = map(str, key)
        means = group.pivot(index="draw", columns="row", values="mean").to_numpy(dtype=np.float64)
        draws = score_draws(tasks[task].observations(_all_rows(tasks[task])), means)
        point = _Point(size, float(group["labels"].mean()), len(draws), mean_over_seeds(draws))
        for way in ways if by == ALL else [by]:
            found.setdefault((task, way, model, context), []).append(point)
    return {key: sorted(points, key=lambda point: point.labels) for key, points in found.items()}


def _all_rows(task: Task) -> npt.NDArray[np.int64]:
    return np.arange(len(task.rows))


def labels_needed(labels: FloatArray, scores: FloatArray, level: FloatArray) -> FloatArray:
    """Labels at which a curve first reaches a level.

    Parameters
    ----------
    labels : ndarray, shape (k,)
        Increasing, positive.
    scores : ndarray, shape (k, n)
        Of each size in each draw.
    level : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        Linear in the logarithm of labels between two sizes; the first where it is reached there already,
        infinite where it is not reached at all.

    Examples
    --------
    >>> labels, scores = np.array([10.0, 20.0, 80.0]), np.array([[0.0], [0.2], [0.4]])
    >>> for level in (-0.1, 0.1, 0.3, 0.5):
    ...     print(labels_needed(labels, scores, np.array([level])).round(2))
    [10.]
    [14.14]
    [40.]
    [inf]
    """
    reached = scores >= level
    first = reached.argmax(axis=0)
    at = np.arange(level.size)
    before = np.maximum(first - 1, 0)
    low, high = scores[before, at], scores[first, at]
    rise = np.where(first > 0, high - low, 1.0)
    share = np.where(first > 0, (level - low) / np.where(rise == 0, 1.0, rise), 0.0)
    log = np.log2(labels)
    found = 2 ** (log[before] + share * (log[first] - log[before]))
    return np.where(reached.any(axis=0), found, np.inf)


def equal_labels(tasks: dict[str, Task], lines: pd.DataFrame, *, family: tuple[str, ...]) -> pd.DataFrame:
    """Labels at which the models of SpecTM equal the best baseline trained on all.

    Parameters
    ----------
    tasks, lines
        As `curves` takes them.
    family : tuple of str
        Models of SpecTM; all others are baselines.

    Returns
    -------
    DataFrame
        task, by, model, context; ``baseline``, ``baseline_context``, ``baseline_labels``, ``baseline_r2``:
        the one with the highest R2 when trained on all, and where that is a blend the best of the others,
        too; ``labels``, with ``labels_low`` and ``labels_high`` (infinite where it is not reached); ``share``
        of the baseline's labels; and what may be claimed of the ``difference`` in R2 when both are trained on
        all, corrected for the models beside one baseline. No lines where there are no baselines or no SpecTM.
    """
    found = _curves(tasks, lines)
    parts: list[dict[str, Any]] = []
    for task, way in dict.fromkeys(key[:2] for key in found):
        here = {key: points for key, points in found.items() if key[:2] == (task, way)}
        plain = [key for key in here if key[2] not in (*family, FLOOR_MODEL)]
        ordinary = [key for key in plain if key[2] not in BLENDS]
        ours = [key for key in here if key[2] in family]
        bests = [
            max(keys, key=lambda key: float(here[key][-1].pooled[0])) for keys in (plain, ordinary) if keys
        ]
        for best in dict.fromkeys(bests) if ours else ():
            parts += _beside(here, ours, best)
    return pd.DataFrame(parts)


def _beside(here: dict[_Key, list[_Point]], ours: list[_Key], best: _Key) -> Iterator[dict[str, Any]]:
    """Models of SpecTM beside one baseline."""
    level = here[best][-1]
    gains = claims([here[key][-1].pooled - level.pooled for key in ours])
    for key, gain in zip(ours, gains, strict=True):
        labels = np.array([point.labels for point in here[key]])
        needed = labels_needed(labels, np.stack([point.pooled for point in here[key]]), level.pooled)
        # No interpolation: one of two neighbours may be infinite.
        low, high = np.percentile(needed[1:], [2.5, 97.5], method="nearest")
        yield {
            **_named(key),
            "baseline": best[2],
            "baseline_context": best[3],
            "baseline_labels": level.labels,
            "baseline_r2": float(level.pooled[0]),
            "labels": float(needed[0]),
            "labels_low": float(low),
            "labels_high": float(high),
            "share": float(needed[0]) / level.labels,
            **gain.columns,
        }
