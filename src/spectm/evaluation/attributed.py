"""A forecaster's estimate as a function of the spectrum, and what each band adds to it.

The estimate of an overpass is the mean over an ensemble of blends; each is a share of the climatology plus a
function of the spectrum, and at least the detection limit. Bands are given that function; calendar and limit
are told apart from it and add up with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spectm.data.patches import Patches
from spectm.model.encoder import SpectralEncoder
from spectm.model.masking import TokenLayout
from spectm.model.regressor import Regressor
from spectm.model.spectm import SpecTM
from spectm.spectral.indices import supported_indices
from spectm.training.blend import SHORTEST_NM, Blend, Member
from spectm.training.checkpoint import check_bands
from spectm.training.pretrain import layout_for
from spectm.training.settings import Settings
from spectm.trust.attribution import (
    TOLERANCE,
    BandAttribution,
    SpectralFunction,
    differentiable,
    integrated_gradients,
)

__all__ = [
    "Attributions",
    "Blended",
    "MeanAttribution",
    "attribute",
    "calendar_share",
    "in_parts",
    "index_columns",
    "layout_of",
    "mean_attribution",
    "offsets",
    "reference_spectra",
    "shortest_nm",
    "spectral_part",
    "spread_over",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

BRIGHT_NM = (500.0, 700.0)
LEAST_BRIGHTNESS = 2e-4  # sr^-1; darker than this, a spectrum has no brightness to be compared at
# Patches explained at a time: with it, the memory of a whole map stays that of one part.
PATCHES_AT_ONCE = 64


class Blended(Protocol):
    """A model that answers with blends: `Forecaster`, and `SpectralModel` of one's own target."""

    @property
    def models(self) -> tuple[SpecTM, ...]: ...  # noqa: D102
    @property
    def blends(self) -> tuple[Blend, ...]: ...  # noqa: D102
    @property
    def encoders(self) -> tuple[SpectralEncoder, ...]: ...  # noqa: D102
    @property
    def settings(self) -> Settings: ...  # noqa: D102
    @property
    def meta(self) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attributions:
    """What each band adds to the estimates of some patches, for each member of the ensemble.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        nm.
    spectra, reference : ndarray, shape (n, n_bands)
        Mean reflectance, and what it is compared with, sr^-1.
    members : tuple of BandAttribution
        One for each blend, log10.
    """

    wavelength: FloatArray
    spectra: FloatArray
    reference: FloatArray
    members: tuple[BandAttribution, ...]

    @property
    def each(self) -> FloatArray:
        """Attributions of all members, shape (n_members, n, n_bands)."""
        return np.stack([one.bands for one in self.members])

    @property
    def bands(self) -> FloatArray:
        """Mean over the ensemble, shape (n, n_bands), log10."""
        return np.mean(self.each, axis=0)

    @property
    def spread(self) -> FloatArray:
        """Standard deviation over the ensemble, shape (n, n_bands); NaN for a single member."""
        return spread_over(self.each)

    def complete(self, tolerance: float = TOLERANCE) -> BoolArray:
        """Whether the mean over the ensemble sums to what it explains, shape (n,)."""
        return np.abs(np.mean([one.gap for one in self.members], axis=0)) <= tolerance


