"""Season, climatology and the last laboratory value: the protocol's rules, by hand and on the real record."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectm.data.context import (
    CONTEXTS,
    Climatology,
    context_columns,
    context_features,
    day_of_year,
    last_values,
    log10_censored,
)
from spectm.data.labels import read_labels, surface_samples
from spectm.data.matchups import matchups
from spectm.data.patches import read_patches
from spectm.errors import ConfigError, LabelError


def samples(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """A surface table of (station, local time, microcystin)."""
    table = pd.DataFrame(rows, columns=["station", "local", "microcystin"])
    table["time"] = pd.to_datetime(table.pop("local")).dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    table["date"] = table["time"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    return table


def rows(*of: tuple[str, str, str]) -> pd.DataFrame:
    """Matchups of (station, local date of the target, overpass in UTC)."""
    table = pd.DataFrame(of, columns=["station", "date", "overpass_time"])
    table["overpass_time"] = pd.to_datetime(table["overpass_time"], utc=True)
    return table


def test_nothing_is_below_the_limit() -> None:
    assert log10_censored([0.0, 0.02, 0.1, 1.0, 100.0]).tolist() == [-1, -1, -1, 0, 2]
    assert math.isnan(log10_censored([np.nan])[0])
    assert log10_censored([0.5], limit=1.0).tolist() == [0]


def test_day_of_year_counts_leap_days() -> None:
    dates = pd.Series(["2023-01-01", "2023-03-01", "2024-03-01", "2024-12-31"])
    assert day_of_year(dates).tolist() == [1, 60, 61, 366]


def test_climatology_blends_station_and_lake() -> None:
    table = samples(("A", "2020-07-01 10:00", 10.0), ("B", "2020-07-01 11:00", 100.0))
    usual = Climatology.fit(table, last_year=2022).predict([183, 183, 183], ["A", "B", "C"])
    # the lake's mean is 1.5; A: (3 * 1.5 + 1) / 4, B: (3 * 1.5 + 2) / 4, C was never sampled
    assert usual == pytest.approx([1.375, 1.625, 1.5])


def test_climatology_kernel_has_a_width_of_12_days() -> None:
    table = samples(("A", "2021-07-01 10:00", 1.0), ("A", "2021-07-13 10:00", 10.0))
    lake = Climatology.fit(table, last_year=2022).predict([182], ["B"])
    assert lake == pytest.approx([0.60653066 / 1.60653066])  # exp(-1/2) against 1


def test_climatology_joins_the_ends_of_the_year() -> None:
    table = samples(("A", "2021-12-31 10:00", 1.0), ("A", "2021-02-20 10:00", 100.0))
    assert Climatology.fit(table, last_year=2022).predict([1], ["B"])[0] == pytest.approx(0.0, abs=0.001)


def test_climatology_learns_from_the_years_asked_for() -> None:
    table = samples(
        ("A", "2022-12-31 23:30", 0.02),  # 2023 in UTC, 2022 on the boat; counts as 0.1
        ("A", "2023-01-01 10:00", 1000.0),
        ("A", "2021-12-31 10:00", np.nan),
    )
    assert Climatology.fit(table, last_year=2022).predict([365], ["A"]) == pytest.approx([-1.0])
    assert Climatology.fit(table, last_year=2023).predict([365], ["A"])[0] > 0
    with pytest.raises(LabelError, match="of 2020 or earlier, found years 2021 to 2023"):
        Climatology.fit(table, last_year=2020)
    with pytest.raises(LabelError, match="found no surface sample"):
        Climatology.fit(table.iloc[:0], last_year=2022)


def test_climatology_survives_json() -> None:
    table = samples(("A", "2020-07-01 10:00", 1.234567890123), ("B", "2020-08-01 11:00", 7.0))
    fitted = Climatology.fit(table, last_year=2022)
    restored = Climatology.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert restored.to_dict() == fitted.to_dict()
    days, stations = [180, 200, 220], ["A", "B", "C"]
    assert restored.predict(days, stations).tolist() == fitted.predict(days, stations).tolist()


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 366), st.floats(-1, 3)), min_size=1, max_size=6),
    st.integers(1, 366),
)
def test_climatology_is_between_what_was_found(found: list[tuple[str, int, float]], day: int) -> None:
    station, days, values = zip(*found, strict=True)
    fitted = Climatology(
        day_of_year=np.array(days, dtype=float), station=np.array(station), log10_value=np.array(values)
    )
    usual = fitted.predict([day, day], ["A", "C"])
    assert np.all(usual >= min(values) - 1e-9)
    assert np.all(usual <= max(values) + 1e-9)


def test_the_last_value_is_never_of_the_targets_or_the_overpass_date() -> None:
    table = samples(
        ("A", "2024-07-01 10:00", 1.0),
        ("A", "2024-07-08 10:00", 10.0),
        ("A", "2024-07-09 10:00", 100.0),
        ("B", "2024-07-07 10:00", 1000.0),
    )
    last = last_values(
        rows(
            ("A", "2024-07-08", "2024-07-08T17:00Z"),  # overpass after its sample: not the sample itself
            ("A", "2024-07-08", "2024-07-09T17:00Z"),
            ("A", "2024-07-09", "2024-07-08T17:00Z"),  # the sample of the 8th is of the overpass's date
            ("A", "2024-07-09", "2024-07-09T17:00Z"),
            ("A", "2024-07-17", "2024-07-09T17:00Z"),  # ahead: nothing after the overpass
        ),
        table,
    )
    assert last["log10_last"].tolist() == [0, 0, 0, 1, 1]
    assert last["age_days"].tolist() == [7, 7, 7, 1, 1]
    assert last["last_sample_id"].tolist() == [0, 0, 0, 1, 1]
    assert last["last_date"].tolist() == ["2024-07-01"] * 3 + ["2024-07-08"] * 2
    assert last["has_last"].all()


def test_the_overpass_date_is_local() -> None:
    table = samples(("A", "2024-07-08 10:00", 10.0))
    nights = rows(("A", "2024-07-10", "2024-07-09T03:00Z"), ("A", "2024-07-10", "2024-07-09T05:00Z"))
    assert last_values(nights, table)["has_last"].tolist() == [
        False,
        True,
    ]  # 23:00 on the 8th, 1:00 on the 9th
    assert last_values(nights, table, timezone="UTC")["has_last"].tolist() == [True, True]


def test_the_last_value_is_at_most_30_days_old() -> None:
    table = samples(("A", "2024-06-01 10:00", 10.0), ("B", "2024-06-01 10:00", np.nan))
    of = rows(
        ("A", "2024-07-01", "2024-07-01T17:00Z"),
        ("A", "2024-07-02", "2024-07-02T17:00Z"),
        ("B", "2024-06-03", "2024-06-03T17:00Z"),
        ("C", "2024-06-03", "2024-06-03T17:00Z"),
    )
    last = last_values(of, table)
    assert last["has_last"].tolist() == [True, False, False, False]
    assert last["age_days"].fillna(-1).tolist() == [30, -1, -1, -1]
    assert last["log10_last"].fillna(-9).tolist() == [1, -9, -9, -9]
    assert last["last_sample_id"].tolist() == [0, -1, -1, -1]
    assert last["last_date"].tolist() == ["2024-06-01", "", "", ""]
    assert last_values(of, table, max_days=31)["has_last"].tolist() == [True, True, False, False]


def test_the_newest_of_a_day_is_the_latest_measured() -> None:
    table = samples(
        ("A", "2024-07-01 15:00", 100.0), ("A", "2024-07-01 10:00", 10.0), ("A", "2024-07-02 10:00", np.nan)
    )
    last = last_values(rows(("A", "2024-07-08", "2024-07-08T17:00Z")), table)
    assert last[["log10_last", "last_sample_id"]].to_numpy().tolist() == [[2, 0]]


def test_context_features_by_hand() -> None:
    of = rows(("A", "2023-04-02", "2023-04-02T17:00Z"), ("C", "2024-12-30", "2024-12-30T17:00Z"))
    last = last_values(of, samples(("A", "2023-03-18 10:00", 10.0)))
    climatology = np.array([-0.5, 0.25])
    built = {
        context: context_features(context, of, stations=["A", "B"], climatology=climatology, last=last)
        for context in CONTEXTS
    }
    assert built["none"].shape == (2, 0)
    assert context_columns("season+lab", ["A", "B"]) == [
        *("sin_day_of_year", "cos_day_of_year", "station_A", "station_B", "climatology"),
        *("log10_last", "has_last", "age_of_last"),
    ]
    # day 92 of 365.25 is just past a quarter of the circle; day 365 is at its end
    assert built["season"][:, :2] == pytest.approx(np.array([[1, 0], [0, 1]]), abs=0.015)
    assert built["season"][:, 2:].tolist() == [[1, 0, -0.5], [0, 0, 0.25]]
    assert built["season+lab"][:, :5].tolist() == built["season"].tolist()
    assert built["season+lab"][:, 5:].tolist() == [[1, 1, 0.5], [0.25, 0, 1]]  # 15 of 30 days; none


def test_an_unknown_context_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"wanted one of none, season, season\+lab, found 'lab'"):
        context_columns("lab", [])  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "n_with_last", "climatology_r2", "persistence_r2"),
    [("current", 115, 0.64, 0.39), ("ahead", 79, 0.48, -0.24)],
)
def test_protocol_scores_of_climatology_and_persistence(
    lake_erie: Path, task: str, n_with_last: int, climatology_r2: float, persistence_r2: float
) -> None:
    record = read_labels(lake_erie / "glerl")
    surface = surface_samples(record)
    paired = matchups(task, read_patches(lake_erie / "pace_station_patches.nc"), record)
    observed = log10_censored(paired["observed"])
    usual = Climatology.fit(surface, last_year=2023).predict(day_of_year(paired["date"]), paired["station"])
    last = last_values(paired, surface)
    persisted = np.where(last["has_last"], last["log10_last"], usual)

    def r2(predicted: np.ndarray) -> float:
        return float(1 - np.sum((observed - predicted) ** 2) / np.sum((observed - observed.mean()) ** 2))

    assert r2(usual) == pytest.approx(climatology_r2, abs=0.005)
    assert r2(persisted) == pytest.approx(persistence_r2, abs=0.005)
    assert int(last["has_last"].sum()) == n_with_last
    assert (last["last_sample_id"] != paired["sample_id"]).all()
    known = last[last["has_last"]]
    assert (known["last_date"] < paired.loc[known.index, "date"]).all()
    assert record.table.loc[known["last_sample_id"], "date"].tolist() == known["last_date"].tolist()
