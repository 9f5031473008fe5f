"""Calibrated distributions: by hand, by the definition, and by coverage of simulated dates."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from spectm.errors import CalibrationError
from spectm.trust.calibration import Calibration, conformity_scores


def fitted(residual, dates, *, below=None, spread=None):
    residual = np.asarray(residual, float)
    below = np.zeros(residual.size, bool) if below is None else np.asarray(below)
    spread = np.ones(residual.size) if spread is None else np.asarray(spread, float)
    return Calibration.fit(residual, spread, below, np.array(list(dates)))


@pytest.fixture
def three():
    """Three dates, the first of two rows: scores 1, 2, 3, 4 of weights 1/8, 1/4, 1/8, 1/4; 1/4 is unseen."""
    return fitted([0.5, -1.5, 1.0, -2.0], ["a", "a", "b", "c"], spread=[0.5, 0.5, 0.5, 0.5])


def test_scores_by_hand():
    # 0.4 above; 0.4 below; limit 0.6 below the mean; limit above the mean, which covers whatever happens
    found = conformity_scores(
        np.array([0.4, -0.4, -0.6, 0.6]), np.array([0.2, 0.4, 0.2, 0.2]), np.array([False, False, True, True])
    )
    assert found == pytest.approx([2.0, 1.0, 3.0, 0.0])


def test_weights_by_hand(three):
    assert three.score.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert three.weight.tolist() == [0.125, 0.25, 0.125, 0.25]
    # mean square (1 / 8 + 4 / 4 + 9 / 8 + 16 / 4) / (3 / 4)
    assert three.unseen_scale == pytest.approx(2 * (6.25 / 0.75) ** 0.5)


def test_distribution_by_hand(three):
    def unseen(z):
        return 0.25 * norm.cdf(z / three.unseen_scale)

    # half of all weight seen lies above the mean; at 2.5 that of the scores 1 and 2 is passed
    assert three.cdf(2.5) == pytest.approx(0.375 + 0.375 / 2 + unseen(2.5))
    assert three.cdf(-2.5) == pytest.approx(0.375 - 0.375 / 2 + unseen(-2.5))
    assert three.cdf(2.0) == pytest.approx(three.cdf(2.0 + 1e-12))  # what lies at 2 is at most 2
    assert three.cdf(2.0) - three.cdf(2.0 - 1e-9) == pytest.approx(0.125)
    assert three.cdf(-2.0) - three.cdf(-2.0 - 1e-9) == pytest.approx(0.125)
    assert three.cdf(0.0) == pytest.approx(0.5)
    assert three.cdf(1e6) == 1
    assert three.cdf(-1e6) == 0
    assert np.isnan(three.cdf(np.nan))


def test_radius_by_hand(three):
    def reached(radius):  # by the definition
        return three.weight[three.score <= radius].sum() + 0.25 * (
            2 * norm.cdf(radius / three.unseen_scale) - 1
        )

    assert three.radius(reached(2.0)) == pytest.approx(2.0)
    assert three.radius(reached(2.0) - 0.2) == 2.0  # inside the jump of 1 / 4 at 2
    for radius in (0.5, 1.5, 2.5, 3.5, 4.5, 9.0):
        assert three.radius(reached(radius)) == pytest.approx(radius)
    assert three.radius(0.0) == 0


def test_answers_are_in_the_units_of_the_model(three):
    mean, spread = np.array([0.0, 1.0]), np.array([0.2, 0.4])
    low, high = three.interval(mean, spread, 0.5)
    radius = three.radius(0.5)
    assert high == pytest.approx(mean + radius * spread)
    assert low == pytest.approx(mean - radius * spread)
    assert three.quantile(mean, spread, 0.25) == pytest.approx(low)
    assert three.quantile(mean, spread, 0.75) == pytest.approx(high)
    assert three.quantile(mean, spread, 0.5).tolist() == [0.0, 1.0]
    # 1 ug/L is the mean of the first row; 100 ug/L lies 10 and 2.5 spreads above
    assert three.exceedance(mean, spread, 1.0)[0] == pytest.approx(0.5)
    assert three.exceedance(mean, spread, 100.0) == pytest.approx(1 - three.cdf(np.array([10.0, 2.5])))
    assert three.below_detection_probability(mean, spread, 0.1) == pytest.approx(three.cdf([-5.0, -5.0]))


def test_a_value_below_detection_is_not_a_value():
    # mean 0.5 above the limit: an interval of one spread is enough, however low the truth; as a detected
    # value at the limit it would be the same, but with the mean below the limit it would not
    above = fitted([-0.5, 1, 1], "abc", below=[True, False, False], spread=[0.5, 1, 1])
    within = fitted([0.5, 1, 1], "abc", below=[True, False, False], spread=[0.5, 1, 1])
    assert above.score.tolist() == [1, 1, 1]
    assert within.score.tolist() == [0, 1, 1]
    assert (above.n_below_detection, above.n_dates) == (1, 3)
    # a quarter lies at the mean itself, on both sides of nothing
    assert within.cdf(0.0) == pytest.approx(0.625)
    assert within.cdf(-1e-12) == pytest.approx(0.375)
    assert within.radius(0.25) == 0


def test_every_date_counts_the_same():
    many = fitted([1.0] * 50 + [2.0, 3.0], ["a"] * 50 + ["b", "c"])
    few = fitted([1.0, 2.0, 3.0], "abc")
    at = np.linspace(-5, 5, 41)
    assert many.cdf(at) == pytest.approx(few.cdf(at))
    assert [many.radius(level) for level in (0.3, 0.6, 0.95)] == pytest.approx(
        [few.radius(level) for level in (0.3, 0.6, 0.95)]
    )


RESIDUALS = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=3, max_size=12)


@pytest.mark.slow
@given(RESIDUALS, st.floats(0.02, 0.98), st.floats(0.05, 2.0))
def test_quantiles_and_probabilities_agree(residuals, q, spread):
    known = fitted(residuals, np.arange(len(residuals)) % 3, below=np.arange(len(residuals)) % 4 == 3)
    value = known.quantile(np.array([0.3]), np.array([spread]), q)
    # no more than q lies below the quantile, no less at or below it
    z = (value - 0.3) / spread
    assert known.cdf(z - 1e-9) <= q + 1e-6
    assert known.cdf(z + 1e-9) >= q - 1e-6


@pytest.mark.slow
@given(RESIDUALS)
def test_probabilities_are_monotone(residuals):
    known = fitted(residuals, np.arange(len(residuals)) % 3)
    thresholds = np.logspace(-3, 3, 61)
    p = np.array([known.exceedance(np.array([0.1]), np.array([0.4]), one)[0] for one in thresholds])
    assert (np.diff(p) <= 1e-12).all()
    assert ((p >= 0) & (p <= 1)).all()
    levels = [known.radius(level) for level in np.linspace(0.05, 0.95, 19)]
    assert (np.diff(levels) >= -1e-9).all()


def test_written_and_read_back(three):
    again = Calibration.from_dict(json.loads(json.dumps(three.to_dict())))
    assert again.to_dict() == three.to_dict()
    at = np.linspace(-6, 6, 25)
    assert (again.cdf(at) == three.cdf(at)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": None}, "damaged"),
        ({"weight": [0.5]}, r"wanted a weight for each of 4 scores, 0.7500 in sum; found 1, 0.5000"),
        ({"n_dates": 7}, r"0.8750 in sum"),
    ],
)
def test_a_damaged_calibration_is_refused(three, change, message):
    with pytest.raises(CalibrationError, match=message):
        Calibration.from_dict(three.to_dict() | change)
    with pytest.raises(CalibrationError, match="KeyError"):
        Calibration.from_dict({})


@pytest.mark.parametrize(
    ("residual", "spread", "dates", "message"),
    [
        ([1, 2, 3], [1, 1, 1], "aab", "wanted rows of 3 dates or more, found 2"),
        (
            [1, np.nan, 3],
            [1, 1, 1],
            "abc",
            r"1 of 3 rows are of no use, the first is row 1 \(b\): residual nan",
        ),
        ([1, 2, 3], [1, 1, 0], "abc", r"row 2 \(c\): residual 3, spread 0"),
        ([1, 2, 3], [1, 1], "abc", r"found shapes \(3,\), \(2,\)"),
    ],
)
def test_what_can_not_be_calibrated_on(residual, spread, dates, message):
    with pytest.raises(CalibrationError, match=message):
        fitted(residual, list(dates), spread=spread)


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, np.nan])
def test_levels_lie_between_zero_and_one(three, wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        three.quantile(np.zeros(1), np.ones(1), wrong)
    with pytest.raises(ValueError, match="between 0 and 1"):
        three.interval(np.zeros(1), np.ones(1), wrong)


def coverage(n_dates, correlation, *, repeats, seed=0):
    """Share of rows of dates never seen that intervals cover, by the protocol's rule, and of the truth.

    Dates are exchangeable and of unequal size; errors of a date belong together, have heavy tails and are
    larger than the model says; a quarter of the rows is below detection.
    """
    rng = np.random.default_rng(seed)
    covered = {0.5: [], 0.9: []}
    for _ in range(repeats):
        size = rng.integers(2, 10, n_dates + 10)
        date = np.repeat(np.arange(size.size), size)
        shared = rng.normal(size=size.size)[date]
        own = rng.standard_t(4, size=date.size) / 2**0.5
        mean = rng.normal(0, 0.7, date.size)
        spread = rng.uniform(0.2, 0.5, date.size)
        truth = mean + 1.4 * spread * (correlation**0.5 * shared + (1 - correlation) ** 0.5 * own)
        below = truth < -0.6
        residual = np.maximum(truth, -0.6) - mean
        seen, new = date < n_dates, date >= n_dates
        known = Calibration.fit(residual[seen], spread[seen], below[seen], date[seen])
        for level, found in covered.items():
            low, high = known.interval(mean[new], spread[new], level)
            inside = np.where(below[new], low <= -0.6, (low <= truth[new]) & (truth[new] <= high))
            # a new date counts as one, as those calibrated on do
            found.append(np.mean([inside[date[new] == one].mean() for one in np.unique(date[new])]))
    return {level: float(np.mean(found)) for level, found in covered.items()}


def test_coverage_of_new_dates_fast():
    found = coverage(18, 0.4, repeats=60)
    assert found[0.9] == pytest.approx(0.9, abs=0.03)
    assert found[0.5] == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("n_dates", [5, 10, 18, 60])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_coverage_of_new_dates(n_dates, correlation):
    found = coverage(n_dates, correlation, repeats=500)
    for level, share in found.items():
        assert share >= level - 1 / (n_dates + 1)  # what is guaranteed
        assert share == pytest.approx(level, abs=0.01 + 0.5 / (n_dates + 1))  # what comes out
