"""Do intervals and probabilities hold what they promise? Coverage, width, interval score, CRPS, Brier skill.

A value below detection is covered when the lower end of its interval is at or below its limit; detected rows
are always shown alone too. Ends of intervals below the detection limit count as the limit: nobody can tell
them apart. Uncertainty comes from the protocol's bootstrap over dates.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv

from spectm.errors import ScoreError
from spectm.evaluation.scores import FLOOR, Interval, Observations, draw_weights, interval_of, reached, skill
from spectm.trust.estimate import LEVELS

__all__ = [
    "ALIKE",
    "CLASSES",
    "LEVELS",
    "binomial_interval",
    "brier_skill",
    "calibration_table",
    "censored_crps",
    "coverage",
    "covered",
    "dates_alike",
    "excess",
    "interval_score",
    "interval_width",
    "mean_over_dates",
    "reliability",
    "subsets",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

CLASSES = ((0.1, 0.3), (0.3, 1.0), (1.0, 1.6), (1.6, 8.0), (8.0, np.inf))
"""Classes of observed concentration, ug/L: from the first value up to, and without, the second."""
ALIKE, BY_DATES = " by dates", ("all", "detected")
"""What is added to the name of rows of which each date counts the same; which rows are counted so, too."""
N_NODES = 513
REACH = 3.0  # log10; the integral of the CRPS ends at 1,000 ug/L, or one decade above anything observed


class Distribution(Protocol):
    """What can say how probable it is that each row lies above a threshold, as `Prediction` can."""

    def exceedance(self, threshold: float) -> FloatArray:
        """Probability, shape (n,), of a concentration above `threshold` (ug/L)."""


def covered(observed: Observations, low: FloatArray, high: FloatArray) -> BoolArray:
    """Which rows their interval covers, shape (n,).

    Parameters
    ----------
    observed : Observations
        Below detection `log10` holds the limit.
    low, high : ndarray, shape (n,)
        Ends of the intervals, log10.
    """
    reached = low <= observed.log10 + 1e-12
    inside = reached & (observed.log10 <= np.maximum(high, FLOOR) + 1e-12)
    return np.where(observed.below_detection, reached, inside)


def interval_width(low: FloatArray, high: FloatArray) -> FloatArray:
    """Width, shape (n,), log10, of what lies above 0.1 ug/L."""
    return np.maximum(high, FLOOR) - np.maximum(low, FLOOR)


def interval_score(observed: Observations, low: FloatArray, high: FloatArray, level: float) -> FloatArray:
    r"""Winkler's score of each interval, shape (n,), log10; less is better.

    The width, and :math:`2 / (1 - level)` times the distance of the observation from an interval that does
    not cover it.

    References
    ----------
    Winkler (1972), J. Am. Stat. Assoc. 67, 187, doi:10.1080/01621459.1972.10481224.
    Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, 359, doi:10.1198/016214506000001437.
    """
    lower, upper = np.maximum(low, FLOOR), np.maximum(high, FLOOR)
    # Below detection lies anywhere below the limit: never above the interval.
    over = np.where(observed.below_detection, 0.0, np.maximum(observed.log10 - upper, 0.0))
    under = np.maximum(lower - observed.log10, 0.0)
    return upper - lower + 2 / (1 - level) * (over + under)


def censored_crps(observed: Observations, predicted: Distribution) -> FloatArray:
    r"""Continuous ranked probability score of what can be observed, shape (n,), log10; less is better.

    Truth and prediction count as 0.1 ug/L below it, so what the prediction says of the invisible part does
    not matter: :math:`\int_{-1}^\infty (F(x) - 1[y \le x])^2 dx` with log10 concentrations, a CRPS with a
    weight of one above the limit.

    References
    ----------
    Gneiting and Ranjan (2011), J. Bus. Econ. Stat. 29, 411, doi:10.1198/jbes.2010.08110.
    """
    truth = np.maximum(observed.log10, FLOOR)
    top = max(REACH, float(truth.max()) + 1.0)
    edges = np.linspace(FLOOR, top, N_NODES)
    step, total = edges[1] - edges[0], np.zeros(truth.size)
    for left in edges[:-1]:
        below = 1 - predicted.exceedance(10 ** (left + step / 2))  # F in the middle of the step
        share = np.clip((truth - left) / step, 0.0, 1.0)  # of the step that lies below the observation
        total += step * (share * below**2 + (1 - share) * (1 - below) ** 2)
    return total


def coverage(
    observed: Observations, hit: BoolArray, rows: BoolArray, weight: FloatArray | None = None
) -> Interval:
    """Share of some rows that is covered, with its interval over dates; NaN where there is none.

    Parameters
    ----------
    observed : Observations
        All rows: the draws are those of every other score.
    hit, rows : ndarray of bool, shape (n,)
        Which are covered, and which are asked about.
    weight : ndarray, shape (n,), optional
        How much each row counts; all alike unless given.
    """
    return mean_over_dates(observed, hit.astype(np.float64), rows, weight)


def brier_skill(
    observed: Observations, predicted: Distribution, reference: Distribution, threshold: float
) -> Interval:
    """1 - Brier / Brier of a reference at a threshold (ug/L), with its interval over dates."""
    event = reached(observed, threshold).astype(np.float64)
    probability, other = predicted.exceedance(threshold), reference.exceedance(threshold)
    return interval_of(skill(event, probability, draw_weights(observed.dates), reference=other))


def excess(observed: Observations, predicted: Distribution, threshold: float) -> Interval:
    """Frequency minus mean probability of lying above a threshold (ug/L): above zero, too little was said."""
    event, every = reached(observed, threshold), np.ones_like(observed.below_detection)
    return mean_over_dates(observed, event - predicted.exceedance(threshold), every)


def reliability(
    observed: Observations, predicted: Distribution, threshold: float, *, n_bins: int = 5
) -> pd.DataFrame:
    """How often an exceedance came true, by its predicted probability.

    Returns
    -------
    DataFrame
        One line for each of `n_bins` equal ranges of probability that holds a row: ``threshold``,
        ``probability`` (mean predicted), ``frequency`` with ``frequency_low`` and ``frequency_high``, ``n``.
    """
    event, probability = reached(observed, threshold).astype(np.float64), predicted.exceedance(threshold)
    place = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    lines = []
    for one in np.unique(place):
        rows = place == one
        found = mean_over_dates(observed, event, rows)
        lines.append((threshold, probability[rows].mean(), found.value, found.low, found.high, rows.sum()))
    columns = ["threshold", "probability", "frequency", "frequency_low", "frequency_high", "n"]
    return pd.DataFrame(lines, columns=columns)


def binomial_interval(share: float, n: int) -> Interval:
    """A share of n dates with its exact 95 % interval, that of Clopper and Pearson.

    A date of which a part is flagged counts as that part. Such shares vary less than those of dates that are
    flagged as a whole or not at all: the interval is rather too wide. Dates count as independent.

    Parameters
    ----------
    share : float
        Between 0 and 1.
    n : int
        How many dates it is of.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26, 404, doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> found = binomial_interval(0.1, 20)
    >>> print(f"{found.low:.4f} to {found.high:.4f}")
    0.0123 to 0.3170
    """
    k = share * n
    low = float(betaincinv(k, n - k + 1, 0.025)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
    return Interval(share, low, high)


def subsets(observed: Observations, stations: npt.NDArray[np.str_]) -> dict[str, BoolArray]:
    """Rows to look at: all, detected, below detection; each month, station and class of concentration.

    Parameters
    ----------
    observed : Observations
    stations : ndarray of str, shape (n,)

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        "all", "detected", "below detection", "month 06", "station WE2", "0.3-1 ug/L" and the like; those
        without a row are left out. Classes are of detected values.
    """
    detected = ~observed.below_detection
    found = {"all": np.ones_like(detected), "detected": detected, "below detection": ~detected}
    month = np.array([date[5:7] for date in observed.dates])
    found |= {f"month {one}": month == one for one in np.unique(month)}
    found |= {f"station {one}": stations == one for one in np.unique(stations)}
    for low, high in CLASSES:
        inside = (observed.log10 > np.log10(low) - 1e-9) & (observed.log10 < np.log10(high) - 1e-9)
        name = f"{low:g}-{high:g} ug/L" if np.isfinite(high) else f"from {low:g} ug/L"
        found[name] = detected & inside
    return {name: rows for name, rows in found.items() if rows.any()}


def dates_alike(observed: Observations, rows: BoolArray) -> FloatArray:
    """Weights by which each date counts the same in a mean over some rows, shape (n,); 0 for the others.

    It is how `spectm.trust.calibration.Calibration` counts them, and so what it promises.
    """
    _, date = np.unique(observed.dates, return_inverse=True)
    size = np.bincount(date, weights=rows)[date]
    return np.where(rows, 1 / np.maximum(size, 1), 0.0)


def calibration_table(
    observed: Observations,
    intervals: Mapping[float, tuple[FloatArray, FloatArray]],
    stations: npt.NDArray[np.str_] | None = None,
    **keys: str,
) -> pd.DataFrame:
    """Lines of ``calibration.csv`` for one model on one task and split, the folds pooled.

    Parameters
    ----------
    observed : Observations
    intervals : mapping of float to (ndarray, ndarray), shape (n,) each
        Lower and upper ends, log10, by level (0.5, 0.9).
    stations : ndarray of str, shape (n,), optional
        With them also months, stations and classes are looked at; see `subsets`. Without, all rows and
        detected ones, each counted by rows and by dates (`ALIKE`).
    **keys : str
        Columns in front: ``task``, ``split``, ``model``, ``context``.

    Returns
    -------
    DataFrame
        Those columns, then ``rows``, ``level``, ``coverage``, ``coverage_low``, ``coverage_high``, ``width``
        (mean, log10), ``interval_score`` (mean, log10), ``n``.

    Raises
    ------
    ScoreError
        If an interval is missing, upside down, or does not fit the rows.
    """
    if stations is None:
        chosen = {"all": np.ones_like(observed.below_detection), "detected": ~observed.below_detection}
    else:
        chosen = subsets(observed, stations)
    lines = []
    for level, (low, high) in intervals.items():
        _check(observed, low, high, level)
        hit = covered(observed, low, high)
        width, score = interval_width(low, high), interval_score(observed, low, high, level)
        for name, rows, weight in _counted(observed, chosen):
            found = coverage(observed, hit, rows, weight)
            lines.append(
                {
                    **keys,
                    "rows": name,
                    "level": level,
                    "coverage": found.value,
                    "coverage_low": found.low,
                    "coverage_high": found.high,
                    "width": _average(width, rows, weight),
                    "interval_score": _average(score, rows, weight),
                    "n": int(rows.sum()),
                }
            )
    return pd.DataFrame(lines)


def _counted(
    observed: Observations, chosen: Mapping[str, BoolArray]
) -> Iterator[tuple[str, BoolArray, FloatArray | None]]:
    """Rows by name and how much each counts: all and detected ones in two ways."""
    for name, rows in chosen.items():
        yield name, rows, None
        if name in BY_DATES:
            yield name + ALIKE, rows, dates_alike(observed, rows)


def _average(values: FloatArray, rows: BoolArray, weight: FloatArray | None) -> float:
    """Mean over some rows; NaN where there is none."""
    if not rows.any():
        return np.nan
    return float(np.average(values[rows], weights=None if weight is None else weight[rows]))


def mean_over_dates(
    observed: Observations, values: FloatArray, rows: BoolArray, weight: FloatArray | None = None
) -> Interval:
    """Mean of values over some rows, with its interval over dates: NaN where there is none.

    Parameters
    ----------
    observed : Observations
    values : ndarray, shape (n,)
    rows : ndarray of bool, shape (n,)
        Which of them count.
    weight : ndarray, shape (n,), optional
        How much each does; without it the same.
    """
    weights = draw_weights(observed.dates)[:, rows]
    if weight is not None:
        weights = weights * weight[rows]
    total = weights.sum(axis=1)
    return interval_of(weights @ values[rows] / np.where(total > 0, total, np.nan))


def _check(observed: Observations, low: FloatArray, high: FloatArray, level: float) -> None:
    rows = observed.log10.shape
    if low.shape != rows or high.shape != rows:
        raise ScoreError(
            f"{level:.0%} intervals: wanted two ends for each of {rows[0]} rows, found shapes "
            f"{low.shape} and {high.shape}. Are the predictions of all folds joined, in order?"
        )
    wrong = np.flatnonzero(~(low <= high))
    if wrong.size:
        raise ScoreError(
            f"{level:.0%} intervals: {wrong.size} of {rows[0]} rows have none, the first is row {wrong[0]} "
            f"({observed.dates[wrong[0]]}): {low[wrong[0]]} to {high[wrong[0]]}. Predict every row."
        )
