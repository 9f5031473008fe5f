"""A small transformer over spectral tokens that reads wavelengths in nm, not band numbers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spectm.errors import ConfigError
from spectm.model.masking import TokenLayout
from spectm.model.preprocess import PreprocessConfig, brightness, local_line, pixel_mean, pixel_spread

__all__ = ["BandStatistics", "Encoded", "EncoderConfig", "SpectralEncoder", "WavelengthFeatures"]

# Reflectance beyond this many robust standard deviations is folded in logarithmically: sun glint and cloud
# edges.
LINEAR_RANGE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Size of the transformer."""

    width: int = 64
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0

    def __post_init__(self) -> None:
        too_small = min(self.width, self.depth, self.heads) < 1 or self.mlp_width < 1
        if too_small or self.width % self.heads or self.width % 2:
            raise ConfigError(
                f"the encoder wants an even width divisible by heads, depth >= 1 and a positive mlp_ratio; "
                f"found width={self.width}, heads={self.heads}, depth={self.depth}, "
                f"mlp_ratio={self.mlp_ratio:g}"
            )

    @property
    def mlp_width(self) -> int:
        """Hidden units of each feed-forward layer."""
        return round(self.mlp_ratio * self.width)


@dataclass(frozen=True, slots=True, eq=False)
class BandStatistics:
    """Robust centre and spread of the training reflectance in each band: what "standardised" means.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    centre, scale : ndarray, shape (n_bands,)
        Median and 0.741 times the interquartile range; sr^-1, or 1 where spectra are divided by their
        brightness.
    log_brightness : tuple of float
        Median and spread of the logarithm of the brightness.
    """

    wavelength: npt.NDArray[np.float64]
    centre: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    log_brightness: tuple[float, float] = (0.0, 1.0)

    def at(self, wavelength: npt.NDArray[np.float64]) -> "BandStatistics":
        """The same statistics, interpolated linearly to other bands inside their range."""
        centre, scale = (np.interp(wavelength, self.wavelength, known) for known in (self.centre, self.scale))
        return BandStatistics(wavelength, centre, scale, self.log_brightness)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the encoder returns.

    Parameters
    ----------
    summary : Tensor, shape (sample, width)
        One vector per patch.
    tokens : Tensor, shape (sample, token, width)
        One vector per token, hidden ones included.
    brightness : Tensor, shape (sample, 1)
        What reflectance was divided by: 1 unless `PreprocessConfig.shape`.
    """

    summary: Tensor
    tokens: Tensor
    brightness: Tensor


class WavelengthFeatures(nn.Module):
    """Smooth functions of wavelength, learned as a linear map of sines and cosines.

    Periods run geometrically from 20 to 2,560 nm, so that neighbouring OCI bands differ and a band list that
    was never seen is read sensibly between known bands.
    """

    def __init__(self, n_outputs: int, n_periods: int = 15) -> None:
        super().__init__()
        period = torch.from_numpy(np.geomspace(20.0, 2560.0, n_periods))
        self.register_buffer("frequency", (2 * torch.pi / period).float(), persistent=False)
        self.project = nn.Linear(2 * n_periods, n_outputs)

    def forward(self, wavelength: Tensor) -> Tensor:
        """Features of wavelengths in nm; shape (..., n_outputs)."""
        phase = wavelength[..., None] * self.get_buffer("frequency")
        return self.project(torch.cat([phase.sin(), phase.cos()], dim=-1))


class Block(nn.Module):
    """Pre-norm attention and feed-forward layer."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.mlp_width),
            nn.GELU(),
            nn.Linear(config.mlp_width, config.width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape (sample, token, width) in and out."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v)  # (sample, head, token, width / heads)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class SpectralEncoder(nn.Module):
    """Patch and mask in, one vector per token and one per patch out.

    Parameters
    ----------
    config : EncoderConfig
        Size.
    preprocess : PreprocessConfig
        What is computed from reflectance first.
    layout : TokenLayout
        Bands, tokens, windows.
    statistics : BandStatistics
        Of the training spectra, at the layout's wavelengths.

    Notes
    -----
    A band enters as its standardised value times a learned function of its wavelength, plus another one; a
    token is the mean over its bands that hold a number. A hidden token is replaced by one learned vector, a
    token without any number by another; both keep their wavelength. Parameters depend on no band list, so
    `state_dict` fits an encoder of any other layout.
    """

    def __init__(
        self,
        config: EncoderConfig,
        preprocess: PreprocessConfig,
        layout: TokenLayout,
        statistics: BandStatistics,
    ) -> None:
        super().__init__()
        self.config, self.preprocess, self.layout, self.statistics = config, preprocess, layout, statistics
        members = torch.from_numpy(layout.members)  # (token, slot)
        as_float = {"wavelength": layout.wavelength, "centre": statistics.centre, "scale": statistics.scale}
        for name, array in as_float.items():
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32), persistent=False)
        self.register_buffer("members", members.clamp(min=0), persistent=False)
        self.register_buffer("is_member", members >= 0, persistent=False)
        self.register_buffer("token", torch.from_numpy(layout.token), persistent=False)
        self.register_buffer(
            "in_window", torch.from_numpy((layout.window >= 0) | layout.guard), persistent=False
        )

        self.band_gain = WavelengthFeatures(preprocess.n_channels * config.width)
        self.band_offset = WavelengthFeatures(config.width)
        self.position = WavelengthFeatures(config.width)
        self.hidden_token = nn.Parameter(torch.randn(config.width) * 0.02)
        self.missing_token = nn.Parameter(torch.randn(config.width) * 0.02)
        self.summary_token = nn.Parameter(torch.randn(config.width) * 0.02)
        self.brightness_gain = nn.Parameter(torch.randn(config.width) * 0.02) if preprocess.shape else None
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, Rrs: Tensor, hidden: Tensor) -> Encoded:
        """Encode raw reflectance.

        Parameters
        ----------
        Rrs : Tensor, shape (sample, n_bands, y, x)
            As the reader returns it, sr^-1; NaN is missing.
        hidden : Tensor of bool, shape (sample, token)
            Tokens whose bands the encoder must not see.
        """
        visible_band = ~hidden[:, self.get_buffer("token")]  # (sample, band)
        Rrs = Rrs.where(visible_band[..., None, None], torch.nan)  # from here on a hidden value is gone
        mean, there = pixel_mean(Rrs)
        bright = self.divisor(mean, there)
        channels = self._channels(Rrs, mean, bright, there)  # (sample, band, channel)

        x = self._tokens(channels, there)
        positions = self.position(self._token_wavelength())  # (token, width)
        any_there = (there[:, self.get_buffer("members")] & self.get_buffer("is_member")).any(dim=-1)
        x = torch.where(any_there[..., None], x, self.missing_token)
        x = torch.where(hidden[..., None], self.hidden_token, x) + positions

        summary = self.summary_token.expand(x.shape[0], 1, -1)
        if self.brightness_gain is not None:
            centre, scale = self.statistics.log_brightness
            summary = summary + (((bright.log() - centre) / scale) * self.brightness_gain)[:, None]
        x = self.norm(self.blocks(torch.cat([summary, x], dim=1)))
        return Encoded(summary=x[:, 0], tokens=x[:, 1:], brightness=bright)

    def divisor(self, mean: Tensor, there: Tensor) -> Tensor:
        """What reflectance is divided by: 1, or brightness outside windows and guards; shape (sample, 1)."""
        if not self.preprocess.shape:
            return torch.ones_like(mean[:, :1])
        return brightness(mean, there & ~self.get_buffer("in_window"))

    def standardise(self, mean: Tensor, divisor: Tensor) -> Tensor:
        """Robust standard scores of reflectance (sample, n_bands); linear near 0, logarithmic far out."""
        score = (mean / divisor - self.get_buffer("centre")) / self.get_buffer("scale")
        return LINEAR_RANGE * torch.asinh(score / LINEAR_RANGE)

    def unstandardise(self, score: Tensor, divisor: Tensor) -> Tensor:
        """Inverse of `standardise`."""
        linear = LINEAR_RANGE * torch.sinh(score / LINEAR_RANGE)
        return (linear * self.get_buffer("scale") + self.get_buffer("centre")) * divisor

    def _channels(self, Rrs: Tensor, mean: Tensor, divisor: Tensor, there: Tensor) -> Tensor:
        """Value, and slope and spread where asked for, of each band; shape (sample, band, channel)."""
        options = self.preprocess
        values = self.standardise(mean, divisor)
        channels = [values]
        if options.smoothing_nm or options.slope:
            wavelength = self.get_buffer("wavelength")
            level, slope = local_line(values, there, wavelength, bandwidth_nm=options.smoothing_nm or 5.0)
            channels = ([level] if options.smoothing_nm else [values]) + ([slope] if options.slope else [])
        if options.spread:
            spread = pixel_spread(Rrs, mean) / divisor / self.get_buffer("scale")
            channels.append(torch.log1p(spread))
        return torch.where(there[..., None], torch.stack(channels, dim=-1), 0.0)

    def _tokens(self, channels: Tensor, there: Tensor) -> Tensor:
        """Mean over the bands of each token that hold a number, shape (sample, token, width)."""
        members, is_member = self.get_buffer("members"), self.get_buffer("is_member")
        wavelength = self.get_buffer("wavelength")[members]  # (token, slot)
        gain = self.band_gain(wavelength).unflatten(
            -1, (-1, self.config.width)
        )  # (token, slot, channel, width)
        offset = self.band_offset(wavelength)  # (token, slot, width)
        present = (there[:, members] & is_member).to(channels.dtype)  # (sample, token, slot)
        values = channels[:, members] * present[..., None]  # (sample, token, slot, channel)
        total = torch.einsum("stkc,tkcw->stw", values, gain) + torch.einsum("stk,tkw->stw", present, offset)
        return total / present.sum(dim=-1, keepdim=True).clamp(min=1)

    def _token_wavelength(self) -> Tensor:
        """Mean wavelength of each token, nm, shape (token,)."""
        is_member = self.get_buffer("is_member")
        wavelength = torch.where(is_member, self.get_buffer("wavelength")[self.get_buffer("members")], 0.0)
        return wavelength.sum(dim=1) / is_member.sum(dim=1)
