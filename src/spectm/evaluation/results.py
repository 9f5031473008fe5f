"""Predictions to tables: an ensemble over seeds, scores with intervals, and the CSV files of a run."""

from pathlib import Path

import numpy as np
import pandas as pd

from spectm.data.splits import row_times
from spectm.errors import ScoreError
from spectm.evaluation.scores import Prediction, mean_columns, score_columns
from spectm.evaluation.task import Task

__all__ = ["ENSEMBLE", "prediction_table", "score_table", "with_ensemble", "write_table"]

ENSEMBLE = "ensemble"
KEYS = ["task", "split", "model", "context", "seed"]


def with_ensemble(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add the ensemble over seeds to the predictions of every model.

    Parameters
    ----------
    predictions : DataFrame
        As `spectm.evaluation.protocol.run_protocol` returns them.

    Returns
    -------
    DataFrame
        ``seed`` is text; the ensemble's mean is the mean over seeds, its variance the mean variance plus the
        variance of the means (a mixture of normals). A model with one seed is its own ensemble.
    """
    keys = [key for key in predictions.columns if key not in ("seed", "mean", "spread")]
    work = predictions.assign(square=predictions["spread"] ** 2 + predictions["mean"] ** 2)
    pooled = work.groupby(keys, sort=False, as_index=False)[["mean", "square"]].mean()
    spread = np.sqrt(np.maximum(pooled["square"] - pooled["mean"] ** 2, 0.0))
    ensemble = pooled.drop(columns="square").assign(spread=spread, seed=ENSEMBLE)
    joined = pd.concat(
        [predictions.assign(seed=predictions["seed"].astype(str)), ensemble], ignore_index=True
    )
    return joined[predictions.columns].sort_values([*KEYS, "repeat", "row"], ignore_index=True)


def score_table(tasks: dict[str, Task], predictions: pd.DataFrame) -> pd.DataFrame:
    """One line of scores per task, split, model, context and seed.

    Parameters
    ----------
    tasks : dict of Task
        Observed values, climatology, dates.
    predictions : DataFrame
        With the ensemble.

    Returns
    -------
    DataFrame
        The columns of ``scores.csv``. Folds are pooled; for ``random-5`` every column is the mean over
        shuffles, and ``r2_spread`` their standard deviation.

    Raises
    ------
    ScoreError
        If a model's rows are not those of the split: a missing row is never silently left out.
    """
    lines = []
    for key, group in predictions.groupby(KEYS, sort=True):
        named = dict(zip(KEYS, map(str, key), strict=True))
        columns = [_scored(tasks[named["task"]], shuffle) for _, shuffle in group.groupby("repeat")]
        lines.append({**named, **mean_columns(columns)})
    table = pd.DataFrame(lines)
    rows = table.groupby(["task", "split"])["n"].transform("max")
    if (short := table[table["n"] != rows]).size:
        first = short.iloc[0]
        raise ScoreError(
            f"{first['model']} ({first['context']}) predicted {first['n']} rows of {first['task']}, "
            f"{first['split']}; "
            f"others predicted {rows[short.index[0]]}. Scores of different rows can't be compared"
        )
    return table


def _scored(task: Task, predictions: pd.DataFrame) -> dict[str, float]:
    """Scores of one shuffle, or of a split without shuffles."""
    rows = predictions["row"].to_numpy()
    if np.unique(rows).size != rows.size:
        raise ScoreError(f"{task.name}: a row was predicted twice by one model; were two runs joined?")
    spread = predictions["spread"].to_numpy()
    references = {
        name: Prediction(values[rows], np.full(rows.size, np.std(task.y[rows] - values[rows])))
        for name, values in (("climatology", task.climatology), ("persistence", task.persistence))
    }
    return score_columns(
        task.observations(rows), Prediction(predictions["mean"].to_numpy(), spread), **references
    )


def prediction_table(tasks: dict[str, Task], predictions: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``predictions.csv``: places, times and values beside every prediction."""
    parts = []
    for name, group in predictions.groupby("task", sort=True):
        task = tasks[str(name)]
        rows = task.rows.iloc[group["row"].to_numpy()].reset_index(drop=True)
        times = row_times(rows).reshape(2, -1).astype("datetime64[s]")
        stamped = np.char.add(np.datetime_as_string(times), "Z")
        part = group[KEYS].reset_index(drop=True)
        part["station"] = rows["station"]
        part["sample_time"], part["overpass_time"] = stamped
        part["observed"] = 10 ** task.y[group["row"].to_numpy()]
        part["predicted"] = 10 ** group["mean"].to_numpy()
        part["spread_log10"] = group["spread"].to_numpy()
        part["below_detection"] = rows["below_detection"]
        part["fold"] = group["fold"].to_numpy()
        part["repeat"] = group["repeat"].to_numpy()
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV under a temporary name, then rename; six significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    table.to_csv(unfinished, index=False, float_format="%.6g")
    unfinished.replace(path)