def attribute(model: Blended, patches: Patches, *, tolerance: float = TOLERANCE) -> Attributions:
    """Integrated gradients of the estimates of patches, all held in memory; see `mean_attribution` for maps.

    Raises
    ------
    CheckpointError
        If the patches have other bands.
    AttributionError
        If a gradient is not finite.
    """
    check_bands(model.meta, patches.wavelength, where=patches.source)
    spectra = patches.mean_spectrum()
    reference = reference_spectra(model, spectra)
    more = [offsets(patches, spectra)]
    members = tuple(
        integrated_gradients(spectral_part(model, number), spectra, reference, more=more, tolerance=tolerance)
        for number in range(len(model.blends))
    )
    return Attributions(wavelength=patches.wavelength, spectra=spectra, reference=reference, members=members)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanAttribution:
    """What each band adds to estimates, over many patches.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        nm.
    size : ndarray, shape (n_members, n_bands)
        Mean over patches of the size of the attribution, sign apart, of each member's own, log10.
    mean_size : ndarray, shape (n_bands,)
        The same of the attribution that is averaged over the ensemble first.
    signed : ndarray, shape (n_bands,)
        Mean over patches with its sign.
    n_patches, n_incomplete : int
        With a valid pixel; and of these, where the bands do not sum to the difference within 0.01.
    """

    wavelength: FloatArray
    size: FloatArray
    mean_size: FloatArray
    signed: FloatArray
    n_patches: int
    n_incomplete: int


def mean_attribution(
    model: Blended, patches: Patches, *, patches_at_once: int = PATCHES_AT_ONCE
) -> MeanAttribution:
    """Attribution over all patches with a valid pixel, part by part: only sums are kept.

    Raises
    ------
    CheckpointError
        If the patches have other bands.
    """
    size = np.zeros((len(model.blends), patches.n_bands))
    mean_size, signed = np.zeros(patches.n_bands), np.zeros(patches.n_bands)
    n = n_incomplete = 0
    for part in in_parts(patches, patches_at_once):
        found = attribute(model, part)
        seen = np.isfinite(found.bands).all(axis=1)
        size += np.abs(found.each[:, seen]).sum(axis=1)
        mean_size += np.abs(found.bands[seen]).sum(axis=0)
        signed += found.bands[seen].sum(axis=0)
        n += int(seen.sum())
        n_incomplete += int((~found.complete()[seen]).sum())
    divisor = max(n, 1)
    return MeanAttribution(
        wavelength=patches.wavelength,
        size=size / divisor,
        mean_size=mean_size / divisor,
        signed=signed / divisor,
        n_patches=n,
        n_incomplete=n_incomplete,
    )


def spectral_part(model: Blended, number: int) -> SpectralFunction:
    """What one blend makes of spectra, log10, calendar and detection limit left out.

    Returns
    -------
    callable
        Spectra (row, n_bands), float64, and the pixels' `offsets` (row, n_bands, y, x), to a tensor (row,).
        `calendar_share` times what is usual, plus this, and at least the limit, is the blend's estimate.
    """
    blend, wavelength = model.blends[number], np.array(model.meta["wavelength_nm"])
    of_view = {view: [m for m in blend.members_ if m.view == view] for view in blend.views}
    kept = torch.from_numpy(wavelength >= shortest_nm(model))
    indices = differentiable(partial(_of_indices, of_view.get("indices", []), index_columns(model)))
    regressor = Regressor(model.encoders[number]).eval() if "embedding" in of_view else None

    def function(spectra: Tensor, pixels: Tensor) -> Tensor:
        total = spectra.new_zeros(len(spectra))
        for member in of_view.get("bands", []):
            total = total + _ridge(member, spectra[:, kept])
        if "indices" in of_view:
            total = total + indices(spectra)[:, 0]
        if regressor is not None:
            embedded = regressor.embedding(spectra[..., None, None].float() + pixels).double()
            for member in of_view["embedding"]:
                total = total + _ridge(member, embedded)
        return total / len(blend.members_)

    return function


def calendar_share(blend: Blend) -> float:
    """Share of a blend's members that start from the climatology: its weight in the estimate."""
    return sum(member.departs for member in blend.members_) / len(blend.members_)


def offsets(patches: Patches, spectra: FloatArray) -> Tensor:
    """How the pixels of patches depart from their mean spectrum, (n, n_bands, y, x), sr^-1; NaN is missing.

    The spectrum is moved, and its pixels with it: so the estimate is that of the patch itself.
    """
    return torch.from_numpy((patches.Rrs - spectra[..., None, None]).astype(np.float32))


