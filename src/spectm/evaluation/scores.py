"""Scores of log10 concentrations, each with an interval from a bootstrap over dates.

Every score is a function of observed values, predicted values and row weights. With weights of one it is the
score itself; with the weights of a bootstrap draw (how often the row's date was drawn) it is the score of
that draw, so that one formula serves both and 2,000 draws cost one matrix product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import rankdata

from spectm.errors import ScoreError

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
Score = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]

FLOOR = -1.0
"""log10 of 0.1 ug/L: a prediction below it counts as 0.1, as a censored observation does."""
THRESHOLDS = (0.3, 1.0, 1.6)
"""Exceedance thresholds, ug/L. At 8 ug/L Lake Erie 2024 holds two positives, and no claim is made."""
N_DRAWS = 2000
DRAW_SEED = 0  # part of the protocol, not of a run: every table anywhere uses the same draws


@dataclass(frozen=True, slots=True)
class Prediction:
    """A normal distribution of log10 concentration for every row.

    Parameters
    ----------
    mean : ndarray, shape (n,)
        log10 of ug/L, as the model gave it: the floor of 0.1 ug/L is applied where a score needs a number.
    spread : ndarray, shape (n,)
        Standard deviation of log10 ug/L, positive.
    """

    mean: FloatArray
    spread: FloatArray

    def exceedance(self, threshold: float) -> FloatArray:
        """Probability, shape (n,), that the concentration lies above `threshold` (ug/L)."""
        return ndtr((self.mean - np.log10(threshold)) / self.spread)


@dataclass(frozen=True, slots=True)
class Observations:
    """What predictions are held against.

    Parameters
    ----------
    log10 : ndarray, shape (n,)
        log10 of ug/L; a value below detection holds its limit.
    below_detection : ndarray of bool, shape (n,)
    dates : ndarray of str, shape (n,)
        Local sampling dates; the bootstrap draws whole dates.
    """

    log10: FloatArray
    below_detection: BoolArray
    dates: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with its 95 % interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


def drawn_dates(n_dates: int) -> IntArray:
    """Positions of the dates of each bootstrap draw, shape (2000, n_dates), drawn with replacement."""
    return np.random.default_rng(DRAW_SEED).integers(0, n_dates, size=(N_DRAWS, n_dates))


def draw_weights(dates: npt.NDArray[np.str_]) -> FloatArray:
    """How often every row counts: once in the first line, then in each bootstrap draw over dates.

    Parameters
    ----------
    dates : ndarray of str, shape (n,)
        Date of each row.

    Returns
    -------
    ndarray, shape (1 + 2000, n)
        All ones, then the number of times that the row's date was drawn. It can't be written to: every model
        of a split is scored with the same ones, which are kept.
    """
    return _weights_of(tuple(dates.tolist()))


@lru_cache(maxsize=8)  # two tasks in five splits; some megabytes each
def _weights_of(dates: tuple[str, ...]) -> FloatArray:
    unique, position = np.unique(np.array(dates, dtype=np.str_), return_inverse=True)
    drawn = drawn_dates(unique.size)
    cell = np.arange(N_DRAWS)[:, None] * unique.size + drawn
    counts = np.bincount(cell.ravel(), minlength=N_DRAWS * unique.size).reshape(N_DRAWS, unique.size)
    weights = np.vstack([np.ones(position.size), counts[:, position]])  # (1 + draw, row)
    weights.flags.writeable = False
    return weights


def r2(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Coefficient of determination 1 - SS_res / SS_tot, pooled over all rows.

    Parameters
    ----------
    observed, predicted : ndarray, shape (n,)
        log10 of ug/L.
    weights : ndarray, shape (..., n)
        How often each row counts.

    Returns
    -------
    ndarray, shape (...)
        At most 1; NaN where the observed values do not vary.
    """
    centred = observed - observed.mean()  # keeps the difference of two sums below free of cancellation
    total = weights @ centred**2 - _ratio((weights @ centred) ** 2, weights.sum(-1))
    total = np.where(total > 1e-12 * max(1.0, float(centred @ centred)), total, 0.0)
    return 1 - _ratio(weights @ (observed - predicted) ** 2, total)


def skill(
    observed: FloatArray, predicted: FloatArray, weights: FloatArray, *, reference: FloatArray
) -> FloatArray:
    """Share of the reference's squared error that is gone: 1 - SS_res / SS_reference; shapes as `r2`."""
    return 1 - _ratio(weights @ (observed - predicted) ** 2, weights @ (observed - reference) ** 2)


