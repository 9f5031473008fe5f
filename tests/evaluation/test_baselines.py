from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge as PlainRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectm.data.splits import group_folds
from spectm.errors import BandNotFoundError, ConfigError, SplitError
from spectm.evaluation import baselines
from spectm.evaluation.baselines import BASELINES, baseline_contexts, make_baseline
from spectm.evaluation.task import Task

ROWS = np.arange(60)
TRAIN, TEST = ROWS[:45], ROWS[45:]


def make_task(seed=0, n_dates=12, **changes):
    """A lake of 60 samples whose spectra dip at 620 nm and rise at 709 nm with microcystin."""
    rng = np.random.default_rng(seed)
    n, wavelength = 60, np.arange(360.0, 720.0, 5.0)
    day = np.repeat(np.arange(n_dates), n // n_dates) * 7
    date = pd.Series(pd.Timestamp("2024-06-03") + pd.to_timedelta(day, unit="D"))
    climatology = np.sin(np.pi * day / day.max()) - 0.5
    departure = rng.normal(0, 0.4, n)
    y = np.maximum(climatology + departure, -1)
    bright = rng.uniform(0.004, 0.012, n)
    peaks = np.exp(-(((wavelength - 709) / 12) ** 2)) - np.exp(-(((wavelength - 620) / 15) ** 2))
    spectra = bright[:, None] * (1 + 0.3 * y[:, None] * peaks) + rng.normal(0, 2e-5, (n, wavelength.size))
    time = date.dt.tz_localize("UTC")
    rows = pd.DataFrame(
        {
            "station": rng.choice(["WE2", "WE4"], n),
            "date": date.dt.strftime("%Y-%m-%d"),
            "sample_time": time,
            "overpass_time": time + pd.Timedelta(hours=3),
        }
    )
    last_date = (date - pd.Timedelta(days=7)).dt.strftime("%Y-%m-%d")
    has_last = np.arange(n) % 5 > 0
    last = pd.DataFrame(
        {
            "log10_last": np.where(has_last, y + rng.normal(0, 0.3, n), np.nan),
            "age_days": np.where(has_last, 7.0, np.nan),
            "has_last": has_last,
            "last_sample_id": np.where(has_last, 5, -1),
            "last_date": last_date.where(has_last, ""),
        }
    )
    task = Task(
        name="current",
        rows=rows,
        spectra=spectra,
        wavelength=wavelength,
        y=y,
        below=y <= -1,
        climatology=climatology,
        last=last,
    )
    return replace(task, **changes)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(baselines, "N_TREES", 30)  # 500 take seconds and are what test_reference.py is for
    monkeypatch.setattr(baselines, "N_LIGHT_TREES", 10)


@pytest.fixture(scope="module")
def task():
    return make_task()


def predicted(task, name, context="none", train=TRAIN, test=TEST, seed=0):
    return make_baseline(name, context, seed).fit(task, train).predict(task, test)


ALL = [(name, context) for name in BASELINES for context in baseline_contexts(name)]
# References do not learn, the mean learns nothing of use.
LEARNERS = [name for name in BASELINES if name not in ("mean", "climatology", "persistence")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "context"), ALL)
def test_nothing_outside_the_training_rows_is_learned_from(task, name, context):
    mean, spread = predicted(task, name, context)
    assert mean.shape == spread.shape == TEST.shape
    assert np.isfinite(mean).all()
    assert (spread > 0).all()
    other = make_task(y=np.where(np.isin(ROWS, TRAIN), task.y, 99.0))
    changed = task.spectra.copy()
    changed[TEST[1:]] *= 7
    other = replace(other, spectra=changed)
    again, spread_again = predicted(other, name, context)
    assert again[0] == mean[0]  # the spectrum of this row is as it was
    assert spread_again[0] == spread[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_learners_find_what_is_in_the_spectrum(task, name):
    mean, _ = predicted(task, name)
    error = ((mean - task.y[TEST]) ** 2).mean() / task.y[TEST].var()
    # Trees split by single noisy bands and need more rows than these.
    assert error < (0.8 if name in ("extra-trees", "gradient-boosting") else 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_climatology_is_the_prior_mean_where_there_is_context(task, name):
    without, _ = predicted(task, name)
    ignored, _ = predicted(replace(task, climatology=task.climatology + 3), name)
    assert (without == ignored).all()
    season, spread = predicted(task, name, "season")
    shifted = replace(task, climatology=task.climatology + 3, y=task.y + 3)
    mean, same_spread = predicted(shifted, name, "season")
    np.testing.assert_allclose(mean, season + 3, atol=0.1)
    np.testing.assert_allclose(same_spread, spread, rtol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "context"), ALL)
def test_a_spring_wholly_below_detection_is_predicted_so(task, name, context):
    # Warnings are errors here: none of the learners may complain of a target that does not vary.
    flat = np.full(60, -1.0)
    last = task.last.assign(log10_last=task.last["log10_last"].where(~task.last["has_last"], -1.0))
    mean, spread = predicted(replace(task, y=flat, climatology=flat, last=last), name, context)
    np.testing.assert_allclose(mean, -1, atol=1e-3)
    assert (spread > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ridge", "pls", "svr", "gp", "extra-trees", "gradient-boosting", "mlp"])
def test_bands_below_400_nm_are_not_used(task, name):
    noisy = task.spectra.copy()
    noisy[:, task.wavelength < 400] += np.random.default_rng(1).normal(0, 1, (60, 8))
    assert (predicted(task, name)[0] == predicted(replace(task, spectra=noisy), name)[0]).all()


@pytest.mark.slow
def test_ridge_is_that_of_scikit_learn_with_the_penalty_of_grouped_folds(task):
    # Each date has a spectrum and a concentration of its own that say nothing of other dates: rows
    # of one date vouch for each other, and only whole dates left out show that there is nothing to learn.
    rng = np.random.default_rng(3)
    spectra = task.spectra + np.repeat(rng.normal(0, 2e-3, (12, task.wavelength.size)), 5, axis=0)
    task = replace(task, spectra=spectra, y=np.repeat(rng.normal(0, 1, 12), 5) + rng.normal(0, 0.1, 60))
    bands, y = spectra[:, task.wavelength >= 400], task.y

    def search(folds):
        ridge = make_pipeline(StandardScaler(), PlainRidge())
        penalties = {"ridge__alpha": np.logspace(-2, 5, 30)}
        return GridSearchCV(ridge, penalties, cv=folds, scoring="neg_mean_squared_error").fit(
            bands[TRAIN], y[TRAIN]
        )

    grouped, by_row = (search(group_folds(groups, 5)) for groups in (task.dates[TRAIN], TRAIN))
    assert grouped.best_params_["ridge__alpha"] > 10 * by_row.best_params_["ridge__alpha"]
    model = make_baseline("ridge", "none", 0).fit(task, TRAIN)
    assert model.learner_.model_.penalty_ == pytest.approx(grouped.best_params_["ridge__alpha"])
    np.testing.assert_allclose(model.predict(task, TEST)[0], grouped.predict(bands[TEST]), rtol=1e-6)


def test_spread_is_that_of_residuals_on_dates_never_seen():
    # Three dates of 20 rows at 0, 3 and 6. Without its own date the mean is wrong by 4.5, 0 and 4.5;
    # shuffled rows would have given a spread of 2.45.
    task = make_task(n_dates=3, y=np.repeat([0.0, 3.0, 6.0], 20))
    mean, spread = predicted(task, "mean", train=ROWS, test=ROWS[:2])
    assert mean == pytest.approx(3.0)
    assert spread == pytest.approx((2 * 4.5**2 / 3) ** 0.5)


def test_references_are_what_the_task_holds(task):
    mean, spread = predicted(task, "climatology", "season")
    assert (mean == task.climatology[TEST]).all()
    assert spread[0] == pytest.approx(np.sqrt(np.mean((task.y - task.climatology)[TRAIN] ** 2)))
    mean, _ = predicted(task, "persistence", "season+lab")
    assert mean[0] == task.climatology[45]  # no last value: 45 is a multiple of 5
    assert mean[1] == task.last["log10_last"][46]


def test_best_index_finds_the_index_and_bears_undefined_ones(task):
    red, edge = (np.abs(task.wavelength - nm).argmin() for nm in (665, 710))
    spectra = task.spectra.copy()
    spectra[:, edge] = spectra[:, red] * (1.5 + 0.3 * task.y)
    spectra[TRAIN[3], red] = -0.01  # no ratio here
    model = make_baseline("best-index", "none", 0).fit(replace(task, spectra=spectra), np.delete(TRAIN, 3))
    assert model.learner_.name_ in ("chl_2band", "ndci")
    mean, _ = predicted(replace(task, spectra=spectra), "best-index", test=TRAIN[3:4])
    assert np.isfinite(mean).all()


def test_best_index_of_two_dates_has_the_spread_of_means():
    """Each date is predicted from the other alone, where no index can be chosen: 0 for 3, and 3 for 0."""
    task = make_task(n_dates=12, y=np.repeat([0.0, 3.0], 30))
    _, spread = predicted(task, "best-index", train=ROWS[25:35], test=ROWS[:2])
    assert spread == pytest.approx(3.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_two_dates_are_enough_for_every_model(task, name):
    for context in baseline_contexts(name):
        mean, spread = predicted(task, name, context, train=np.arange(10))
        assert np.isfinite(mean).all()
        assert (spread > 0).all()


def test_best_index_says_which_bands_it_lacks(task):
    blue = task.wavelength < 500
    short = replace(task, spectra=task.spectra[:, blue], wavelength=task.wavelength[blue])
    with pytest.raises(
        BandNotFoundError, match=r"best-index: .* ndci, .*; found 28 bands from 360 to 495 nm"
    ):
        predicted(short, "best-index")


@pytest.mark.slow
def test_gaussian_process_knows_where_it_knows_less(task):
    far = task.spectra.copy()
    far[TEST[0]] *= np.linspace(0.2, 8, task.wavelength.size)
    _, spread = predicted(replace(task, spectra=far), "gp")
    assert spread[0] > 1.5 * np.median(spread[1:])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["extra-trees", "gradient-boosting", "mlp"])
def test_seed_decides_and_nothing_else(task, name):
    first, same, other = (predicted(task, name, seed=seed)[0] for seed in (3, 3, 4))
    assert (first == same).all()
    assert (first != other).any()


def test_wrong_names_and_a_single_date_are_errors(task):
    with pytest.raises(ConfigError, match=r"baseline: wanted one of mean, climatology.*found 'rigde'"):
        make_baseline("rigde", "none", 0)
    with pytest.raises(ConfigError, match=r"context: wanted one of none, season, season\+lab, found 'all'"):
        make_baseline("ridge", "all", 0)
    with pytest.raises(SplitError, match="2 groups"):
        predicted(task, "ridge", train=ROWS[:5])


def test_rows_that_were_told_a_test_label_are_left_out(task):
    # Dates are 7 days and 5 rows apart, and the last value of four of five rows is of the date before.
    kept = task.without_inputs_from(np.delete(ROWS, [10, 11, 12, 13, 14]), ROWS[10:15])
    assert sorted(set(ROWS) - set(kept)) == [10, 11, 12, 13, 14, 16, 17, 18, 19]


def test_context_switch_and_persistence_of_a_task(task):
    assert [task.context(name).shape[1] for name in ("none", "season", "season+lab")] == [0, 5, 8]
    assert np.isfinite(task.context("season+lab")).all()
    assert (task.persistence[::5] == task.climatology[::5]).all()


@pytest.mark.parametrize("name", ["ridge", "gp"])
def test_without_a_spread_the_mean_is_the_same(task, name):
    mean, spread = make_baseline(name, "season", 0, spread=False).fit(task, TRAIN).predict(task, TEST)
    np.testing.assert_array_equal(mean, predicted(task, name, "season")[0])
    assert np.isnan(spread).all() == (name == "ridge")  # a Gaussian process has one of its own