def reference_spectra(model: Blended, spectra: FloatArray) -> FloatArray:
    """Median spectrum of those that the model was pretrained on, as bright as each given one.

    Parameters
    ----------
    model : Forecaster
    spectra : ndarray, shape (n, n_bands)
        sr^-1.

    Returns
    -------
    ndarray, shape (n, n_bands)
        sr^-1. Brightness is the mean of 500 to 700 nm outside the windows, so that what lies in a window does
        not move the reference. Of a model without encoders, bands below 500 nm, which it does not look at,
        are those of the spectrum itself.
    """
    wavelength = np.array(model.meta["wavelength_nm"])
    outside = layout_of(model).window < 0
    bright = (wavelength >= BRIGHT_NM[0]) & (wavelength <= BRIGHT_NM[1]) & outside
    bright = bright if bright.any() else outside  # a sensor of one's own may see nothing there
    if model.models:
        centre = np.median([encoder.statistics.centre for encoder in model.encoders], axis=0)
        typical = np.broadcast_to(centre, spectra.shape)
    else:
        member = next(one for one in model.blends[0].members_ if one.view == "bands")
        typical = spectra.copy()
        typical[:, wavelength >= shortest_nm(model)] = member.ridge_.scaler_.mean_
    level = np.maximum(spectra[:, bright].mean(axis=1), LEAST_BRIGHTNESS)
    known = np.maximum(typical[:, bright].mean(axis=1), LEAST_BRIGHTNESS)
    scaled = typical * (level / known)[:, None]
    return scaled if model.models else np.where(wavelength >= shortest_nm(model), scaled, spectra)


def shortest_nm(model: Blended) -> float:
    """Where the bands begin that a model reads as they are, nm."""
    return float(model.meta.get("shortest_nm", SHORTEST_NM))


def layout_of(model: Blended) -> TokenLayout:
    """Bands, tokens and windows of a model."""
    if model.models:
        return model.models[0].encoder.layout
    return layout_for(model.settings, np.array(model.meta["wavelength_nm"]))


def index_columns(model: Blended) -> Callable[[FloatArray], FloatArray]:
    """Function from spectra, shape (n, n_bands), to their indices as a blend reads them, (n, n_indices)."""
    wavelength, indices = np.array(model.meta["wavelength_nm"]), model.settings.indices.chosen()
    missing = supported_indices(wavelength, indices)
    used = [index.function for name, index in indices.items() if missing[name] is None]

    def columns(spectra: FloatArray) -> FloatArray:
        found = np.column_stack([function(spectra, wavelength) for function in used])
        return np.where(np.isfinite(found), found, np.inf)  # undefined: a blend fills it

    return columns


def spread_over(values: FloatArray) -> FloatArray:
    """Standard deviation over the first axis; NaN where it has one entry only."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(np.std(values, axis=0, ddof=1))


def _of_indices(
    members: list[Member], columns_of: Callable[[FloatArray], FloatArray], spectra: FloatArray
) -> FloatArray:
    """What the members that read indices say, together, shape (n, 1): with gaps filled and tails cut."""
    columns = columns_of(spectra)
    nothing = np.zeros(len(spectra))
    return np.sum([member.predict(columns, nothing) for member in members], axis=0)[:, None]


def _ridge(member: Member, columns: Tensor) -> Tensor:
    """A member's ridge regression, without the climatology."""
    ridge = member.ridge_
    mean, scale, weight = (
        torch.from_numpy(np.asarray(array, dtype=np.float64))
        for array in (ridge.scaler_.mean_, ridge.scaler_.scale_, ridge.coefficients_)
    )
    return ((columns - mean) / scale) @ weight + ridge.intercept_


def in_parts(patches: Patches, size: int) -> Iterator[Patches]:
    """The patches, `size` at a time."""
    return (patches.select(slice(start, start + size)) for start in range(0, patches.n_samples, size))
