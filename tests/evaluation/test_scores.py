import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, mean_absolute_error, r2_score, roc_auc_score

from spectm.errors import ScoreError
from spectm.evaluation.scores import (
    N_DRAWS,
    Observations,
    Prediction,
    average_precision,
    bias,
    draw_weights,
    drawn_dates,
    exceedance_scores,
    mae,
    mdsa,
    mean_columns,
    r2,
    rmse,
    roc_auc,
    score_columns,
    skill,
    sspb,
)


def plain(n):
    return np.ones(n)


def certain(mean, spread=0.3):
    mean = np.asarray(mean, float)
    return Prediction(mean, np.full(mean.shape, spread))


@pytest.fixture
def survey():
    """40 rows on 9 dates of unequal size, a quarter below detection, and three models."""
    rng = np.random.default_rng(7)
    dates = np.array([f"2024-07-{day:02d}" for day in rng.integers(1, 10, 40)])
    truth = rng.normal(0.0, 0.7, 40)
    below = truth < -0.5
    truth[below] = -1.0
    model, climatology, persistence = (certain(truth + rng.normal(0, s, 40), s) for s in (0.3, 0.5, 0.7))
    return Observations(truth, below, dates), model, climatology, persistence


def test_values_worked_out_by_hand():
    truth, guess = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0])
    # SS_res = 1, SS_tot = 1 + 0 + 1
    assert r2(truth, guess, plain(3)) == pytest.approx(0.5)
    assert rmse(truth, guess, plain(3)) == pytest.approx((1 / 3) ** 0.5)
    assert mae(truth, guess, plain(3)) == pytest.approx(1 / 3)
    assert bias(truth, guess, plain(3)) == pytest.approx(-1 / 3)
    # the reference is wrong by 1, 0 and 1: half of its squared error is gone
    assert skill(truth, guess, plain(3), reference=np.ones(3)) == pytest.approx(0.5)


def test_symmetric_accuracy_and_bias_count_twice_and_half_alike():
    truth = np.zeros(3)
    factors = np.log10([2.0, 0.5, 2.0])
    assert mdsa(truth, factors, plain(3)) == pytest.approx(100)
    assert sspb(truth, factors, plain(3)) == pytest.approx(100)
    assert sspb(truth, -factors, plain(3)) == pytest.approx(-100)


def test_median_of_an_even_count_lies_between_the_two_in_the_middle():
    errors = np.array([0.1, 0.2, 0.4, 0.9])
    assert sspb(np.zeros(4), errors, plain(4)) == pytest.approx(100 * (10**0.3 - 1))


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(-2, 2), st.integers(0, 4)), min_size=1, max_size=12))
def test_weighted_median_is_the_median_of_the_rows_written_out(rows):
    errors, counts = np.array([e for e, _ in rows]), np.array([c for _, c in rows])
    value = mdsa(np.zeros(errors.size), errors, counts.astype(float))
    if counts.sum() == 0:
        assert np.isnan(value)
    else:
        middle = np.median(np.repeat(np.abs(errors), counts))
        assert value == pytest.approx(100 * (10**middle - 1), abs=1e-9)


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=12))
def test_areas_agree_with_sklearn_also_where_probabilities_are_equal(pairs):
    event, probability = (np.array(values) for values in zip(*pairs, strict=True))
    event = event.astype(bool)
    assume(event.any() and not event.all())
    assert roc_auc(event, probability / 4) == pytest.approx(roc_auc_score(event, probability))
    assert average_precision(event, probability / 4) == pytest.approx(
        average_precision_score(event, probability)
    )


def test_scores_agree_with_sklearn(survey):
    observed, model, climatology, persistence = survey
    columns = score_columns(observed, model, climatology=climatology, persistence=persistence)
    mean, seen = np.maximum(model.mean, -1), ~observed.below_detection
    assert columns["r2"] == pytest.approx(r2_score(observed.log10, mean))
    assert columns["mae"] == pytest.approx(mean_absolute_error(observed.log10, mean))
    assert columns["r2_detected"] == pytest.approx(r2_score(observed.log10[seen], mean[seen]))
    assert (columns["n"], columns["n_censored"]) == (40, observed.below_detection.sum())
    event = observed.log10 > 0
    probability = norm.sf(0, model.mean, model.spread)
    assert columns["roc_auc_1"] == pytest.approx(roc_auc_score(event, probability))
    assert columns["pr_auc_1"] == pytest.approx(average_precision_score(event, probability))


