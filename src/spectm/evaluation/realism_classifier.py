"""Whether a classifier can tell real from simulated spectra, and by what."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from spectm.evaluation.realism_spectra import FIRST_NM, Spectra, normalised

__all__ = ["FORMS", "Separation", "date_folds", "differences", "form", "separate", "smooth"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

FORMS = ("raw", "smoothed", "normalised", "normalised and smoothed", "texture")
SMOOTH_BANDS = 2.0  # standard deviation of the Gaussian, bands: about 5 nm
N_FOLDS, ROUNDS, BINS = 5, 100, 64
WINDOW_NM = 20.0  # bands that are shuffled together to see what they were good for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Separation:
    """How well one form of the spectra gives away which are simulated.

    Parameters
    ----------
    form : str
        One of `FORMS`.
    auc : float
        Area under the curve, over all folds: 0.5 is chance.
    centre_nm, importance : ndarray, shape (n_windows,)
        Middle of each window of bands, and by how much the area shrinks when its bands are shuffled.
    """

    form: str
    auc: float
    centre_nm: FloatArray
    importance: FloatArray


def smooth(Rrs: FloatArray) -> FloatArray:
    """Spectra without what differs from band to band, shape (n, n_bands)."""
    return ndimage.gaussian_filter1d(Rrs, SMOOTH_BANDS, axis=1, mode="nearest")


def form(spectra: Spectra, name: str) -> FloatArray:
    """Spectra in one of `FORMS`, shape (n, n_chosen); those that are not "raw" begin at 400 nm.

    "texture" is what smoothing takes away from the normalised spectrum.
    """
    Rrs, wavelength = spectra.Rrs, spectra.wavelength
    if name == "raw":
        return Rrs
    if name == "smoothed":
        return smooth(Rrs)
    if name == "normalised":
        return normalised(Rrs, wavelength)
    if name == "normalised and smoothed":
        return normalised(smooth(Rrs), wavelength)
    whole = normalised(Rrs, wavelength)
    return whole - smooth(whole)


def date_folds(dates: IntArray, n_folds: int, rng: np.random.Generator) -> IntArray:
    """Number of the fold that each spectrum is tested in, shape (n,): a date is never on both sides."""
    known, which = np.unique(dates, return_inverse=True)
    return (rng.permutation(known.size) % n_folds)[which]


def separate(real: Spectra, simulated: Spectra, name: str, *, seed: int, rounds: int = ROUNDS) -> Separation:
    """Train gradient boosting to tell the two apart, and test it on days of each lake that it never saw.

    Parameters
    ----------
    real, simulated : Spectra
        About as many of each.
    name : str
        One of `FORMS`.
    seed : int
        Of folds, trees and shuffles.
    rounds : int
        Trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    features = np.concatenate([form(real, name), form(simulated, name)])
    ours = np.repeat([False, True], [real.n, simulated.n])
    rng = np.random.default_rng(seed)
    fold = np.concatenate([date_folds(one.date, N_FOLDS, rng) for one in (real, simulated)])
    nm = real.wavelength[-features.shape[1] :]
    windows = np.floor((nm - nm[0]) / WINDOW_NM).astype(int)
    shuffled = np.zeros((windows.max() + 1, ours.size))
    guess = np.zeros(ours.size)
    for k in range(N_FOLDS):
        test = np.flatnonzero(fold == k)
        model = HistGradientBoostingClassifier(
            max_iter=rounds, max_bins=BINS, early_stopping=False, random_state=seed
        )
        model.fit(features[fold != k], ours[fold != k])
        guess[test] = model.decision_function(features[test])
        for window in range(len(shuffled)):
            changed = features[test]
            bands = windows == window
            changed[:, bands] = changed[rng.permutation(test.size)][:, bands]
            shuffled[window, test] = model.decision_function(changed)
    auc = _area(ours, guess, fold)
    return Separation(
        form=name,
        auc=auc,
        centre_nm=np.array([nm[windows == window].mean() for window in range(len(shuffled))]),
        importance=auc - np.array([_area(ours, values, fold) for values in shuffled]),
    )


def _area(positive: npt.NDArray[np.bool_], score: FloatArray, fold: IntArray) -> float:
    """Area under the curve, the mean of folds: scores of different models can't be ranked together."""
    from sklearn.metrics import roc_auc_score

    areas = []
    for k in np.unique(fold):
        rows = fold == k
        if positive[rows].any() and not positive[rows].all():
            areas.append(roc_auc_score(positive[rows], score[rows]))
    return float(np.mean(areas))


def differences(real: Spectra, simulated: Spectra) -> pd.DataFrame:
    """What differs band by band: level and spread of the shape, and of what smoothing takes away.

    Returns
    -------
    DataFrame
        wavelength (nm); real_mean, simulated_mean, real_spread, simulated_spread of the normalised shape
        (medians, and half the range of the middle 68 %); real_texture, simulated_texture: that half range of
        what smoothing takes away; real_neighbours, simulated_neighbours: how the texture of a band goes with
        that of the next one (correlation).
    """
    columns: dict[str, FloatArray] = {"wavelength": real.wavelength[real.wavelength >= FIRST_NM]}
    for name, one in (("real", real), ("simulated", simulated)):
        shape, texture = form(one, "normalised"), form(one, "texture")
        columns[f"{name}_mean"] = np.median(shape, axis=0)
        columns[f"{name}_spread"] = _half_range(shape)
        columns[f"{name}_texture"] = _half_range(texture)
        ranked = texture - texture.mean(axis=0)
        ranked /= np.maximum(ranked.std(axis=0), 1e-12)
        together = (ranked[:, 1:] * ranked[:, :-1]).mean(axis=0)
        columns[f"{name}_neighbours"] = np.append(together, np.nan)
    return pd.DataFrame(columns)


def _half_range(values: FloatArray) -> FloatArray:
    """Half the range of the middle 68 %, shape (n_columns,): a spread that few odd spectra do not move."""
    low, high = np.quantile(values, [0.16, 0.84], axis=0)
    return np.asarray((high - low) / 2)
