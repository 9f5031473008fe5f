"""Real spectra made wrong: no water or not in the unit, which a flag has to notice, or a little off."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MILD_CHANGES", "corruptions", "mild_changes"]

FloatArray = npt.NDArray[np.floating[Any]]

# Reflectance (not per steradian) of green plants, and of dry soil, which rises as a straight line.
PLANTS_NM = (346, 400, 500, 550, 600, 670, 690, 720)
PLANTS = (0.02, 0.025, 0.03, 0.08, 0.05, 0.03, 0.06, 0.25)
SOIL_NM, SOIL = (346, 720), (0.06, 0.28)

MILD_CHANGES = {
    "plus 0.001 sr^-1": (1.0, 0.001),
    "plus 0.003 sr^-1": (1.0, 0.003),
    "plus 0.005 sr^-1": (1.0, 0.005),
    "times 1.2": (1.2, 0.0),
    "times 1.5": (1.5, 0.0),
    "times 2": (2.0, 0.0),
}
"""What a spectrum is multiplied by, and what is then added to every band, sr^-1."""


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


def mild_changes(Rrs: FloatArray) -> dict[str, FloatArray]:
    """Spectra that are only a little off, by the names of `MILD_CHANGES`: no flag is promised.

    Parameters
    ----------
    Rrs : ndarray, shape (n, n_bands)
        Real spectra, sr^-1.

    Returns
    -------
    dict of ndarray, shape (n, n_bands)
    """
    return {name: factor * Rrs + added for name, (factor, added) in MILD_CHANGES.items()}
