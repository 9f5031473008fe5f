"""Shares and chances by hand."""

import numpy as np
import pytest

from spectm.trust.agreement import p_value, pooled_p_value, window_agreement, window_effect


def test_agreement_by_hand() -> None:
    """Two bands of the window cancel in the first spectrum; in the second they add 3, the others -1."""
    bands = np.array([[1.0, -1.0, 0.0, 2.0], [2.0, 1.0, 1.0, -2.0], [np.nan] * 4])
    window = np.array([True, True, False, False])
    assert window_effect(bands, window) == pytest.approx((0 + 3) / 2)
    assert window_agreement(bands, window) == pytest.approx(1.5 / (1.5 + (2 + 1) / 2))
    assert window_agreement(bands, ~window) == 1 - window_agreement(bands, window)
    assert window_agreement(bands, np.ones(4, dtype=bool)) == 1
    assert np.isnan(window_agreement(0 * bands, window))
    stacked = window_agreement(np.stack([bands, -2 * bands]), window)
    assert stacked.tolist() == [0.5, 0.5]


def test_a_pooled_p_value_is_that_of_the_mean() -> None:
    """Ten models half a standard deviation above their null each: their mean is 1.6 deviations above."""
    rng = np.random.default_rng(0)
    null = [rng.normal(size=500) for _ in range(10)]
    found = pooled_p_value([0.5] * 10, null, rng)
    assert found == pytest.approx(0.057, abs=0.02)  # 1 - Phi(0.5 sqrt(10))


def test_p_values_count_the_observed_one() -> None:
    assert p_value(2.0, np.arange(19) / 19) == 0.05
    assert p_value(-1.0, np.arange(19) / 19) == 1.0
