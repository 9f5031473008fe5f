import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.errors import ScoreError
from spectm.evaluation.results import prediction_table, score_table, with_ensemble, write_table
from spectm.evaluation.task import Task
from tests.study import Study


def lines(rows, mean, *, model="ridge", seed=0, repeat=0, split="leave-date-out", spread=0.5, context="none"):
    return pd.DataFrame(
        {
            "task": "current",
            "split": split,
            "model": model,
            "context": context,
            "seed": seed,
            "repeat": repeat,
            "fold": "one",
            "row": rows,
            "mean": mean,
            "spread": spread,
        }
    )


@pytest.fixture
def task(study: Study) -> Task:
    return study.tasks["current"]


@pytest.fixture
def tasks(task: Task) -> dict[str, Task]:
    return {"current": task}


def all_rows(task: Task, **changes) -> pd.DataFrame:
    """Every row predicted half a decade too high."""
    return lines(np.arange(task.y.size), task.y + 0.5, **changes)


# The ensemble


def test_ensemble_is_a_mixture_of_normals() -> None:
    predictions = pd.concat(
        [lines([3], [0.0], seed=0, spread=0.3), lines([3], [1.0], seed=1, spread=0.5)], ignore_index=True
    )
    found = with_ensemble(predictions)
    assert found["seed"].tolist() == ["0", "1", "ensemble"]
    ensemble = found.iloc[2]
    assert ensemble["mean"] == pytest.approx(0.5)
    # Mean variance (0.09 + 0.25) / 2 and the variance 0.25 of the means 0 and 1.
    assert ensemble["spread"] == pytest.approx(np.sqrt(0.17 + 0.25))
    draws = np.random.default_rng(0).normal([0.0, 1.0], [0.3, 0.5], (200_000, 2))
    assert ensemble["spread"] == pytest.approx(draws.std(), abs=0.005)


def test_a_single_seed_is_its_own_ensemble_to_the_last_digit() -> None:
    predictions = lines([3, 4], [0.1, 1.7], spread=1 / 3).assign(low=[0.0, 1.0])
    found = with_ensemble(predictions)
    one, ensemble = (found[found["seed"] == seed] for seed in ("0", "ensemble"))
    for column in ("mean", "spread"):
        np.testing.assert_array_equal(one[column], ensemble[column])
    assert one["low"].tolist() == [0.0, 1.0]
    assert ensemble["low"].isna().all()


def test_one_seed_is_its_own_ensemble_and_nothing_else_is_pooled() -> None:
    parts = [
        lines([0, 1], [0.2, -0.7], spread=0.4),
        lines([0, 1], [5.0, 6.0], context="season"),
        lines([0, 1], [7.0, 8.0], model="gp"),
        lines([0, 1], [9.0, 10.0], split="random-5", repeat=0),
        lines([0, 1], [11.0, 12.0], split="random-5", repeat=1),
    ]
    before = pd.concat(parts, ignore_index=True)
    found = with_ensemble(before)
    assert list(found.columns) == list(before.columns)
    keys = ["split", "model", "context", "repeat", "row"]
    one, ensemble = (
        found[found["seed"] == seed].sort_values(keys, ignore_index=True) for seed in ("0", "ensemble")
    )
    assert len(one) == len(ensemble) == 10
    pd.testing.assert_frame_equal(one.drop(columns="seed"), ensemble.drop(columns="seed"))


# Scores


def test_scores_of_a_constant_error(task: Task, tasks) -> None:
    table = score_table(tasks, with_ensemble(all_rows(task)))
    assert table["seed"].tolist() == ["0", "ensemble"]
    first = table.iloc[0]
    assert (first["task"], first["split"], first["model"], first["context"]) == (
        "current",
        "leave-date-out",
        "ridge",
        "none",
    )
    assert (first["n"], first["n_censored"]) == (32, 3)
    assert first["rmse"] == pytest.approx(0.5)
    assert first["bias"] == pytest.approx(0.5)
    assert first["r2"] == pytest.approx(1 - 0.25 / np.var(task.y))
    residual = task.y - task.climatology
    assert first["skill_climatology"] == pytest.approx(1 - 0.25 * 32 / (residual**2).sum())
    left = task.y - np.where(task.last["has_last"], task.last["log10_last"], task.climatology)
    assert first["skill_persistence"] == pytest.approx(1 - 0.25 * 32 / (left**2).sum())
    assert first["r2_spread"] == 0


