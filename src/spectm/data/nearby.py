"""Pixels near a place: which is the nearest, and how much those around it differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Place", "km_between", "nearest_pixel", "variability"]

FloatArray = npt.NDArray[np.floating[Any]]

EARTH_RADIUS_KM = 6371.0088  # mean radius of the International Union of Geodesy and Geophysics
KM_PER_DEGREE = 110.5  # a little less than the shortest degree of latitude
# The bands that NASA's validation takes the coefficient of variation from, and its filter.
CV_NM = (405.0, 570.0)
CV_SPREAD = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    """A station and where it lies, degrees."""

    station: str
    latitude: float
    longitude: float


def km_between(latitude: FloatArray, longitude: FloatArray, place: Place) -> FloatArray:
    """Great-circle distance from a place, km, by the haversine formula.

    Parameters
    ----------
    latitude, longitude : ndarray, any one shape
        Degrees north and east.
    place : Place
        The other end.

    Examples
    --------
    >>> pole = km_between(np.array([90.0]), np.array([0.0]), Place("equator", 0.0, 50.0))
    >>> print(pole.round(1))  # a quarter of the way around
    [10007.6]
    """
    lat, lon = (np.deg2rad(np.asarray(degrees, dtype=np.float64)) for degrees in (latitude, longitude))
    lat_0, lon_0 = np.deg2rad(place.latitude), np.deg2rad(place.longitude)
    half = np.sin((lat - lat_0) / 2) ** 2 + np.cos(lat) * np.cos(lat_0) * np.sin((lon - lon_0) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def nearest_pixel(
    latitude: FloatArray, longitude: FloatArray, place: Place, within_km: float
) -> tuple[tuple[int, int], float] | None:
    """Line and pixel nearest to a place, and the distance in km; None if there is none within a distance.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (line, pixel)
        Centres of pixels, degrees; NaN where unknown. Of two equally near, the first in the file is taken.
    place : Place
        Where.
    within_km : float
        How far to look.
    """
    reach = within_km / KM_PER_DEGREE
    near = np.abs(latitude - place.latitude) <= reach
    lines = np.flatnonzero(near.any(axis=1))
    if not lines.size:
        return None
    some = slice(int(lines[0]), int(lines[-1]) + 1)
    highest = min(abs(place.latitude) + reach, 90.0)  # where degrees of longitude are shortest
    apart = np.abs((longitude[some].astype(np.float64) - place.longitude + 180) % 360 - 180)
    line, pixel = np.nonzero(near[some] & (apart * np.cos(np.deg2rad(highest)) <= reach))
    if not line.size:
        return None
    line = line + some.start
    km = km_between(latitude[line, pixel], longitude[line, pixel], place)
    first = int(km.argmin())
    if km[first] > within_km:
        return None
    return (int(line[first]), int(pixel[first])), float(km[first])


def variability(spectra: FloatArray, wavelength: FloatArray) -> float:
    r"""Median over the bands from 405 to 570 nm of the coefficient of variation of some pixels.

    Parameters
    ----------
    spectra : ndarray, shape (pixel, n_bands)
        Rrs of valid pixels, sr^-1.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.

    Returns
    -------
    float
        NaN for fewer than two pixels, or without such a band.

    Notes
    -----
    In each band, values further than 1.5 standard deviations from the mean are left out; then the standard
    deviation (n - 1) is divided by the mean, here by its size, since Rrs in the blue may be negative. NASA's
    validation takes the same bands, calls windows above 0.15 too variable, and adds the aerosol optical
    thickness near 865 nm as one more band, which would not move the median of OCI's sixty.

    References
    ----------
    Bailey and Werdell (2006), Remote Sens. Environ. 102, 12-23, doi:10.1016/j.rse.2006.01.015; bands as in
    ``mk_matchup.py`` of NASA's Ocean Biology Processing Group.
    """
    bands = (wavelength >= CV_NM[0]) & (wavelength <= CV_NM[1])
    if len(spectra) < 2 or not bands.any():
        return np.nan
    values = spectra[:, bands].astype(np.float64)
    away = np.abs(values - values.mean(axis=0))
    kept = np.where(away <= CV_SPREAD * values.std(axis=0, ddof=1), values, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        cv = np.nanstd(kept, axis=0, ddof=1) / np.abs(np.nanmean(kept, axis=0))
    return float(np.nanmedian(cv)) if np.isfinite(cv).any() else np.nan
