from typing import Any

import numpy as np
import pandas as pd
import pytest

from spectm.data.labels import Labels, read_labels
from spectm.data.matchups import TASKS, ahead_matchups, current_matchups, matchups
from spectm.data.patches import Patches, read_patches
from spectm.errors import PatchError

NOON = np.datetime64("2024-08-04T12:00", "ns")


def make_patches(
    hours: list[float], *, stations: list[str] | None = None, cloudy: tuple[int, ...] = ()
) -> Patches:
    """One pixel and one band each, so many hours from noon of 4 August 2024."""
    n = len(hours)
    Rrs = np.full((n, 1, 1, 1), 0.01, dtype="float32")
    Rrs[list(cloudy)] = np.nan
    return Patches(
        Rrs=Rrs,
        wavelength=np.array([665.0]),
        time=NOON + np.array([round(hour * 60) for hour in hours], dtype="timedelta64[m]"),
        station=np.array(stations or ["WE2"] * n),
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        source="made.nc",
    )


def make_labels(*samples: dict[str, Any]) -> Labels:
    """Surface samples of WE2 with microcystin 1 unless told otherwise; `hour` counts from the same noon."""
    usual = {"hour": 0.0, "station": "WE2", "category": "surface", "depth_m": 0.75}
    usual |= {"microcystin": 1.0, "microcystin_below_detection": False}
    usual |= {"chlorophyll": 20.0, "chlorophyll_below_detection": False, "phycocyanin": 5.0, "turbidity": 9.0}
    table = pd.DataFrame([usual | sample for sample in samples])
    hours = pd.to_timedelta(table.pop("hour") * 60, unit="min")
    table["time"] = (pd.Timestamp(NOON, tz="UTC") + hours).astype("datetime64[ns, UTC]")
    table["date"] = table["time"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    table = table.sort_values(["time", "station"], ignore_index=True)
    return Labels(table, pd.DataFrame(columns=["file", "line", "column", "value", "why"]))


def pairs(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows["patch"].tolist(), rows["sample_id"].tolist(), strict=True))


def test_a_row_holds_what_belongs_to_its_sample_and_its_overpass():
    labels = make_labels(
        {"hour": -100, "station": "WE4"},
        {"hour": 14, "microcystin": 0.1, "microcystin_below_detection": True, "turbidity": np.nan},
    )
    (row,) = current_matchups(make_patches([-60, 6.5], stations=["WE4", "WE2"]), labels)[-1:].to_dict(
        "records"
    )
    assert row["patch"] == 1
    assert row["station"] == "WE2"
    assert row["date"] == "2024-08-04"  # 02:00 UTC of the 5th is the evening of the 4th at the lake
    assert row["sample_time"] == pd.Timestamp("2024-08-05T02:00Z")
    assert row["overpass_time"] == pd.Timestamp("2024-08-04T18:30Z")
    assert row["hours_apart"] == 7.5
    assert row["observed"] == 0.1
    assert row["below_detection"] is True
    assert (row["chlorophyll"], row["phycocyanin"]) == (20.0, 5.0)
    assert np.isnan(row["turbidity"])
    assert row["sample_id"] == 1


def test_current_reaches_48_and_a_half_hours_to_either_side():
    labels = make_labels({})
    assert len(current_matchups(make_patches([48.5]), labels)) == 1
    assert len(current_matchups(make_patches([-48.5]), labels)) == 1
    assert len(current_matchups(make_patches([48.6, -48.6]), labels)) == 0


def test_a_sample_keeps_its_nearest_overpass():
    assert pairs(current_matchups(make_patches([-30, 10, 12]), make_labels({}))) == [(1, 0)]
    assert pairs(current_matchups(make_patches([-5, 5]), make_labels({}))) == [(0, 0)]  # a tie: the earlier
    assert pairs(current_matchups(make_patches([5, -5]), make_labels({}))) == [(1, 0)]


def test_a_patch_serves_the_sample_nearest_to_it_only():
    labels = make_labels({"hour": 0}, {"hour": 30})
    assert pairs(current_matchups(make_patches([20]), labels)) == [(0, 1)]
    assert pairs(current_matchups(make_patches([20, -40]), labels)) == [(1, 0), (0, 1)]


def test_stations_are_kept_apart():
    labels = make_labels({"station": "WE4"}, {"station": "WE2", "hour": 1})
    rows = current_matchups(make_patches([0.5, 40], stations=["WE2", "WE4"]), labels)
    assert rows["station"].tolist() == ["WE4", "WE2"]  # by sample time
    assert rows["patch"].tolist() == [1, 0]


