"""Clouds: a threshold on a rough random field that drifts over the lake; every day has its own sky."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from spectm.simulation.fields import RandomField, Series

__all__ = ["Sky"]

FloatArray = npt.NDArray[np.floating[Any]]

# Share of the variance that all places have in common: weather decides whether a day is clear, broken or
# overcast, the field where the gaps are. Our choice: about a third of the days are mostly clear or overcast.
COMMON_SHARE = 0.5
WEATHER_DAYS = 1.0
# Clouds thin out over this many standard deviations about the threshold.
EDGE = 0.7
# Size of clouds, km, from fair-weather heaps to decks; speed of air, m/s; how long a shape lasts, days.
SCALES_KM, MEAN_SPEED, SPEED_SPREAD, LIFETIME = (4.0, 25.0), (6.0, 1.0), 4.0, 0.2
KM_A_DAY = 86.4  # of 1 m/s
MIDNIGHT = 0.23  # days after 00 UTC: skies change at local midnight, when no satellite needs light


class Sky:
    """Cloud over a plane, in one year.

    Parameters
    ----------
    key : tuple of int
        What every day's chance is drawn from, together with the day.
    cloudiness : float
        Share of cloud in the long run, 0 to 1.
    """

    def __init__(self, key: tuple[int, ...], cloudiness: float) -> None:
        self._key = key
        self._weather = Series(np.random.default_rng(key), WEATHER_DAYS)
        self._threshold = ndtri(1 - cloudiness)

    def at(self, day: float, x: FloatArray, y: FloatArray) -> FloatArray:
        """Cloud at a time, days from the start of the year, and at places in km: 0 clear to 1 overcast."""
        whole = int(np.floor(day - MIDNIGHT))
        rng = np.random.default_rng((*self._key, whole + 1))
        scale = np.exp(rng.uniform(*np.log(SCALES_KM)))
        east, north = rng.normal(MEAN_SPEED, SPEED_SPREAD) * KM_A_DAY * (day - whole)
        along, across = _stretched(x - east, y - north, rng)
        shapes = RandomField(rng, scale, LIFETIME, roughness=2.1).at(day - whole, along, across)
        height = np.sqrt(COMMON_SHARE) * self._weather.at(day) + np.sqrt(1 - COMMON_SHARE) * shapes
        share = np.clip((height - self._threshold) / EDGE + 0.5, 0, 1)
        return share**2 * (3 - 2 * share)  # rounded at both ends


def _stretched(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Places seen so that shapes come out up to twice as long as wide, in any direction."""
    angle, factor = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return along * factor, across
