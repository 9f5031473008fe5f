"""Chance that is smooth in space and time, and the same whenever it is looked at."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["RandomField", "Series", "Wind"]

FloatArray = npt.NDArray[np.floating[Any]]

# Fields repeat after so many km east and north: twice the box, so that what is seen at once does not repeat.
SIZE_KM = (240.0, 180.0)
N_MODES = (192, 144)

# Wind, m/s: mean to the east and to the north, spread about it, and how long weather lasts. Erie's surface
# drifts at some 2 % of the wind, turned to its right. Textbook values.
MEAN_WIND, WIND_SPREAD, WEATHER_DAYS = (1.2, 0.7), 3.6, 0.8
DRIFT_SHARE, DRIFT_TURN = 0.02, np.radians(20.0)
KM_A_DAY = 86.4  # of 1 m/s


class Series:
    """A random course of time with mean 0 and variance 1: a sum of waves.

    Parameters
    ----------
    rng : Generator
    memory : float
        Values this far apart are correlated by exp(-1/2), so a little further apart hardly at all. Days.
    """

    def __init__(self, rng: np.random.Generator, memory: float, n_waves: int = 64) -> None:
        self._rate = np.abs(rng.normal(0, 1 / memory, n_waves)) + 1e-3
        self._phase = rng.uniform(0, 2 * np.pi, n_waves)
        self._height = np.sqrt(2 / n_waves)

    def at(self, day: npt.ArrayLike) -> FloatArray:
        """Value at a time, shape (...): `day` counts from any fixed moment."""
        return self._height * np.cos(np.multiply.outer(day, self._rate) + self._phase).sum(axis=-1)

    def integral(self, day: npt.ArrayLike) -> FloatArray:
        """Its integral from day 0 to `day`, shape (...)."""
        turns = np.sin(np.multiply.outer(day, self._rate) + self._phase) - np.sin(self._phase)
        return self._height * (turns / self._rate).sum(axis=-1)


class Wind:
    """Wind over the lake, the same everywhere, and how far the surface has drifted with it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._parts = tuple(Series(rng, WEATHER_DAYS) for _ in MEAN_WIND)

    def at(self, day: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """East and north component, m/s: where the wind blows to."""
        east, north = (
            mean + WIND_SPREAD * part.at(day) for mean, part in zip(MEAN_WIND, self._parts, strict=True)
        )
        return east, north

    def drift(self, day: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """How far east and north the surface has drifted since day 0, km."""
        east, north = (
            DRIFT_SHARE * KM_A_DAY * (mean * np.asarray(day) + WIND_SPREAD * part.integral(day))
            for mean, part in zip(MEAN_WIND, self._parts, strict=True)
        )
        turned_east = east * np.cos(DRIFT_TURN) + north * np.sin(DRIFT_TURN)
        return turned_east, north * np.cos(DRIFT_TURN) - east * np.sin(DRIFT_TURN)

    def stirring(self, day: float) -> float:
        """Mean square of the wind speed over the last 36 hours, relative to its mean over all time."""
        east, north = self.at(day - np.linspace(0, 1.5, 13))
        return float(
            np.mean(east**2 + north**2) / (2 * WIND_SPREAD**2 + MEAN_WIND[0] ** 2 + MEAN_WIND[1] ** 2)
        )


class RandomField:
    """A random field on a plane, mean 0 and variance 1, that changes with time: a sum of waves.

    Parameters
    ----------
    rng : Generator
    scale_km : float
        Waves much longer than 2 pi times this are all alike; shorter ones fade with their wave number.
    memory : float
        How long large features last, days; small ones are shorter-lived.
    roughness : float
        Power by which the spectrum falls at small scales: 3 is smooth, 2 frayed.
    """

    def __init__(
        self, rng: np.random.Generator, scale_km: float, memory: float, roughness: float = 2.6
    ) -> None:
        (n_east, n_north), (km_east, km_north) = N_MODES, SIZE_KM
        east = (
            2 * np.pi * np.fft.rfftfreq(n_east, km_east / n_east)
        )  # the other half follows: fields are real
        north = 2 * np.pi * np.fft.fftfreq(n_north, km_north / n_north)
        steepness = 1 + scale_km**2 * (north[:, None] ** 2 + east**2)  # (north, east)
        power = steepness ** (-roughness / 2 - 0.5)
        power[0, 0] = 0
        amplitude = rng.normal(size=power.shape) + 1j * rng.normal(size=power.shape)
        self._waves = amplitude * np.sqrt(power / power.sum()) * (n_east * n_north / 2)
        self._waves[:, 0] *= 2  # these have no other half
        self._rate = rng.normal(size=power.shape) / memory * steepness**0.25
        # Coefficients of the cubic spline through the field, by its periodic filter: cheaper than each time.
        turns = (np.fft.fftfreq(n_north)[:, None], np.fft.rfftfreq(n_east)[None, :])
        for turn in turns:
            self._waves = self._waves / ((2 + np.cos(2 * np.pi * turn)) / 3)

    def at(self, day: float, x: FloatArray, y: FloatArray) -> FloatArray:
        """Values at a time and at places, shape (...).

        Parameters
        ----------
        day : float
            From any fixed moment.
        x, y : ndarray, shape (...)
            km. To move the field, move these the other way.
        """
        phase = self._rate * day
        turned = np.empty_like(self._waves)  # half the time of a complex exponential
        np.cos(phase, out=turned.real)
        np.sin(phase, out=turned.imag)
        turned *= self._waves
        values = np.fft.irfft2(turned, s=N_MODES[::-1])
        rows, columns = y * (N_MODES[1] / SIZE_KM[1]), x * (N_MODES[0] / SIZE_KM[0])
        return ndimage.map_coordinates(values, [rows, columns], order=3, mode="grid-wrap", prefilter=False)
