"""Rules that a spectrum of water keeps, whatever the lake: each with what it says when one is broken.

The limits are rather wide: over a season of a turbid lake, from clear spring water to a bloom, none is
broken. What a rule can't tell is left to the distance from the spectra learned from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RULES", "Rule", "broken_rules"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

BRIGHTEST = 0.1  # sr^-1; brighter than whitings and all but scum. Percent is 100 times too bright
DARKEST = 5e-4  # sr^-1, mean of 500-600 nm; the clearest ocean has about 1.5e-3
LOWEST_RED = -5e-4  # sr^-1, mean of 640-680 nm; a few times OCI's own uncertainty there
TURBID_RED = 0.008  # sr^-1 at 660-670 nm; particles, so that pigments and CDOM shape the blue
LEAST_GREEN = 0.15  # of the brightness: how far green stands above blue in such water
RED_EDGE = 0.15  # of the brightness: rise from 705-712 to 716-720 nm; in water it falls
ROUGHEST = 0.15  # of the brightness: mean distance of a band from the line between its neighbours


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that can't be in a spectrum of water.

    Parameters
    ----------
    name : str
    explanation : str
        What it says of a spectrum that breaks it.
    broken : callable
        Takes spectra, shape (n, n_bands), sr^-1, NaN where missing, and band centres, nm; returns shape (n,).
    """

    name: str
    explanation: str
    broken: Callable[[FloatArray, FloatArray], BoolArray]


def broken_rules(Rrs: FloatArray, wavelength: FloatArray) -> dict[str, BoolArray]:
    """Which rules each spectrum breaks.

    Parameters
    ----------
    Rrs : ndarray, shape (n, n_bands)
        sr^-1; NaN is missing. A rule whose bands are missing is not broken.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, increasing.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        For every name in `RULES`.
    """
    return {name: rule.broken(Rrs, wavelength) for name, rule in RULES.items()}


def _mean(Rrs: FloatArray, wavelength: FloatArray, low_nm: float, high_nm: float) -> FloatArray:
    """Mean of the bands of a range that are there, shape (n,); NaN where there is none."""
    part = Rrs[:, (wavelength >= low_nm) & (wavelength <= high_nm)]
    there = np.isfinite(part)
    return np.where(there, part, 0.0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)


def _relative(difference: FloatArray, Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """A difference as a share of the brightness, 500-700 nm; NaN where there is no light."""
    brightness = _mean(Rrs, wavelength, 500, 700)
    return difference / np.where(brightness > 0, brightness, np.nan)


def _too_bright(Rrs: FloatArray, wavelength: FloatArray) -> BoolArray:
    part = Rrs[:, (wavelength >= 500) & (wavelength <= 720)]
    return np.asarray((np.where(np.isfinite(part), part, 0.0) > BRIGHTEST).any(axis=1))


def _too_dark(Rrs: FloatArray, wavelength: FloatArray) -> BoolArray:
    return np.asarray(_mean(Rrs, wavelength, 500, 600) < DARKEST)


def _negative_red(Rrs: FloatArray, wavelength: FloatArray) -> BoolArray:
    return np.asarray(_mean(Rrs, wavelength, 640, 680) < LOWEST_RED)


def _no_green_peak(Rrs: FloatArray, wavelength: FloatArray) -> BoolArray:
    peak = _mean(Rrs, wavelength, 550, 580) - _mean(Rrs, wavelength, 440, 490)
    turbid = _mean(Rrs, wavelength, 660, 670) > TURBID_RED
    return np.logical_and(turbid, _relative(peak, Rrs, wavelength) < LEAST_GREEN)


def _red_edge(Rrs: FloatArray, wavelength: FloatArray) -> BoolArray:
    rise = _mean(Rrs, wavelength, 716, 720) - _mean(Rrs, wavelength, 705, 712)
    return _relative(rise, Rrs, wavelength) > RED_EDGE


def _rough(Rrs: FloatArray, wavelength: FloatArray) -> BoolArray:
    kept = (wavelength >= 500) & (wavelength <= 720)
    part, nm = Rrs[:, kept], wavelength[kept]
    if nm.size < 3:
        return np.zeros(len(Rrs), dtype=np.bool_)
    share = (nm[1:-1] - nm[:-2]) / (nm[2:] - nm[:-2])
    off = np.abs(part[:, 1:-1] - part[:, :-2] - share * (part[:, 2:] - part[:, :-2]))
    there = np.isfinite(off)
    mean = np.where(there, off, 0.0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)
    return _relative(mean, Rrs, wavelength) > ROUGHEST


RULES = {
    rule.name: rule
    for rule in (
        Rule("too bright", "brighter than any water; in percent, of a cloud or of land?", _too_bright),
        Rule("too dark", "hardly any light in the green; a shadow, or another unit?", _too_dark),
        Rule("negative red", "negative in the red: the atmosphere was over-corrected", _negative_red),
        Rule("no green peak", "bright in the red, but green does not stand above blue: grey", _no_green_peak),
        Rule("red edge", "rises towards the near infrared as plants on land do", _red_edge),
        Rule("rough", "jumps from band to band; are the bands in order?", _rough),
    )
}
"""Every rule by its name."""
