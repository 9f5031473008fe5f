"""What is not water, or not in the unit, made of real spectra: a flag has to notice."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["corruptions"]

FloatArray = npt.NDArray[np.floating[Any]]

# Reflectance (not per steradian) of green plants, and of dry soil, which rises as a straight line.
PLANTS_NM = (346, 400, 500, 550, 600, 670, 690, 720)
PLANTS = (0.02, 0.025, 0.03, 0.08, 0.05, 0.03, 0.06, 0.25)
SOIL_NM, SOIL = (346, 720), (0.06, 0.28)


def corruptions(Rrs: FloatArray, wavelength: FloatArray, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Spectra with something wrong, by what is wrong with them.

    Parameters
    ----------
    Rrs : ndarray, shape (n, n_bands)
        Real spectra, sr^-1.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    rng : Generator
        Draws how much of it each spectrum gets.

    Returns
    -------
    dict of ndarray, shape (n, n_bands)
        "land-like" (40 % of the pixel or more is plants or soil), "cloud-edge" (a tenth to half of it is
        thin cloud), "glint" (0.008 to 0.03 sr^-1 of nearly white light on top), "shuffled bands", "times pi"
        and "percent" (other units), "noise" (of the mean and deviation of all spectra).
    """

    def drawn(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, (len(Rrs), 1))

    nm = wavelength / 550
    plants, soil = np.interp(wavelength, PLANTS_NM, PLANTS), np.interp(wavelength, SOIL_NM, SOIL)
    share, green = drawn(0.4, 1.0), drawn(0.0, 1.0)
    land = drawn(0.6, 1.4) * (green * plants + (1 - green) * soil) / np.pi
    return {
        "land-like": (1 - share) * Rrs + share * land,
        "cloud-edge": 0.9 * Rrs + drawn(0.1, 0.5) * drawn(0.3, 0.8) / np.pi * nm**-0.2,
        "glint": Rrs + drawn(0.008, 0.03) * nm ** drawn(-0.5, 0.2),
        "shuffled bands": rng.permuted(Rrs, axis=1),
        "times pi": np.pi * Rrs,
        "percent": 100 * Rrs,
        "noise": rng.normal(Rrs.mean(), Rrs.std(), Rrs.shape),
    }
