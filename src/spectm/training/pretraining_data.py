"""What pretraining learns from: patches and their partners, normalisation, targets, dates held back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spectm.data.patches import Patches, partners
from spectm.errors import BandNotFoundError, TrainingError
from spectm.model.encoder import BandStatistics
from spectm.model.masking import TokenLayout
from spectm.model.preprocess import PreprocessConfig, brightness, pixel_mean
from spectm.spectral.indices import INDICES, Index, supported_indices

__all__ = ["PretrainingData", "band_statistics", "index_targets", "pretraining_data", "validation_rows"]

# Standardised indices are cut here: a ratio over a dark denominator would otherwise be all the loss there is.
MAX_INDEX_SCORE = 5.0
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class PretrainingData:
    """Spectra and self-supervised targets as tensors, one row per patch that holds anything.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    Rrs : Tensor, shape (sample, n_bands, y, x)
        Raw reflectance, sr^-1; single pixels are padded with missing ones.
    spectrum : ndarray, shape (sample, n_bands)
        Mean spectrum, for indices.
    ahead : Tensor, shape (sample, n_bands)
        Mean spectrum of the same place about 8 days later; NaN where there is none.
    day_of_year, lead_days : Tensor, shape (sample,)
        Of the patch; to `ahead`.
    day, ahead_day : ndarray of datetime64[D], shape (sample,)
        UTC date of the patch: the group that validation is split by; and of `ahead`, NaT where there is none.
    """

    wavelength: npt.NDArray[np.float64]
    Rrs: Tensor
    spectrum: npt.NDArray[np.float64]
    ahead: Tensor
    day_of_year: Tensor
    lead_days: Tensor
    day: npt.NDArray[np.datetime64]
    ahead_day: npt.NDArray[np.datetime64]

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.Rrs.shape[0])


def pretraining_data(sources: Sequence[Patches]) -> PretrainingData:
    """Join patches of the same bands into one set of training rows.

    Parameters
    ----------
    sources : sequence of Patches
        Station patches, single pixels; whatever must not be seen has been left out by the caller, so that no
        partner spectrum comes from there either.

    Raises
    ------
    TrainingError
        If there is no valid pixel at all, or the band lists differ.
    """
    for source in sources[1:]:
        if not np.array_equal(source.wavelength, sources[0].wavelength):
            raise TrainingError(
                f"pretraining wants one band list; {sources[0].source} has {sources[0].n_bands} bands from "
                f"{sources[0].wavelength[0]:g} nm, {source.source} has {source.n_bands} from "
                f"{source.wavelength[0]:g} nm. "
                "Resample one of them first (spectm.spectral.sensors.resample)"
            )
    parts = [_rows_of(source) for source in sources]
    size = max((max(part["Rrs"].shape[2:]) for part in parts), default=1)
    joined = {
        name: _joined([_padded(part[name], size) for part in parts]) for name in (parts[0] if parts else ())
    }
    if not joined or joined["Rrs"].shape[0] == 0:
        raise TrainingError(
            "pretraining wants patches with at least one valid pixel; found none. Is everything excluded?"
        )
    return PretrainingData(
        wavelength=sources[0].wavelength,
        Rrs=torch.from_numpy(joined["Rrs"]),
        spectrum=joined["spectrum"],
        ahead=torch.from_numpy(joined["ahead"]).float(),
        day_of_year=torch.from_numpy(joined["day_of_year"]).float(),
        lead_days=torch.from_numpy(joined["lead_days"]).float(),
        day=joined["day"],
        ahead_day=joined["ahead_day"],
    )


def _rows_of(patches: Patches) -> dict[str, npt.NDArray[Any]]:
    """Rows with a valid pixel, each with the spectrum of its partner."""
    spectrum = patches.mean_spectrum()
    partner = partners(patches)
    found = partner >= 0
    ahead = np.where(found[:, None], spectrum[partner], np.nan)
    lead = (patches.time[partner] - patches.time) / np.timedelta64(1, "D")
    day = patches.time.astype("datetime64[D]")
    rows = {
        "Rrs": patches.Rrs,
        "spectrum": spectrum,
        "ahead": ahead,
        "lead_days": np.where(found, lead, 0.0),
        "day_of_year": (day - day.astype("datetime64[Y]")).astype(np.float64) + 1,
        "day": day,
        "ahead_day": np.where(found, day[partner], np.datetime64("NaT", "D")),
    }
    valid = np.isfinite(spectrum).all(axis=1)
    return rows if valid.all() else {name: array[valid] for name, array in rows.items()}


def _padded(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Patches smaller than `size` pixels get missing ones on two sides; other arrays stay as they are."""
    if array.ndim != 4 or array.shape[2:] == (size, size):
        return array
    missing = [(0, 0), (0, 0), (0, size - array.shape[2]), (0, size - array.shape[3])]
    return np.pad(array, missing, constant_values=np.nan)


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Arrays one after the other; a single one, which may be mapped from a file, is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def band_statistics(
    Rrs: Tensor, layout: TokenLayout, preprocess: PreprocessConfig, *, rows: Tensor | None = None
) -> BandStatistics:
    """Median and robust spread of each band over the given, and no other, spectra.

    Parameters
    ----------
    Rrs : Tensor, shape (sample, n_bands, y, x)
        Training spectra, sr^-1.
    layout : TokenLayout
        Says which bands make the brightness.
    preprocess : PreprocessConfig
        Says whether spectra are divided by it.
    rows : Tensor of int, optional
        The training spectra among those of `Rrs`; all of them without it.

    Raises
    ------
    TrainingError
        If a band has no value at all.
    """
    rows = torch.arange(Rrs.shape[0]) if rows is None else rows
    # In parts, as a file of patches may be larger than memory; the means of all pixels are a part of it.
    means, present = zip(*(pixel_mean(Rrs[part]) for part in torch.split(rows, ROWS_AT_ONCE)), strict=True)
    mean, there = torch.cat(means), torch.cat(present)
    log_brightness = (0.0, 1.0)
    if preprocess.shape:
        outside = torch.from_numpy((layout.window < 0) & ~layout.guard)
        divisor = brightness(mean, there & outside)
        mean = mean / divisor
        low, middle, high = np.quantile(divisor.log().numpy(), [0.25, 0.5, 0.75])
        log_brightness = (float(middle), float(max(0.741 * (high - low), 1e-3)))
    values = torch.where(there, mean, torch.nan).double().numpy()
    empty = np.flatnonzero(~there.numpy().any(axis=0))
    if empty.size:
        raise TrainingError(
            f"no training spectrum has a value at {layout.wavelength[empty[0]]:g} nm ({empty.size} such "
            f"bands); leave "
            "these bands out"
        )
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = np.maximum(0.741 * (high - low), 1e-6)  # a band that never varies is not blown up
    return BandStatistics(layout.wavelength, middle, scale, log_brightness)


