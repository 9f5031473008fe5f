"""Blends in the protocol: what they learn from, what they see, and what they must not."""

from dataclasses import replace

import numpy as np
import pytest

from spectm.data.labels import surface_samples
from spectm.data.memory import Memory, Record
from spectm.data.splits import Fold
from spectm.errors import BandNotFoundError, LeakageError
from spectm.evaluation.audit import audit_borrowed
from spectm.evaluation.blends import BlendEstimator, rows_clear_of
from spectm.evaluation.protocol import run_protocol
from spectm.evaluation.scopes import split_folds
from spectm.evaluation.study import SPLITS, EvaluationConfig
from spectm.training.blend import spectral_views
from tests.study import Study

HOURS_60 = np.timedelta64(60, "h")


@pytest.fixture
def record(study: Study) -> Record:
    fitted = Record.fit(surface_samples(study.labels), last_year=2023)
    return replace(fitted, memory=Memory(days=10.0, spread=0.4))


@pytest.fixture
def make(study: Study, record: Record):
    def build(context="season", patches=study.patches):
        return BlendEstimator(patches, spectral_views(patches), ("bands",), context, record)

    return build


def times(rows) -> np.ndarray:
    return np.stack(
        [rows[name].to_numpy(dtype="datetime64[ns]") for name in ("sample_time", "overpass_time")]
    )


@pytest.mark.parametrize("split", ["leave-date-out", "leave-date-out-strict", "forward"])
def test_borrowed_rows_keep_their_distance(study: Study, split: str) -> None:
    current, ahead = study.tasks["current"], study.tasks["ahead"]
    for fold in split_folds(ahead, split, 1):
        train = rows_clear_of(current, ahead, fold)
        audit_borrowed(current, train, ahead, fold)
        for row in ahead.rows.iloc[fold.test].itertuples():
            for moment in (row.sample_time, row.overpass_time):
                apart = np.abs(times(current.rows.iloc[train]) - moment.to_datetime64())
                assert (apart > HOURS_60).all()
        if split == "forward":
            assert times(current.rows.iloc[train]).max() < times(ahead.rows.iloc[fold.test]).min()
        else:
            assert train.size > 10


def test_borrowed_rows_of_other_splits(study: Study) -> None:
    current, ahead = study.tasks["current"], study.tasks["ahead"]
    for fold in split_folds(ahead, "leave-station-out", 1):
        train = rows_clear_of(current, ahead, fold)
        assert fold.name not in set(current.rows["station"].iloc[train])
        assert train.size > 10
    for fold in split_folds(ahead, "random-5", 1):
        train = rows_clear_of(current, ahead, fold)
        tested = set(ahead.rows["sample_id"].iloc[fold.test])
        assert tested.isdisjoint(current.rows["sample_id"].iloc[train])


@pytest.mark.parametrize("split", SPLITS)
def test_a_borrowed_test_sample_is_refused(study: Study, split: str) -> None:
    current, ahead = study.tasks["current"], study.tasks["ahead"]
    fold = split_folds(ahead, split, 1)[-1]
    same = np.isin(current.rows["sample_id"], ahead.rows["sample_id"].iloc[fold.test])
    with pytest.raises(LeakageError, match="learned from current: the label of a test row"):
        audit_borrowed(current, np.flatnonzero(same)[:1], ahead, fold)


def test_a_borrowed_neighbour_is_refused(study: Study) -> None:
    """A row sampled at the test overpass shares no label with the test, and is too near all the same."""
    current, ahead = study.tasks["current"], study.tasks["ahead"]
    fold: Fold = split_folds(ahead, "leave-date-out", 1)[-1]
    clear = rows_clear_of(current, ahead, fold)
    shares = np.isin(current.rows["sample_id"], ahead.rows["sample_id"].iloc[fold.test])
    near = np.setdiff1d(np.flatnonzero(~shares), clear)
    assert near.size
    with pytest.raises(LeakageError, match="within 60 h of a test row"):
        audit_borrowed(current, near[:1], ahead, fold)


def test_only_the_current_week_is_learned_from(study: Study, make) -> None:
    with pytest.raises(ValueError, match="rows of the task current, not ahead"):
        make().fit(study.tasks["ahead"], np.arange(20))


