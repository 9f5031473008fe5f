"""Tables of a run as text: the page and the Markdown show the same ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spectm.evaluation.findings import (
    CONTEXT_MEANINGS,
    REFERENCES,
    TASK_TITLES,
    Row,
    best_baseline,
    bracketed,
    days,
    estimate,
    number,
    reading,
    sample_rows,
)
from spectm.evaluation.results import ENSEMBLE, PAIRED
from spectm.evaluation.run_folder import RunFolder
from spectm.evaluation.scores import FLOOR, THRESHOLDS
from spectm.evaluation.study import HEADLINE

__all__ = [
    "Table",
    "agreement_row",
    "alarm_table",
    "context_table",
    "corrected_cells",
    "count_table",
    "curve_table",
    "exceedance_table",
    "file_table",
    "markdown",
    "pair_table",
    "reconstruction_table",
    "score_table",
    "settings_table",
    "split_table",
]


# ug/L; the protocol makes no claim from real data there, for want of samples above it.
NO_CLAIM = 8.0


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, column heads and rows of text; the first column names the row.

    Parameters
    ----------
    caption : str
    columns : tuple of str
    rows : sequence of tuple of str
    breaks : tuple of int
        Rows that begin a group.
    """

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    breaks: tuple[int, ...] = ()


def markdown(table: Table) -> str:
    """A table as Markdown, its caption above it; what came from files can't break it."""
    lines = [table.columns, ("---",) * len(table.columns), *table.rows]
    body = "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)
    return f"{_escaped(table.caption)}:\n\n{body}\n"


def _escaped(text: str) -> str:
    for character in ("\\", "|", "<", "`", "*"):
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def count_table(run: RunFolder) -> Table:
    """What was tested, task by task, with the check sums that the run recorded."""
    rows = []
    for task in run.tasks:
        samples, scores = sample_rows(run, task), run.scores[run.scores["task"] == task]
        # Those of the scores where there are any, so that no rounding of a file makes another count.
        above = [f"{scores[f'positives_{T:g}'].max():.0f}" for T in THRESHOLDS]
        recorded: dict[str, float] = run.record.get("counts", {}).get(task, {})
        rows.append(
            (
                TASK_TITLES.get(task, task),
                str(len(samples)),
                str(int(samples["below_detection"].sum())),
                str(samples["station"].nunique()),
                str(days(samples).nunique()),
                f"{days(samples).min()} to {days(samples).max()}",
                *above,
                str(int((samples["observed"] > NO_CLAIM).sum())),
                number(recorded.get("mean_hours_apart", np.nan)),
                number(recorded.get("mean_absolute_hours_apart", np.nan)),
            )
        )
    columns = ("Task", "Samples", "Below detection", "Stations", "Days", "Period")
    above_heads = tuple(f"Above {T:g} ug/L" for T in (*THRESHOLDS, NO_CLAIM))
    hours = ("Sample minus overpass, h", "Time apart, h")
    return Table("Laboratory samples that were predicted", (*columns, *above_heads, *hours), rows)


def score_table(run: RunFolder, task: str) -> Table:
    """All models and contexts, leave-date-out: references first, then by context, the best first."""
    scores = _grouped(run.ensembles(task))
    rows = [
        (
            str(row["model"]),
            str(row["context"]),
            estimate(row, "r2"),
            estimate(row, "skill_climatology"),
            number(row["rmse"]),
            number(row["bias"]),
            f"{number(row['mdsa'], 0)} %" if np.isfinite(row["mdsa"]) else "n/a",
            number(row["r2_detected"]),
            _seeds(run, row),
        )
        for row in scores.to_dict("records")
    ]
    columns = ("Model", "Context", "R2 [95 %]", "Skill against climatology [95 %]", "RMSE, log10")
    more = ("Bias, log10", "MdSA", "R2, detected only", "Seeds: R2 spread")
    caption = f"{TASK_TITLES.get(task, task)}: all models, {HEADLINE}"
    return Table(caption, (*columns, *more), rows, _breaks(scores))


def _grouped(scores: pd.DataFrame) -> pd.DataFrame:
    """References first; then context by context, the highest R2 first."""
    contexts = {name: i for i, name in enumerate(dict.fromkeys(scores["context"]), start=1)}
    group = scores["context"].map(contexts).where(~scores["model"].isin(REFERENCES), 0)
    return scores.assign(group=group).sort_values(
        ["group", "r2"], ascending=[True, False], kind="stable", ignore_index=True
    )


def _breaks(grouped: pd.DataFrame) -> tuple[int, ...]:
    change = grouped["group"].ne(grouped["group"].shift()).to_numpy()
    return tuple(int(i) for i in np.flatnonzero(change) if i)


def _seeds(run: RunFolder, row: Row) -> str:
    """Number of seeds, and the standard deviation of their R2: the ensemble is what is scored."""
    keys = ("task", "split", "model", "context")
    same = np.logical_and.reduce([(run.scores[key] == row[key]).to_numpy() for key in keys])
    r2 = run.scores.loc[same & (run.scores["seed"] != ENSEMBLE).to_numpy(), "r2"].to_numpy(dtype=np.float64)
    return f"{r2.size}: +-{number(float(np.std(r2, ddof=1)))}" if r2.size > 1 else str(r2.size)