def index_targets(
    spectrum: npt.NDArray[np.float64],
    wavelength: npt.NDArray[np.float64],
    training: npt.NDArray[np.bool_],
    indices: Mapping[str, Index] = INDICES,
) -> tuple[Tensor, tuple[str, ...]]:
    """Those of the indices that the bands support, robustly standardised on the training rows.

    Returns
    -------
    tuple
        Tensor (sample, n_indices), NaN where undefined, and the names.
    """
    missing = supported_indices(wavelength, indices)
    for name, reason in missing.items():
        if reason is not None and name not in INDICES:  # asked for by name, and not there by the way
            raise BandNotFoundError(f"indices: {name}: {reason}")
    names = [name for name, reason in missing.items() if reason is None]
    columns, kept = [], []
    for name in names:
        values = indices[name].function(spectrum, wavelength)
        known = values[training & np.isfinite(values)]
        if known.size == 0:
            continue
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        # An index that is zero for most spectra (CIcyano) has no interquartile range; its deviation serves
        # then.
        scale = 0.741 * (high - low) or known.std() or 1.0
        columns.append(np.clip((values - middle) / scale, -MAX_INDEX_SCORE, MAX_INDEX_SCORE))
        kept.append(name)
    stacked = np.stack(columns, axis=1) if columns else np.empty((len(spectrum), 0))
    return torch.from_numpy(stacked).float(), tuple(kept)


def validation_rows(day: npt.NDArray[Any], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """True for rows of the dates kept for validation: about `share` of the dates, but never all."""
    days = np.unique(day)
    n_validation = min(max(1, round(share * days.size)), days.size - 1) if share > 0 else 0
    chosen = np.random.default_rng(seed).permutation(days)[:n_validation]
    return np.isin(day, chosen)
