"""Read back what `spectm evaluate` wrote, checked file by file."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spectm.data.context import CONTEXTS
from spectm.data.matchups import TASKS
from spectm.errors import ReportError
from spectm.evaluation.reconstruction import METHODS
from spectm.evaluation.results import ENSEMBLE, KEYS
from spectm.evaluation.scores import THRESHOLDS
from spectm.evaluation.study import HEADLINE, MODELS, SPLITS
from spectm.evaluation.sureness import ASKED, probability_column

__all__ = ["SURENESS", "RunFolder", "read_run_folder"]

FORMAT = "spectm-evaluation"
FORMAT_VERSION = 1
SURENESS = (
    "calibration",
    "distribution",
    "distribution_scores",
    "reliability",
    "withheld",
    "familiar",
    "familiar_blind",
)
"""Tables about how sure models are; each lies in a file of its name."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Columns that a file must have, by what they hold."""

    text: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()  # numbers; NaN where the column is absent


def _with_interval(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{end}" for name in names for end in ("", "_low", "_high"))


_SCORES = _with_interval(
    "r2", "rmse", "mae", "bias", "mdsa", "sspb", "r2_detected", "skill_climatology", "skill_persistence"
)
_EXCEEDANCE = tuple(
    column
    for T in (f"{threshold:g}" for threshold in THRESHOLDS)
    for column in (
        f"positives_{T}",
        f"brier_{T}",
        *_with_interval(f"brier_skill_{T}"),
        *(f"{name}_{T}" for name in ("recall", "precision", "roc_auc", "pr_auc")),
    )
)
_MODEL = ("task", "split", "model", "context")
_ENDS = ("low_50", "high_50", "low_90", "high_90")
_PROBABILITIES = (*map(probability_column, ASKED), "p_below_detection")
_LAYOUTS = {
    "scores.csv": _Layout(text=tuple(KEYS), numbers=("n", "n_censored", *_SCORES, *_EXCEEDANCE, "r2_spread")),
    "predictions.csv": _Layout(
        text=(*KEYS, "station", "sample_time", "overpass_time", "fold"),
        numbers=("observed", "predicted", "spread_log10", "repeat"),
        flags=("below_detection",),
    ),
    "pairs.csv": _Layout(
        text=("task", "split", "context", "model", "against"),
        numbers=("r2_difference", "low", "high"),
        optional=("corrected_low", "corrected_high", "p_corrected", "detectable"),
    ),
    "reconstruction.csv": _Layout(
        text=("window", "method"),
        numbers=("guard_nm", "n_spectra", "n_bands", "r", "r_band", "rmse", *_with_interval("rmse_ratio")),
    ),
    "reconstruction_examples.csv": _Layout(
        text=("date",),
        numbers=("guard_nm", "example", "wavelength", "observed", *METHODS),
        flags=("hidden", "scored"),
    ),
    "worst_spectra.csv": _Layout(
        text=("task", "station", "sample_time"), numbers=("rank", "wavelength", "Rrs", "typical")
    ),
    "calibration.csv": _Layout(
        text=(*_MODEL, "rows"),
        numbers=("level", *_with_interval("coverage"), "width", "interval_score", "n"),
    ),
    "distribution.csv": _Layout(
        text=(*_MODEL, "fold", "station", "sample_time", "overpass_time", "reasons", "flagged"),
        numbers=("observed", "median", *_ENDS, *_PROBABILITIES, "crps", "n_dates", "strangeness"),
        flags=("below_detection",),
    ),
    "distribution_scores.csv": _Layout(
        text=(*_MODEL, "rows", "score", "against"),
        numbers=("threshold", "value", "low", "high", "n", "positives"),
    ),
    "reliability.csv": _Layout(
        text=_MODEL, numbers=("threshold", "probability", *_with_interval("frequency"), "n")
    ),
    "withheld.csv": _Layout(
        text=(*_MODEL, "kept"),
        numbers=("n", "share", "share_of_dates", *_with_interval("rmse", "crps")),
    ),
    "familiar.csv": _Layout(
        text=("kind", "spectra", "reason"), numbers=("share", "share_of_dates", "n", "n_dates")
    ),
    "familiar_blind.csv": _Layout(
        text=("left_out", "kind", "spectra", "reason"), numbers=("share", "share_of_dates", "n", "n_dates")
    ),
    "curves.csv": _Layout(
        text=("split", "scope", "model", "seed"),
        numbers=("step", "loss", "validation"),
        optional=("learning_rate", "reconstruction", "indices", "temporal"),
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)  # no slots: what is asked for often is kept
class RunFolder:
    """The tables of one run; a file that a partial run does not have is an empty table.

    Parameters
    ----------
    path : Path
        Where it was read.
    scores, predictions, pairs, reconstruction, examples, worst, curves : DataFrame
        As ``docs/formats.md`` describes them.
    calibration, distribution, distribution_scores, reliability, withheld : DataFrame
        How sure models are; as ``docs/formats.md`` describes them.
    familiar, familiar_blind : DataFrame
        What looks familiar; as ``docs/formats.md`` describes them.
    record : dict
        ``run.json``; empty where it is absent.
    absent : tuple of str
        Optional files that are not there.
    """

    path: Path
    scores: pd.DataFrame
    predictions: pd.DataFrame
    pairs: pd.DataFrame
    reconstruction: pd.DataFrame
    examples: pd.DataFrame
    worst: pd.DataFrame
    curves: pd.DataFrame
    calibration: pd.DataFrame
    distribution: pd.DataFrame
    distribution_scores: pd.DataFrame
    reliability: pd.DataFrame
    withheld: pd.DataFrame
    familiar: pd.DataFrame
    familiar_blind: pd.DataFrame
    record: dict[str, Any]
    absent: tuple[str, ...]

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks that were scored, in the order of the protocol."""
        return in_order(self.scores["task"], TASKS)

    @cached_property
    def splits(self) -> list[str]:
        """Splits that were run, in the order of the protocol."""
        return in_order(self.scores["split"], SPLITS)

    @cached_property
    def contexts(self) -> list[str]:
        """Contexts that were run, from least to most."""
        return in_order(self.scores["context"], CONTEXTS)

    def ensembles(self, task: str, split: str = HEADLINE) -> pd.DataFrame:
        """Scores of the ensembles over seeds, by context and model in the order of the protocol."""
        return self._ensembles.get((task, split), self.scores.iloc[:0])

    def lines(self, task: str, model: str, context: str) -> pd.DataFrame:
        """Leave-date-out predictions of an ensemble, in the order of the rows of the task."""
        wanted = {"task": task, "split": HEADLINE, "model": model, "context": context, "seed": ENSEMBLE}
        chosen = [(self.predictions[key] == value).to_numpy() for key, value in wanted.items()]
        return self.predictions[np.logical_and.reduce(chosen)].reset_index(drop=True)

    @cached_property
    def _ensembles(self) -> dict[tuple[str, str], pd.DataFrame]:
        place = {name: i for i, name in enumerate(self.contexts)}
        position = {name: i for i, name in enumerate(in_order(self.scores["model"], MODELS))}
        chosen = self.scores[self.scores["seed"] == ENSEMBLE]
        order = pd.DataFrame({"a": chosen["context"].map(place), "b": chosen["model"].map(position)})
        chosen = chosen.loc[order.sort_values(["a", "b"]).index]
        return {
            (str(task), str(split)): lines.reset_index(drop=True)
            for (task, split), lines in chosen.groupby(["task", "split"])
        }


def in_order(found: "pd.Series[str]", known: tuple[str, ...]) -> list[str]:
    """Distinct values: the known ones in their order, then others by name."""
    values = set(found)
    return [name for name in known if name in values] + sorted(values - set(known))


def read_run_folder(folder: Path) -> RunFolder:
    """Read the files of one run.

    Parameters
    ----------
    folder : Path
        Where ``spectm evaluate`` wrote; ``scores.csv`` and ``predictions.csv`` must be there.

    Raises
    ------
    ReportError
        If one of the two is missing, or any file is not what ``docs/formats.md`` describes.
    """
    tables = {name: _read_table(folder, name) for name in _LAYOUTS}
    scores, predictions = tables["scores.csv"], tables["predictions.csv"]
    for name in ("scores.csv", "predictions.csv"):
        if tables[name].empty:
            raise ReportError(_missing(folder, name))
    if not (scores["seed"] == ENSEMBLE).any():
        raise ReportError(
            f"{folder / 'scores.csv'}: wanted lines with seed '{ENSEMBLE}', found only "
            f"{', '.join(sorted(set(scores['seed'])))}. Was it cut? Run spectm evaluate again"
        )
    scored, predicted = (set(table[KEYS].itertuples(index=False)) for table in (scores, predictions))
    if alone := sorted(scored ^ predicted):
        raise ReportError(
            f"{folder}: scores.csv and predictions.csv are not of one run: only one of them has "
            f"{', '.join(alone[0])}. Run spectm evaluate again, into an empty folder"
        )
    return RunFolder(
        path=folder,
        scores=scores,
        predictions=predictions,
        pairs=tables["pairs.csv"],
        reconstruction=tables["reconstruction.csv"],
        examples=tables["reconstruction_examples.csv"],
        worst=tables["worst_spectra.csv"],
        curves=tables["curves.csv"],
        **{name: tables[f"{name}.csv"] for name in SURENESS},
        record=_read_record(folder / "run.json"),
        absent=tuple(name for name in (*_LAYOUTS, "run.json") if not (folder / name).is_file()),
    )


def _missing(folder: Path, name: str) -> str:
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = ", ".join(there) if there else ("an empty folder" if folder.is_dir() else "no such folder")
    what = "it has no lines" if (folder / name).is_file() else "there is none"
    return (
        f"a report wants {folder / name}, and {what}; found: {found}. "
        "Is this a folder that spectm evaluate wrote, and did it finish?"
    )


def _read_table(folder: Path, name: str) -> pd.DataFrame:
    """One CSV with its columns checked and typed; no lines where there is no such file."""
    layout, path = _LAYOUTS[name], folder / name
    columns = [*layout.text, *layout.numbers, *layout.flags, *layout.optional]
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    try:
        # As text first: a station may be called NA, and a foreign value must be named, not become NaN.
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ReportError(f"can't read {path} as a CSV file: {error}. Run spectm evaluate again") from error
    wanted = [column for column in columns if column not in layout.optional]
    if lacking := [column for column in wanted if column not in table.columns]:
        raise ReportError(
            f"{path}: wanted the columns of spectm evaluate (docs/formats.md), found no "
            f"{', '.join(lacking)}; the file has {', '.join(map(str, table.columns))}. Is it of another "
            "program or version?"
        )
    table = table.reindex(columns=columns, fill_value="")
    for column in (*layout.numbers, *layout.optional):
        table[column] = _numbers(table[column], path)
    for column in layout.flags:
        table[column] = _flags(table[column], path)
    return table


def _numbers(texts: "pd.Series[str]", path: Path) -> "pd.Series[float]":
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    _refuse(numbers.isna() & ~texts.str.lower().isin(("", "nan")), texts, path, "a number")
    return numbers


def _flags(texts: "pd.Series[str]", path: Path) -> "pd.Series[bool]":
    _refuse(~texts.isin(("True", "False")), texts, path, "True or False")
    return texts == "True"


def _refuse(wrong: "pd.Series[bool]", texts: "pd.Series[str]", path: Path, wanted: str) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise ReportError(
            f"{path}, line {row + 2}, column {texts.name}: wanted {wanted}, found {texts.iloc[row]!r}. "
            "Was the file edited? Run spectm evaluate again"
        )


def _read_record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReportError(f"{path} is damaged: {error}. Run spectm evaluate again") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ReportError(
            f"{path}: wanted the record of an evaluation, format = {FORMAT!r}, found another file of that "
            "name. Give the folder that spectm evaluate wrote"
        )
    version = record.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ReportError(
            f"{path} has format version {version}; this spectm reads up to {FORMAT_VERSION}. "
            "Use a newer spectm"
        )
    for key, kind in (("files", list), ("counts", dict), ("settings", dict)):
        if not isinstance(record.get(key, kind()), kind):
            raise ReportError(f"{path}: wanted a {kind.__name__} under {key!r}. Run spectm evaluate again")
    return record
