r"""Reflectance of single leaves: the plate model, with smooth stand-ins for measured absorption.

A leaf is a pile of N plates with rough surfaces, each of which absorbs what pigments, water and dry matter
in it take (Allen et al. 1969; Stokes 1862 for the pile). The equations are those of PROSPECT (Jacquemoud
and Baret 1990). Its tables of measured absorption are not: here pigments, water and dry matter are sums of
Gaussians near the published places and heights, and the refractive index is a straight line. So spectra
have the right features (the green peak, the red edge that moves with chlorophyll, the water bands) and not
the right decimals: they are for trying methods, and for nothing else.

References
----------
Allen, Gausman, Richardson and Thomas (1969), J. Opt. Soc. Am. 59, 1376-1379, doi:10.1364/JOSA.59.001376.
Jacquemoud and Baret (1990), Remote Sens. Environ. 34, 75-91, doi:10.1016/0034-4257(90)90100-Z.
Feret et al. (2008), Remote Sens. Environ. 112, 3030-3043, doi:10.1016/j.rse.2008.02.012: specific absorption.
Stern (1964), Appl. Opt. 3, 111-113, doi:10.1364/AO.3.000111: the mean transmission of a surface.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import exp1

__all__ = ["Leaves", "draw_leaves", "leaf_reflectance"]

FloatArray = npt.NDArray[np.floating[Any]]

# Centre and standard deviation (nm), height: pigments in cm2 per ug, water in 1/cm, dry matter in cm2 per g.
CHLOROPHYLL = (
    (430.0, 28.0, 0.065),
    (475.0, 22.0, 0.035),
    (600.0, 45.0, 0.016),
    (650.0, 16.0, 0.024),
    (677.0, 12.0, 0.055),
)
CAROTENOIDS = ((425.0, 22.0, 0.10), (455.0, 16.0, 0.11), (487.0, 14.0, 0.10))
WATER = (
    (975.0, 25.0, 0.46),
    (1200.0, 40.0, 1.1),
    (1450.0, 45.0, 28.0),
    (1940.0, 50.0, 110.0),
    (2600.0, 260.0, 95.0),
)
DRY_MATTER = ((350.0, 200.0, 25.0), (1730.0, 60.0, 6.0), (2100.0, 120.0, 16.0), (2310.0, 80.0, 20.0))
DRY_BASE = 4.0  # cm2 per g, everywhere
INDEX_AT_400, INDEX_AT_2500 = 1.50, 1.28  # refractive index of wet leaf tissue
INCIDENCE_DEGREES = 40.0  # half angle of the light on the first surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """What is in some leaves, an array of shape (n,) each.

    Parameters
    ----------
    plates : ndarray
        Number N of plates, 1 to 3: how often light is scattered inside.
    chlorophyll, carotenoids : ndarray
        ug per cm2.
    water, dry_matter : ndarray
        g per cm2.
    """

    plates: FloatArray
    chlorophyll: FloatArray
    carotenoids: FloatArray
    water: FloatArray
    dry_matter: FloatArray


def leaf_reflectance(leaves: Leaves, wavelength: FloatArray) -> FloatArray:
    """Share of the light that leaves send back in all directions, shape (n, n_bands).

    Parameters
    ----------
    leaves : Leaves
    wavelength : ndarray, shape (n_bands,)
        nm, 400 to 2500.

    Examples
    --------
    >>> def reflectance(chlorophyll):
    ...     what = {"plates": 1.5, "carotenoids": 8.0, "water": 0.012, "dry_matter": 0.006}
    ...     what |= {"chlorophyll": chlorophyll}
    ...     leaves = Leaves(**{name: np.array([value]) for name, value in what.items()})
    ...     return leaf_reflectance(leaves, np.array([705.0]))
    >>> pale, green = reflectance(10.0), reflectance(50.0)
    >>> bool(pale > green)  # the red edge moves to longer waves with chlorophyll
    True
    """
    wavelength = np.asarray(wavelength, dtype=np.float64)
    absorbed = (
        leaves.chlorophyll[:, None] * _gaussians(CHLOROPHYLL, wavelength)
        + leaves.carotenoids[:, None] * _gaussians(CAROTENOIDS, wavelength)
        + leaves.water[:, None] * _gaussians(WATER, wavelength)
        + leaves.dry_matter[:, None] * (DRY_BASE + _gaussians(DRY_MATTER, wavelength))
    )
    passed = _passed(absorbed / leaves.plates[:, None])
    step = (wavelength - 400.0) / 2100.0
    n = INDEX_AT_400 + step * (INDEX_AT_2500 - INDEX_AT_400)
    return _pile(passed, leaves.plates[:, None], _entering(n, 90.0), _entering(n, INCIDENCE_DEGREES), n)


def draw_leaves(n: int, rng: np.random.Generator, *, sites: int) -> tuple[Leaves, npt.NDArray[np.int64]]:
    """Leaves of some sites, each with plants of its own kind and health; and the site of each, from 0.

    Chlorophyll runs from some 5 to 90 ug per cm2. Sites differ in thickness, water and dry matter, so that
    what tells of chlorophyll in one is moved in another.
    """
    site = np.arange(n, dtype=np.int64) % sites

    def varied(middle: float, between: float, within: float) -> FloatArray:
        of_site = rng.normal(0.0, between, sites)[site]
        return np.asarray(middle * np.exp(of_site + rng.normal(0.0, within, n)))

    chlorophyll = np.clip(varied(32.0, 0.35, 0.45), 3.0, 100.0)
    leaves = Leaves(
        plates=np.clip(varied(1.6, 0.12, 0.08), 1.0, 3.0),
        chlorophyll=chlorophyll,
        carotenoids=chlorophyll * np.clip(varied(0.24, 0.2, 0.12), 0.1, 0.6),
        water=varied(0.012, 0.3, 0.15),
        dry_matter=varied(0.006, 0.3, 0.15),
    )
    return leaves, site


def _gaussians(peaks: tuple[tuple[float, float, float], ...], wavelength: FloatArray) -> FloatArray:
    return np.sum([height * np.exp(-0.5 * ((wavelength - nm) / sd) ** 2) for nm, sd, height in peaks], axis=0)


def _passed(k: FloatArray) -> FloatArray:
    """Share of diffuse light that an absorbing plate lets through: (1 - k) e^-k + k^2 E1(k)."""
    safe = np.maximum(k, 1e-9)
    return (1 - safe) * np.exp(-safe) + safe**2 * exp1(safe)


def _entering(n: FloatArray, most_degrees: float) -> FloatArray:
    """Mean share of light within a cone that crosses a smooth surface into index n (Fresnel)."""
    angles = np.radians(np.linspace(0.0, most_degrees, 181))
    sine, cosine = np.sin(angles), np.cos(angles)
    inside = np.sqrt(1 - (sine / n[:, None]) ** 2)  # cosine of the refracted ray, (band, angle)
    across = ((cosine - n[:, None] * inside) / (cosine + n[:, None] * inside)) ** 2
    along = ((n[:, None] * cosine - inside) / (n[:, None] * cosine + inside)) ** 2
    weight = sine * cosine  # of a Lambertian source
    return (1 - (across + along) / 2) @ weight / weight.sum()


def _pile(
    passed: FloatArray, plates: FloatArray, diffuse: FloatArray, direct: FloatArray, n: FloatArray
) -> FloatArray:
    """Reflectance of a pile of plates whose first surface is lit within a cone."""
    outward = diffuse / n**2  # through the surface from inside
    inner = 1 - outward
    shared = 1 - (inner * passed) ** 2
    first_reflected = 1 - direct + direct * outward * inner * passed**2 / shared
    first_passed = direct * outward * passed / shared
    reflected = 1 - diffuse + diffuse * outward * inner * passed**2 / shared
    transmitted = diffuse * outward * passed / shared
    rest_reflected = _stokes(reflected, transmitted, plates - 1)
    return np.asarray(
        first_reflected + first_passed * rest_reflected * transmitted / (1 - rest_reflected * reflected)
    )


def _stokes(r: FloatArray, t: FloatArray, plates: FloatArray) -> FloatArray:
    """Reflectance of a number of equal plates, which need not be whole (Stokes 1862)."""
    root = np.sqrt(np.maximum((1 + r + t) * (1 + r - t) * (1 - r + t) * (1 - r - t), 1e-18))
    a = (1 + r**2 - t**2 + root) / (2 * r)
    b = (1 - r**2 + t**2 + root) / (2 * t)
    squared = b ** (2 * plates)
    return np.asarray(a * (squared - 1) / (a**2 * squared - 1))
