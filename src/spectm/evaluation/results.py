"""Predictions to tables: an ensemble over seeds, scores with intervals, and the CSV files of a run."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.origin import origin_mark
from spectm.data.splits import FIRST_FORWARD_DATE
from spectm.data.times import utc_stamps
from spectm.errors import ScoreError
from spectm.evaluation.scores import Prediction, mean_columns, score_columns
from spectm.evaluation.task import Task
from spectm.files import replacing

__all__ = ["ENSEMBLE", "PAIRED", "prediction_table", "score_table", "with_ensemble", "write_table"]

FloatArray = npt.NDArray[np.floating[Any]]

ENSEMBLE = "ensemble"
PAIRED = ("spectm-blend", "spectm")
"""Models that are held against all others of their context: the default, and the fine-tuned network."""
REFERENCES = ("climatology", "persistence")
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
        variance of the means (a mixture of normals). A model with one seed is its own ensemble. Further
        columns are missing in the ensemble's lines.
    """
    keys = ["task", "split", "model", "context", "repeat", "fold", "row"]
    work = predictions.assign(square=predictions["spread"] ** 2 + predictions["mean"] ** 2)
    of_row = work.groupby(keys, sort=False, as_index=False)
    pooled = of_row.agg(mean=("mean", "mean"), square=("square", "mean"), one=("spread", "first"))
    mixed = np.sqrt(np.maximum(pooled["square"] - pooled["mean"] ** 2, 0.0))
    spread = np.where(of_row.size()["size"] == 1, pooled["one"], mixed)  # of one seed, to the last digit
    ensemble = pooled.drop(columns=["square", "one"]).assign(spread=spread, seed=ENSEMBLE)
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
        If a model's rows or shuffles are not those of the split: a missing row is never silently left out.
    """
    lines = []
    ensembles = predictions[predictions["seed"] == ENSEMBLE]
    references = {
        key: group.set_index(["repeat", "row"])[["mean", "spread"]]
        for key, group in ensembles.groupby(["task", "split", "model"])
        if key[2] in REFERENCES
    }
    shuffles = predictions.groupby(["task", "split"])["repeat"].nunique()
    scored: dict[tuple[str, str, bytes], dict[str, float]] = {}  # a single seed is its own ensemble
    for key, group in predictions.groupby(KEYS, sort=True):
        named = dict(zip(KEYS, map(str, key), strict=True))
        parts = [part for _, part in group.groupby("repeat")]
        if len(parts) != (wanted := shuffles[named["task"], named["split"]]):
            raise ScoreError(
                f"{named['model']} ({named['context']}) was run on {len(parts)} of {wanted} shuffles of "
                f"{named['task']}, {named['split']}. Means over different shuffles can't be compared"
            )
        known = {name: references.get((named["task"], named["split"], name)) for name in REFERENCES}
        numbers = group[["repeat", "row", "mean", "spread"]].to_numpy().tobytes()
        values = (named["task"], named["split"], numbers)
        if values not in scored:
            columns = [_scored(tasks[named["task"]], part, known) for part in parts]
            scored[values] = mean_columns(columns)
        lines.append({**named, **scored[values]})
    return pd.DataFrame(lines)


def _tested(task: Task, split: str) -> npt.NDArray[np.bool_]:
    """Rows that a split tests: all of them, or in ``forward`` those from the sixth date on."""
    first = np.unique(task.dates)[FIRST_FORWARD_DATE:] if split == "forward" else np.unique(task.dates)
    return np.isin(task.dates, first)


def _scored(
    task: Task, predictions: pd.DataFrame, references: dict[str, pd.DataFrame | None]
) -> dict[str, float]:
    """Scores of one shuffle, or of a split without shuffles."""
    rows = predictions["row"].to_numpy()
    first = predictions.iloc[0]
    who = f"{first['model']} ({first['context']}), {task.name}, {first['split']}"
    if np.unique(rows).size != rows.size:
        raise ScoreError(f"{who}: a row was predicted twice by one model; were two runs joined?")
    tested = np.flatnonzero(_tested(task, str(first["split"])))
    if not np.array_equal(np.sort(rows), tested):
        raise ScoreError(
            f"{who}: {np.isin(tested, rows).sum()} of {tested.size} rows of the split were predicted, and "
            f"{(~np.isin(rows, tested)).sum()} others. Scores of different rows can't be compared"
        )
    model = Prediction(predictions["mean"].to_numpy(), predictions["spread"].to_numpy())
    values = {"climatology": task.climatology[rows], "persistence": task.persistence[rows]}
    held_against = {
        name: _reference(references[name], predictions, values[name], task.y[rows]) for name in REFERENCES
    }
    return score_columns(task.observations(rows), model, **held_against)


def _reference(
    known: pd.DataFrame | None, predictions: pd.DataFrame, values: FloatArray, observed: FloatArray
) -> Prediction:
    """Climatology or persistence of the same rows: as it was predicted, fold by fold, where it took part.

    Where it did not, its values are known all the same; its spread is then that of these very rows, which
    flatters it: the Brier skill of the others comes out too low.
    """
    if known is None:
        return Prediction(values, np.full(values.size, np.std(observed - values)))
    of_rows = known.reindex(pd.MultiIndex.from_frame(predictions[["repeat", "row"]]))
    return Prediction(of_rows["mean"].to_numpy(), of_rows["spread"].to_numpy())


def prediction_table(tasks: dict[str, Task], predictions: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``predictions.csv``: places, times and values beside every prediction."""
    parts = []
    for name, group in predictions.groupby("task", sort=True):
        task = tasks[str(name)]
        rows = task.rows.iloc[group["row"].to_numpy()].reset_index(drop=True)
        part = group[KEYS].reset_index(drop=True)
        part["station"] = rows["station"]
        for column in ("sample_time", "overpass_time"):
            part[column] = utc_stamps(rows[column])
        part["observed"] = 10 ** task.y[group["row"].to_numpy()]
        part["predicted"] = 10 ** group["mean"].to_numpy()
        part["spread_log10"] = group["spread"].to_numpy()
        part["below_detection"] = rows["below_detection"]
        part["fold"] = group["fold"].to_numpy()
        part["repeat"] = group["repeat"].to_numpy()
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def write_table(table: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """Write a CSV under a temporary name, then rename; six significant digits.

    Where it was made of simulated data, a last column ``simulated`` says so to whoever finds it alone.
    """
    with replacing(path) as unfinished:
        table.assign(**origin_mark(simulated)).to_csv(unfinished, index=False, float_format="%.6g")