def test_shuffles_are_averaged(task: Task, tasks) -> None:
    good, bad = task.y + 0.1, task.y + 0.5
    parts = [
        lines(np.arange(32), mean, split="random-5", repeat=repeat) for repeat, mean in enumerate([good, bad])
    ]
    table = score_table(tasks, pd.concat(parts, ignore_index=True))
    variance = np.var(task.y)
    expected = np.array([1 - 0.01 / variance, 1 - 0.25 / variance])
    assert table.loc[0, "r2"] == pytest.approx(expected.mean())
    assert table.loc[0, "r2_spread"] == pytest.approx(np.diff(expected).item() / -2)
    assert table.loc[0, "n"] == 32


def test_order_of_rows_does_not_matter(task: Task, tasks) -> None:
    predictions = all_rows(task)
    pd.testing.assert_frame_equal(
        score_table(tasks, predictions), score_table(tasks, predictions.sample(frac=1, random_state=0))
    )


@pytest.mark.slow
@pytest.mark.parametrize("beside", [True, False], ids=["beside a whole model", "alone"])
@pytest.mark.parametrize("split", ["leave-date-out", "random-5", "forward"])
def test_a_missing_row_is_refused(task: Task, tasks, split: str, beside: bool) -> None:
    tested = np.flatnonzero(task.dates >= "2024-07-08") if split == "forward" else np.arange(32)
    whole = lines(tested, task.y[tested], split=split, model="gp")
    short = lines(tested[:-1], task.y[tested[:-1]], split=split)
    score_table(tasks, whole)
    with pytest.raises(ScoreError, match=r"ridge \(none\), current.* rows of the split were predicted"):
        score_table(tasks, pd.concat([whole, short] if beside else [short], ignore_index=True))


def test_other_rows_than_those_of_the_split_are_refused(task: Task, tasks) -> None:
    """As many rows, but not the same ones."""
    tested = np.flatnonzero(task.dates >= "2024-07-08")
    shifted = tested - 1
    with pytest.raises(ScoreError, match="11 of 12 rows of the split were predicted, and 1 other"):
        score_table(tasks, lines(shifted, task.y[shifted], split="forward"))


def test_a_row_missing_from_one_shuffle_is_refused(task: Task, tasks) -> None:
    parts = [
        lines(np.arange(n), task.y[:n], split="random-5", repeat=repeat) for repeat, n in enumerate((32, 31))
    ]
    with pytest.raises(ScoreError, match="31 of 32"):
        score_table(tasks, pd.concat(parts, ignore_index=True))


def test_a_missing_shuffle_is_refused(task: Task, tasks) -> None:
    whole = [all_rows(task, split="random-5", repeat=repeat) for repeat in (0, 1)]
    short = all_rows(task, split="random-5", model="gp")
    with pytest.raises(ScoreError, match="1 of 2 shuffles"):
        score_table(tasks, pd.concat([*whole, short], ignore_index=True))


def test_a_doubled_row_is_refused(task: Task, tasks) -> None:
    once = all_rows(task)
    with pytest.raises(ScoreError, match="predicted twice"):
        score_table(tasks, pd.concat([once, once.iloc[[4]]], ignore_index=True))
    doubled = once.assign(row=np.where(once["row"] == 3, 4, once["row"]))  # as many lines as rows
    with pytest.raises(ScoreError, match="predicted twice"):
        score_table(tasks, doubled)


