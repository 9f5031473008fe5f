"""A small model, and a small lake that it is asked about."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spectm.apps.store import Store, open_store
from spectm.data.labels import surface_samples
from spectm.data.memory import Memory, Record
from spectm.evaluation.calibrated import calibrate_forecaster
from spectm.evaluation.run import EvaluationSettings
from spectm.model.encoder import EncoderConfig
from spectm.training.forecaster import train_forecaster
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.released import save_forecaster
from tests.apps.stores import make_store
from tests.data.cubes import make_cube
from tests.study import BANDS_NM, Study

SHAPE = (9, 11)
FIRST = "2024-07-03"  # a first day of NASA's periods


@pytest.fixture(scope="session")
def model_folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two encoders that learned nothing, a blend on each, calibrated."""
    torch.set_num_threads(1)
    settings = EvaluationSettings(encoder=EncoderConfig(width=8, depth=1, heads=2))
    task = study.tasks["current"]
    record = replace(
        Record.fit(surface_samples(study.labels), last_year=2023), memory=Memory(days=10.0, spread=0.4)
    )
    data = pretraining_data([study.patches])
    fresh = [untrained(data, settings, seed=seed) for seed in (0, 1)]
    model = train_forecaster(fresh, settings, study.patches, task.rows, task.y, record, {"files": []})
    folder = tmp_path_factory.mktemp("models") / "small"
    save_forecaster(calibrate_forecaster(model, study.patches, study.tasks), folder)
    return folder


def lake(n_periods: int = 3, shape: tuple[int, int] = SHAPE, *, seed: int = 0) -> np.ndarray:
    """Rrs (time, lat, lon, band) of spectra like those learned from; land in a corner, and clouds."""
    rng = np.random.default_rng(seed)
    green = np.exp(-(((BANDS_NM - 560) / 60) ** 2))
    red = np.exp(-(((BANDS_NM - 706) / 12) ** 2)) - 0.6 * np.exp(-(((BANDS_NM - 625) / 12) ** 2))
    row, column = np.mgrid[: shape[0], : shape[1]]
    level = 0.5 * np.sin(row / 3 + column / 4) + 0.3 * np.arange(n_periods)[:, None, None]
    bright = rng.uniform(0.7, 1.3, level.shape)[..., None]
    Rrs = bright * (0.003 + 0.008 * green + 0.002 * (1.5 + level[..., None]) * red)
    Rrs[rng.random(level.shape) < 0.25] = np.nan
    Rrs[:, :3, -3:] = np.nan
    return Rrs


@pytest.fixture(scope="session")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three periods of nine by eleven cells."""
    age = np.random.default_rng(1).uniform(1, 7, (3, *SHAPE))
    path = tmp_path_factory.mktemp("cubes") / "lake.zarr"
    return make_cube(path, lake(), age=age, first=FIRST, wavelength=BANDS_NM)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three weeks of a made-up lake, for reading only."""
    return open_store(make_store(tmp_path_factory.mktemp("stores") / "week"))
