from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from spectm.data.labels import read_labels
from spectm.data.matchups import matchups
from spectm.data.patches import read_patches
from spectm.data.splits import (
    Fold,
    date_blocks,
    excluded_by,
    forward,
    group_folds,
    leave_date_out,
    leave_station_out,
    random_five,
    row_times,
)
from spectm.errors import SplitError


def make_rows(samples: list[tuple[float, float, str]]) -> pd.DataFrame:
    """Rows from (day of the sample from 1 May 2024 noon UTC, hours from overpass to sample, station)."""
    start = pd.Timestamp("2024-05-01T12:00Z")
    time = pd.Series([start + pd.Timedelta(days=day) for day, _, _ in samples]).astype("datetime64[ns, UTC]")
    overpass = time - pd.to_timedelta([hours for _, hours, _ in samples], unit="h")
    station = [station for _, _, station in samples]
    date = time.dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    return pd.DataFrame({"date": date, "station": station, "sample_time": time, "overpass_time": overpass})


unhurried = settings(max_examples=40)  # tables are slow to make

# A row of long before keeps every training part from being empty.
LONG_BEFORE = (-100.0, 1.0, "WE2")
a_row = st.tuples(
    st.sampled_from([0, 0.1, 1, 2, 2.5, 6, 8, 15, 30, 31, 45, 60]),
    st.one_of(st.integers(-48, 48), st.integers(120, 264)).map(float),
    st.sampled_from(["WE2", "WE4", "WE9"]),
)
some_rows = st.lists(a_row, min_size=8, max_size=25).map(lambda rows: make_rows([LONG_BEFORE, *rows]))
two_stations = some_rows.filter(lambda rows: rows["station"].nunique() > 1)


