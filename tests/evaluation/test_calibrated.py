"""Calibration of models: no date is judged by a model that knows it."""

from typing import ClassVar

import numpy as np
import pytest

from spectm.data.labels import surface_samples
from spectm.data.memory import Memory, Record
from spectm.data.splits import row_times
from spectm.errors import CalibrationError
from spectm.evaluation.calibrated import calibrate, calibrate_forecaster, out_of_date
from spectm.training.forecaster import train_forecaster
from spectm.training.settings import Settings
from tests.study import Study


class Memoriser:
    """Answers with the number of rows learned from; notes what it was given."""

    seen: ClassVar[list[tuple[np.ndarray, np.ndarray]]] = []

    def fit(self, task, train):
        self.train = train
        return self

    def predict(self, task, rows):
        type(self).seen.append((self.train, rows))
        return np.full(rows.size, float(self.train.size)), np.ones(rows.size)


@pytest.mark.parametrize("name", ["current", "ahead"])
def test_every_row_is_predicted_once_by_a_stranger(study: Study, name: str) -> None:
    Memoriser.seen = []
    source, task = study.tasks["current"], study.tasks[name]
    train = np.arange(1, len(task.rows))
    allowed = np.arange(0, len(source.rows), 2)
    mean, spread = out_of_date(Memoriser, source, task, train, allowed)
    predicted = np.sort(np.concatenate([rows for _, rows in Memoriser.seen]))
    assert predicted.tolist() == train[np.isfinite(mean)].tolist()
    assert np.isfinite(mean).sum() > 0.9 * train.size
    for learned, rows in Memoriser.seen:
        assert set(learned) <= set(allowed)
        apart = row_times(source.rows.iloc[learned])[:, None] - row_times(task.rows.iloc[rows])[None]
        assert (np.abs(apart) > np.timedelta64(60, "h")).all()
        assert not set(source.dates[learned]) & set(task.dates[rows])
    assert np.isnan(spread[np.isnan(mean)]).all()


def test_residuals_below_detection_count_on_one_side(study: Study) -> None:
    """Rows far below the mean that say "less than" cost what it takes to reach their limit, no more."""
    task = study.tasks["current"]
    rows = np.arange(len(task.rows))
    mean = np.where(task.below, task.y - 5.0, task.y)  # censored rows: the mean lies far below the limit
    found = calibrate(task, rows, mean, np.full(rows.size, 0.3))
    assert found.score.max() == 0.0
    assert (found.n_dates, found.n_below_detection) == (np.unique(task.dates).size, int(task.below.sum()))


@pytest.mark.slow
def test_a_calibrated_forecaster_covers_what_it_was_calibrated_on(study: Study) -> None:
    record = Record.fit(surface_samples(study.labels), last_year=2023)
    record = Record(climatology=record.climatology, memory=Memory(days=10.0, spread=0.4), last_year=2023)
    task = study.tasks["current"]
    model = train_forecaster([], Settings(), study.patches, task.rows, task.y, record, {})
    assert not model.calibration
    model = calibrate_forecaster(model, study.patches, study.tasks)
    assert set(model.calibration) == {"current", "ahead"}
    assert model.calibration["current"].n_dates == np.unique(task.dates).size
    for lead, name in ((0.0, "current"), (8.0, "ahead")):
        (estimate,) = model.outlook(study.patches, (lead,)).estimates
        low, high = estimate.interval(0.9)
        rows = study.tasks[name]
        patch = rows.rows["patch"].to_numpy()
        truth = 10**rows.y
        inside = np.where(
            rows.below, low[patch] <= truth * 1.001, (low[patch] <= truth) & (truth <= high[patch])
        )
        assert inside.mean() > 0.8


def test_too_few_dates_are_refused(study: Study) -> None:
    task = study.tasks["current"]
    rows = np.flatnonzero(np.isin(task.dates, np.unique(task.dates)[:2]))
    with pytest.raises(CalibrationError, match="wanted rows of 3 dates or more, found 2"):
        calibrate(task, rows, task.y[rows], np.full(rows.size, 0.3))
