"""What may be claimed of a difference: its interval, a correction for choosing, and what could be seen.

Every array of draws has the score itself in column 0 and the scores of the bootstrap draws after it, as
`spectm.evaluation.scores.draw_weights` has rows.

References
----------
Bloom (1995), Evaluation Review 19, 547-556, doi:10.1177/0193841X9501900504: minimum detectable effects.
White (2000), Econometrica 68, 1097-1126, doi:10.1111/1468-0262.00152: the best of many models.
Romano and Wolf (2005), Econometrica 73, 1237-1282, doi:10.1111/j.1468-0262.2005.00615.x: studentised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.evaluation.scores import (
    DRAW_SEED,
    N_DRAWS,
    Observations,
    Score,
    draw_weights,
    floored,
    interval_of,
    r2,
)

__all__ = ["DETECTABLE", "Claim", "claims", "mean_over_seeds", "score_draws", "standard_error"]

FloatArray = npt.NDArray[np.floating[Any]]

DETECTABLE = 2.8
"""Standard errors to a difference that four studies in five would find: 1.96 for 5 % and 0.84 for 80 %."""
NO_SPREAD = 1e-9  # below it two models are one


@dataclass(frozen=True, slots=True)
class Claim:
    """One difference among several that were looked at.

    Parameters
    ----------
    value, low, high : float
        Difference and its own 95 % interval, percentiles of the draws.
    corrected_low, corrected_high : float
        Interval that holds for all differences at once, with 95 % confidence.
    p : float
        Corrected: the share of draws in which, were there no differences at all, the largest of them is as
        many standard errors from zero as this one.
    detectable : float
        The least difference that would be found four times in five (`DETECTABLE` standard errors).
    """

    value: float
    low: float
    high: float
    corrected_low: float
    corrected_high: float
    p: float
    detectable: float

    @property
    def columns(self) -> dict[str, float]:
        """As tables have it."""
        return {
            "difference": self.value,
            "low": self.low,
            "high": self.high,
            "corrected_low": self.corrected_low,
            "corrected_high": self.corrected_high,
            "p_corrected": self.p,
            "detectable": self.detectable,
        }


def score_draws(observed: Observations, means: FloatArray, *, score: Score = r2) -> FloatArray:
    """Score of each prediction, and of each in every bootstrap draw of dates.

    Parameters
    ----------
    observed : Observations
        n rows.
    means : ndarray, shape (k, n)
        log10 of ug/L, without a floor; by model, seed or whatever is compared.
    score : callable
        Any score of `spectm.evaluation.scores` with the signature of `r2`.

    Returns
    -------
    ndarray, shape (k, 1 + 2000)
        The same draws for all of them, so that differences are paired.
    """
    weights = draw_weights(observed.dates)
    return np.stack([score(observed.log10, floored(mean), weights) for mean in means])


def mean_over_seeds(draws: FloatArray) -> FloatArray:
    """Mean over seeds, which each draw of dates draws anew with replacement.

    Parameters
    ----------
    draws : ndarray, shape (n_seeds, 1 + 2000)
        A score, or a difference of two with the same seed; a single seed is taken as it is.

    Returns
    -------
    ndarray, shape (1 + 2000,)
        Arrays of as many seeds get the same draws.
    """
    n_seeds = len(draws)
    # Not the generator of the dates: a date and a seed of the same position would be drawn together.
    chosen = np.random.default_rng([DRAW_SEED, 1]).integers(0, n_seeds, size=(n_seeds, N_DRAWS))
    drawn = np.take_along_axis(draws[:, 1:], chosen, axis=0).mean(axis=0)
    return np.concatenate([draws[:, :1].mean(axis=0), drawn])


def standard_error(draws: FloatArray) -> float:
    """Standard deviation over the draws in which the score is defined; NaN for fewer than two."""
    known = draws[1:][np.isfinite(draws[1:])]
    return float(known.std(ddof=1)) if known.size > 1 else float("nan")


def claims(differences: Sequence[FloatArray]) -> list[Claim]:
    r"""Differences that were looked at together, each with what may be claimed of it.

    Parameters
    ----------
    differences : sequence of ndarray, shape (1 + 2000,)
        Of the same draws.

    Notes
    -----
    A single-step studentised bootstrap: with the differences :math:`d_k`, their draws :math:`d_{kb}` and
    standard errors :math:`s_k`, the largest :math:`m_b = \max_k |d_{kb} - d_k| / s_k` of each draw is what
    chance alone makes of the best of so many. The corrected interval is :math:`d_k \pm q s_k` with the 95th
    percentile q of :math:`m_b`; p is :math:`(1 + \#\{m_b \ge |d_k| / s_k\}) / (1 + 2000)`. Models that are
    alike cost less than a correction by their number. A difference that does not vary has no part in it.
    """
    error = np.array([standard_error(each) for each in differences])
    varies = error > NO_SPREAD  # False for NaN
    if varies.any():
        kept = np.stack([each for each, use in zip(differences, varies, strict=True) if use])
        largest = np.nanmax(np.abs(_filled(kept) - kept[:, :1]) / error[varies, None], axis=0)[1:]
    else:
        largest = np.zeros(N_DRAWS)
    reach = float(np.quantile(largest, 0.95))
    return [_claim(each, s, largest, reach) for each, s in zip(differences, error, strict=True)]


def _filled(draws: FloatArray) -> FloatArray:
    """A draw in which a score is undefined says nothing: it counts as no deviation."""
    return np.where(np.isfinite(draws), draws, draws[:, :1])


def _claim(draws: FloatArray, error: float, largest: FloatArray, reach: float) -> Claim:
    own = interval_of(draws)
    if not error > NO_SPREAD:
        return Claim(own.value, own.low, own.high, own.low, own.high, float("nan"), float("nan"))
    p = (1 + np.count_nonzero(largest >= abs(own.value) / error)) / (1 + largest.size)
    return Claim(
        value=own.value,
        low=own.low,
        high=own.high,
        corrected_low=own.value - reach * error,
        corrected_high=own.value + reach * error,
        p=float(p),
        detectable=DETECTABLE * error,
    )
