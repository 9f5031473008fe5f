"""What a spectrum would look like without what its windows show, and what would be estimated from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spectm.data.patches import Patches
from spectm.evaluation.attributed import (
    Attributions,
    calendar_share,
    layout_of,
    offsets,
    spectral_part,
    spread_over,
)
from spectm.spectral.windows import Window
from spectm.training.forecaster import Forecaster
from spectm.trust.attribution import occlusion

__all__ = ["Occlusion", "fill_in", "filled_estimate", "occluded"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """By how much the estimate of the spectrum exceeds that without what some windows show, log10.

    Parameters
    ----------
    name : str
        Of the window, or "all windows".
    reference, reference_spread : float
        With the window as in the reference spectrum: mean and standard deviation over the ensemble.
    filled, filled_spread : float
        With the window as the models fill it in; NaN of models that can't.
    """

    name: str
    reference: float
    reference_spread: float
    filled: float
    filled_spread: float


@torch.no_grad()
def fill_in(model: Forecaster, patches: Patches) -> FloatArray:
    """Mean spectra of patches with their windows filled in from the other bands, by each model.

    Returns
    -------
    ndarray, shape (n_models, n, n_bands)
        sr^-1; no rows of models that were pretrained without reconstruction.
    """
    able = [one for one in model.models if "reconstruction" in one.objective.weights]
    if not able:
        return np.empty((0, patches.n_samples, patches.n_bands))
    hidden = torch.from_numpy(layout_of(model).targeted).expand(patches.n_samples, -1)
    inside = layout_of(model).window >= 0
    Rrs = torch.from_numpy(np.ascontiguousarray(patches.Rrs))
    spectra = patches.mean_spectrum()
    return np.stack(
        [np.where(inside, one.eval().fill_in(Rrs, hidden).double().numpy(), spectra) for one in able]
    )


def occluded(
    model: Forecaster,
    one: Patches,
    found: Attributions,
    filled: FloatArray,
    windows: tuple[Window, ...],
    window: IntArray,
) -> tuple[Occlusion, ...]:
    """Each window by itself, and all of them, replaced by the reference and by what is filled in.

    Parameters
    ----------
    model : Forecaster
    one : Patches
        One patch.
    found : Attributions
        Of it.
    filled : ndarray, shape (n_models, n_bands)
        What `fill_in` gives of it.
    windows : tuple of Window
    window : ndarray of int, shape (n_bands,)
        Which each band lies in, -1 for none.
    """
    together = np.where(window >= 0, 0, -1)
    there = [number for number in range(len(windows)) if (window == number).any()]
    groups = np.full(window.size, -1)
    for position, number in enumerate(there):
        groups[window == number] = position
    by: list[FloatArray] = []
    for replacement in (np.repeat(found.reference, len(model.blends), axis=0), filled):
        each = []
        for number, spectrum in enumerate(replacement):
            function, pixels = spectral_part(model, number), [offsets(one, found.spectra)]
            each.append(
                np.concatenate(
                    [
                        occlusion(function, found.spectra, spectrum[None], group, more=pixels)[0]
                        for group in (groups, together)
                    ]
                )
            )
        by.append(np.array(each) if each else np.full((1, len(there) + 1), np.nan))
    names = [*(windows[number].name for number in there), "all windows"]
    return tuple(
        Occlusion(
            name=name,
            reference=float(by[0][:, place].mean()),
            reference_spread=float(spread_over(by[0])[place]),
            filled=float(by[1][:, place].mean()),
            filled_spread=float(spread_over(by[1])[place]),
        )
        for place, name in enumerate(names)
    )


def filled_estimate(
    model: Forecaster, found: Attributions, one: Patches, filled: FloatArray, usual: float
) -> tuple[float, float]:
    """Estimate of the overpass with its windows filled in, each by its own model: mean and spread, log10.

    `usual` is what the climatology says, log10; the others are as for `occluded`.
    """
    if not len(filled):
        return np.nan, np.nan
    each = []
    for number, (blend, spectrum) in enumerate(zip(model.blends, filled, strict=True)):
        with torch.no_grad():
            said = spectral_part(model, number)(torch.from_numpy(spectrum[None]), offsets(one, found.spectra))
        each.append(max(float(said[0]) + calendar_share(blend) * usual, np.log10(blend.limit)))
    return float(np.mean(each)), float(spread_over(np.array(each)[:, None])[0])
