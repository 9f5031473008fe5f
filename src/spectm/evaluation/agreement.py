"""Does a model look at the pigment windows more than chance would have it? One number, with a null.

The number is the share of the windows in how far estimates are moved from those for the reference spectra.
Its null distribution comes from the same encoders with heads refitted to shuffled labels: whatever is due to
the bands, the reference or the encoder is in it as well.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from spectm.data.context import day_of_year
from spectm.data.patches import Patches
from spectm.errors import LabelError
from spectm.evaluation.attributed import (
    index_columns,
    layout_of,
    offsets,
    reference_spectra,
    shortest_nm,
)
from spectm.model.regressor import Regressor
from spectm.training.blend import Blend, Views, spectral_views
from spectm.training.forecaster import Forecaster, sample_key
from spectm.trust.agreement import p_value, window_agreement, window_effect
from spectm.trust.attribution import path_differences, path_gradients

__all__ = ["SHUFFLES", "Agreement", "shuffled_dates", "window_test"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

SHUFFLES = 99
# Spectra that attributions are averaged over, spread evenly over the rows: more change the second digit.
SPECTRA = 48
INDEX_STEPS = 64  # indices have kinks and a jump, which eight steps would miss


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """How far a model's attribution prefers the windows, and how far chance would have it.

    Parameters
    ----------
    observed : float
        Share of the windows in how far estimates are moved: see `spectm.trust.agreement.window_agreement`.
    null : ndarray, shape (n_shuffles,)
        The same of models refitted to shuffled labels. It is wide: labels without meaning leave next to
        nothing of the spectrum in a model, and the share of next to nothing is anything.
    p : float
        Share of the null that reaches the observed value, this one counted in.
    effect, effect_null, effect_p
        The same of how far the windows move estimates, log10: see `window_effect`.
    share_of_bands : float
        Of the windows.
    n_spectra, n_rows, n_dates : int
        Averaged over; learned from.
    """

    observed: float
    null: FloatArray
    p: float
    effect: float
    effect_null: FloatArray
    effect_p: float
    share_of_bands: float
    n_spectra: int
    n_rows: int
    n_dates: int


def window_test(
    model: Forecaster,
    patches: Patches,
    rows: pd.DataFrame,
    y: FloatArray,
    *,
    rng: np.random.Generator,
    shuffles: int = SHUFFLES,
    spectra: int = SPECTRA,
) -> Agreement:
    """Attribution inside the windows against that of models of shuffled labels.

    Parameters
    ----------
    model : Forecaster
    patches : Patches
        That the rows point into.
    rows : DataFrame
        The rows that the model learned from: columns ``patch``, ``station`` and ``date``.
    y : ndarray, shape (n,)
        Their targets, log10.
    rng : Generator
        Draws the shuffles.
    shuffles, spectra : int
        How many; 99 shuffles allow a p of 0.01.

    Raises
    ------
    LabelError
        If the rows are not those that the model learned from.

    Notes
    -----
    A label takes its climatology along when it moves to another date, so that what is learned from shuffled
    labels is noise for both kinds of member.
    """
    _check_rows(model, rows)
    patch, dates = rows["patch"].to_numpy(), rows["date"].to_numpy(dtype=np.str_)
    usual = model.record.climatology.predict(day_of_year(rows["date"]), rows["station"])
    orders = [shuffled_dates(dates, rng) for _ in range(shuffles)]
    unique = np.unique(patch)
    asked = patches.select(
        unique[np.linspace(0, unique.size - 1, min(spectra, unique.size)).round().astype(int)]
    )
    total = np.zeros((1 + shuffles, asked.n_samples, asked.n_bands))
    of_indices = _index_attributions(model, asked)
    for number, blend in enumerate(model.blends):
        encoder = model.encoders[number] if model.models else None
        of_rows = spectral_views(patches.select(patch), encoder, indices=model.settings.indices.chosen())
        blends = [blend, *(_refitted(blend, of_rows, y[o], usual[o], dates) for o in orders)]
        total += _attributions(model, number, blends, asked, of_indices)
    inside = layout_of(model).window >= 0
    total /= len(model.blends)
    found, effect = window_agreement(total, inside), window_effect(total, inside)  # (1 + shuffle,)
    return Agreement(
        observed=float(found[0]),
        null=found[1:],
        p=p_value(float(found[0]), found[1:]),
        effect=float(effect[0]),
        effect_null=effect[1:],
        effect_p=p_value(float(effect[0]), effect[1:]),
        share_of_bands=float(inside.mean()),
        n_spectra=asked.n_samples,
        n_rows=len(rows),
        n_dates=int(np.unique(dates).size),
    )


def shuffled_dates(dates: npt.NDArray[Any], rng: np.random.Generator) -> IntArray:
    """Which row's label each row gets when the labels of whole dates change places, shape (n,).

    Dates are drawn in another order and their labels written one after the other, so that labels of one
    date stay neighbours. Where dates have different numbers of rows, some get labels of two dates.

    Examples
    --------
    >>> dates = np.array(["a", "a", "b", "b", "c", "c"])
    >>> order = shuffled_dates(dates, np.random.default_rng(0))
    >>> print(dates[order])
    ['c' 'c' 'a' 'a' 'b' 'b']
    """
    names = np.unique(dates)
    by_date = {name: np.flatnonzero(dates == name) for name in names}
    source = np.concatenate([by_date[name] for name in rng.permutation(names)])
    order = np.empty(dates.size, dtype=np.int64)
    order[np.concatenate([by_date[name] for name in names])] = source
    return order


def _refitted(blend: Blend, views: Views, y: FloatArray, usual: FloatArray, dates: npt.NDArray[Any]) -> Blend:
    return Blend(blend.views, blend.seasonal, blend.limit).fit(views, y, usual, dates)


def _attributions(
    model: Forecaster, number: int, blends: list[Blend], patches: Patches, of_indices: FloatArray
) -> FloatArray:
    """Integrated gradients of blends that share an encoder, shape (blend, n, n_bands), log10."""
    spectra = patches.mean_spectrum()
    reference = reference_spectra(model, spectra)
    wavelength, views = patches.wavelength, blends[0].views
    found = np.zeros((len(blends), *spectra.shape))
    if "bands" in views:
        weights = np.zeros((len(blends), wavelength.size))
        weights[:, wavelength >= shortest_nm(model)] = [_weights(blend, "bands") for blend in blends]
        found += weights[:, None] * (spectra - reference)
    if "indices" in views:
        found += np.tensordot([_weights(blend, "indices") for blend in blends], of_indices, axes=1)
    if "embedding" in views:
        regressor, pixels = Regressor(model.encoders[number]).eval(), offsets(patches, spectra)

        def embedded(at: torch.Tensor) -> torch.Tensor:
            moved = pixels.repeat_interleave(len(at) // len(pixels), dim=0)
            return regressor.embedding(at[..., None, None].float() + moved).double()

        found += path_gradients(
            embedded, spectra, reference, np.array([_weights(blend, "embedding") for blend in blends])
        )
    return found


def _index_attributions(model: Forecaster, patches: Patches) -> FloatArray:
    """Integrated gradients of each index, shape (index, n, n_bands): nothing of it depends on labels.

    All blends of a model learned from the same rows, and so cut tails at the same values.
    """
    members = [one for one in model.blends[0].members_ if one.view == "indices"]
    if not members:
        return np.empty((0, patches.n_samples, patches.n_bands))
    columns_of = index_columns(model)
    low, typical, high = members[0].low_, members[0].typical_, members[0].high_

    def tamed(spectra: FloatArray) -> FloatArray:
        columns = columns_of(spectra)
        return np.clip(np.where(np.isfinite(columns), columns, typical), low, high)

    spectra = patches.mean_spectrum()
    return path_differences(tamed, spectra, reference_spectra(model, spectra), steps=INDEX_STEPS)


def _weights(blend: Blend, view: str) -> FloatArray:
    """By how much a blend's estimate rises with each column of a view."""
    members = [one for one in blend.members_ if one.view == view]
    each = [one.ridge_.coefficients_ / one.ridge_.scaler_.scale_ for one in members]
    return np.asarray(np.sum(each, axis=0) / len(blend.members_))


def _check_rows(model: Forecaster, rows: pd.DataFrame) -> None:
    known = sorted(model.meta["samples"])
    found = sorted(sample_key(*row) for row in zip(rows["station"], rows["date"], strict=True))
    if found != known:
        missing, foreign = len(set(known) - set(found)), len(set(found) - set(known))
        raise LabelError(
            f"agreement with the windows: wanted the {len(known)} laboratory samples that the model learned "
            f"from, found {len(found)} rows: {missing} of those are missing and {foreign} are others. Give "
            "the patches and labels that it was trained with."
        )
