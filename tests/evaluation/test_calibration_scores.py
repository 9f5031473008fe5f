"""Coverage, interval score, CRPS and skill: by hand, and against textbook formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from spectm.errors import ScoreError
from spectm.evaluation.calibration_scores import (
    binomial_interval,
    brier_skill,
    calibration_table,
    censored_crps,
    coverage,
    covered,
    interval_score,
    interval_width,
    reliability,
    subsets,
)
from spectm.evaluation.scores import Observations, Prediction


def seen(log10, below=None, dates=None):
    log10 = np.asarray(log10, float)
    below = np.zeros(log10.size, bool) if below is None else np.asarray(below)
    dates = [f"2024-07-{day:02d}" for day in range(1, log10.size + 1)] if dates is None else dates
    return Observations(log10, below, np.array(dates))


def normal(mean, spread):
    mean = np.asarray(mean, float)
    return Prediction(mean, np.broadcast_to(np.asarray(spread, float), mean.shape))


def ends(*pairs):
    low, high = np.array(pairs, float).T
    return low, high


class Certain:
    """All probability on one value."""

    def __init__(self, log10):
        self.log10 = np.asarray(log10, float)

    def exceedance(self, threshold):
        return (self.log10 > np.log10(threshold)).astype(float)


def test_what_covers():
    # inside, on the lower end, above, below; then below detection (limit -1): lower end under, at, above it
    observed = seen([0, 0, 0, 0, -1, -1, -1], below=[False] * 4 + [True] * 3)
    low, high = ends((-0.5, 0.5), (0, 1), (-1, -0.1), (0.1, 1), (-1.4, -1.2), (-1, 0), (-0.9, 0))
    assert covered(observed, low, high).tolist() == [True, True, False, False, True, True, False]


def test_a_detected_value_at_the_limit_is_covered_by_an_interval_below_it():
    observed = seen([-1.0])
    assert covered(observed, *ends((-1.6, -1.2))).all()


def test_width_counts_from_the_limit():
    assert interval_width(*ends((0, 1.5), (-2, 0.5), (-3, -2))) == pytest.approx([1.5, 1.5, 0.0])


def test_interval_score_by_hand():
    # level 0.9: 20 times the distance outside. Covered; 0.1 above; 0.2 below; then below detection
    observed = seen([0.2, 0.6, -0.2, -1.0, -1.0], below=[False] * 3 + [True] * 2)
    low, high = ends((0, 0.5), (0, 0.5), (0, 0.5), (-2, -1.5), (-0.7, 0.3))
    found = interval_score(observed, low, high, 0.9)
    assert found == pytest.approx([0.5, 0.5 + 2, 0.5 + 4, 0, 1 + 6])
    assert interval_score(observed, low, high, 0.5)[1] == pytest.approx(0.5 + 4 * 0.1)


def test_the_true_quantiles_have_the_best_interval_score():
    """The score is proper: wider, narrower and shifted intervals are worse on average."""
    truth = np.random.default_rng(0).normal(0.5, 0.3, 40_000)
    observed = seen(truth, dates=["2024-07-01"] * truth.size)
    right = norm.ppf([0.05, 0.95], 0.5, 0.3)

    def mean(low, high):
        return interval_score(observed, np.full(truth.size, low), np.full(truth.size, high), 0.9).mean()

    best = mean(*right)
    for shift in ((-0.1, 0.1), (0.1, -0.1), (0.1, 0.1), (-0.1, -0.1)):
        assert mean(right[0] + shift[0], right[1] + shift[1]) > best


@pytest.mark.slow
@settings(max_examples=20)
@given(st.floats(-0.4, 1.5), st.floats(0.05, 0.2), st.floats(-0.4, 1.5))
def test_crps_of_a_normal(mean, spread, truth):
    """Far above the limit it is the textbook formula (Gneiting and Raftery 2007, equation 21, negated)."""
    z = (truth - mean) / spread
    wanted = spread * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)
    assert censored_crps(seen([truth]), normal([mean], spread))[0] == pytest.approx(wanted, abs=2e-3)


def test_crps_of_a_certain_prediction_is_the_distance():
    found = censored_crps(seen([0.5, 0.5, -1.0], below=[False, False, True]), Certain([0.9, -0.3, 0.2]))
    assert found == pytest.approx([0.4, 0.8, 1.2], abs=0.01)


def test_crps_does_not_look_below_the_limit():
    # both say "certainly below 0.1 ug/L"; how far below makes no difference
    found = censored_crps(seen([-1.0, -1.0], below=[True, True]), Certain([-1.5, -3.0]))
    assert found.tolist() == [0, 0]
    assert censored_crps(seen([0.0]), Certain([-1.5]))[0] == pytest.approx(1.0, abs=0.01)


def test_coverage_is_a_share_with_an_interval_over_dates():
    hit = np.array([True, True, True, False])
    one_date_each = coverage(seen(np.zeros(4)), hit, np.ones(4, bool))
    assert one_date_each.value == 0.75
    assert one_date_each.low < 0.5
    assert one_date_each.high == 1
    one_date = coverage(seen(np.zeros(4), dates=["a"] * 4), hit, np.ones(4, bool))
    assert (one_date.low, one_date.high) == (0.75, 0.75)
    part = coverage(seen(np.zeros(4)), hit, np.array([False, False, True, True]))
    assert part.value == 0.5
    assert np.isnan(coverage(seen(np.zeros(4)), hit, np.zeros(4, bool)).value)


def test_brier_skill_by_hand():
    # at 1 ug/L: events 1, 0. Model says 1 and 0.5 (Brier 0.125), reference 0.5 twice (0.25)
    observed = seen([0.0, -0.5])
    model, reference = normal([9.0, 0.0], 0.3), normal([0.0, 0.0], 0.3)
    assert brier_skill(observed, model, reference, 1.0).value == pytest.approx(0.5)


def test_exact_interval_of_a_share():
    """Values of published tables of Clopper and Pearson; and where nothing or all is flagged, by hand."""
    for share, n, low, high in (
        (0.1, 10, 0.0025, 0.4450),
        (0.5, 10, 0.1871, 0.8129),
        (0.06, 50, 0.0125, 0.1655),
    ):
        found = binomial_interval(share, n)
        assert (found.value, found.low, found.high) == pytest.approx((share, low, high), abs=1e-4)
    assert binomial_interval(0.0, 45).low == 0.0
    assert binomial_interval(0.0, 45).high == pytest.approx(1 - 0.025 ** (1 / 45))
    assert binomial_interval(1.0, 45).low == pytest.approx(0.025 ** (1 / 45))
    assert binomial_interval(1.0, 45).high == 1.0
    between = binomial_interval(0.065, 45)  # in part flagged: 2.9 of 45
    assert binomial_interval(2 / 45, 45).low < between.low < binomial_interval(3 / 45, 45).low


def test_reliability_by_hand():
    # probabilities 0.1, 0.1, 0.9; one of the first two came true
    mean = norm.ppf([0.1, 0.1, 0.9])
    found = reliability(seen([1.0, -0.5, 1.0]), normal(mean, 1.0), 1.0, n_bins=5)
    assert found["n"].tolist() == [2, 1]
    assert found["probability"].tolist() == pytest.approx([0.1, 0.9])
    assert found["frequency"].tolist() == [0.5, 1.0]
    assert (reliability(seen([1.0]), Certain([5.0]), 1.0)["probability"] == 1).all()


def test_rows_to_look_at():
    observed = seen(
        np.log10([0.1, 0.1, 0.3, 0.99, 20.0]),
        below=[True, False, False, False, False],
        dates=["2024-06-03", "2024-06-03", "2024-07-01", "2024-07-01", "2024-07-08"],
    )
    stations = np.array(["WE2", "WE4", "WE2", "WE4", "WE2"])
    found = {name: np.flatnonzero(rows).tolist() for name, rows in subsets(observed, stations).items()}
    assert found == {
        "all": [0, 1, 2, 3, 4],
        "detected": [1, 2, 3, 4],
        "below detection": [0],
        "month 06": [0, 1],
        "month 07": [2, 3, 4],
        "station WE2": [0, 2, 4],
        "station WE4": [1, 3],
        "0.1-0.3 ug/L": [1],
        "0.3-1 ug/L": [2, 3],
        "from 8 ug/L": [4],
    }


def test_table():
    observed = seen([0.0, 1.0, -1.0], below=[False, False, True])
    intervals = {0.9: ends((-0.5, 0.5), (0.0, 0.5), (-2.0, 0.0))}
    keys = {"task": "current", "split": "leave-date-out", "model": "m", "context": "season"}
    table = calibration_table(observed, intervals, **keys)
    assert list(table.columns[:9]) == [*keys, "rows", "level", "coverage", "coverage_low", "coverage_high"]
    assert list(table.columns[9:]) == ["width", "interval_score", "n"]
    assert table["rows"].tolist() == ["all", "all by dates", "detected", "detected by dates"]
    counted = table[table["rows"].isin(["all", "detected"])]
    assert counted["coverage"].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert counted["width"].tolist() == pytest.approx([(1 + 0.5 + 1) / 3, 0.75])
    assert counted["interval_score"].tolist() == pytest.approx([(1 + 0.5 + 10 + 1) / 3, (1 + 10.5) / 2])
    more = calibration_table(observed, intervals, np.array(["A", "A", "B"]), **keys)
    assert more.set_index("rows").loc["station B", "coverage"] == 1
    assert more.set_index("rows").loc["below detection", "n"] == 1


def test_each_date_can_count_the_same():
    """Three rows of one date, all covered; one of another, missed; two of a third, one missed."""
    observed = seen(
        [0.0, 0.0, 0.0, 5.0, 0.0, 5.0],
        dates=["2024-07-01"] * 3 + ["2024-07-08"] + ["2024-07-15"] * 2,
    )
    table = calibration_table(observed, {0.9: ends(*[(-1.0, 1.0)] * 6)}).set_index("rows")
    assert table.loc["all", "coverage"] == pytest.approx(4 / 6)
    by_dates = table.loc["all by dates"]
    assert by_dates["coverage"] == pytest.approx((1 + 0 + 1 / 2) / 3)
    assert by_dates["width"] == pytest.approx(2)
    assert by_dates["interval_score"] == pytest.approx(2 + (0 + 80 + 40) / 3)  # 2 / 0.1 for each of 4 beyond
    # A draw of one date three times is a mean of that date: the ends are those of the best and the worst.
    assert (by_dates["coverage_low"], by_dates["coverage_high"]) == pytest.approx((0, 1))


def test_nothing_detected_is_shown_as_nothing():
    table = calibration_table(seen([-1.0], below=[True]), {0.5: ends((-2, 0))})
    assert np.isnan(table.set_index("rows").loc["detected", "coverage"])


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (
            [0.0, 0.0],
            [1.0],
            r"90% intervals: wanted two ends for each of 2 rows, found shapes \(2,\) and \(1,\)",
        ),
        ([0.0, 2.0], [1.0, 1.0], r"1 of 2 rows have none, the first is row 1 \(2024-07-02\): 2.0 to 1.0"),
        ([np.nan, 0.0], [1.0, 1.0], r"the first is row 0"),
    ],
)
def test_what_is_no_interval(low, high, message):
    with pytest.raises(ScoreError, match=message):
        calibration_table(seen([0.0, 0.0]), {0.9: (np.array(low), np.array(high))})
