"""One test for each leak, and the clean case beside it."""

from dataclasses import replace

import numpy as np
import pytest

from spectm.data.patches import Patches
from spectm.data.splits import forward, leave_date_out, leave_station_out, random_five, row_times
from spectm.errors import LeakageError
from spectm.evaluation.audit import (
    audit_auxiliary,
    audit_borrowed,
    audit_labels,
    audit_own_last_value,
    audit_spectra,
    pixel_keys,
)
from tests.study import N_DATES, STATIONS, Study

HOUR = np.timedelta64(1, "h")


def folds_of(task, split):
    make = {
        "leave-date-out": leave_date_out,
        "leave-date-out-strict": lambda rows: leave_date_out(rows, strict=True),
        "forward": forward,
        "leave-station-out": leave_station_out,
        "random-5": lambda rows: random_five(rows, seed=0),
    }
    return make[split](task.rows)


SPLITS = ("leave-date-out", "leave-date-out-strict", "forward", "leave-station-out", "random-5")
WHOLE_DATES = SPLITS[:3]


def spectra(times: list[np.datetime64], value: float = 0.5) -> Patches:
    """Single pixels that look like nothing in the study."""
    n = len(times)
    return Patches(
        Rrs=np.full((n, 33, 1, 1), value, dtype=np.float32),
        wavelength=np.linspace(400, 720, 33),
        time=np.array(times, dtype="datetime64[ns]"),
        station=np.full(n, ""),
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        source="elsewhere",
    )


@pytest.fixture
def task(study: Study):
    return study.tasks["current"]


@pytest.fixture
def ahead(study: Study):
    return study.tasks["ahead"]


# Labels


@pytest.mark.parametrize("name", ["current", "ahead"])
@pytest.mark.parametrize(
    ("split", "n_folds"), [*zip(SPLITS, (N_DATES, N_DATES, N_DATES - 5, len(STATIONS), 5), strict=True)]
)
def test_the_splits_themselves_are_clean(study: Study, name: str, split: str, n_folds: int) -> None:
    """That the audit stops none of their folds; tests of the splits say by other means what these hold."""
    task = study.tasks[name]
    audit_own_last_value(task)
    folds = folds_of(task, split)
    assert len(folds) == n_folds
    for fold in folds:
        audit_labels(task, fold, fold.train, "none")
        audit_labels(task, fold, fold.train, "season")


@pytest.mark.parametrize("split", SPLITS)
def test_a_test_label_in_training(task, split: str) -> None:
    fold = folds_of(task, split)[2]
    row = task.rows.iloc[fold.test[1]]
    with pytest.raises(LeakageError, match="label of a test row would be a training target") as caught:
        audit_labels(task, fold, np.append(fold.train, fold.test[1]), "none")
    for detail in (fold.name, f"station {row['station']}", row["date"], "1 such rows", "Nothing was trained"):
        assert detail in str(caught.value)


def test_the_same_sample_under_another_row_number(task) -> None:
    """A join that doubles a sample is found by the sample, not by the position."""
    fold = folds_of(task, "leave-station-out")[0]
    rows = task.rows.copy()
    rows.loc[fold.train[0], "sample_id"] = rows.loc[fold.test[0], "sample_id"]
    with pytest.raises(LeakageError, match="training target"):
        audit_labels(replace(task, rows=rows), fold, fold.train, "none")


def test_a_row_near_a_test_row(ahead) -> None:
    """Eight days ahead, next week's sample belongs to an overpass of the day before this week's."""
    fold = folds_of(ahead, "leave-date-out")[2]
    near = np.flatnonzero(ahead.dates == "2024-06-24")
    assert fold.name == "2024-06-17"
    with pytest.raises(LeakageError, match="within 60 h of a test row"):
        audit_labels(ahead, fold, np.append(fold.train, near[0]), "none")


def test_rows_sampled_near_a_test_overpass_differ_by_the_split(ahead) -> None:
    """Last week's sample, of the day after the test's overpass: refused by the strict split alone."""
    loose, strict = (folds_of(ahead, split)[2] for split in ("leave-date-out", "leave-date-out-strict"))
    between = np.flatnonzero(ahead.dates == "2024-06-10")
    audit_labels(ahead, loose, between, "none")
    with pytest.raises(LeakageError, match="within 60 h"):
        audit_labels(ahead, strict, between, "none")


def test_a_row_later_than_the_test(task) -> None:
    fold = folds_of(task, "forward")[0]
    later = np.flatnonzero(task.dates > fold.name)[-1:]
    audit_labels(task, fold, fold.train, "none")
    with pytest.raises(LeakageError, match=r"a training row is later than the test.*\(1 such rows"):
        audit_labels(task, fold, np.append(fold.train, later), "none")
    audit_labels(task, replace(fold, split="leave-date-out"), later, "none")


