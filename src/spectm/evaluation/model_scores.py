"""A trained model on files that it may never have seen: its scores, with climatology and persistence."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import spectm
from spectm.data.context import DETECTION_LIMIT
from spectm.data.labels import Labels
from spectm.data.matchups import TASKS
from spectm.data.origin import is_simulated
from spectm.data.patches import Patches
from spectm.data.times import utc_stamps
from spectm.errors import PatchError
from spectm.evaluation.blends import targets_of
from spectm.evaluation.calibration_scores import calibration_table
from spectm.evaluation.results import write_table
from spectm.evaluation.scores import Prediction, score_columns
from spectm.evaluation.sureness import ASKED
from spectm.evaluation.task import Task, build_task
from spectm.files import write_json
from spectm.training.forecaster import Forecaster
from spectm.trust.estimate import LEVELS, Estimate

__all__ = ["score_model"]

FloatArray = npt.NDArray[np.floating[Any]]
SUBSETS = ("unseen", "near", "seen", "all")


def score_model(
    model: Forecaster,
    name: str,
    patches: Patches,
    labels: Labels,
    out: Path,
    *,
    tasks: Sequence[str] = TASKS,
    provenance: dict[str, Any] | None = None,
) -> tuple[pd.DataFrame, list[Path]]:
    """Score a trained model beside climatology and persistence, apart for rows that it learned from.

    Apart, too, are rows whose sample or overpass lies within 60 hours of what was learned from: those of
    other stations on the same cruise tell of each other.

    Parameters
    ----------
    model : Forecaster
        A released one, or one's own.
    name : str
        What tables call it.
    patches, labels
        Files of the same layout as those it was trained on. No earlier years are needed: the model has its
        climatology.
    out : Path
        Folder; gets ``scores.csv``, ``calibration.csv``, ``predictions.csv`` and ``run.json``.
    tasks : sequence of str
        Which of `TASKS`. One without a single pair is named in ``run.json`` and has no score.
    provenance : dict, optional
        Of the input files.

    Returns
    -------
    tuple
        The table of scores, and what was written.

    Raises
    ------
    CheckpointError
        If the patches have other bands.
    PatchError
        If no task has a row.
    """
    scores, held, predictions, empty = [], [], [], []
    for task_name in dict.fromkeys(tasks):
        task = build_task(task_name, patches, labels, climatology=model.record.climatology)
        if len(task.rows) == 0:
            empty.append(task_name)
            continue
        table = _predicted(model, name, patches, task)
        predictions.append(table)
        scores += _scored(table, task, name)
        held += _held(table, task, name)
    if not scores:
        n_valid = int(patches.valid.any(axis=(1, 2)).sum())
        raise PatchError(
            f"wanted laboratory samples around the overpasses of {patches.source}, or five to eleven days "
            f"after them, at the same stations; found none for {', '.join(empty)} "
            f"({n_valid} of {patches.n_samples} patches hold a valid pixel). Are they of the same days?"
        )
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "scores.csv": pd.DataFrame(scores),
        "calibration.csv": pd.concat(held, ignore_index=True),
        "predictions.csv": pd.concat(predictions, ignore_index=True),
    }
    for file, content in tables.items():
        write_table(content, out / file, simulated=patches.simulated)
    record = {
        "format": "spectm-model-scores",
        "format_version": 1,
        "spectm_version": spectm.__version__,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": name,
        "simulated": patches.simulated,
        "model_simulated": is_simulated(model.meta["provenance"]),
        "tasks_without_rows": empty,
        **(provenance or {}),
    }
    write_json(out / "run.json", record)
    return tables["scores.csv"], [out / file for file in (*tables, "run.json")]


def _predicted(model: Forecaster, name: str, patches: Patches, task: Task) -> pd.DataFrame:
    """One line for each row of a task: what was found, what the model and the references say."""
    mean, spread = model.predict(patches, targets_of(task))
    estimate = Estimate(
        mean=mean, spread=spread, calibration=model.calibrated_for(task.name), least=DETECTION_LIMIT
    )
    intervals = {level: estimate.interval(level) for level in LEVELS}
    learned = model.knows(task.rows)
    stamps = {column: utc_stamps(task.rows[column]) for column in ("sample_time", "overpass_time")}
    return pd.DataFrame(
        {
            "task": task.name,
            "model": name,
            "station": task.rows["station"],
            **stamps,
            "observed": 10**task.y,
            "below_detection": task.below,
            "predicted": 10**mean,
            "spread_log10": spread,
            **{f"low{100 * level:.0f}": low for level, (low, _) in intervals.items()},
            **{f"high{100 * level:.0f}": high for level, (_, high) in intervals.items()},
            "below_detection_probability": estimate.below_detection,
            **{f"above_{one:g}_probability": estimate.exceedance(one) for one in ASKED},
            "climatology": 10**task.climatology,
            "persistence": 10**task.persistence,
            "learned_from": learned,
            "near_learned": model.is_near(task.rows) & ~learned,
        }
    )


def _subsets(table: pd.DataFrame) -> dict[str, npt.NDArray[np.intp]]:
    """Rows by what the model has seen of them; none that is empty."""
    learned, near = (table[name].to_numpy(dtype=np.bool_) for name in ("learned_from", "near_learned"))
    subsets = (~learned & ~near, near, learned, np.ones_like(learned))
    found = {name: np.flatnonzero(chosen) for name, chosen in zip(SUBSETS, subsets, strict=True)}
    return {name: rows for name, rows in found.items() if rows.size}


def _held(table: pd.DataFrame, task: Task, name: str) -> list[pd.DataFrame]:
    """Whether the model's intervals held what they promise."""
    lines = []
    for subset, rows in _subsets(table).items():
        ends = {level: _ends(table, level, rows) for level in LEVELS}
        found = calibration_table(task.observations(rows), ends, task=task.name, seen=subset, model=name)
        lines.append(found)
    return lines


def _ends(table: pd.DataFrame, level: float, rows: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    low, high = (np.log10(table[f"{end}{100 * level:.0f}"].to_numpy()[rows]) for end in ("low", "high"))
    return low, high


def _scored(table: pd.DataFrame, task: Task, name: str) -> list[dict[str, Any]]:
    """Scores of model, climatology and persistence, by what the model has seen of the rows."""
    lines: list[dict[str, Any]] = []
    for subset, rows in _subsets(table).items():
        observed = task.observations(rows)
        usual, last = task.climatology[rows], task.persistence[rows]
        # The spread of the references is that of these very rows, which flatters them.
        references = {
            "climatology": Prediction(usual, np.full(rows.size, _spread(task.y[rows], usual))),
            "persistence": Prediction(last, np.full(rows.size, _spread(task.y[rows], last))),
        }
        own = Prediction(
            np.log10(table["predicted"].to_numpy()[rows]), table["spread_log10"].to_numpy()[rows]
        )
        for who, prediction in [(name, own), *references.items()]:
            line = {
                "task": task.name,
                "rows": subset,
                "model": who,
                "n_dates": np.unique(observed.dates).size,
            }
            lines.append(line | score_columns(observed, prediction, **references))
    return lines


def _spread(observed: FloatArray, predicted: FloatArray) -> float:
    return max(float(np.std(observed - predicted)), 1e-3)
