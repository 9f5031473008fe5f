"""The default model in detail: what it adds, where and when it is good, and where it is worst."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.times import utc_stamps
from spectm.evaluation.figures import BLUE, GREY, Picture, new_canvas, to_picture
from spectm.evaluation.findings import (
    REFERENCES,
    TASK_TITLES,
    best_baseline,
    bracketed,
    days,
    gains,
    number,
    reading,
)
from spectm.evaluation.report_tables import Table
from spectm.evaluation.results import ENSEMBLE
from spectm.evaluation.run_folder import RunFolder
from spectm.evaluation.scores import bias, draw_weights, floored, interval_of, rmse, skill
from spectm.evaluation.study import HEADLINE
from spectm.evaluation.task import Task

__all__ = ["DEFAULT", "added_table", "group_table", "worst_picture", "worst_spectra", "worst_table"]

FloatArray = npt.NDArray[np.floating[Any]]

DEFAULT = ("spectm-blend", "season")
"""Model and context that `spectm finetune` makes."""
N_WORST = 10
# Two peaks of the open water's colour and three places where the pigments of cyanobacteria act.
SHOWN_NM = (560.0, 620.0, 665.0, 681.0, 709.0)
NEAR_NM = 5.0
BEYOND = {"climatology": "the calendar", "persistence": "the last laboratory value"}


def added_table(run: RunFolder, task: str) -> Table | None:
    """R2 minus that of the calendar and of the last laboratory value, for few models; None without these."""
    rows: list[tuple[str, ...]] = []
    breaks = []
    for reference, name in BEYOND.items():
        found = gains(run, task, reference)
        breaks.append(len(rows))
        for model, context in _few(run, task):
            claim = found.get((model, context))
            if claim is None:
                continue
            rows.append(
                (
                    model,
                    context,
                    name,
                    bracketed(claim.value, claim.low, claim.high),
                    bracketed(claim.value, claim.corrected_low, claim.corrected_high),
                    f"{claim.p:.2g}",
                    number(claim.detectable),
                    reading(claim.corrected_low, claim.corrected_high),
                )
            )
    columns = ("Model", "Context", "Beyond", "R2 minus that [95 %]", "Corrected [95 %]", "p, corrected")
    more = ("Least that would be found", "Reading, corrected")
    caption = f"{TASK_TITLES.get(task, task)}: what the satellite adds, {HEADLINE}"
    return Table(caption, (*columns, *more), rows, tuple(breaks[1:])) if rows else None


def _few(run: RunFolder, task: str) -> list[tuple[str, str]]:
    """By context: the default model, the fine-tuned network and the best baseline that sees a spectrum."""
    found: list[tuple[str, str]] = []
    for context in run.contexts:
        baseline = best_baseline(run, task, context)
        names = [DEFAULT[0], "spectm", *([str(baseline["model"])] if baseline else [])]
        found += [(name, context) for name in names if name not in REFERENCES]
    return found


def group_table(run: RunFolder, task: str, by: str) -> Table | None:
    """The default model beside the climatology, for each station or month; None where one was not run.

    Parameters
    ----------
    run : RunFolder
    task : str
    by : {"station", "month"}
    """
    own, usual = run.lines(task, *DEFAULT), run.lines(task, "climatology", "season")
    if own.empty or usual.empty:
        return None
    day = days(own)
    groups = own["station"] if by == "station" else day.str[:7]
    rows = []
    for name in sorted(set(groups), key=_in_order):
        chosen = (groups == name).to_numpy()
        observed, model, calendar = (
            np.log10(column[chosen].to_numpy(dtype=np.float64))
            for column in (own["observed"], own["predicted"], usual["predicted"])
        )
        weights = draw_weights(day[chosen].to_numpy(dtype=np.str_))
        gain = interval_of(skill(observed, floored(model), weights, reference=floored(calendar)))
        pair = (floored(model), floored(calendar))
        both = [score(observed, one, weights)[0] for score in (rmse, bias) for one in pair]
        some = day[chosen].nunique() > 1  # of a single day there is no interval
        rows.append(
            (
                str(name),
                str(int(chosen.sum())),
                str(int(own["below_detection"][chosen].sum())),
                str(day[chosen].nunique()),
                *map(number, both),
                bracketed(gain.value, gain.low, gain.high) if some else number(gain.value),
            )
        )
    columns = (by.capitalize(), "Samples", "Below detection", "Days", "RMSE, log10", "RMSE of climatology")
    more = ("Bias, log10", "Bias of climatology", "Skill against climatology [95 %]")
    caption = f"{TASK_TITLES.get(task, task)}: {DEFAULT[0]}, context {DEFAULT[1]}, by {by}"
    return Table(caption, (*columns, *more), rows)


def _in_order(name: str) -> tuple[str, int]:
    """WE2 before WE12."""
    letters = name.rstrip("0123456789")
    return letters, int(name[len(letters) :] or -1)


def worst_spectra(tasks: Mapping[str, Task], predictions: pd.DataFrame) -> pd.DataFrame:
    """Spectra of the ten samples of each task that the default model misses by most, leave-date-out.

    Parameters
    ----------
    tasks : mapping of str to Task
    predictions : DataFrame
        With the ensemble.

    Returns
    -------
    DataFrame
        The columns of ``worst_spectra.csv``, by band; no lines where the default model was not run.
    """
    wanted = {"split": HEADLINE, "model": DEFAULT[0], "context": DEFAULT[1], "seed": ENSEMBLE}
    chosen = predictions[np.logical_and.reduce([predictions[key] == value for key, value in wanted.items()])]
    parts = []
    for name, lines in chosen.groupby("task", sort=False):
        task, row = tasks[str(name)], lines["row"].to_numpy()
        error = np.abs(floored(lines["mean"].to_numpy()) - task.y[row])
        typical = np.median(task.spectra, axis=0)
        for rank, one in enumerate(row[np.argsort(-error, kind="stable")[:N_WORST]], start=1):
            sample = task.rows.iloc[one]
            about = {"task": name, "rank": rank, "station": sample["station"]}
            about |= {"sample_time": utc_stamps([sample["sample_time"].to_datetime64()])[0]}
            spectrum = {"wavelength": task.wavelength, "Rrs": task.spectra[one], "typical": typical}
            parts.append(pd.DataFrame({**about, **spectrum}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _worst(run: RunFolder, task: str) -> list[tuple[pd.Series, pd.DataFrame]]:
    """The prediction and the spectrum of each of the worst, the worst first."""
    own, usual = run.lines(task, *DEFAULT), run.lines(task, "climatology", "season")
    own = own.assign(climatology=usual["predicted"].to_numpy() if len(usual) == len(own) else np.nan)
    of_sample = own.set_index(["station", "sample_time"])
    spectra = run.worst[run.worst["task"] == task]
    found = []
    for key, spectrum in spectra.groupby(["rank", "station", "sample_time"]):
        if key[1:] in of_sample.index:
            found.append((of_sample.loc[[key[1:]]].reset_index().iloc[0], spectrum.sort_values("wavelength")))
    return found


def worst_table(run: RunFolder, task: str) -> Table | None:
    """The samples that the default model misses by most, with some bands; None where it was not run."""
    rows = []
    for rank, (line, spectrum) in enumerate(_worst(run, task), start=1):
        wavelength, Rrs = (spectrum[name].to_numpy(dtype=np.float64) for name in ("wavelength", "Rrs"))
        apart = (pd.Timestamp(line["overpass_time"]) - pd.Timestamp(line["sample_time"])) / pd.Timedelta("1h")
        rows.append(
            (
                f"{rank}: {line['station']}",
                str(line["sample_time"])[:16].replace("T", " "),
                number(float(apart), 0),
                _laboratory(line),
                number(line["predicted"]),
                number(line["climatology"]),
                _missed(line),
                *(_at(wavelength, 1e3 * Rrs, nm) for nm in SHOWN_NM),
            )
        )
    bands = tuple(f"Rrs at {nm:g} nm, 1e-3 sr^-1" for nm in SHOWN_NM)
    columns = ("Worst", "Sample (UTC)", "Overpass minus sample, h", "Laboratory, ug/L", "Predicted, ug/L")
    caption = f"{TASK_TITLES.get(task, task)}: the {len(rows)} worst predictions of {DEFAULT[0]}"
    caption += f", context {DEFAULT[1]}, {HEADLINE}"
    return Table(caption, (*columns, "Climatology, ug/L", "Missed by", *bands), rows) if rows else None


def _laboratory(line: "pd.Series[Any]") -> str:
    return f"below {number(line['observed'])}" if line["below_detection"] else number(line["observed"])


def _missed(line: "pd.Series[Any]") -> str:
    """By what factor, as scored: at least 0.1 ug/L."""
    off = float(floored(np.log10(line["predicted"])) - np.log10(line["observed"]))
    return f"{10 ** abs(off):.1f} times too {'high' if off > 0 else 'low'}"


def _at(wavelength: FloatArray, values: FloatArray, nm: float) -> str:
    band = int(np.abs(wavelength - nm).argmin())
    return number(float(values[band])) if abs(wavelength[band] - nm) <= NEAR_NM else "n/a"


def worst_picture(run: RunFolder, task: str) -> Picture | None:
    """Spectra of the worst predictions, each beside the median of the task."""
    found = _worst(run, task)
    if not found:
        return None
    n_rows = -(-len(found) // 2)
    canvas, grid = new_canvas(height=0.5 + 1.35 * n_rows, n_rows=n_rows, n_columns=2)
    top = 1.05e3 * max(float(spectrum[["Rrs", "typical"]].max().max()) for _, spectrum in found)
    least = 1.05e3 * min(0.0, *(float(spectrum["Rrs"].min()) for _, spectrum in found))
    panels = np.ravel(grid)
    for rank, (axes, (line, spectrum)) in enumerate(zip(panels, found, strict=False), start=1):
        axes.plot(spectrum["wavelength"], 1e3 * spectrum["typical"], color=GREY, linestyle="--", linewidth=1)
        axes.plot(spectrum["wavelength"], 1e3 * spectrum["Rrs"], color=BLUE, linewidth=1.3)
        axes.axhline(0, color=GREY, linewidth=0.5)
        said = f"{rank}: {line['station']}, {str(line['sample_time'])[:10]}"
        axes.set_title(f"{said}\n{_laboratory(line)}, predicted {number(line['predicted'])}", fontsize=7.5)
        axes.set(ylim=(least, top))
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    canvas.supxlabel("wavelength, nm", fontsize=8)
    canvas.supylabel("Rrs, 10⁻³ sr⁻¹", fontsize=8)
    each = (f"{line['station']} {str(line['sample_time'])[:10]} {_missed(line)}" for line, _ in found)
    title = f"{TASK_TITLES.get(task, task)}: spectra of the {len(found)} worst predictions"
    alt = f"Small charts of reflectance over wavelength. {title} of {DEFAULT[0]}: {', '.join(each)}."
    caption = f"{title}, ug/L of laboratory and model above each. Dashed: median spectrum of all samples."
    return to_picture(canvas, alt, caption)