def test_a_row_of_a_test_station(task) -> None:
    """One row is tested; another of its station, of another week, is learned from."""
    fold = folds_of(task, "leave-station-out")[1]
    one, other = replace(fold, test=fold.test[:1]), fold.test[-1:]
    assert task.dates[one.test[0]] != task.dates[other[0]]
    audit_labels(task, one, fold.train, "none")
    with pytest.raises(LeakageError, match=r"a training row is of a test station: station B"):
        audit_labels(task, one, np.append(fold.train, other), "none")


def test_a_borrowed_row_later_than_the_test(task, ahead) -> None:
    fold = folds_of(ahead, "forward")[0]
    earlier, later = (np.flatnonzero(task.dates == date) for date in ("2024-06-10", "2024-07-22"))
    assert fold.name == "2024-07-08"
    audit_borrowed(task, earlier, ahead, fold)
    with pytest.raises(LeakageError, match=r"learned from current: .* later than the test.*2024-07-22 \(4 "):
        audit_borrowed(task, np.append(earlier, later), ahead, fold)
    audit_borrowed(task, later, ahead, replace(fold, split="leave-date-out"))


def test_a_borrowed_row_of_a_test_station(task, ahead) -> None:
    """Of another week than the one row that is tested, so that it shares no sample with it."""
    fold = folds_of(ahead, "leave-station-out")[1]
    one = replace(fold, test=fold.test[:1])
    sampled = ahead.rows["sample_id"].iloc[one.test]
    others = task.rows[~task.rows["sample_id"].isin(sampled)]
    same = others.index[others["station"] == "B"].to_numpy()
    audit_borrowed(task, others.index[others["station"] != "B"].to_numpy(), ahead, one)
    with pytest.raises(LeakageError, match=r"of a test station: station B, .* \(7 such rows"):
        audit_borrowed(task, same, ahead, one)


# Last laboratory values


def test_a_test_label_as_a_last_value(task) -> None:
    """The week after has the test date's value among its inputs: a leak only where inputs hold it."""
    fold = folds_of(task, "leave-date-out")[2]
    used = task.last["last_date"].to_numpy(dtype=str)[fold.train] == fold.name
    assert used.sum() == 4
    audit_labels(task, fold, fold.train, "season")
    with pytest.raises(LeakageError, match=r"last value of a training row is a test label.*4 such rows"):
        audit_labels(task, fold, fold.train, "season+lab")
    audit_labels(task, fold, fold.train[~used], "season+lab")


def test_where_rows_are_shuffled_a_last_value_leaks_by_sample(task) -> None:
    fold = folds_of(task, "random-5")[0]
    tested = set(task.rows["sample_id"].iloc[fold.test])
    used = np.array([i in tested for i in task.last["last_sample_id"].iloc[fold.train]])
    assert used.any()
    assert np.isin(task.last["last_date"].iloc[fold.train[~used]], task.dates[fold.test]).any()
    audit_labels(task, fold, fold.train[~used], "season+lab")
    with pytest.raises(LeakageError, match="last value"):
        audit_labels(task, fold, fold.train, "season+lab")


@pytest.mark.parametrize("how", ["sample", "cruise"])
def test_the_target_as_its_own_last_value(task, how: str) -> None:
    last = task.last.copy()
    if how == "sample":
        last.loc[7, "last_sample_id"] = task.rows.loc[7, "sample_id"]
    else:
        last.loc[7, "last_date"] = task.rows.loc[7, "date"]
    with pytest.raises(LeakageError, match="its own last laboratory value") as caught:
        audit_own_last_value(replace(task, last=last))
    assert str(task.rows.loc[7, "date"]) in str(caught.value)


# Auxiliary targets


@pytest.mark.parametrize("split", SPLITS)
def test_a_test_sample_as_an_auxiliary_target(task, split: str) -> None:
    fold = folds_of(task, split)[1]
    samples, dates = task.rows["sample_id"].to_numpy(), task.dates
    audit_auxiliary(task, fold, samples[fold.train], dates[fold.train])
    chosen = np.append(fold.train, fold.test[0])
    with pytest.raises(LeakageError, match="would be an auxiliary target") as caught:
        audit_auxiliary(task, fold, samples[chosen], dates[chosen])
    assert f"laboratory sample {samples[fold.test[0]]} " in str(caught.value)


