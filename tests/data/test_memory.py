"""How long departures last: by hand, on a made-up record, and on the real one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.data.labels import read_labels, surface_samples
from spectm.data.memory import Memory, departures
from spectm.errors import LabelError


def weekly(years: dict[int, list[float]], station: str = "A") -> pd.DataFrame:
    """A surface table of weekly samples from 1 July on, log10 given."""
    rows = [
        (station, str(np.datetime64(f"{year}-07-01") + 7 * week), 10.0**value)
        for year, values in years.items()
        for week, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["station", "date", "microcystin"])


def test_a_share_is_left() -> None:
    memory = Memory(days=10.0, spread=0.5)
    assert memory.left(0.0) == pytest.approx(1)
    assert memory.left([10.0, 20.0]) == pytest.approx([0.367879, 0.135335], abs=1e-6)


def test_departures_are_from_the_other_years() -> None:
    table = weekly({2020: [1.0, 1.0], 2021: [0.0, 0.0]})
    assert departures(table, quantity="microcystin") == pytest.approx([1, 1, -1, -1])


def test_a_single_year_departs_from_itself() -> None:
    assert departures(weekly({2020: [0.5, 0.5, 0.5]}), quantity="microcystin") == pytest.approx([0, 0, 0])


@pytest.mark.slow
def test_memory_finds_the_fading_it_was_made_with() -> None:
    """Departures that lose a share every week, the rest being chance: an autoregressive series."""
    rng = np.random.default_rng(0)
    left = 0.6
    years = {}
    for year in range(1960, 2000):
        values = [rng.normal(0, 0.3)]
        for _ in range(14):
            values.append(left * values[-1] + rng.normal(0, 0.3 * np.sqrt(1 - left**2)))
        years[year] = values
    memory = Memory.fit(weekly(years), last_year=1999)
    assert memory.days == pytest.approx(-7 / np.log(left), rel=0.15)  # 13.7
    assert memory.spread == pytest.approx(0.3, rel=0.1)


def test_later_years_are_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    early = {year: (rng.normal(0, 0.3) + rng.normal(0, 0.2, 10)).tolist() for year in range(2015, 2022)}
    late = {2022: [0.8] * 10}
    alone = Memory.fit(weekly(early), last_year=2021)
    assert Memory.fit(weekly(early | late), last_year=2021) == alone
    assert Memory.fit(weekly(early | late), last_year=2022) != alone


def test_too_few_pairs_is_an_error() -> None:
    with pytest.raises(LabelError, match=r"wanted 20 pairs .* found 2\."):
        Memory.fit(weekly({2020: [0.0, 0.5, 0.2]}), last_year=2022)


def test_a_departure_that_swings_back_is_soon_forgotten() -> None:
    swinging = {year: [1.0, -0.9] * 6 for year in (2019, 2020)}
    swinging[2021] = [-0.9, 1.0] * 6
    memory = Memory.fit(weekly(swinging), last_year=2022)
    assert memory.days == pytest.approx(-7 / np.log(0.01))  # a day and a half
    assert memory.left(8.0) < 0.01


@pytest.mark.slow
def test_real_record(lake_erie: Path) -> None:
    """The protocol carries 0.485 of a departure eight days on, learned from the same years."""
    memory = Memory.fit(surface_samples(read_labels(lake_erie / "glerl")), last_year=2022)
    assert memory.left(8.0) == pytest.approx(0.485, abs=0.02)
