"""Departures averaged and carried on: by hand."""

import numpy as np
import pytest

from spectm.data.memory import Memory
from spectm.training.history import Departures, carried

NOW = np.datetime64("2024-08-12T18:00", "ns")
DAY = np.timedelta64(24, "h")
MEMORY = Memory(days=10.0, spread=0.5)


def known(*of: tuple[str, float, float]) -> Departures:
    """Of (station, days before now, departure)."""
    return Departures(
        value=np.array([value for _, _, value in of]),
        place=np.array([station for station, _, _ in of]),
        time=np.array([NOW - np.timedelta64(round(days * 24), "h") for _, days, _ in of]),
    )


def at(departures: Departures, lead: float = 0.0, **more) -> tuple[float, float]:
    departure, left = carried(departures, np.array(["A"]), np.array([NOW]), np.array([lead]), MEMORY, **more)
    return float(departure[0]), float(left[0])


def test_what_is_seen_now_is_what_departs_now() -> None:
    assert at(known(("A", 0, 0.4))) == pytest.approx((0.4, 1.0))


def test_ten_days_on_a_third_is_left() -> None:
    assert at(known(("A", 0, 0.4)), lead=10.0) == pytest.approx((0.4 * 0.367879, 0.367879), abs=1e-6)


def test_a_sample_before_the_overpass_is_no_forecast() -> None:
    assert at(known(("A", 0, 0.4)), lead=-2.0) == pytest.approx((0.4, 1.0))


def test_newer_ones_weigh_more() -> None:
    # weights 1 and e^-0.5 = 0.606531
    assert at(known(("A", 0, 0.0), ("A", 5, 1.0)))[0] == pytest.approx(0.606531 / 1.606531, abs=1e-6)


def test_other_places_later_and_old_ones_are_not_looked_at() -> None:
    others = [("B", 0, 9.0), ("A", -1, 9.0), ("A", 10.5, 9.0)]
    assert at(known(("A", 0, 0.4), *others))[0] == pytest.approx(0.4)


def test_what_is_missing_does_not_matter() -> None:
    assert at(known(("A", 0, np.nan), ("A", 3, 0.2)))[0] == pytest.approx(0.2)
    assert np.isnan(at(known(("B", 0, 0.2)))[0])


def test_a_row_may_bring_one_of_its_own() -> None:
    both, _ = carried(
        known(("A", 0, 0.0)),
        np.array(["A", "A"]),
        np.array([NOW, NOW]),
        np.zeros(2),
        MEMORY,
        own=np.array([1.0, np.nan]),
        own_age_days=np.array([5.0, np.nan]),
    )
    assert both == pytest.approx([0.606531 / 1.606531, 0.0], abs=1e-6)