def test_rows_are_sorted_by_sample_time_then_station():
    labels = make_labels({"station": "B"}, {"station": "A"}, {"station": "C", "hour": -1})
    rows = current_matchups(make_patches([0, 0, 0], stations=["A", "B", "C"]), labels)
    assert rows["station"].tolist() == ["C", "A", "B"]
    assert rows.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "unfit",
    [
        {"category": "scum"},
        {"category": "bottom"},
        {"category": "mid-column"},
        {"depth_m": 2.0},
        {"microcystin": np.nan},
    ],
)
def test_a_sample_that_does_not_count_hides_no_other(unfit):
    labels = make_labels(unfit, {"hour": 20})
    for task, overpass in (("current", -1), ("ahead", -200)):
        assert pairs(matchups(task, make_patches([overpass]), labels)) == [(0, 1)]


def test_a_patch_without_a_valid_pixel_hides_no_other():
    assert pairs(current_matchups(make_patches([1, 20], cloudy=(0,)), make_labels({}))) == [(1, 0)]
    assert pairs(ahead_matchups(make_patches([-192, -200], cloudy=(0,)), make_labels({}))) == [(1, 0)]


@pytest.mark.parametrize(("days", "n_rows"), [(5, 1), (11, 1), (4.99, 0), (11.01, 0), (0, 0), (-8, 0)])
def test_ahead_reaches_from_5_to_11_days(days, n_rows):
    rows = ahead_matchups(make_patches([-24 * days]), make_labels({}))
    assert len(rows) == n_rows
    assert (rows["hours_apart"] > 0).all()


def test_ahead_takes_the_overpass_nearest_to_eight_days_before():
    assert pairs(ahead_matchups(make_patches([-24 * 10, -24 * 7, -24 * 5]), make_labels({}))) == [(1, 0)]
    assert pairs(ahead_matchups(make_patches([-24 * 7, -24 * 9]), make_labels({}))) == [(1, 0)]  # the earlier
    labels = make_labels({"hour": 0}, {"hour": 48})  # one patch may look ahead to two samples
    assert pairs(ahead_matchups(make_patches([-24 * 7]), labels)) == [(0, 0), (0, 1)]


def test_no_pair_is_an_empty_table_of_the_same_columns():
    some, none = (current_matchups(make_patches([hour]), make_labels({})) for hour in (0, 1000))
    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)


def test_another_target_brings_its_own_limit():
    labels = make_labels({"microcystin": np.nan, "chlorophyll": 0.5, "chlorophyll_below_detection": True})
    rows = current_matchups(make_patches([0]), labels, target="chlorophyll")
    assert rows[["observed", "below_detection"]].to_dict("records") == [
        {"observed": 0.5, "below_detection": True}
    ]


def test_an_unknown_task_and_unknown_stations_are_refused():
    with pytest.raises(PatchError, match="one of the tasks current, ahead, found 'next'"):
        matchups("next", make_patches([0]), make_labels({}))
    with pytest.raises(PatchError, match=r"stations of the record, WE2; found patches at we2 in made\.nc"):
        current_matchups(make_patches([0], stations=["we2"]), make_labels({}))
    with pytest.raises(PatchError, match="found patches at no named station"):
        ahead_matchups(make_patches([0], stations=[""]), make_labels({}))


@pytest.fixture(scope="module")
def real(lake_erie) -> dict[str, pd.DataFrame]:
    patches = read_patches(lake_erie / "pace_station_patches.nc")
    labels = read_labels(lake_erie / "glerl")
    return {task: matchups(task, patches, labels) for task in TASKS}


def test_current_has_the_counts_and_check_sums_of_the_protocol(real):
    rows = real["current"]
    assert (len(rows), rows["below_detection"].sum(), rows["date"].nunique()) == (123, 56, 19)
    apart = rows["hours_apart"]
    assert apart.mean() == pytest.approx(0.66, abs=0.005)
    assert apart.abs().mean() == pytest.approx(16.27, abs=0.005)
    assert (apart.abs() <= 3).sum() == 27
    assert (apart < 0).sum() == 85
    assert [(rows["observed"] >= limit).sum() for limit in (0.3, 1, 1.6, 8)] == [51, 31, 22, 2]


def test_ahead_has_the_counts_and_check_sums_of_the_protocol(real):
    rows = real["ahead"]
    assert (len(rows), rows["below_detection"].sum(), rows["date"].nunique()) == (79, 15, 13)
    assert rows["hours_apart"].mean() / 24 == pytest.approx(7.92, abs=0.005)
    assert [(rows["observed"] >= limit).sum() for limit in (0.3, 1, 1.6, 8)] == [49, 31, 23, 0]


def test_real_rows_are_one_per_sample_and_overpasses_fall_into_the_afternoon(real):
    for rows in real.values():
        assert rows["sample_id"].is_unique
        assert rows["observed"].ge(0.1).all()
        assert (
            rows["overpass_time"].dt.hour.between(16, 20).all()
        )  # UTC; PACE crosses about 13 h local solar time
        assert set(rows["station"]) == {"WE2", "WE4", "WE6", "WE8", "WE9", "WE12", "WE13", "WE16"}
