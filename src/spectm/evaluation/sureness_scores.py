"""Scores of calibrated distributions: coverage, CRPS, Brier skill, reliability, gains by withholding."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.evaluation.calibration_scores import (
    LEVELS,
    brier_skill,
    calibration_table,
    excess,
    interval_score,
    mean_over_dates,
    reliability,
)
from spectm.evaluation.scores import (
    Interval,
    Observations,
    floored,
    reached,
)
from spectm.evaluation.sureness import ASKED, probability_column
from spectm.evaluation.task import Task

__all__ = [
    "AGAINST",
    "FEWEST_CASES",
    "KEYS",
    "SCORE_COLUMNS",
    "calibration_lines",
    "distribution_scores",
    "reliability_lines",
    "seen_by_model",
    "withheld_lines",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

KEYS = ["task", "split", "model", "context"]
AGAINST = ("climatology", "gp")
"""What every model is held against, on the same rows."""
FEWEST_CASES = 5
"""Rows above a threshold, and below it, that a claim about its probability wants."""
SCORE_COLUMNS = [*KEYS, "rows", "score", "threshold", "against", "value", "low", "high", "n", "positives"]
KEPT_SHARES = (0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Probabilities that were asked for beforehand, as a distribution that knows no others."""

    lines: pd.DataFrame

    def exceedance(self, threshold: float) -> FloatArray:
        """Probability, shape (n,), of a concentration above one of `ASKED` (ug/L)."""
        return self.lines[probability_column(threshold)].to_numpy(dtype=np.float64)