def split_table(run: RunFolder, task: str) -> Table:
    """R2 by every split, and skill against climatology going forward."""
    of_split = {
        split: {(row["model"], row["context"]): row for row in run.ensembles(task, split).to_dict("records")}
        for split in run.splits
    }
    keys = list(dict.fromkeys(key for rows in of_split.values() for key in rows))
    first = run.ensembles(task, run.splits[0]).set_index(["model", "context"])["r2"]
    order = pd.DataFrame(keys, columns=["model", "context"])
    order["r2"] = [first.get(key, np.nan) for key in keys]
    grouped = _grouped(order)
    rows = [
        (
            model,
            context,
            *(_of_split(split, of_split[split].get((model, context))) for split in run.splits),
            *([_skill(of_split["forward"].get((model, context)))] if "forward" in run.splits else []),
        )
        for model, context in zip(grouped["model"], grouped["context"], strict=True)
    ]
    heads = [_split_head(run, task, split) for split in run.splits]
    skill = ["Skill against climatology, forward"] if "forward" in run.splits else []
    caption = f"{TASK_TITLES.get(task, task)}: R2 by split"
    return Table(caption, ("Model", "Context", *heads, *skill), rows, _breaks(grouped))


def _split_head(run: RunFolder, task: str, split: str) -> str:
    scores = run.ensembles(task, split)
    rows = f", {int(scores['n'].max())} rows" if len(scores) else ""
    return f"{split}{rows}" + (": mean +- spread over shuffles" if split == "random-5" else "")


def _of_split(split: str, row: Row | None) -> str:
    if row is None:
        return "not run"
    if split == "random-5":
        return f"{number(row['r2'])} +- {number(row['r2_spread'])}"
    return estimate(row, "r2")


def _skill(row: Row | None) -> str:
    return "not run" if row is None else estimate(row, "skill_climatology")


def exceedance_table(run: RunFolder, task: str, threshold: float) -> Table:
    """Scores of the probability to lie above a threshold, leave-date-out, for all models."""
    scores = _grouped(run.ensembles(task))
    rows = [
        (str(row["model"]), str(row["context"]), *_exceedance(row, threshold))
        for row in scores.to_dict("records")
    ]
    positives = f"{scores[f'positives_{threshold:g}'].max():.0f} of {scores['n'].max():.0f} samples are"
    caption = f"{TASK_TITLES.get(task, task)}: above {threshold:g} ug/L ({positives})"
    return Table(caption, ("Model", "Context", *_EXCEEDANCE_HEADS), rows, _breaks(scores))


_EXCEEDANCE_HEADS = (
    "Brier skill against climatology [95 %]",
    "Recall",
    "Precision",
    "Area under ROC",
    "Area under precision-recall",
)


def _exceedance(row: Row, threshold: float) -> tuple[str, ...]:
    T = f"{threshold:g}"  # noqa: N806 - as the column names have it
    others = (f"{name}_{T}" for name in ("recall", "precision", "roc_auc", "pr_auc"))
    return (estimate(row, f"brier_skill_{T}"), *(number(row[name]) for name in others))


def alarm_table(run: RunFolder, task: str) -> Table:
    """The same for few: the climatology, and in each context SpecTM and the baseline of the highest R2."""
    keys = [("climatology", "season")]
    for context in run.contexts:
        baseline = best_baseline(run, task, context)
        keys += [(model, context) for model in PAIRED]
        keys += [(str(baseline["model"]), context)] if baseline else []
    known = {(row["model"], row["context"]): row for row in run.ensembles(task).to_dict("records")}
    chosen = [known[key] for key in dict.fromkeys(keys) if key in known]
    rows = [
        (
            str(row["model"]),
            str(row["context"]),
            f"{T:g} ug/L",
            f"{row[f'positives_{T:g}']:.0f}",
            *_exceedance(row, T),
        )
        for T in THRESHOLDS
        for row in chosen
    ]
    caption = f"{TASK_TITLES.get(task, task)}: exceedance, {HEADLINE}"
    columns = ("Model", "Context", "Above", "Samples above", *_EXCEEDANCE_HEADS)
    return Table(caption, columns, rows, tuple(range(len(chosen), len(rows), max(1, len(chosen)))))


def pair_table(run: RunFolder, task: str) -> Table | None:
    """Differences in R2 of the same rows and draws, or None where none were taken."""
    pairs = run.pairs[run.pairs["task"] == task]
    if pairs.empty:
        return None
    place = {name: i for i, name in enumerate(run.contexts)}
    pairs = pairs.assign(group=pairs["context"].map(place))
    order = ["group", "model", "r2_difference"]
    pairs = pairs.sort_values(order, ascending=[True, True, False], ignore_index=True)
    rows = [
        (
            f"{row['model']} minus {row['against']}",
            str(row["context"]),
            bracketed(row["r2_difference"], row["low"], row["high"]),
            *corrected_cells(row, 2),
            _said_of(str(row["model"]), _corrected_reading(row)),
        )
        for row in pairs.to_dict("records")
    ]
    caption = f"{TASK_TITLES.get(task, task)}: paired differences in R2, {HEADLINE}"
    columns = ("Pair", "Context", "Difference [95 %]", "Corrected", "p", "Detectable", "Reading")
    return Table(caption, columns, rows, _breaks(pairs))


