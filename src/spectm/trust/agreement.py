"""How far some bands move an estimate, beside all others, and how far chance would have it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["p_value", "pooled_p_value", "window_agreement", "window_effect"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


def window_effect(bands: FloatArray, inside: BoolArray) -> FloatArray:
    """By how much some bands together move an estimate, on average, up or down.

    Parameters
    ----------
    bands : ndarray, shape (..., n, n_bands)
        Attributions. Rows with NaN are left out.
    inside : ndarray of bool, shape (n_bands,)
        The bands in question.

    Returns
    -------
    ndarray, shape (...)
        Mean over spectra of the size of the sum over these bands, in the unit of the attributions. They are
        summed first: neighbouring bands are nearly equal, and weights of opposite sign on two of them cancel.
    """
    return np.asarray(np.nanmean(np.abs(bands[..., inside].sum(axis=-1)), axis=-1))


def window_agreement(bands: FloatArray, inside: BoolArray) -> FloatArray:
    """Share of some bands in how far estimates are moved from their reference.

    Parameters
    ----------
    bands, inside
        As for `window_effect`.

    Returns
    -------
    ndarray, shape (...)
        The effect of these bands over the sum of it and of that of all others: from 0, where they do not
        count, over 1/2, where they move estimates as far as all others do, to 1. NaN where nothing does.

    Examples
    --------
    >>> bands = np.array([[0.1, -0.4, 0.0, 0.0], [0.0, 0.2, 0.3, -0.2]])
    >>> print(window_agreement(bands, np.array([False, True, False, False])).round(3))
    0.75
    """
    windows, others = window_effect(bands, inside), window_effect(bands, ~inside)
    total = windows + others
    return windows / np.where(total > 0, total, np.nan)


def p_value(observed: float, null: FloatArray) -> float:
    """Share of a null distribution that reaches the observed value, the latter counted among them.

    Examples
    --------
    >>> p_value(1.5, np.array([0.9, 1.0, 1.6]))
    0.5
    """
    return float((1 + np.sum(null >= observed)) / (1 + null.size))


def pooled_p_value(
    observed: Sequence[float], null: Sequence[FloatArray], rng: np.random.Generator, draws: int = 10_000
) -> float:
    """The same for the mean over several models, each of which has a null distribution of its own.

    Parameters
    ----------
    observed : sequence of float
        Of each model.
    null : sequence of ndarray
        Of each model; the mean of one draw from each is one draw of the mean.
    rng : Generator
    draws : int
        How many.
    """
    drawn = np.mean([rng.choice(one, draws) for one in null], axis=0)
    return p_value(float(np.mean(observed)), drawn)