def hours_of(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Sample and overpass of each row, hours."""
    return [
        (s.timestamp() / 3600, o.timestamp() / 3600) for s, o in rows[["sample_time", "overpass_time"]].values
    ]


def is_near(row: tuple[float, float], test: tuple[float, float], *, strict: bool) -> bool:
    """The buffer of 60 hours, the slow obvious way: which of the four gaps count."""
    (sample, overpass), (test_sample, test_overpass) = row, test
    gaps = [sample - test_sample, overpass - test_sample, overpass - test_overpass]
    gaps += [sample - test_overpass] if strict else []
    return min(map(abs, gaps)) <= 60


def check_folds(folds: list[Fold], n_rows: int) -> None:
    """No row in both parts, and every row tested once."""
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert fold.train.size
        assert fold.test.size
        assert (np.diff(fold.train) > 0).all()
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(n_rows))


@unhurried
@given(rows=some_rows, strict=st.booleans())
def test_leave_date_out_tests_each_date_once_with_nothing_near_it(rows, strict):
    folds = leave_date_out(rows, strict=strict)
    check_folds(folds, len(rows))
    assert [fold.name for fold in folds] == sorted(set(rows["date"]))
    assert {fold.split for fold in folds} == {"leave-date-out-strict" if strict else "leave-date-out"}
    hours = hours_of(rows)
    for fold in folds:
        assert set(rows["date"][fold.test]) == {fold.name}
        for row in set(range(len(rows))) - set(fold.test):
            near = any(is_near(hours[row], hours[test], strict=strict) for test in fold.test)
            assert (row in fold.train) == (not near)  # nothing near is kept, and nothing else is lost


@pytest.mark.slow
@unhurried
@given(rows=some_rows, seed=st.integers(0, 9))
def test_random_five_tests_each_row_once(rows, seed):
    folds = random_five(rows, seed=seed)
    check_folds(folds, len(rows))
    assert len(folds) == 5
    assert {fold.repeat for fold in folds} == {seed}
    sizes = [fold.test.size for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    assert all(fold.train.size + fold.test.size == len(rows) for fold in folds)


def test_a_shuffle_is_the_same_again_and_another_one_differs():
    rows = make_rows([(day, 1, "WE2") for day in range(20)])
    tests = [[fold.test.tolist() for fold in random_five(rows, seed=seed)] for seed in (3, 3, 4)]
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]
    assert tests[0] != [list(range(i, i + 4)) for i in range(0, 20, 4)]


@pytest.mark.slow
@unhurried
@given(rows=two_stations)
def test_leave_station_out_tests_each_station_once(rows):
    folds = leave_station_out(rows)
    check_folds(folds, len(rows))
    for fold in folds:
        assert set(rows["station"][fold.test]) == {fold.name}
        assert fold.name not in set(rows["station"][fold.train])
        assert fold.train.size + fold.test.size == len(rows)


@pytest.mark.slow
@unhurried
@given(rows=some_rows.filter(lambda rows: rows["date"].nunique() > 5))
def test_forward_trains_on_what_was_known_and_is_not_near(rows):
    folds = forward(rows)
    assert [fold.name for fold in folds] == sorted(set(rows["date"]))[5:]
    hours, known = hours_of(rows), rows[["sample_time", "overpass_time"]].max(axis=1)
    for fold in folds:
        assert set(fold.test) == set(np.flatnonzero(rows["date"] == fold.name))
        asked = rows["overpass_time"][fold.test].min()
        for row in range(len(rows)):
            near = any(is_near(hours[row], hours[test], strict=True) for test in fold.test)
            assert (row in fold.train) == (known[row] < asked and not near)


def test_the_buffer_looks_at_samples_and_overpasses_of_both_sides():
    rows = make_rows(
        [
            (50, 0, "WE2"),  # tested, with an overpass at its own time
            (47.5, 0, "WE2"),  # exactly 60 h before: out
            (47.4, 0, "WE2"),  # further: in
            (58, 192, "WE2"),  # its overpass lies at day 50: out
            (70, 0, "WE2"),
        ]
    )
    of_day = {fold.test[0]: fold.train.tolist() for fold in leave_date_out(rows) if fold.test.size == 1}
    assert of_day[0] == [2, 4]
    assert of_day[3] == [2, 4]  # the tested row's overpass at day 50 drives out rows 0 and 1


def test_only_the_strict_buffer_leaves_out_what_was_sampled_near_a_test_overpass():
    rows = make_rows([(20, 0, "WE2"), (58, 192, "WE2"), (50, 192, "WE2")])  # sampled when row 1 was overflown
    assert [fold.train.tolist() for fold in leave_date_out(rows)][-1] == [0, 2]
    assert [fold.train.tolist() for fold in leave_date_out(rows, strict=True)][-1] == [0]


def test_nothing_left_to_train_on_is_refused():
    with pytest.raises(SplitError, match=r"leave-date-out: nothing is left to train on when 2024-05-01"):
        leave_date_out(make_rows([(0, 1, "WE2"), (1, 1, "WE2")]))
    with pytest.raises(SplitError, match="leave-station-out: nothing is left"):
        leave_station_out(make_rows([(0, 1, "WE2"), (9, 1, "WE2")]))
    with pytest.raises(SplitError, match="at least 5 rows for five folds, found 2"):
        random_five(make_rows([(0, 1, "WE2"), (9, 1, "WE2")]), seed=0)
    with pytest.raises(SplitError, match="at least 6 sampling dates for an expanding window, found 5"):
        forward(make_rows([(9 * i, 1, "WE2") for i in range(5)]))


def test_excluded_by_agrees_with_comparing_all_pairs():
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-05-01", "ns")
    times = start + rng.integers(0, 3000, 200).astype("timedelta64[h]")
    test_times = start + rng.integers(0, 3000, 7).astype("timedelta64[h]")
    for hours in (0, 1, 60):
        gaps = np.abs(times[:, None] - test_times[None, :]) / np.timedelta64(1, "h")
        assert (excluded_by(times, test_times, hours) == (gaps.min(axis=1) <= hours)).all()
    assert excluded_by(times, test_times).any()
    assert not excluded_by(times, test_times).all()


def test_excluded_by_takes_no_chance_with_unknown_times():
    known, unknown = np.array(["2024-05-01"], "datetime64[ns]"), np.array(["NaT"], "datetime64[ns]")
    far = known + np.timedelta64(100, "D")
    assert excluded_by(np.concatenate([far, unknown]), known).tolist() == [False, True]
    assert excluded_by(far, np.concatenate([unknown, known])).tolist() == [True]
    assert excluded_by(far, known[:0]).tolist() == [False]


def test_row_times_are_samples_then_overpasses_in_utc():
    times = row_times(make_rows([(0, 3, "WE2"), (1, -3, "WE2")]))
    expected = ["2024-05-01T12", "2024-05-02T12", "2024-05-01T09", "2024-05-02T15"]
    assert (times == np.array(expected, dtype="datetime64[ns]")).all()


@pytest.mark.slow
@unhurried
@given(groups=st.lists(st.sampled_from("abcdefg"), min_size=3, max_size=40), n_folds=st.integers(2, 6))
def test_no_group_is_divided(groups, n_folds):
    names = np.array(groups)
    if len(set(groups)) < 2:
        with pytest.raises(SplitError, match="found 1 groups"):
            group_folds(names, n_folds)
        return
    folds = group_folds(names, n_folds)
    assert len(folds) == min(n_folds, len(set(groups)))
    for train, test in folds:
        assert not set(names[train]) & set(names[test])
        assert sorted([*train, *test]) == list(range(len(groups)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(groups)))
    reference = GroupKFold(len(folds)).split(names, groups=names)  # the same rule; ties may fall otherwise
    assert sorted(len(test) for _, test in folds) == sorted(len(test) for _, test in reference)


@pytest.fixture(scope="module")
def real(lake_erie) -> dict[str, pd.DataFrame]:
    patches = read_patches(lake_erie / "pace_station_patches.nc")
    labels = read_labels(lake_erie / "glerl")
    return {task: matchups(task, patches, labels) for task in ("current", "ahead")}


@pytest.mark.parametrize(
    ("split", "n_folds", "n_tests"),
    [
        (leave_date_out, {"current": 19, "ahead": 13}, {"current": 123, "ahead": 79}),
        (leave_station_out, {"current": 8, "ahead": 8}, {"current": 123, "ahead": 79}),
        (forward, {"current": 14, "ahead": 8}, {"current": 87, "ahead": 43}),
    ],
)
def test_real_folds_have_the_counts_of_the_protocol(
    real,
    split: Callable[[pd.DataFrame], list[Fold]],
    n_folds: dict[str, int],
    n_tests: dict[str, int],
):
    for task, rows in real.items():
        folds = split(rows)
        assert len(folds) == n_folds[task]
        assert sum(fold.test.size for fold in folds) == n_tests[task]


def test_fixed_blocks_hold_the_real_dates_evenly(real):
    rows = pd.concat(real.values())
    blocks = date_blocks(rows["date"].tolist())
    assert sorted(np.bincount(blocks).tolist()) == [37, 41, 41, 41, 42]
    of_date = dict(zip(rows["date"], blocks, strict=True))
    assert len(of_date) == 20
    in_order = sorted(of_date)
    assert [of_date[date] for date in in_order] == sorted(of_date.values())  # neighbours stay together
    for one, other in pairwise(in_order):
        if of_date[one] != of_date[other]:
            assert np.datetime64(other) - np.datetime64(one) >= np.timedelta64(6, "D")


def test_fixed_blocks_do_not_depend_on_what_else_is_asked():
    assert date_blocks(["2024-08-21"]).tolist() == [3]
    assert date_blocks(["2024-08-12", "2024-08-21", "2024-08-12"]).tolist() == [2, 3, 2]
    assert date_blocks([]).tolist() == []


@unhurried
@given(days=st.lists(st.integers(0, 300), min_size=1, max_size=30))
def test_other_dates_are_dealt_into_contiguous_blocks(days):
    dates = (np.datetime64("2021-01-01") + np.array(days)).astype(str).tolist()
    blocks = date_blocks(dates)
    of_date = dict(zip(dates, blocks.tolist(), strict=True))
    in_order = [of_date[date] for date in sorted(of_date)]
    assert in_order == sorted(in_order)
    assert set(in_order) == set(range(min(5, len(of_date))))
    sizes = np.bincount(in_order)
    assert sizes.max() - sizes.min() <= 1