def rmse(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Root mean square error in log10; shapes as `r2`."""
    return np.sqrt(_ratio(weights @ (observed - predicted) ** 2, weights.sum(-1)))


def mae(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean absolute error in log10; shapes as `r2`."""
    return _ratio(weights @ np.abs(observed - predicted), weights.sum(-1))


def bias(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean of predicted minus observed in log10; shapes as `r2`."""
    return _ratio(weights @ (predicted - observed), weights.sum(-1))


def mdsa(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Median symmetric accuracy, percent: 60 means that half of the predictions are within a factor of 1.6.

    Shapes as `r2`; 100 (exp(median |ln(predicted / observed)|) - 1).

    References
    ----------
    Morley, Brito and Welling (2018), Space Weather 16, 69-88, doi:10.1002/2017SW001669.
    """
    return 100 * (10 ** _weighted_median(np.abs(predicted - observed), weights) - 1)


def sspb(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> FloatArray:
    """Signed symmetric percentage bias: 100 means typically twice too high, -100 half as high.

    Shapes as `r2`; 100 sign(M) (exp(|M|) - 1) with M = median ln(predicted / observed).

    References
    ----------
    Morley, Brito and Welling (2018), Space Weather 16, 69-88, doi:10.1002/2017SW001669.
    """
    middle = _weighted_median(predicted - observed, weights)
    return 100 * np.sign(middle) * (10 ** np.abs(middle) - 1)


def exceedance_scores(
    observed: Observations, predicted: Prediction, climatology: Prediction
) -> dict[str, float]:
    """Scores of the probability to lie above each of `THRESHOLDS` (ug/L, written T below).

    Parameters
    ----------
    observed : Observations
    predicted, climatology : Prediction
        Model and reference. Their probabilities come from the normal as it is, without the floor of 0.1 ug/L.

    Returns
    -------
    dict
        ``positives_T`` rows observed at or above T; ``brier_T`` mean squared error of the probability;
        ``brier_skill_T`` 1 - Brier / Brier of the climatology, with ``_low`` and ``_high``; ``recall_T`` and
        ``precision_T`` of an alarm at a probability of one half or more; ``roc_auc_T``; ``pr_auc_T`` (average
        precision, the area in steps). What lacks positives, negatives or alarms to be computed from is NaN.
    """
    weights = draw_weights(observed.dates)
    columns: dict[str, float] = {}
    for threshold in THRESHOLDS:
        event = reached(observed, threshold)
        probability, reference = predicted.exceedance(threshold), climatology.exceedance(threshold)
        gain = skill(event.astype(float), probability, weights, reference=reference)
        alarm = probability >= 0.5
        hits = float((alarm & event).sum())
        both = bool(event.any() and not event.all())
        T = f"{threshold:g}"  # noqa: N806 - as the column names of the docstring have it
        columns |= {
            f"positives_{T}": int(event.sum()),
            f"brier_{T}": float(np.mean((probability - event) ** 2)),
            **_named(f"brier_skill_{T}", interval_of(gain)),
            f"recall_{T}": hits / event.sum() if event.any() else np.nan,
            f"precision_{T}": hits / alarm.sum() if alarm.any() else np.nan,
            f"roc_auc_{T}": roc_auc(event, probability) if both else np.nan,
            f"pr_auc_{T}": average_precision(event, probability) if both else np.nan,
        }
    return columns


def roc_auc(event: BoolArray, probability: FloatArray) -> float:
    """Area under the ROC curve: how often an event has the higher probability of the two; ties count half.

    Parameters
    ----------
    event : ndarray of bool, shape (n,)
        At least one True and one False.
    probability : ndarray, shape (n,)
    """
    n_events = int(event.sum())
    above = rankdata(probability)[event].sum() - n_events * (n_events + 1) / 2
    return float(above / (n_events * (event.size - n_events)))


def average_precision(event: BoolArray, probability: FloatArray) -> float:
    """Area under the precision-recall curve, in steps; arguments as of `roc_auc`.

    Every probability that occurs is a threshold; its precision counts by the share of events that it adds.
    """
    order = np.argsort(-probability, kind="stable")
    last = np.flatnonzero(np.diff(probability[order], append=np.nan))  # of each probability
    hits = event[order].cumsum()[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / event.sum())


def score_columns(
    observed: Observations, predicted: Prediction, *, climatology: Prediction, persistence: Prediction
) -> dict[str, float]:
    """Every score of the protocol for one model on one task and split, the folds pooled.

    Parameters
    ----------
    observed : Observations
        The test rows of all folds.
    predicted : Prediction
        The model's predictions for these rows, each from the fold in which the row was tested.
    climatology, persistence : Prediction
        The two references for the same rows.

    Returns
    -------
    dict
        Columns in the order of ``scores.csv``. ``n`` rows, ``n_censored`` of them below detection; ``r2``
        pooled; ``rmse``, ``mae``, ``bias`` in log10 (bias is predicted minus observed); ``mdsa`` and ``sspb``
        in percent and ``r2_detected``, all three on detected rows only; ``skill_climatology`` and
        ``skill_persistence``, 1 - SS_res / SS_reference; then those of `exceedance_scores`. Each regression
        score and each Brier skill has ``_low`` and ``_high`` beside it, the 2.5 and 97.5 percentiles of 2,000
        draws of whole dates.

    Raises
    ------
    ScoreError
        If a prediction is missing or does not fit the rows: nothing is dropped silently.
    """
    for name, prediction in (
        ("model", predicted),
        ("climatology", climatology),
        ("persistence", persistence),
    ):
        _check(observed, name, prediction)
    truth, mean = observed.log10, floored(predicted.mean)
    detected = ~observed.below_detection
    weights = draw_weights(observed.dates)
    seen = truth[detected], mean[detected], weights[:, detected]
    scores = {
        "r2": r2(truth, mean, weights),
        "rmse": rmse(truth, mean, weights),
        "mae": mae(truth, mean, weights),
        "bias": bias(truth, mean, weights),
        "mdsa": mdsa(*seen),
        "sspb": sspb(*seen),
        "r2_detected": r2(*seen) if detected.any() else np.full(len(weights), np.nan),
        "skill_climatology": skill(truth, mean, weights, reference=floored(climatology.mean)),
        "skill_persistence": skill(truth, mean, weights, reference=floored(persistence.mean)),
    }
    columns: dict[str, float] = {"n": truth.size, "n_censored": int(observed.below_detection.sum())}
    for name, values in scores.items():
        columns |= _named(name, interval_of(values))
    return columns | exceedance_scores(observed, predicted, climatology)


def mean_columns(repeats: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each column over repeats of one split (the ten shuffles of random-5), and ``r2_spread``.

    Parameters
    ----------
    repeats : sequence of dict
        One result of `score_columns` for each shuffle, or several seeds of one.

    Returns
    -------
    dict
        The same columns, averaged (counts stay whole numbers), and ``r2_spread``, the standard deviation of
        ``r2`` over the repeats (0 for one).
    """
    columns: dict[str, float] = {}
    for name, value in repeats[0].items():
        columns[name] = value if isinstance(value, int) else float(np.mean([each[name] for each in repeats]))
    return columns | {"r2_spread": float(np.std([each["r2"] for each in repeats]))}


def floored(log10: FloatArray) -> FloatArray:
    """Predictions (log10 of ug/L) as they are scored: at least 0.1 ug/L."""
    return np.maximum(log10, FLOOR)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient; NaN where the denominator is zero."""
    safe = np.where(denominator == 0, np.nan, denominator)
    return numerator / safe


def _weighted_median(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Median of `values` repeated `weights` (whole numbers) times; NaN where all weights are zero."""
    if values.size == 0:
        return np.full(weights.shape[:-1], np.nan)
    order = values.argsort()
    reached = weights[..., order].cumsum(-1)  # rows up to and including this one
    count = reached[..., -1:]
    # The middle row, or the two middle rows of an even count; argmax finds the first True.
    low = (reached > np.floor((count - 1) / 2)).argmax(-1)
    high = (reached > np.floor(count / 2)).argmax(-1)
    ranked = values[order]
    return np.where(count[..., 0] > 0, (ranked[low] + ranked[high]) / 2, np.nan)


def reached(observed: Observations, threshold: float) -> BoolArray:
    """Which rows reach a threshold (ug/L), shape (n,).

    A value of exactly 0.3 counts as reaching 0.3, also where its logarithm comes out one bit lower.
    """
    return observed.log10 > np.log10(threshold) - 1e-9


def interval_of(values: FloatArray) -> Interval:
    """First value, and percentiles of the others; a draw in which the score is undefined is left out."""
    draws = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(draws, [2.5, 97.5]) if draws.size else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _check(observed: Observations, name: str, prediction: Prediction) -> None:
    rows = observed.log10.shape
    for what, values in (("mean", prediction.mean), ("spread", prediction.spread)):
        if values.shape != rows:
            raise ScoreError(
                f"{name}: wanted one {what} for each of {rows[0]} rows, found shape {values.shape}. "
                "Are the predictions of all folds joined, in the order of the rows?"
            )
        wrong = np.flatnonzero(~np.isfinite(values) | (values <= 0 if what == "spread" else False))
        if wrong.size:
            raise ScoreError(
                f"{name}: {wrong.size} of {rows[0]} rows have no usable {what}, the first is row {wrong[0]} "
                f"({observed.dates[wrong[0]]}): {values[wrong[0]]}. A score over fewer rows would not "
                "compare; predict every row."
            )