def corrected_cells(row: Row, digits: int) -> tuple[str, str, str]:
    """Interval and p that hold for all differences of a set at once, and what was detectable."""
    interval = f"[{number(row['corrected_low'], digits)}, {number(row['corrected_high'], digits)}]"
    return interval, number(row["p_corrected"], 3), number(row["detectable"], digits)


def _corrected_reading(row: Row) -> str:
    """By the corrected interval; by the plain one where a file of an earlier version has no other."""
    known = math.isfinite(row["corrected_low"] + row["corrected_high"])
    return reading(row["corrected_low"], row["corrected_high"]) if known else reading(row["low"], row["high"])


def _said_of(model: str, said: str) -> str:
    return said if said.startswith("not") else f"{model} {said}"


def reconstruction_table(run: RunFolder) -> Table | None:
    """Every method, window and guard."""
    if run.reconstruction.empty:
        return None
    table = run.reconstruction
    rows = [
        (
            str(row["method"]),
            f"{row['guard_nm']:g} nm",
            str(row["window"]),
            f"{row['n_spectra']:.0f} x {row['n_bands']:.0f}",
            number(row["r"], 4),
            number(row["r_band"], 4),
            number(1e4 * row["rmse"]),
            estimate(row, "rmse_ratio"),
        )
        for row in table.to_dict("records")
    ]
    change = (table[["guard_nm", "window"]] != table[["guard_nm", "window"]].shift()).any(axis=1).to_numpy()
    columns = ("Method", "Guard", "Window", "Spectra x bands", "r, pooled", "r, mean over bands")
    more = ("RMSE, 1e-4 sr^-1", "RMSE as a share of ridge's [95 %]")
    breaks = tuple(int(i) for i in np.flatnonzero(change) if i)
    return Table("Hidden bands on held-out dates", (*columns, *more), rows, breaks)


def curve_table(run: RunFolder) -> Table | None:
    """First and last losses of the pretrainings, as medians over runs."""
    if run.curves.empty:
        return None
    rows = []
    for (split, model), lines in run.curves.groupby(["split", "model"], sort=False):
        runs = lines.sort_values("step", kind="stable").groupby(["scope", "seed"])
        rows.append(
            (
                str(model),
                str(split),
                str(runs.ngroups),
                number(float(runs["step"].max().median()), 0),
                number(float(runs["loss"].first().median()), 3),
                number(float(runs["loss"].last().median()), 3),
                number(float(runs["validation"].min().median()), 3),
            )
        )
    columns = ("Model", "Split", "Pretrainings", "Steps", "First loss", "Last loss", "Best validation loss")
    return Table("Pretraining losses, medians over pretrainings", columns, rows)


def agreement_row(model: str, context: str, lines: pd.DataFrame) -> tuple[str, ...]:
    """How often a model comes near the laboratory: within a factor of 2, and below detection."""
    below = lines["below_detection"].to_numpy(dtype=bool)
    observed, predicted = lines["observed"].to_numpy(), np.maximum(lines["predicted"].to_numpy(), 10**FLOOR)
    near = np.abs(np.log10(predicted / observed)) <= np.log10(2) + 1e-9
    return (
        model,
        context,
        f"{int((near & ~below).sum())} of {int((~below).sum())}",
        f"{int((near & below).sum())} of {int(below.sum())}",
    )


def file_table(run: RunFolder) -> Table | None:
    """The input files that the run recorded."""
    files: Sequence[dict[str, Any]] = run.record.get("files", [])
    keys = ("file", "n_patches", "first", "last", "sha256")
    rows = [tuple(str(file.get(key, "n/a")) for key in keys) for file in files]
    columns = ("File", "Patches or pixels", "First (UTC)", "Last (UTC)", "SHA-256")
    return Table("Input files", columns, rows) if rows else None


def settings_table(run: RunFolder) -> Table | None:
    """Every setting of the run, one a line."""
    rows = _flattened(run.record.get("settings", {}))
    return Table("Settings", ("Setting", "Value"), rows) if rows else None


def _flattened(settings: Any, prefix: str = "") -> list[tuple[str, ...]]:
    if not isinstance(settings, dict):
        shown = ", ".join(map(str, settings)) if isinstance(settings, list) else str(settings)
        return [(prefix, shown)]
    return [
        line
        for key, value in settings.items()
        for line in _flattened(value, f"{prefix}.{key}" if prefix else str(key))
    ]


def context_table(run: RunFolder) -> Table:
    """What a model is given beside the spectrum, by name of the context."""
    rows = [(name, CONTEXT_MEANINGS.get(name, "n/a")) for name in run.contexts]
    return Table("Contexts", ("Context", "What a model is given"), rows)
