"""Microcystin from several views of a spectrum, with the calendar as a prior and without, averaged.

A ridge regression that departs from the climatology and one that knows nothing of it err in different ways:
the first where the year differs from others, the second where the spectrum is ambiguous. Their mean is better
than either (``docs/experiments.md``). The views are the reflectance from 500 nm, spectral indices and the
embedding of a pretrained encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from spectm.data.context import DETECTION_LIMIT
from spectm.data.patches import Patches
from spectm.errors import BandNotFoundError, TrainingError
from spectm.model.encoder import SpectralEncoder
from spectm.model.preprocess import pixel_mean
from spectm.model.regressor import Regressor
from spectm.spectral.indices import INDICES, Index, supported_indices
from spectm.training.finetune import embedding
from spectm.training.ridge import GroupedRidge

__all__ = ["Blend", "Member", "as_seen", "spectral_views", "views_of_encoders"]

FloatArray = npt.NDArray[np.floating[Any]]
StringArray = npt.NDArray[np.str_]
Views = Mapping[str, FloatArray]

SHORTEST_NM = 500.0  # below it a third of the values over turbid water are errors of atmospheric correction
TAILS = (2.0, 98.0)  # percentiles that an index is cut at: a ratio over a dark band has no upper end
LEAST_SPREAD = 1e-3  # log10; only where all training rows are the same


def spectral_views(
    patches: Patches,
    encoder: SpectralEncoder | None = None,
    *,
    indices: Mapping[str, Index] = INDICES,
    shortest_nm: float = SHORTEST_NM,
) -> dict[str, FloatArray]:
    """What the members of a blend read of each patch.

    Parameters
    ----------
    patches : Patches
        With at least one band from `shortest_nm`.
    encoder : SpectralEncoder, optional
        For the view "embedding"; without it there is none.
    indices : mapping of str to Index
        Those of the view "indices", as far as the bands support them.
    shortest_nm : float
        Where the view "bands" begins, nm.

    Returns
    -------
    dict of ndarray, shape (sample, n_columns)
        "bands" (mean reflectance, sr^-1), "indices" and "embedding"; rows of patches without a valid pixel
        are NaN. A band list that supports no index has no such view.
    """
    return views_of_encoders(patches, [encoder], indices=indices, shortest_nm=shortest_nm)[0]


def views_of_encoders(
    patches: Patches,
    encoders: Sequence[SpectralEncoder | None],
    *,
    indices: Mapping[str, Index] = INDICES,
    shortest_nm: float = SHORTEST_NM,
) -> list[dict[str, FloatArray]]:
    """`spectral_views` of several encoders: what they do not see themselves is made once, and shared."""
    spectrum, wavelength = patches.mean_spectrum(), patches.wavelength
    kept = wavelength >= shortest_nm
    if not kept.any():
        raise BandNotFoundError(
            f"blend: wanted bands from {shortest_nm:g} nm, found {wavelength.size} bands up to "
            f"{wavelength[-1]:g} nm in {patches.source}."
        )
    shared: dict[str, FloatArray] = {"bands": spectrum[:, kept]}
    names = [name for name, missing in supported_indices(wavelength, indices).items() if missing is None]
    if names:
        shared["indices"] = np.column_stack([indices[name].function(spectrum, wavelength) for name in names])
    valid = np.asarray(np.isfinite(spectrum).all(axis=1))
    if names:  # an undefined index of a whole spectrum is a gap to fill, and no spectrum that is missing
        undefined = valid[:, None] & ~np.isfinite(shared["indices"])
        shared["indices"] = np.where(undefined, np.inf, shared["indices"])
    seen = as_seen(patches.Rrs[valid], [encoder for encoder in encoders if encoder is not None])
    return [
        shared if encoder is None else shared | {"embedding": _embedded(seen, valid, encoder)}
        for encoder in encoders
    ]


def as_seen(Rrs: npt.NDArray[np.float32], encoders: Sequence[SpectralEncoder]) -> npt.NDArray[np.float32]:
    """What encoders look at: where they ignore how pixels spread, the mean of these, made once for all."""
    if not encoders or any(encoder.preprocess.spread for encoder in encoders):
        return Rrs
    mean, there = pixel_mean(torch.from_numpy(np.ascontiguousarray(Rrs)))
    return torch.where(there, mean, torch.nan)[..., None, None].numpy()


def _embedded(
    Rrs: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], encoder: SpectralEncoder
) -> FloatArray:
    """Summary and tokens of each patch, NaN without a valid pixel."""
    found = embedding(Regressor(encoder), Rrs, hide_windows=False)
    if valid.all():
        return found
    whole = np.full((valid.size, found.shape[1]), np.nan)
    whole[valid] = found
    return whole


@dataclass(slots=True)
class Member:
    """One ridge regression of a blend.

    Parameters
    ----------
    view : str
        What it reads.
    departs : bool
        Whether it learns the departure from the climatology, or the value itself.
    """

    view: str
    departs: bool
    low_: FloatArray = field(init=False)
    typical_: FloatArray = field(init=False)
    high_: FloatArray = field(init=False)
    ridge_: GroupedRidge = field(init=False)
    out_of_fold_: FloatArray = field(init=False, repr=False)

    def fit(self, columns: FloatArray, y: FloatArray, climatology: FloatArray, dates: StringArray) -> Self:
        """Learn from rows; an index that is undefined in all of them does not matter."""
        finite = np.where(np.isfinite(columns), columns, np.nan)
        known = np.where(np.isnan(finite).all(axis=0), 0.0, finite)
        # Looking for gaps costs more than all the rest where there are thousands of columns and none.
        percentile = np.nanpercentile if np.isnan(known).any() else np.percentile
        self.low_, self.typical_, self.high_ = percentile(known, [TAILS[0], 50.0, TAILS[1]], axis=0)
        prior = climatology if self.departs else np.zeros(y.size)
        self.ridge_ = GroupedRidge().fit(self.tamed(columns), y - prior, dates)
        self.out_of_fold_ = self.ridge_.out_of_fold_ + prior
        return self

    def predict(self, columns: FloatArray, climatology: FloatArray) -> FloatArray:
        """log10 of the quantity, shape (n,)."""
        return self.ridge_.predict(self.tamed(columns)) + (climatology if self.departs else 0.0)

    def tamed(self, columns: FloatArray) -> FloatArray:
        """Columns without gaps; those of indices also without tails."""
        seen = np.isfinite(columns)
        filled = columns
        if not seen.all():  # a map has thousands of columns and no gap: it need not be copied
            there = ~np.isnan(columns).all(axis=1, keepdims=True)  # infinite is undefined, but there
            typical = np.where(there, self.typical_, np.nan)
            filled = np.where(seen, columns, typical)
        return np.clip(filled, self.low_, self.high_) if self.view == "indices" else filled


@dataclass(slots=True)
class Blend:
    """The mean of its members, one for each view and prior.

    Parameters
    ----------
    views : tuple of str
        What there are members for.
    seasonal : bool
        Whether the climatology is known; without it there are no members that depart from it.
    limit : float
        Detection limit, in the target's unit: the least that is answered.

    Attributes
    ----------
    members_ : list of Member
    spread_ : float
        Root mean square of residuals of dates that were not learned from, log10.
    """

    views: tuple[str, ...]
    seasonal: bool
    limit: float = DETECTION_LIMIT
    members_: list[Member] = field(init=False)
    spread_: float = field(init=False)

    def fit(self, views: Views, y: FloatArray, climatology: FloatArray, dates: StringArray) -> Self:
        """Learn from rows.

        Parameters
        ----------
        views : mapping of str to ndarray, shape (n, n_columns)
            As `spectral_views` gives them.
        y, climatology : ndarray, shape (n,)
            Target and what is usual on that day, log10.
        dates : ndarray of str, shape (n,)
            Sampling dates: penalties and spread are found in folds that divide none.

        Raises
        ------
        TrainingError
            If there are no rows, or some have no spectrum.
        """
        unseen = (
            ~np.isfinite(views["bands"]).all(axis=1) if "bands" in views else np.zeros(y.size, dtype=bool)
        )
        if y.size == 0 or unseen.any() or not np.isfinite(y).all():
            raise TrainingError(
                f"blend: wanted labelled rows with a spectrum, found {y.size} rows, {int(unseen.sum())} "
                f"without a valid pixel and {int((~np.isfinite(y)).sum())} labels that are not finite."
            )
        self.members_ = [
            Member(view, departs).fit(views[view], y, climatology, dates)
            for view in self.views
            for departs in ((False, True) if self.seasonal else (False,))
        ]
        guess = np.maximum(np.mean([member.out_of_fold_ for member in self.members_], axis=0), self._least)
        self.spread_ = max(float(np.sqrt(np.mean((y - guess) ** 2))), LEAST_SPREAD)
        return self

    def predict(self, views: Views, climatology: FloatArray) -> FloatArray:
        """log10 of the quantity, at least the detection limit; shape (n,), NaN where there is no spectrum."""
        found = [member.predict(views[member.view], climatology) for member in self.members_]
        return np.maximum(np.mean(found, axis=0), self._least)

    @property
    def _least(self) -> float:
        return float(np.log10(self.limit))