def test_views_that_the_bands_lack_are_left_out(study: Study, record: Record) -> None:
    views = {"bands": spectral_views(study.patches)["bands"]}
    made = BlendEstimator(study.patches, views, ("embedding", "bands", "indices"), "season", record)
    assert made.names == ("bands",)
    with pytest.raises(BandNotFoundError, match="views indices, found bands in miniature patches"):
        BlendEstimator(study.patches, views, ("indices",), "season", record)


def test_the_future_is_not_seen(study: Study, make) -> None:
    """An estimate stays the same whatever spectra come after its overpass."""
    task, train = study.tasks["current"], np.arange(12)
    row = np.array([15])
    overpass = task.rows["overpass_time"].to_numpy(dtype="datetime64[ns]")[row]
    before, _ = make().fit(task, train).predict(task, row)
    Rrs = study.patches.Rrs.copy()
    later = study.patches.time > overpass + np.timedelta64(2, "h")
    Rrs[later] *= 1.7
    after, _ = make(patches=replace(study.patches, Rrs=Rrs)).fit(task, train).predict(task, row)
    np.testing.assert_array_equal(before, after)
    earlier = (study.patches.time < overpass - np.timedelta64(2, "h")) & (
        study.patches.time > overpass - np.timedelta64(9 * 24, "h")
    )
    labelled = np.isin(np.arange(earlier.size), task.rows["patch"].to_numpy()[train])
    Rrs = study.patches.Rrs.copy()
    Rrs[earlier & ~labelled] *= 1.7
    other, _ = make(patches=replace(study.patches, Rrs=Rrs)).fit(task, train).predict(task, row)
    assert abs(other - before) > 1e-3


def test_eight_days_ahead_less_is_left_and_less_is_known(study: Study, make) -> None:
    model = make().fit(study.tasks["current"], np.arange(24))
    _, now = model.predict(study.tasks["current"], np.arange(24, 30))
    ahead = study.tasks["ahead"]
    mean, later = model.predict(ahead, np.arange(20, 28))
    usual = ahead.climatology[20:28]
    left = np.exp(-ahead.rows["hours_apart"].to_numpy()[20:28] / 24 / 10.0)
    own = model.blend_.spread_
    assert now == pytest.approx(own)
    assert later == pytest.approx(np.sqrt((left * own) ** 2 + (1 - left**2) * 0.4**2))
    assert np.abs(mean - usual).max() < 0.9


def test_a_target_as_usual_stays_as_usual(study: Study, make) -> None:
    """Labels that are the climatology: half of the blend knows it, the rest is near it."""
    task = study.tasks["current"]
    usual = replace(task, y=np.full(len(task.rows), -0.3), climatology=np.full(len(task.rows), -0.3))
    model = make().fit(usual, np.arange(24))
    assert model.blend_.members_[0].ridge_.predict(model.views["bands"][:4]) == pytest.approx(-0.3, abs=1e-6)


def test_the_last_laboratory_value_is_of_its_own_row(study: Study, make) -> None:
    task = study.tasks["current"]
    train, rows = np.arange(12), np.array([16, 20, 24])
    model = make("season+lab").fit(task, train)
    before, _ = model.predict(task, rows)
    last = task.last.copy()
    last.iloc[20, last.columns.get_loc("log10_last")] += 1.0
    after, _ = model.predict(replace(task, last=last), rows)
    assert after[1] - before[1] > 0.05
    assert (after[0], after[2]) == (before[0], before[2])


@pytest.mark.slow
def test_the_protocol_runs_them(study: Study, tiny_settings) -> None:
    models = ("climatology", "blend-plain", "spectm-blend")
    config = EvaluationConfig(models=models, seeds=1, shuffles=1, workers=1)
    lines = run_protocol(
        study.patches, study.labels, study.unlabelled, tiny_settings, config, progress=False
    ).predictions
    blends = lines[lines["model"] != "climatology"]
    assert set(blends["split"]) == set(SPLITS)
    assert np.isfinite(blends[["mean", "spread"]]).all(axis=None)
    assert (blends["mean"] > -1.6).all()