def calibration_lines(tasks: Mapping[str, Task], lines: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``calibration.csv``.

    Parameters
    ----------
    tasks : mapping of str to Task
    lines : DataFrame
        Of `spectm.evaluation.sureness.distribution_lines`, all folds.
    """
    parts = []
    for key, own in _models(lines):
        task = tasks[key["task"]]
        rows = own["row"].to_numpy()
        stations = task.rows["station"].to_numpy(dtype=np.str_)[rows]
        intervals = {level: _ends(own, level) for level in LEVELS}
        parts.append(calibration_table(task.observations(rows), intervals, stations, **key))
    return pd.concat(parts, ignore_index=True)


def distribution_scores(tasks: Mapping[str, Task], lines: pd.DataFrame) -> pd.DataFrame:
    """CRPS and interval scores, alone and beside references; Brier skill; whether probabilities are too low.

    Returns
    -------
    DataFrame
        `SCORE_COLUMNS`. ``score`` is "crps", "interval_score_50" or "interval_score_90" (means, log10), with
        ``against`` that of the model minus that of another on the same rows; "brier"; "brier_skill" against a
        model; "excess", the observed frequency minus the mean probability. ``value`` has its interval over
        dates in ``low`` and ``high``. Thresholds with too few cases have no "brier_skill" and no "excess".
    """
    found: list[dict[str, Any]] = []
    for key, own in _models(lines):
        task = tasks[key["task"]]
        found += [{**key, "against": "", **score} for score in _alone(task, own)]
        for name in AGAINST:
            other = lines[_is(lines, {**key, "model": name})]
            if name != key["model"] and not other.empty:
                found += [{**key, "against": name, **score} for score in _beside(task, own, other)]
    return pd.DataFrame(found, columns=SCORE_COLUMNS)


def reliability_lines(tasks: Mapping[str, Task], lines: pd.DataFrame) -> pd.DataFrame:
    """How often exceedances came true, by their probability; thresholds with too few cases are left out.

    Returns
    -------
    DataFrame
        `KEYS`, then the columns of `spectm.evaluation.calibration_scores.reliability`.
    """
    parts = []
    for key, own in _models(lines):
        observed = tasks[key["task"]].observations(own["row"].to_numpy())
        for threshold in ASKED:
            if _enough(reached(observed, threshold)):
                found = reliability(observed, _Asked(own), threshold)
                parts.append(found.assign(**key)[[*KEYS, *found.columns]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def seen_by_model(lines: pd.DataFrame, flags: pd.DataFrame) -> pd.DataFrame:
    """Distributions with what is flagged: by the encoder's view too where a model has one.

    Parameters
    ----------
    lines, flags : DataFrame
        Of `distribution_lines` and of `spectm.evaluation.sureness_familiar.flag_lines`.

    Returns
    -------
    DataFrame
        ``lines`` with ``flagged`` (NaN where it was not judged), ``reasons`` and ``strangeness``.
    """
    if flags.empty:
        return lines.assign(flagged=np.nan, reasons="", strangeness=np.nan)
    seers = set(flags["seer"])
    family = lines["model"].str.startswith("spectm") & ("encoder" in seers)
    wanted = lines.assign(seer=np.where(family, "encoder", "bands"))
    keys = ["task", "split", "fold", "row", "seer"]
    joined = wanted.merge(flags, on=keys, how="left", validate="many_to_one")
    return joined.drop(columns="seer").fillna({"reasons": ""})


def withheld_lines(tasks: Mapping[str, Task], judged: pd.DataFrame) -> pd.DataFrame:
    """Errors of what is left when strange spectra are withheld.

    Parameters
    ----------
    tasks : mapping of str to Task
    judged : DataFrame
        Of `seen_by_model`.

    Returns
    -------
    DataFrame
        `KEYS`, ``kept`` ("all", "not flagged", "flagged", "0.9" and so on: the most familiar share), ``n``,
        ``share`` of rows, ``share_of_dates`` (mean over dates), ``rmse`` and ``crps`` (log10), each with
        ``_low`` and ``_high`` over dates.
    """
    found = []
    for key, own in _models(judged[judged["flagged"].notna()]):
        task, rows = tasks[key["task"]], own["row"].to_numpy()
        observed, flagged = task.observations(rows), own["flagged"].to_numpy(dtype=bool)
        error = (floored(own["mean"].to_numpy()) - observed.log10) ** 2
        crps, rank = own["crps"].to_numpy(), own["strangeness"].rank(method="first").to_numpy() / len(own)
        chosen = {"all": np.ones_like(flagged), "not flagged": ~flagged, "flagged": flagged}
        chosen |= {f"{share:g}": rank <= share + 1e-9 for share in KEPT_SHARES}
        for name, kept in chosen.items():
            root = mean_over_dates(observed, error, kept)
            line = {**key, "kept": name, "n": int(kept.sum()), "share": float(kept.mean())}
            line["share_of_dates"] = float(pd.Series(kept).groupby(observed.dates).mean().mean())
            squares = Interval(*(float(np.sqrt(end)) for end in (root.value, root.low, root.high)))
            found.append(
                line | _named("rmse", squares) | _named("crps", mean_over_dates(observed, crps, kept))
            )
    return pd.DataFrame(found)


def _models(lines: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Lines of each model, in the order of rows."""
    for values, own in lines.groupby(KEYS, sort=False):
        key = dict(zip(KEYS, map(str, values), strict=True))
        yield key, own.sort_values("row").reset_index(drop=True)


def _is(lines: pd.DataFrame, key: Mapping[str, str]) -> BoolArray:
    return np.logical_and.reduce([(lines[name] == value).to_numpy() for name, value in key.items()])


def _ends(lines: pd.DataFrame, level: float) -> tuple[FloatArray, FloatArray]:
    low, high = (lines[f"{end}_{100 * level:g}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
    return low, high


def _alone(task: Task, own: pd.DataFrame) -> Iterator[dict[str, Any]]:
    observed = task.observations(own["row"].to_numpy())
    subsets = {"all": np.ones_like(observed.below_detection), "detected": ~observed.below_detection}
    for name, values in _losses(observed, own).items():
        for rows, chosen in subsets.items():
            yield _line(rows, name, mean_over_dates(observed, values, chosen), int(chosen.sum()))
    for threshold in ASKED:
        event, probability = reached(observed, threshold), _Asked(own).exceedance(threshold)
        more = {"threshold": threshold, "positives": int(event.sum())}
        loss = mean_over_dates(observed, (probability - event) ** 2, subsets["all"])
        yield _line("all", "brier", loss, event.size) | more
        if _enough(event):
            yield _line("all", "excess", excess(observed, _Asked(own), threshold), event.size) | more


def _beside(task: Task, own: pd.DataFrame, other: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The model minus another on the rows that both have, and its Brier skill."""
    rows = np.intersect1d(own["row"], other["row"])
    own, other = (each.set_index("row").loc[rows].reset_index() for each in (own, other))
    observed = task.observations(rows)
    subsets = {"all": np.ones_like(observed.below_detection), "detected": ~observed.below_detection}
    mine, theirs = _losses(observed, own), _losses(observed, other)
    for name in mine:
        for subset, chosen in subsets.items():
            gap = mean_over_dates(observed, mine[name] - theirs[name], chosen)
            yield _line(subset, name, gap, int(chosen.sum()))
    for threshold in ASKED:
        event = reached(observed, threshold)
        if _enough(event):
            gain = brier_skill(observed, _Asked(own), _Asked(other), threshold)
            more = {"threshold": threshold, "positives": int(event.sum())}
            yield _line("all", "brier_skill", gain, event.size) | more


def _losses(observed: Observations, lines: pd.DataFrame) -> dict[str, FloatArray]:
    """What each row costs, by name of the score."""
    found = {"crps": lines["crps"].to_numpy(dtype=np.float64)}
    for level in LEVELS:
        name = f"interval_score_{100 * level:g}"
        found[name] = interval_score(observed, *_ends(lines, level), level)
    return found


def _enough(event: BoolArray) -> bool:
    return FEWEST_CASES <= event.sum() <= event.size - FEWEST_CASES


def _line(rows: str, score: str, value: Interval, n: int) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": rows, "score": score, "threshold": np.nan, "n": n, "positives": np.nan}
    return found | {"value": value.value, "low": value.low, "high": value.high}


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