def test_references_are_those_that_were_predicted(task: Task, tasks) -> None:
    """Climatology and persistence of the run itself, with their own spread; a missing row is refused."""
    rows = np.arange(32)
    climatology = lines(rows, task.y + 1.0, model="climatology", context="season", spread=0.7)
    model = lines(rows, task.y + 0.5, model="best-index", spread=0.7)
    together = pd.concat([model, climatology], ignore_index=True)
    table = score_table(tasks, with_ensemble(together)).set_index(["model", "seed"])
    assert table.loc[("best-index", "ensemble"), "skill_climatology"] == pytest.approx(1 - 0.25)
    assert table.loc[("climatology", "ensemble"), "skill_climatology"] == pytest.approx(0)
    assert table.loc[("climatology", "ensemble"), "brier_skill_1"] == pytest.approx(0)
    with pytest.raises(ScoreError, match=r"climatology"):
        score_table(tasks, with_ensemble(together.iloc[:-1]))


# Files


def test_prediction_table(task: Task, study: Study, tasks) -> None:
    below = int(np.flatnonzero(task.below)[0])
    detected = int(np.flatnonzero(~task.below)[5])
    predictions = with_ensemble(lines([below, detected], [-2.0, 0.5], spread=0.4))
    table = prediction_table(tasks, predictions)
    assert list(table.columns) == [
        "task",
        "split",
        "model",
        "context",
        "seed",
        "station",
        "sample_time",
        "overpass_time",
        "observed",
        "predicted",
        "spread_log10",
        "below_detection",
        "fold",
        "repeat",
    ]
    assert table["seed"].tolist() == ["0", "0", "ensemble", "ensemble"]
    first, second = table.iloc[0], table.iloc[1]
    assert (first["observed"], first["below_detection"]) == (pytest.approx(0.1), True)
    assert first["predicted"] == pytest.approx(0.01)  # not raised to the floor
    assert (second["predicted"], second["spread_log10"]) == (pytest.approx(10**0.5), 0.4)
    assert second["fold"] == "one"
    # The laboratory file itself: the line of that sample, and its time 4 hours before UTC.
    source = study.labels.table.loc[task.rows.loc[detected, "sample_id"]]
    record = study.labels_file.read_text().splitlines()[source["line"] - 1].split(",")
    assert second["station"] == record[0]
    assert second["observed"] == pytest.approx(float(record[2]))
    assert not second["below_detection"]
    assert second["sample_time"] == record[1].replace("T10:", "T14:").replace("-04:00", ":00Z")
    overpass = study.patches.time[task.rows.loc[detected, "patch"]]
    assert second["overpass_time"] == f"{overpass.astype('datetime64[s]')}Z"


def test_tasks_keep_their_own_rows(study: Study, task: Task) -> None:
    """The same position is another sample in another task."""
    other = replace(study.tasks["ahead"], rows=study.tasks["ahead"].rows[::-1].reset_index(drop=True))
    predictions = pd.concat([lines([0], [0.0]), lines([0], [0.0]).assign(task="ahead")], ignore_index=True)
    table = prediction_table({"current": task, "ahead": other}, predictions)
    found = dict(zip(table["task"], table["station"], strict=True))
    assert found == {"ahead": "D", "current": "A"}


def test_tables_are_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.csv"
    table = pd.DataFrame({"name": ["a, b", "c"], "value": [1 / 3, np.nan], "n": [1234567, 2]})
    write_table(table, path)
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "value", "n"],
            ["a, b", "0.333333", "1234567"],
            ["c", "", "2"],
        ]
    assert [found.name for found in path.parent.iterdir()] == ["table.csv"]


def test_a_broken_write_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    write_table(pd.DataFrame({"value": [1]}), path)

    def half_a_file(table, target, **kwargs):
        Path(target).write_text("val")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        write_table(pd.DataFrame({"value": [2]}), path)
    assert path.read_text() == "value\n1\n"
    assert [found.name for found in tmp_path.iterdir()] == ["table.csv"]


def test_a_table_of_simulated_data_says_so(tmp_path):
    table = pd.DataFrame({"r2": [0.123456789, np.nan]})
    write_table(table, tmp_path / "made.csv", simulated=True)
    assert (tmp_path / "made.csv").read_text() == "r2,simulated\n0.123457,1\n,1\n"
    write_table(table, tmp_path / "real.csv")
    assert (tmp_path / "real.csv").read_text() == 'r2\n0.123457\n""\n'