@pytest.mark.slow
def test_intervals_are_those_of_a_loop_over_the_same_draws(survey):
    observed, model, climatology, persistence = survey
    columns = score_columns(observed, model, climatology=climatology, persistence=persistence)
    mean, reference = np.maximum(model.mean, -1), np.maximum(climatology.mean, -1)
    unique = np.unique(observed.dates)
    draws = {"r2": [], "skill_climatology": [], "sspb": [], "brier_skill_1.6": []}
    high = np.log10(1.6)
    for drawn in drawn_dates(unique.size):
        rows = np.concatenate([np.flatnonzero(observed.dates == unique[i]) for i in drawn])
        truth, seen = observed.log10[rows], rows[~observed.below_detection[rows]]
        draws["r2"].append(r2_score(truth, mean[rows]))
        lost = ((truth - mean[rows]) ** 2).sum() / ((truth - reference[rows]) ** 2).sum()
        draws["skill_climatology"].append(1 - lost)
        middle = np.median(mean[seen] - observed.log10[seen])
        draws["sspb"].append(100 * np.sign(middle) * (10 ** abs(middle) - 1))
        brier = [
            np.mean((norm.sf(high, p.mean[rows], p.spread[rows]) - (truth > high)) ** 2)
            for p in (model, climatology)
        ]
        draws["brier_skill_1.6"].append(1 - brier[0] / brier[1])
    for name, values in draws.items():
        assert len(values) == 2000
        expected = np.percentile(values, [2.5, 97.5])
        assert [columns[f"{name}_low"], columns[f"{name}_high"]] == pytest.approx(expected), name


def test_whole_dates_are_drawn_and_the_first_line_is_the_sample_itself():
    dates = np.array(["b", "a", "b", "c"])
    weights = draw_weights(dates)
    assert weights.shape == (1 + N_DRAWS, 4)
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[1:, [0, 1, 3]].sum(1) == 3).all()  # three dates in every draw
    assert weights[1:, 1].mean() == pytest.approx(1, abs=0.1)


def test_predictions_below_the_floor_count_as_the_floor():
    observed = Observations(
        np.array([-1.0, 0.0, 1.0]), np.array([True, False, False]), np.array(["a", "b", "c"])
    )
    deep = certain([-5.0, 0.0, 1.0])
    columns = score_columns(
        observed, deep, climatology=certain([0.0, 0.0, 0.0]), persistence=certain([-9.0, 0, 0])
    )
    assert columns["r2"] == 1
    assert columns["skill_climatology"] == 1
    assert columns["skill_persistence"] == 1  # SS of persistence is 0 + 0 + 1, not 64 + 1


def test_exceedance_by_hand():
    truth = np.log10([0.1, 0.3, 1.5, 2.0])
    observed = Observations(truth, np.zeros(4, bool), np.array(["a", "a", "b", "b"]))
    # mean one spread above the threshold of 1: probability Phi(1) = 0.841345
    model = Prediction(np.array([-0.5, 0.5, -0.5, 0.5]), np.full(4, 0.5))
    half = Prediction(np.zeros(4), np.ones(4))
    columns = exceedance_scores(observed, model, half)
    wrong, right = 0.841345**2, 0.158655**2
    assert columns["positives_0.3"] == 3  # 0.3 itself reaches 0.3
    assert columns["positives_1"] == 2
    assert columns["brier_1"] == pytest.approx((right + wrong + wrong + right) / 4, abs=1e-6)
    assert columns["brier_skill_1"] == pytest.approx(1 - columns["brier_1"] / 0.25)
    assert columns["recall_1"] == 0.5
    assert columns["precision_1"] == 0.5
    assert columns["roc_auc_1"] == 0.5


def test_what_cannot_be_computed_is_nan_and_warns_of_nothing():
    observed = Observations(np.full(4, -1.0), np.ones(4, bool), np.array(["a", "a", "b", "b"]))
    guess = certain(np.full(4, -1.0))
    columns = score_columns(observed, guess, climatology=guess, persistence=guess)
    undefined = [
        "r2",
        "r2_low",
        "r2_detected",
        "mdsa",
        "skill_climatology",
        "recall_1",
        "precision_1",
        "roc_auc_1",
    ]
    assert np.isnan([columns[name] for name in undefined]).all()
    assert columns["rmse"] == 0
    assert columns["positives_1"] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_missing_prediction_is_an_error_naming_the_row(survey, value):
    observed, model, climatology, persistence = survey
    model.mean[3] = value
    with pytest.raises(
        ScoreError, match=rf"model: 1 of 40 rows have no usable mean.*row 3 \({observed.dates[3]}"
    ):
        score_columns(observed, model, climatology=climatology, persistence=persistence)


def test_a_spread_of_zero_and_a_wrong_length_are_errors(survey):
    observed, model, climatology, persistence = survey
    with pytest.raises(ScoreError, match="climatology: 40 of 40 rows have no usable spread"):
        score_columns(observed, model, climatology=certain(model.mean, 0.0), persistence=persistence)
    with pytest.raises(ScoreError, match=r"model: .* for each of 40 rows, found shape \(39,\)"):
        score_columns(observed, certain(model.mean[1:]), climatology=climatology, persistence=persistence)


def test_mean_over_repeats_keeps_counts_and_gives_the_spread():
    mean = mean_columns([{"n": 5, "r2": 0.2, "rmse": 1.0}, {"n": 5, "r2": 0.4, "rmse": 2.0}])
    assert mean == {"n": 5, "r2": pytest.approx(0.3), "rmse": 1.5, "r2_spread": pytest.approx(0.1)}
    assert isinstance(mean["n"], int)
