"""From raw reflectance to what the encoder reads, from visible bands alone.

Everything here takes the `visible` mask (sample, band) and never looks beyond it, so a hidden value can't
leak through a brightness, a slope, a smoothing or a spread.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spectm.errors import ConfigError

__all__ = ["PreprocessConfig", "brightness", "local_line", "pixel_mean", "pixel_spread"]

# A spectrum darker than this has no shape to speak of, sr^-1: an order below clear water in the green.
MIN_BRIGHTNESS = 2e-4
# Bands with less weight than this from their visible neighbours take no smoothed value.
MIN_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessConfig:
    """How reflectance is prepared for the encoder.

    Parameters
    ----------
    shape : bool
        Divide by the brightness of the visible bands outside the windows; its logarithm becomes an input of
        its own.
    slope : bool
        Give the local slope over wavelength beside each value.
    smoothing_nm : float
        Standard deviation of the Gaussian over wavelength that smooths values, and that slopes are taken
        over, nm; 0 leaves values alone and takes slopes over 5 nm.
    spread : bool
        Give the standard deviation over the patch's pixels beside each value.
    """

    shape: bool = False
    slope: bool = True
    smoothing_nm: float = 4.0
    spread: bool = False

    def __post_init__(self) -> None:
        if not self.smoothing_nm >= 0:
            raise ConfigError(f"preprocessing wants smoothing_nm of 0 or more; found {self.smoothing_nm:g}")

    @property
    def n_channels(self) -> int:
        """Numbers per band that the encoder reads."""
        return 1 + self.slope + self.spread


def pixel_mean(Rrs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the pixels that hold a number, band by band.

    Parameters
    ----------
    Rrs : Tensor, shape (sample, n_bands, y, x)
        Reflectance, sr^-1; NaN is missing.

    Returns
    -------
    tuple of Tensor, shape (sample, n_bands)
        The mean, 0 where nothing is there, and whether anything is.
    """
    valid = Rrs.isfinite()
    count = valid.sum(dim=(-2, -1))  # (sample, band)
    total = torch.where(valid, Rrs, 0.0).sum(dim=(-2, -1))
    return total / count.clamp(min=1), count > 0


def pixel_spread(Rrs: Tensor, mean: Tensor) -> Tensor:
    """Standard deviation over pixels, sr^-1, shape (sample, n_bands); 0 for a single pixel."""
    valid = Rrs.isfinite()
    square = torch.where(valid, Rrs - mean[..., None, None], 0.0).square()
    return (square.sum(dim=(-2, -1)) / valid.sum(dim=(-2, -1)).clamp(min=1)).sqrt()


def brightness(mean: Tensor, visible: Tensor) -> Tensor:
    """Mean reflectance of the visible bands, sr^-1, at least `MIN_BRIGHTNESS`, shape (sample, 1)."""
    total = torch.where(visible, mean, 0.0).sum(dim=1, keepdim=True)
    return (total / visible.sum(dim=1, keepdim=True).clamp(min=1)).clamp(min=MIN_BRIGHTNESS)


def local_line(
    values: Tensor, visible: Tensor, wavelength: Tensor, *, bandwidth_nm: float
) -> tuple[Tensor, Tensor]:
    """Straight line fitted around every band to its visible neighbours under a Gaussian weight.

    Parameters
    ----------
    values : Tensor, shape (sample, n_bands)
        Anything finite where visible.
    visible : Tensor of bool, shape (sample, n_bands)
        Bands that take part.
    wavelength : Tensor, shape (n_bands,)
        Band centres, nm.
    bandwidth_nm : float
        Standard deviation of the weight, nm.

    Returns
    -------
    tuple of Tensor, shape (sample, n_bands)
        Value of the line at the band, and its slope per `bandwidth_nm`; 0 where no visible neighbour has
        weight.
    """
    # Nearly all samples of a batch see the same bands, so the fit is one matrix per pattern of visible bands.
    patterns, pattern = torch.unique(visible, dim=0, return_inverse=True)
    operators = torch.stack(_line_operators(patterns, wavelength, bandwidth_nm))  # (line, pattern, at, from)
    values = torch.where(visible, values, 0.0)
    if len(patterns) == 1:
        level, slope = values @ operators[:, 0].mT
    else:
        level, slope = torch.einsum("lsaf,sf->lsa", operators[:, pattern], values)
    return level, slope


def _line_operators(visible: Tensor, wavelength: Tensor, bandwidth_nm: float) -> tuple[Tensor, Tensor]:
    """Matrices (pattern, at band, from band) that turn values into the line's value and its slope."""
    offset = (wavelength[None, :] - wavelength[:, None]) / bandwidth_nm  # (at band, from band)
    weight = torch.exp(-0.5 * offset.square()) * visible[:, None, :]  # (pattern, at band, from band)
    s0, s1, s2 = ((weight * offset**power).sum(dim=-1, keepdim=True) for power in (0, 1, 2))
    safe = s0.clamp(min=MIN_WEIGHT)
    # A hundredth of a bandwidth squared keeps the slope finite where one neighbour is all there is.
    spread = (s2 - s1.square() / safe + 0.01 * s0).clamp(min=MIN_WEIGHT)
    slope = weight * (offset - s1 / safe) / spread
    level = (weight - s1 * slope) / safe
    reached = s0 > MIN_WEIGHT
    return torch.where(reached, level, 0.0), torch.where(reached, slope, 0.0)
