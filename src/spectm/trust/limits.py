"""Where the unfamiliar begins: limits that flag a given share of dates, each judged by the others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import ApplicabilityError
from spectm.trust.familiar import Familiar

__all__ = ["date_weight", "held_out", "joint_limits"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


def date_weight(dates: npt.NDArray[Any]) -> FloatArray:
    """Weight of each row, the same in sum for every date; they sum to 1."""
    _, group, size = np.unique(dates, return_inverse=True, return_counts=True)
    return 1 / size[group] / size.size


def held_out(
    columns: FloatArray, dates: npt.NDArray[Any], weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Distances of each row from the rows of all other dates.

    Parameters
    ----------
    columns : ndarray, shape (n, n_columns)
        Complete.
    dates, weight : ndarray, shape (n,)
        Date of each row, and how much it counts.

    Returns
    -------
    tuple of ndarray, shape (n,)
        As `Familiar.distance` gives them.
    """
    along, across = np.empty(len(columns)), np.empty(len(columns))
    for date in np.unique(dates):
        own = dates == date
        along[own], across[own] = Familiar.fit(columns[~own], weight[~own]).distance(columns[own])
    return along, across


def joint_limits(
    scores: Mapping[str, FloatArray], weight: FloatArray, broken: BoolArray, share: float
) -> tuple[dict[str, float], float]:
    """Limits that flag a share of the rows, all reasons together.

    Parameters
    ----------
    scores : mapping of str to ndarray, shape (n,)
        Held-out distances by reason.
    weight : ndarray, shape (n,)
        How much each row counts; 1 in sum.
    broken : ndarray of bool, shape (n,)
        Rows that a rule flags whatever the limits.
    share : float
        Wanted.

    Returns
    -------
    dict, float
        The limit of each reason, and the share that is flagged: at most `share`.

    Raises
    ------
    ApplicabilityError
        If rules alone flag more.
    """
    alone = {name: max(_upper(score, weight, share), 1e-12) for name, score in scores.items()}
    furthest = np.max([score / alone[name] for name, score in scores.items()], axis=0)
    furthest = np.where(broken, np.inf, furthest)  # flagged whatever the limits
    factor = _upper(furthest, weight, share)
    if not np.isfinite(factor):
        raise ApplicabilityError(
            f"applicability: {float(weight[broken].sum()):.0%} of the training dates break rules that water "
            "keeps. Are these reflectances of water, in sr^-1, with bands in order?"
        )
    return {name: factor * limit for name, limit in alone.items()}, float(weight[furthest > factor].sum())


def _upper(values: FloatArray, weight: FloatArray, share: float) -> float:
    """The smallest of the values that no more than `share` of the weight lies above."""
    order = values.argsort()
    above = weight.sum() - weight[order].cumsum()
    return float(values[order][np.argmax(above <= share + 1e-9)])
