import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectm.training.ridge import PENALTIES, GroupedRidge, Standardiser


def columns_and_target(n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    columns = rng.normal(3, np.geomspace(0.1, 50, 20), (n, 20))
    y = columns[:, 10] - 0.1 * columns[:, 19] + rng.normal(0, 0.5, n) + 4
    return columns, y, np.repeat(np.arange(n // 4), 4)


def test_a_column_that_never_varies_becomes_zero() -> None:
    columns, *_ = columns_and_target()
    columns[:, 3] = 7.0
    scaler = Standardiser().fit(columns)
    found = scaler.scaled(columns)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.delete(found.var(axis=0), 3), 1)
    assert (found[:, 3] == 0).all()
    assert (scaler.scaled(columns + 5)[:, 3] == 0).all()  # nor says anything when it does


def test_predictions_against_scikit_learn() -> None:
    columns, y, groups = columns_and_target()
    fit = GroupedRidge().fit(columns, y, groups)
    assert fit.penalty_ in PENALTIES
    scaled = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    wanted = Ridge(alpha=fit.penalty_, solver="svd").fit(scaled, y)
    np.testing.assert_allclose(fit.coefficients_, wanted.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.predict(columns), wanted.predict(scaled))


@pytest.mark.parametrize("penalty", [0.01, 7.0, 1e5])
def test_a_fixed_penalty_against_scikit_learn(monkeypatch: pytest.MonkeyPatch, penalty: float) -> None:
    """New rows too, which are standardised as the training rows are."""
    monkeypatch.setattr("spectm.training.ridge.PENALTIES", np.array([penalty]))
    columns, y, groups = columns_and_target()
    fit = GroupedRidge().fit(columns[:40], y[:40], groups[:40])
    wanted = make_pipeline(StandardScaler(), Ridge(penalty, solver="svd")).fit(columns[:40], y[:40])
    np.testing.assert_allclose(fit.predict(columns[40:]), wanted.predict(columns[40:]))


def test_the_penalty_follows_the_noise() -> None:
    columns, y, groups = columns_and_target()
    fit = GroupedRidge().fit(columns, y, groups)
    assert np.corrcoef(fit.predict(columns), y)[0, 1] > 0.98
    noise = np.random.default_rng(1).normal(size=60)
    assert GroupedRidge().fit(columns, noise, groups).penalty_ > 10 * fit.penalty_


def test_rows_of_one_group_do_not_vouch_for_each_other() -> None:
    """Columns that only say which group a row is of are worth nothing in a new group."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(12), 5)
    name = np.eye(12)[groups] + rng.normal(0, 0.01, (60, 12))
    y = rng.normal(size=12)[groups]
    assert GroupedRidge().fit(name, y, groups).penalty_ > 1000
    assert GroupedRidge().fit(name, y, np.arange(60)).penalty_ < 10


def test_a_single_group_leaves_the_mean() -> None:
    columns, y, groups = columns_and_target()
    fit = GroupedRidge().fit(columns, y, np.zeros_like(groups))
    assert fit.predict(columns) == pytest.approx(y.mean())
