"""What may be claimed: answers that are known without the code."""

import numpy as np
import pytest
from scipy.stats import norm

from spectm.evaluation.claims import DETECTABLE, claims, mean_over_seeds, score_draws, standard_error
from spectm.evaluation.scores import Observations, draw_weights, floored, mae, r2

N_DRAWS = 2000


def draws(value: float, noise: np.ndarray) -> np.ndarray:
    """A difference and its bootstrap draws around it."""
    return np.concatenate([[value], value + noise])


def normal(seed: int, spread: float) -> np.ndarray:
    """Normal deviations with this very standard deviation and without a mean."""
    noise = np.random.default_rng(seed).normal(size=N_DRAWS)
    return spread * (noise - noise.mean()) / noise.std(ddof=1)


@pytest.fixture
def observed() -> Observations:
    values = np.array([-1.0, 0.0, 1.0, 0.5, -0.5, 0.2])
    return Observations(values, np.zeros(6, dtype=bool), np.array(["a", "a", "b", "b", "c", "c"]))


def test_scores_of_each_are_those_of_the_protocol(observed: Observations) -> None:
    one, two = observed.log10 + 0.3, np.array([0.0, 0.1, 0.4, 0.4, -3.0, 0.1])
    found = score_draws(observed, np.stack([one, two]))
    assert found.shape == (2, 1 + N_DRAWS)
    # By hand: residuals of 0.3 each; a prediction of -3 counts as -1.
    total = ((observed.log10 - observed.log10.mean()) ** 2).sum()
    assert found[0, 0] == pytest.approx(1 - 6 * 0.09 / total)
    assert found[1, 0] == pytest.approx(1 - (1 + 0.01 + 0.36 + 0.01 + 0.25 + 0.01) / total)
    # The same draws of dates for both, so that their differences are paired.
    weights = draw_weights(observed.dates)
    for scored, mean in zip(found, (one, two), strict=True):
        np.testing.assert_array_equal(scored, r2(observed.log10, floored(mean), weights))
    assert score_draws(observed, one[None], score=mae)[0] == pytest.approx(0.3)


def test_equal_models_do_not_differ_in_any_draw(observed: Observations) -> None:
    same = score_draws(observed, np.stack([observed.log10 + 0.2] * 2))
    (claim,) = claims([same[0] - same[1]])
    assert (claim.value, claim.low, claim.high, claim.corrected_low) == (0, 0, 0, 0)
    assert np.isnan([claim.p, claim.detectable]).all()


def test_one_claim_alone_is_as_a_normal_distribution_has_it() -> None:
    (claim,) = claims([draws(0.3, normal(0, 0.1))])
    assert (claim.low, claim.high) == pytest.approx((0.3 - 0.196, 0.3 + 0.196), abs=0.015)
    assert (claim.corrected_low, claim.corrected_high) == pytest.approx((0.104, 0.496), abs=0.01)
    assert claim.p == pytest.approx(2 * norm.sf(3), abs=0.002)
    assert claim.detectable == pytest.approx(DETECTABLE * 0.1)
    power = norm.sf(1.96 - DETECTABLE)
    assert power == pytest.approx(0.8, abs=0.002)


def test_ten_independent_claims_cost_what_sidak_says() -> None:
    found = claims([draws(0.0, normal(seed, 0.1 + seed)) for seed in range(10)])
    reach = norm.isf((1 - 0.95**0.1) / 2)  # 2.80 instead of 1.96
    for seed, claim in enumerate(found):
        assert claim.corrected_high == pytest.approx(reach * (0.1 + seed), rel=0.05)
        assert claim.p == 1
    (beyond, *_) = claims([draws(0.25, normal(0, 0.1)), *(draws(0.0, normal(s, 1.0)) for s in range(1, 10))])
    assert beyond.low > 0 > beyond.corrected_low
    assert beyond.p == pytest.approx(1 - (1 - 2 * norm.sf(2.5)) ** 10, abs=0.03)


def test_ten_times_the_same_claim_costs_nothing() -> None:
    alone = claims([draws(0.2, normal(0, 0.1))])
    assert claims([draws(0.2, normal(0, 0.1))] * 10) == alone * 10


def test_a_difference_that_does_not_vary_changes_nothing() -> None:
    alone = claims([draws(0.2, normal(0, 0.1))])
    with_constant = claims([draws(0.2, normal(0, 0.1)), np.zeros(1 + N_DRAWS)])
    assert with_constant[:1] == alone


def test_undefined_draws_are_left_out() -> None:
    noise = normal(0, 0.1)
    gappy = draws(0.2, np.where(np.arange(N_DRAWS) < 3, np.nan, noise))
    (claim,) = claims([gappy])
    (whole,) = claims([draws(0.2, noise)])
    assert claim.detectable == pytest.approx(whole.detectable, rel=0.01)
    assert claim.corrected_low == pytest.approx(whole.corrected_low, rel=0.05)
    assert np.isnan(standard_error(np.full(5, np.nan)))


def test_one_seed_is_taken_as_it_is() -> None:
    only = draws(0.2, normal(0, 0.1))
    np.testing.assert_array_equal(mean_over_seeds(only[None]), only)


def test_seeds_are_drawn_with_the_dates() -> None:
    """Seeds that differ and dates that do not: the error of a mean of four, n in the denominator."""
    values = np.array([0.1, 0.2, 0.3, 0.8])
    pooled = mean_over_seeds(np.repeat(values[:, None], 1 + N_DRAWS, axis=1))
    assert pooled[0] == pytest.approx(0.35)
    assert standard_error(pooled) == pytest.approx(values.std() / 2, rel=0.05)
    assert set(np.unique(pooled[1:]).round(6)) <= {
        round(sum(four) / 4, 6) for four in np.array(np.meshgrid(*[values] * 4)).reshape(4, -1).T
    }


def test_dates_vary_beside_seeds() -> None:
    """Both sources add: 0.1 of dates that all seeds share, and a spread of seeds."""
    shared = normal(0, 0.1)
    values = np.array([-0.3, -0.1, 0.1, 0.3])
    pooled = mean_over_seeds(np.stack([draws(value, shared) for value in values]))
    assert standard_error(pooled) == pytest.approx(np.hypot(0.1, values.std() / 2), rel=0.06)


def test_pairs_of_seeds_stay_together() -> None:
    """Two models that differ by 0.05 with every seed, however much the seeds differ: nothing varies."""
    one = np.repeat(np.array([0.1, 0.5, 0.9])[:, None], 1 + N_DRAWS, axis=1)
    two = one - 0.05
    paired = mean_over_seeds(one) - mean_over_seeds(two)
    np.testing.assert_allclose(paired, 0.05)
    np.testing.assert_allclose(mean_over_seeds(one - two), paired)


def test_r2_of_no_variation_claims_nothing() -> None:
    same = Observations(np.zeros(4), np.zeros(4, dtype=bool), np.array(["a", "a", "b", "b"]))
    found = score_draws(same, np.zeros((2, 4)), score=r2)
    (claim,) = claims([found[0] - found[1]])
    assert np.isnan(list(claim.columns.values())).all()
