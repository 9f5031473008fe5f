"""What a spectrum would look like without what its windows show, and what would be estimated from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spectm.data.patches import Patches
from spectm.evaluation.attributed import (
    PATCHES_AT_ONCE,
    Attributions,
    Blended,
    calendar_share,
    in_parts,
    layout_of,
    offsets,
    reference_spectra,
    spectral_part,
    spread_over,
)
from spectm.spectral.windows import Window
from spectm.training.forecaster import Forecaster
from spectm.trust.attribution import occlusion

__all__ = ["MeanOcclusion", "Occlusion", "fill_in", "filled_estimate", "mean_occlusion", "occluded"]

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
    names, groups = _named_groups(windows, window)
    by: list[FloatArray] = []
    for replacement in (np.repeat(found.reference, len(model.blends), axis=0), filled):
        each = []
        for number, spectrum in enumerate(replacement):
            function, pixels = spectral_part(model, number), [offsets(one, found.spectra)]
            each.append(
                np.concatenate(
                    [
                        occlusion(function, found.spectra, spectrum[None], group, more=pixels)[0]
                        for group in groups
                    ]
                )
            )
        by.append(np.array(each) if each else np.full((1, len(names)), np.nan))
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanOcclusion:
    """By how much estimates of many patches exceed those with a window as in the reference spectrum, log10.

    Parameters
    ----------
    names : tuple of str
        Of the windows, and "all windows".
    size, signed : ndarray, shape (n_members, n_names)
        Mean over the patches with a valid pixel, without and with its sign, of each member of the ensemble.
    """

    names: tuple[str, ...]
    size: FloatArray
    signed: FloatArray


def mean_occlusion(
    model: Blended, patches: Patches, *, patches_at_once: int = PATCHES_AT_ONCE
) -> MeanOcclusion:
    """Occlusion of each window, and of all, over all patches with a valid pixel: only sums are kept.

    Of a model none of whose bands lies in a window there is nothing to occlude, and there are no names.
    """
    windows, window = model.settings.windows.window_set().windows, layout_of(model).window
    names, groups = _named_groups(windows, window) if (window >= 0).any() else ((), [])
    size, signed = np.zeros((2, len(model.blends), len(names)))
    if not names:
        return MeanOcclusion(names=names, size=size, signed=signed)
    n = 0
    for part in in_parts(patches, patches_at_once):
        spectra = part.mean_spectrum()
        reference, pixels = reference_spectra(model, spectra), [offsets(part, spectra)]
        seen = np.isfinite(spectra).all(axis=1)
        n += int(seen.sum())
        for number in range(len(model.blends)):
            function = spectral_part(model, number)
            found = np.concatenate(
                [occlusion(function, spectra, reference, group, more=pixels) for group in groups], axis=1
            )[seen]
            size[number] += np.abs(found).sum(axis=0)
            signed[number] += found.sum(axis=0)
    return MeanOcclusion(names=names, size=size / max(n, 1), signed=signed / max(n, 1))


def _named_groups(windows: tuple[Window, ...], window: IntArray) -> tuple[tuple[str, ...], list[IntArray]]:
    """Windows that hold a band, and "all windows"; groups of bands for each by itself, and for all."""
    there = [number for number in range(len(windows)) if (window == number).any()]
    groups = np.full(window.size, -1)
    for position, number in enumerate(there):
        groups[window == number] = position
    names = (*(windows[number].name for number in there), "all windows")
    return names, [groups, np.where(window >= 0, 0, -1)]


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
