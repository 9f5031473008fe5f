"""Predictive distributions that hold what they promise, by conformal calibration with dates as groups.

A model gives a mean and a spread of log10 concentration. How far truth lies from the mean, in units of the
spread, is learned from dates that the model had not seen. ``docs/trust.md`` says what that guarantees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from spectm.errors import CalibrationError

__all__ = ["FEWEST_DATES", "Calibration", "conformity_scores"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

FEWEST_DATES = 3
# The date to come counts as one date more whose scores nobody knows. Conformal prediction puts them at
# infinity, and then no interval is finite with few dates; here they spread twice as far as those seen.
UNSEEN_SCALE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    r"""How far truth lies from a mean, in units of the predicted spread: symmetric about the mean.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Conformity scores of the rows calibrated on, increasing, not negative.
    weight : ndarray, shape (n,)
        Probability of each; they sum to K / (K + 1) for K dates.
    unseen_scale : float
        Standard deviation, in units of the spread, that the date to come is given.
    n_dates, n_below_detection : int
        Dates, and rows below detection, among those calibrated on.

    Notes
    -----
    With :math:`F_k` the distribution of the scores of date k and :math:`N` a normal distribution folded at
    zero, the distance :math:`R = |y - \mu| / s` has the distribution
    :math:`(F_1 + ... + F_K + N) / (K + 1)`: every date counts the same, however many samples it has.

    References
    ----------
    Lee, Barber and Willett (2023), Distribution-free inference with hierarchical data, arXiv 2306.06342.
    Dunn, Wasserman and Ramdas (2023), J. Am. Stat. Assoc. 118, 2491, doi:10.1080/01621459.2022.2060112.
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), J. Am. Stat. Assoc. 113, 1094,
    doi:10.1080/01621459.2017.1307116 (residuals divided by a spread).
    """

    score: FloatArray
    weight: FloatArray
    unseen_scale: float
    n_dates: int
    n_below_detection: int

    @classmethod
    def fit(cls, residual: FloatArray, spread: FloatArray, below: BoolArray, dates: npt.NDArray[Any]) -> Self:
        """Learn from rows, each predicted by a model that had seen nothing of its date.

        Parameters
        ----------
        residual : ndarray, shape (n,)
            Observed minus predicted mean, log10. Below detection: the limit minus the predicted mean.
        spread : ndarray, shape (n,)
            Predicted standard deviation, log10, positive.
        below : ndarray of bool, shape (n,)
            Which rows are below detection: of these only an upper end of the residual is known.
        dates : ndarray, shape (n,)
            Sampling dates, or whatever else the rows come in groups of.

        Raises
        ------
        CalibrationError
            If there are fewer than three dates, or a residual or spread is of no use.
        """
        _check(residual, spread, below, dates)
        found = conformity_scores(residual, spread, below)
        _, group, size = np.unique(dates, return_inverse=True, return_counts=True)
        weight = 1 / size[group] / (size.size + 1)
        order = found.argsort(kind="stable")
        root = float(np.sqrt((weight @ found**2) / weight.sum()))
        return cls(
            score=found[order],
            weight=weight[order],
            unseen_scale=UNSEEN_SCALE * root if root > 0 else 1.0,
            n_dates=int(size.size),
            n_below_detection=int(below.sum()),
        )

    def cdf(self, distance: npt.ArrayLike) -> FloatArray:
        """Probability that (truth - mean) / spread is at most `distance`, shape (...); NaN passes through."""
        z = np.asarray(distance, dtype=np.float64)
        reached = np.concatenate([[0.0], self.weight.cumsum()])
        # Scores lie on either side of the mean with the same probability; right-continuous on both.
        inside = np.where(
            z >= 0,
            reached[np.searchsorted(self.score, z, side="right")],
            -reached[np.searchsorted(self.score, -z, side="left")],
        )
        half = 0.5 * self.n_dates / (self.n_dates + 1)
        total = half + inside / 2 + ndtr(z / self.unseen_scale) / (self.n_dates + 1)
        return np.where(np.isnan(z), np.nan, np.clip(total, 0.0, 1.0))

    def quantile(self, mean: FloatArray, spread: FloatArray, q: float) -> FloatArray:
        """Value that truth lies below with probability `q`.

        Parameters
        ----------
        mean, spread : ndarray, shape (...)
            Of the model, log10.
        q : float
            Between 0 and 1, neither of them.

        Returns
        -------
        ndarray, shape (...)
            log10; the median is the mean itself.
        """
        if not 0 < q < 1:
            raise ValueError(f"a quantile lies between 0 and 1, found {q}")
        return mean + np.sign(q - 0.5) * self.radius(abs(2 * q - 1)) * spread

    def interval(self, mean: FloatArray, spread: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends of the central interval that holds truth with probability `level` (0.5, 0.9), log10."""
        if not 0 < level < 1:
            raise ValueError(f"a level lies between 0 and 1, found {level}")
        reach = self.radius(level) * spread
        return mean - reach, mean + reach

    def exceedance(self, mean: FloatArray, spread: FloatArray, threshold: float) -> FloatArray:
        """Probability, shape (...), that the concentration lies above `threshold` (ug/L, above zero)."""
        return 1 - self.cdf((np.log10(threshold) - mean) / spread)

    def below_detection_probability(self, mean: FloatArray, spread: FloatArray, limit: float) -> FloatArray:
        """Probability, shape (...), that a laboratory with this limit (ug/L) finds nothing."""
        return self.cdf((np.log10(limit) - mean) / spread)

    def radius(self, level: float) -> float:
        """Distance from the mean, in spreads, that truth keeps within with probability `level`."""
        share = 1 / (self.n_dates + 1)
        before = self.weight.cumsum() - self.weight
        folded = share * (2 * ndtr(self.score / self.unseen_scale) - 1)
        step = int(np.searchsorted(before + self.weight + folded, level))  # the first score that reaches it
        seen = float(before[step] if step < self.score.size else self.weight.sum())
        between = self.unseen_scale * float(ndtri((1 + min((level - seen) / share, 1.0)) / 2))
        return min(between, float(self.score[step])) if step < self.score.size else between

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, for JSON."""
        return {
            "score": self.score.tolist(),
            "weight": self.weight.tolist(),
            "unseen_scale": self.unseen_scale,
            "n_dates": self.n_dates,
            "n_below_detection": self.n_below_detection,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave.

        Raises
        ------
        CalibrationError
            If something of it is missing or can't be.
        """
        try:
            found = cls(
                score=np.array(stored["score"], dtype=np.float64),
                weight=np.array(stored["weight"], dtype=np.float64),
                unseen_scale=float(stored["unseen_scale"]),
                n_dates=int(stored["n_dates"]),
                n_below_detection=int(stored["n_below_detection"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                f"a stored calibration is damaged: {error!r}. Train or calibrate the model again."
            ) from error
        wanted = found.n_dates / (found.n_dates + 1)
        if found.score.shape != found.weight.shape or not np.isclose(found.weight.sum(), wanted):
            raise CalibrationError(
                f"a stored calibration is damaged: wanted a weight for each of {found.score.size} scores, "
                f"{wanted:.4f} in sum; found {found.weight.size}, {found.weight.sum():.4f} in sum. Train or "
                "calibrate the model again."
            )
        return found


def conformity_scores(residual: FloatArray, spread: FloatArray, below: BoolArray) -> FloatArray:
    """How many spreads an interval about the mean has to reach to cover each row, shape (n,).

    A detected row is covered when the interval reaches it. A row below detection is covered when the lower
    end reaches its limit: whatever lies below that limit, the laboratory could not have told it from truth.

    Parameters
    ----------
    residual, spread, below : ndarray, shape (n,)
        As for `Calibration.fit`.
    """
    z = residual / spread
    return np.where(below, np.maximum(-z, 0.0), np.abs(z))


def _check(residual: FloatArray, spread: FloatArray, below: BoolArray, dates: npt.NDArray[Any]) -> None:
    shapes = {name: a.shape for name, a in (("spread", spread), ("below", below), ("dates", dates))}
    if residual.ndim != 1 or any(shape != residual.shape for shape in shapes.values()):
        raise CalibrationError(
            f"calibration: wanted one value a row in residual, spread, below and dates; found shapes "
            f"{residual.shape}, {', '.join(map(str, shapes.values()))}."
        )
    n_dates = np.unique(dates).size
    if n_dates < FEWEST_DATES:
        raise CalibrationError(
            f"calibration: wanted rows of {FEWEST_DATES} dates or more, found {n_dates}. With K dates a "
            "promised coverage may be missed by 1 / (K + 1): give more dates."
        )
    wrong = ~np.isfinite(residual) | ~np.isfinite(spread) | (spread <= 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise CalibrationError(
            f"calibration: {int(wrong.sum())} of {residual.size} rows are of no use, the first is row {row} "
            f"({dates[row]}): residual {residual[row]:g}, spread {spread[row]:g}. Leave out rows without a "
            "prediction."
        )
