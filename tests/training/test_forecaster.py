"""Models that travel without their training files: saved, read again, and asked for targets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import spectm
from spectm.data.labels import surface_samples
from spectm.data.memory import Memory, Record
from spectm.data.patches import Patches
from spectm.errors import CheckpointError
from spectm.evaluation.blends import targets_of
from spectm.evaluation.run import EvaluationSettings
from spectm.training.forecast import forecast, usual_at
from spectm.training.forecaster import Forecaster, train_forecaster
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.released import load, save_forecaster
from tests.study import Study


@pytest.fixture(scope="module")
def record(study: Study) -> Record:
    fitted = Record.fit(surface_samples(study.labels), last_year=2023)
    return replace(fitted, memory=Memory(days=10.0, spread=0.4))


@pytest.fixture
def model(study: Study, record: Record, tiny_settings: EvaluationSettings) -> Forecaster:
    task = study.tasks["current"]
    data = pretraining_data([study.patches])
    fresh = [untrained(data, tiny_settings, seed=seed) for seed in (0, 1)]
    rows = task.rows.iloc[:24]
    return train_forecaster(fresh, tiny_settings, study.patches, rows, task.y[:24], record, {"files": []})


def test_what_is_read_again_answers_the_same(study: Study, model: Forecaster, tmp_path) -> None:
    targets = targets_of(study.tasks["ahead"])
    before = model.predict(study.patches, targets)
    save_forecaster(model, tmp_path / "model")
    for again in (spectm.load(tmp_path / "model"), load(str(tmp_path / "model"))):
        for old, new in zip(before, again.predict(study.patches, targets), strict=True):
            np.testing.assert_allclose(new, old, rtol=0, atol=1e-5)
        assert again.meta["samples"] == model.meta["samples"]
        assert again.record.memory == model.record.memory


def test_it_says_what_it_learned_from(study: Study, model: Forecaster) -> None:
    rows = study.tasks["current"].rows
    assert model.knows(rows).tolist() == [True] * 24 + [False] * (len(rows) - 24)
    assert not model.knows(rows.iloc[:1].assign(station="Z"))[0]
    later = rows.iloc[:1].assign(sample_time=rows["sample_time"].iloc[:1] + pd.Timedelta(minutes=1))
    assert model.knows(later)[0]  # the same sample, written by another hand
    assert model.knows(rows.iloc[-1:].assign(date="2023-07-01"))[0]  # of the years of the climatology
    near = model.is_near(rows)
    hours = (rows["sample_time"].to_numpy()[:, None] - rows["sample_time"].to_numpy()[:24]) / np.timedelta64(
        1, "h"
    )
    assert near[(np.abs(hours) <= 60).any(axis=1)].all()
    assert not near[(np.abs(hours) > 120).all(axis=1)].any()


def test_other_bands_are_refused(study: Study, model: Forecaster) -> None:
    other = replace(study.patches, wavelength=study.patches.wavelength + 2.0)
    with pytest.raises(CheckpointError, match="trained on other bands"):
        model.estimate(other)


def test_the_ensemble_is_the_mean_of_its_members(study: Study, model: Forecaster) -> None:
    single = [
        replace(model, models=(one,), blends=(blend,)).estimate(study.patches)[0]
        for one, blend in zip(model.models, model.blends, strict=True)
    ]
    np.testing.assert_allclose(model.estimate(study.patches)[0], np.mean(single, axis=0))
    assert not np.allclose(single[0], single[1], equal_nan=True)


def test_an_unknown_name_names_those_that_ship() -> None:
    with pytest.raises(CheckpointError, match=r"one of the released models .*; found 'erie-1066'"):
        spectm.load("erie-1066")


def test_forecast_by_hand(record: Record) -> None:
    """One overpass that is a decade above what is usual: as much now, e^-0.8 of it eight days on."""
    time = np.array(["2024-07-01T18:00"], dtype="datetime64[ns]")
    patches = Patches(
        Rrs=np.ones((1, 1, 1, 1), dtype=np.float32),
        wavelength=np.array([560.0]),
        time=time,
        station=np.array(["A"]),
        latitude=np.zeros(1),
        longitude=np.zeros(1),
        source="by hand",
    )
    usual = usual_at(record.climatology, time, np.array(["A"]))
    targets = pd.DataFrame({"station": ["A", "A", "B"], "date": ["2024-07-01", "2024-07-09", "2024-07-01"]})
    targets["overpass_time"], targets["lead_days"] = time[0], [0.0, 8.0, 0.0]
    mean, spread = forecast(patches, usual + 1.0, 0.3, record, targets)
    later = record.climatology.predict(np.array([191.0]), np.array(["A"]))[0]  # 9 July of a leap year
    assert mean[:2] == pytest.approx([usual[0] + 1.0, later + 0.449329], abs=1e-6)
    assert np.isnan(mean[2])  # nobody looked at B
    left = 0.449329**2
    assert spread[:2] == pytest.approx([0.3, np.sqrt(left * 0.09 + (1 - left) * 0.16)], abs=1e-6)
