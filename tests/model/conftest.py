from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from spectm.model.encoder import BandStatistics, EncoderConfig, SpectralEncoder
from spectm.model.masking import token_layout
from spectm.model.preprocess import PreprocessConfig
from spectm.spectral.windows import named_windows

# 12 blue and green bands, a gap as on OCI, 28 red ones; 17 of them in the cyanobacteria windows (6, 5 and 6).
BANDS_NM = np.concatenate([np.arange(410.0, 590.0, 15.0), np.arange(613.0, 722.0, 4.0)])


def smooth_spectra(n_samples: int, wavelength: np.ndarray, *, size: int = 2, seed: int = 0) -> Tensor:
    """Positive smooth spectra with a little noise from pixel to pixel, (sample, band, y, x)."""
    rng = np.random.default_rng(seed)
    height, centre = rng.uniform(0.002, 0.02, (n_samples, 1)), rng.uniform(540, 700, (n_samples, 1))
    spectrum = 0.003 + height * np.exp(-(((wavelength - centre) / 80) ** 2))  # (sample, band)
    noise = rng.normal(1, 0.05, (n_samples, wavelength.size, size, size))
    return torch.from_numpy((spectrum[..., None, None] * noise).astype(np.float32))


def build_encoder(
    wavelength: np.ndarray = BANDS_NM,
    *,
    guard_nm: float = 0.0,
    bands_per_token: int = 3,
    seed: int = 0,
    width: int = 16,
    depth: int = 1,
    **preprocess: bool | float,
) -> SpectralEncoder:
    """A tiny encoder with made-up band statistics."""
    layout = token_layout(
        wavelength, named_windows("cyanobacteria"), guard_nm=guard_nm, bands_per_token=bands_per_token
    )
    level, scale = (1.0, 0.3) if preprocess.get("shape") else (0.01, 0.004)
    statistics = BandStatistics(
        layout.wavelength,
        level + 0.1 * level * np.sin(wavelength / 50),
        scale * (1 + 0.1 * np.cos(wavelength / 70)),
        (-4.6, 0.5),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SpectralEncoder(
            EncoderConfig(width=width, depth=depth, heads=2),
            PreprocessConfig(**({"slope": False, "smoothing_nm": 0.0} | preprocess)),  # type: ignore[arg-type]
            layout,
            statistics,
        )
        with torch.no_grad():  # as after training: hidden and missing tokens far from nothing
            for token in (encoder.hidden_token, encoder.missing_token, encoder.summary_token):
                token.normal_()
    return encoder


@pytest.fixture
def bands_nm() -> np.ndarray:
    return BANDS_NM


@pytest.fixture
def make_spectra() -> Callable[..., Tensor]:
    return smooth_spectra


@pytest.fixture
def make_encoder() -> Callable[..., SpectralEncoder]:
    return build_encoder