def test_other_columns_of_a_test_date_as_auxiliary_targets(task) -> None:
    """A bottom sample of the cruise is no row of the task, but tells of it where dates are left out."""
    fold = folds_of(task, "leave-date-out")[1]
    elsewhere, date = np.array([10**6]), np.array([fold.name])
    with pytest.raises(LeakageError, match=f"{fold.name}.*every column of a test date"):
        audit_auxiliary(task, fold, elsewhere, date)
    audit_auxiliary(task, folds_of(task, "random-5")[1], elsewhere, date)


# Spectra


@pytest.fixture
def tested(study: Study, task):
    """Patches and times of one test date."""
    fold = folds_of(task, "leave-date-out")[4]
    rows = task.rows.iloc[fold.test]
    return study.patches.select(rows["patch"].to_numpy()), row_times(rows)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("purpose", ["pretraining", "normalisation"])
def test_a_test_spectrum(tested, split: str, purpose: str) -> None:
    """The same pixel is found among others, whatever time and place its file tells."""
    patches, times = tested
    source = spectra([np.datetime64("2024-03-01") + day for day in range(3)])
    clean = replace(source, wavelength=patches.wavelength)
    audit_spectra([clean], patches, times, split, purpose=purpose)
    stolen = clean.Rrs.copy()
    stolen[1, :, 0, 0] = patches.Rrs[2, :, 1, 2]
    with pytest.raises(LeakageError, match=f"test spectrum would enter {purpose}: elsewhere") as caught:
        audit_spectra([clean, replace(clean, Rrs=stolen)], patches, times, split, purpose=purpose)
    assert "2024-03-02" in str(caught.value)
    assert "1 such spectra" in str(caught.value)


@pytest.mark.parametrize("split", SPLITS)
def test_a_spectrum_within_sixty_hours(tested, split: str) -> None:
    patches, times = tested
    near = spectra([times.min() - 60 * HOUR])
    far = spectra([times.min() - 60 * HOUR - np.timedelta64(1, "s")])
    audit_spectra([far], patches, times, split, purpose="pretraining")
    if split in WHOLE_DATES:
        with pytest.raises(LeakageError, match="within 60 h would enter pretraining"):
            audit_spectra([far, near], patches, times, split, purpose="pretraining")
    else:
        audit_spectra([far, near], patches, times, split, purpose="pretraining")


@pytest.mark.slow
def test_a_composite_that_reaches_into_the_sixty_hours(tested) -> None:
    """Its middle is far enough, but it holds pixels of days around that."""
    patches, times = tested
    middle = spectra([times.min() - 60 * HOUR - np.timedelta64(4, "D")])
    days = np.array([[-4, 4]], dtype="timedelta64[D]")
    audit_spectra([middle], patches, times, "leave-date-out", purpose="pretraining")
    eight_days = replace(middle, time_bounds=middle.time[:, None] + days)
    with pytest.raises(LeakageError, match="within 60 h would enter pretraining"):
        audit_spectra([eight_days], patches, times, "leave-date-out", purpose="pretraining")
    clean = replace(middle, time_bounds=middle.time[:, None] + days - np.timedelta64(1, "s"))
    audit_spectra([clean], patches, times, "leave-date-out", purpose="pretraining")


@pytest.mark.parametrize("split", SPLITS)
def test_a_spectrum_later_than_the_test(tested, split: str) -> None:
    patches, times = tested
    later = spectra([times.max() + 1000 * HOUR])
    if split == "forward":
        with pytest.raises(LeakageError, match="later than the test would enter normalisation"):
            audit_spectra([later], patches, times, split, purpose="normalisation")
    else:
        audit_spectra([later], patches, times, split, purpose="normalisation")


def test_no_source_and_empty_sources_are_clean(tested) -> None:
    """And what comes after an empty one is looked at."""
    patches, times = tested
    audit_spectra([], patches, times, "forward", purpose="pretraining")
    audit_spectra([spectra([])], patches, times, "forward", purpose="pretraining")
    with pytest.raises(LeakageError, match="would enter pretraining"):
        audit_spectra([spectra([]), spectra([times.min()])], patches, times, "forward", purpose="pretraining")


def test_pixel_keys_tell_pixels_apart(study: Study) -> None:
    keys = pixel_keys(study.patches)
    assert [len(keys[row]) for row in (0, 5, 8)] == [
        9,
        0,
        9,
    ]  # whole, empty, one pixel with a gap, which the encoder reads all the same
    c, d = keys[2], keys[3]
    assert len(c & d) == 1  # neighbours share one
    repeated = study.patches.Rrs[:1].copy()
    repeated[0, :, 2, 2] = repeated[0, :, 0, 0]
    assert len(pixel_keys(replace(study.patches.select(slice(0, 1)), Rrs=repeated))[0]) == 8
