"""A predictive distribution of a concentration, and what can be asked of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.trust.calibration import Calibration

__all__ = ["LEVELS", "Estimate"]

FloatArray = npt.NDArray[np.floating[Any]]

LEVELS = (0.5, 0.9)
"""Of the intervals that are reported."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """Calibrated distributions of a concentration at some places, for one horizon.

    Parameters
    ----------
    mean, spread : ndarray, shape (n,)
        What the model says, log10 of ug/L; NaN where there is no estimate.
    calibration : Calibration
        How far truth lies from the mean, in units of the spread.
    least : float
        The detection limit, ug/L: the model answers nothing lower, and no interval ends below it. An interval
        whose lower end is this limit is open there: from "below detection" on.
    """

    mean: FloatArray
    spread: FloatArray
    calibration: Calibration
    least: float

    @property
    def median(self) -> FloatArray:
        """Median, ug/L, shape (n,)."""
        return 10**self.mean

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends, ug/L, of the interval that holds the concentration with probability `level`."""
        low, high = (10**end for end in self.calibration.interval(self.mean, self.spread, level))
        return np.maximum(low, self.least), np.maximum(high, self.least)

    def exceedance(self, threshold: float) -> FloatArray:
        """Probability that the concentration lies above `threshold` (ug/L), shape (n,)."""
        return self.calibration.exceedance(self.mean, self.spread, threshold)

    @property
    def below_detection(self) -> FloatArray:
        """Probability that a laboratory would find nothing, shape (n,)."""
        return self.calibration.below_detection_probability(self.mean, self.spread, self.least)
