import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from spectm.data.patches import Patches
from spectm.model.encoder import EncoderConfig
from spectm.model.masking import MaskingConfig
from spectm.training.loop import LoopConfig
from spectm.training.settings import FinetuneConfig, PretrainConfig, Settings

# Enough bands for the cyanobacteria windows (5, 4 and 5 bands) and for several indices of the red.
BANDS_NM = np.concatenate([np.arange(410.0, 590.0, 20.0), np.arange(610.0, 726.0, 5.0)])


def build_patches(
    *, n_dates: int = 10, n_stations: int = 4, size: int = 2, seed: int = 0, wavelength: np.ndarray = BANDS_NM
) -> Patches:
    """A bloom that comes and goes at a few stations, seen every four days; some values missing."""
    rng = np.random.default_rng(seed)
    day, station = np.divmod(np.arange(n_dates * n_stations), n_stations)
    bloom = np.sin(day / n_dates * np.pi) * rng.uniform(0.5, 1.5, n_stations)[station]  # (sample,)
    green = np.exp(-(((wavelength - 560) / 60) ** 2))
    red = np.exp(-(((wavelength - 705) / 12) ** 2)) - 0.5 * np.exp(-(((wavelength - 628) / 10) ** 2))
    spectrum = 0.003 + 0.008 * green + 0.006 * bloom[:, None] * red  # (sample, band)
    Rrs = spectrum[..., None, None] * rng.normal(1, 0.03, (day.size, wavelength.size, size, size))
    Rrs[3, 2, 0, 0], Rrs[7, :, size // 2 :, : size // 2] = np.nan, np.nan  # a value, pixels, a whole patch
    Rrs[11] = np.nan
    return Patches(
        Rrs=Rrs.astype(np.float32),
        wavelength=wavelength,
        time=np.datetime64("2024-07-01T18:00", "ns") + day * np.timedelta64(4, "D"),
        station=np.array([f"WE{i}" for i in station]),
        latitude=np.full(day.size, 41.7),
        longitude=np.full(day.size, -83.3),
        source="made for a test",
    )


def tiny_settings(*, steps: int = 12, **sections: object) -> Settings:
    """A model that trains in a blink; validation every third step."""
    loop = LoopConfig(steps=steps, batch_size=16, validate_every=3, learning_rate=5e-3)
    usual = {
        "masking": MaskingConfig(strategy="mixed", bands_per_token=3),
        "encoder": EncoderConfig(width=16, depth=1, heads=2),
        "pretraining": PretrainConfig(loop=loop, validation_share=0.2),
        "finetuning": FinetuneConfig(loop=loop, validation_share=0.2),
    }
    return Settings(**(usual | sections))  # type: ignore[arg-type]


@pytest.fixture
def make_patches() -> Callable[..., Patches]:
    return build_patches


@pytest.fixture
def make_settings() -> Callable[..., Settings]:
    return tiny_settings


@contextmanager
def _interrupted(learner: type, n: int) -> Iterator[None]:
    working, counter = learner.batch, itertools.count(1)

    def batch(self, rows, generator):
        if next(counter) == n:
            signal.raise_signal(signal.SIGINT)  # heard before the next line
        return working(self, rows, generator)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner, "batch", batch)
        yield


@pytest.fixture
def interrupt_at() -> Callable[[type, int], AbstractContextManager[None]]:
    """Ctrl-C while a learner puts its n-th batch together."""
    return _interrupted


@pytest.fixture
def assert_same_weights() -> Callable[[torch.nn.Module, torch.nn.Module], None]:
    """Bit by bit."""

    def check(first: torch.nn.Module, second: torch.nn.Module) -> None:
        one, two = first.state_dict(), second.state_dict()
        assert one.keys() == two.keys()
        assert [name for name in one if not torch.equal(one[name], two[name])] == []

    return check
