"""Tuning a trained blend: added regressions against sums done apart, and what few samples may do."""

import numpy as np
import pytest

from spectm.errors import TrainingError
from spectm.training.blend import Blend
from spectm.training.ridge import GroupedRidge
from spectm.training.tuned import best_share, tuned_blend

N = 60


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def world(rng: np.random.Generator, n: int, offset: float, slope: float):
    """Two views of one hidden number; the target is that number, moved and stretched."""
    hidden = rng.normal(size=n)
    views = {
        "bands": hidden[:, None] + 0.1 * rng.normal(size=(n, 4)),
        "indices": hidden[:, None] + 0.1 * rng.normal(size=(n, 3)),
    }
    y = 0.5 + offset + slope * hidden
    dates = np.array([f"2024-06-{1 + i // 5:02d}" for i in range(n)])
    return views, y, 0.1 * rng.normal(size=n), dates


@pytest.fixture
def start(rng) -> Blend:
    return Blend(("bands", "indices"), seasonal=True).fit(*world(rng, N, 0.0, 0.4))


def test_the_sum_is_one_blend(start: Blend, rng) -> None:
    """What the tuned blend says is what the start says and a share of two regressions, computed apart."""
    views, y, usual, dates = world(rng, N, 0.6, 0.8)
    tuned, share = tuned_blend(start, views, y, usual, dates)
    members = [member.predict(views[member.view], usual) for member in start.members_]
    base = np.mean(members, axis=0)
    low, high = start.members_[2].low_, start.members_[2].high_
    assert start.members_[2].view == "indices"
    columns = {"bands": views["bands"], "indices": np.clip(views["indices"], low, high)}
    ridges = {name: GroupedRidge().fit(columns[name], y - base, dates) for name in columns}
    new, *_ = world(np.random.default_rng(7), 20, 0.6, 0.8)
    day = np.linspace(-0.2, 0.2, 20)
    seen = {"bands": new["bands"], "indices": np.clip(new["indices"], low, high)}
    before = np.mean([member.predict(new[member.view], day) for member in start.members_], axis=0)
    change = np.mean([ridges[name].predict(seen[name]) for name in ridges], axis=0)
    wanted = np.maximum(before + share * change, -1.0)
    np.testing.assert_allclose(tuned.predict(new, day), wanted, atol=1e-9)
    assert 0.9 < share <= 1
    assert [member.departs for member in tuned.members_] == [member.departs for member in start.members_]


def test_a_lake_that_differs_is_learned(start: Blend, rng) -> None:
    views, y, usual, dates = world(rng, N, 0.6, 0.8)
    tuned, _ = tuned_blend(start, views, y, usual, dates)
    others, truth, day, _ = world(np.random.default_rng(5), 40, 0.6, 0.8)
    error = [np.abs(np.maximum(truth, -1) - blend.predict(others, day)).mean() for blend in (start, tuned)]
    assert error[1] < 0.15 < 0.4 < error[0]
    assert tuned.spread_ == pytest.approx(np.sqrt(((tuned.predict(views, usual) - y) ** 2).mean()), rel=0.5)


def test_noise_teaches_little(start: Blend, rng) -> None:
    """Residuals without any pattern: nearly all of the start stays."""
    views, _, usual, dates = world(rng, N, 0.0, 0.4)
    said = start.predict(views, usual)
    by_date = {date: rng.normal(0, 0.4) for date in np.unique(dates)}
    y = said + np.array([by_date[date] for date in dates])
    tuned, _ = tuned_blend(start, views, y, usual, dates)
    moved = tuned.predict(views, usual) - said
    assert np.abs(moved).mean() < 0.4 / np.sqrt(12) + 0.05  # the error of a mean over twelve dates
    assert moved.std() < 0.1


def test_one_date_changes_nothing(start: Blend, rng) -> None:
    views, y, usual, _ = world(rng, 8, 2.0, 0.4)
    tuned, share = tuned_blend(start, views, y, usual, np.full(8, "2024-06-01"))
    assert share == 0.0
    np.testing.assert_allclose(tuned.predict(views, usual), start.predict(views, usual), atol=1e-12)


def test_rows_must_have_spectra_and_labels(start: Blend, rng) -> None:
    views, y, usual, dates = world(rng, 10, 0.0, 0.4)
    views["bands"][3] = np.nan
    with pytest.raises(TrainingError, match="found 10 rows, 1 of their views empty"):
        tuned_blend(start, views, y, usual, dates)


@pytest.mark.parametrize(
    ("wanted", "change", "share"),
    [([2.0, 2.0], [1.0, 1.0], 1.0), ([0.5, 0.0], [1.0, 0.0], 0.5), ([1.0, 1.0], [0.0, 0.0], 0.0)],
)
def test_best_share_stays_between_nothing_and_all(wanted, change, share) -> None:
    assert best_share(np.array(wanted), np.array(change)) == share
