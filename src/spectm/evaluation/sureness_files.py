"""The files of a run about how sure its models are, and what a report shows of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spectm.data.patches import Patches
from spectm.data.times import utc_stamps
from spectm.evaluation import sureness_figures as figures
from spectm.evaluation import sureness_findings as findings
from spectm.evaluation import sureness_tables as tables
from spectm.evaluation.figures import Picture
from spectm.evaluation.run_folder import SURENESS, RunFolder
from spectm.evaluation.scores import FLOOR
from spectm.evaluation.sureness import ASKED, CALIBRATED, probability_column
from spectm.evaluation.sureness_corruptions import MILD_CHANGES
from spectm.evaluation.sureness_familiar import LAKE, held_out_shares
from spectm.evaluation.sureness_findings import CORRUPTION, FOREIGN, MILD, Sureness
from spectm.evaluation.sureness_foreign import Foreign, foreign_shares
from spectm.evaluation.sureness_scores import (
    FEWEST_CASES,
    KEYS,
    calibration_lines,
    distribution_scores,
    reliability_lines,
    seen_by_model,
    withheld_lines,
)
from spectm.evaluation.task import Task

__all__ = [
    "FILES",
    "HEADINGS",
    "all_tables",
    "distribution_table",
    "familiar_lines",
    "of_run",
    "sections",
    "with_kinds",
]

FILES = tuple(f"{name}.csv" for name in SURENESS)
ENDS = ("low_50", "high_50", "low_90", "high_90")
CALENDAR, FAMILIAR = "climatology", "familiar"
HEADINGS = {
    "intervals": (
        "Intervals",
        "Distributions of days left out, context season. Each was calibrated inside its training part: every "
        "training day was predicted by a model without it. A value below detection is covered when the "
        "interval begins at or below its limit; detected rows are always shown alone. Less is better for "
        "widths, interval scores and CRPS. Differences are on the same samples and draws of days, and not "
        "corrected for their number. Of a model with several seeds it is the first.",
    ),
    "exceedance": (
        "Exceedance",
        "The probability to lie above a threshold, from the same distributions. A skill above zero is better "
        "than the climatology, which was calibrated likewise. Frequency minus probability above zero: "
        f"probabilities are too low. Of the five ranges of probability, those of {FEWEST_CASES} rows or more "
        "are looked at: one agrees where its mean probability lies inside the interval of the frequency.",
    ),
    "withheld": (
        "Withholding what looks strange",
        "Each sample's spectrum was judged by what was learned from the other days, without labels. A flag "
        "says that a spectrum is unlike those, not that the estimate is wrong.",
    ),
    FAMILIAR: (
        "Familiar or not",
        "What is flagged of spectra of days left out, of spectra that something was made wrong with or a "
        "little off, and of other waters. No encoder has a part in it where none is named; one that is named "
        "was pretrained without the dates that are left out, and knows fewer of the others. The interval of "
        "a mean over dates is the exact one of a binomial; a date that is flagged in part counts in part.",
    ),
}
"""Heading and explanation of each section."""


def all_tables(
    tasks: Mapping[str, Task],
    lines: pd.DataFrame,
    flags: pd.DataFrame,
    familiar: pd.DataFrame,
    blind: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Every file of `FILES` that there is something for, by name.

    Parameters
    ----------
    tasks : mapping of str to Task
    lines : DataFrame
        Of `spectm.evaluation.sureness.distribution_lines`, all models and folds.
    flags : DataFrame
        Of `spectm.evaluation.sureness_familiar.flag_lines`, all folds; may be empty.
    familiar : DataFrame
        Of `familiar_lines`; may be empty.
    blind : DataFrame
        Of `spectm.evaluation.sureness_blind.blind_shares`, with kinds; may be empty.
    """
    found = {"familiar.csv": familiar, "familiar_blind.csv": blind}
    if not lines.empty:
        order = {name: place for place, name in enumerate(CALIBRATED)}
        lines = lines.sort_values("model", key=lambda models: models.map(order), kind="stable")
        judged = seen_by_model(lines, flags)
        found["calibration.csv"] = calibration_lines(tasks, lines)
        found["distribution.csv"] = distribution_table(tasks, judged)
        found["distribution_scores.csv"] = distribution_scores(tasks, lines)
        found["reliability.csv"] = reliability_lines(tasks, lines)
        found["withheld.csv"] = withheld_lines(tasks, judged)
    return {name: found[name] for name in FILES if name in found and not found[name].empty}


def familiar_lines(patches: Patches, others: Sequence[Foreign] = ()) -> pd.DataFrame:
    """The columns of ``familiar.csv``: the lake itself, what is wrong or a little off, and other waters.

    Columns: ``kind`` ("lake", "corruption", "mild" or "foreign"), then those of
    `spectm.evaluation.sureness_familiar.flag_shares`.
    """
    own = held_out_shares(patches)
    if own.empty:
        return own
    parts = [with_kinds(own)]
    if others:
        parts.append(foreign_shares(patches, others).assign(kind=FOREIGN))
    joined = pd.concat(parts, ignore_index=True)
    return joined[["kind", *own.columns]]


def with_kinds(shares: pd.DataFrame) -> pd.DataFrame:
    """Shares of the lake's own spectra with their ``kind`` before: as they are, wrong, or a little off."""
    if shares.empty:
        return shares
    kinds = {LAKE: "lake", **dict.fromkeys(MILD_CHANGES, MILD)}
    found = shares.copy()
    place = found.columns.tolist().index("spectra")
    found.insert(place, "kind", found["spectra"].map(kinds).fillna(CORRUPTION))
    return found


def distribution_table(tasks: Mapping[str, Task], judged: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``distribution.csv``: what was said of every row, in ug/L, beside what was found.

    No interval ends below the detection limit of 0.1 ug/L: one that begins there is open.
    """
    parts = []
    for name, own in judged.groupby("task", sort=True):
        task = tasks[str(name)]
        own = own.sort_values([*KEYS, "row"], ignore_index=True)
        row = own["row"].to_numpy()
        rows = task.rows.iloc[row].reset_index(drop=True)
        part = own[[*KEYS, "fold"]].assign(station=rows["station"])
        for column in ("sample_time", "overpass_time"):
            part[column] = utc_stamps(rows[column])
        part["observed"], part["below_detection"] = 10 ** task.y[row], task.below[row]
        part["median"] = 10 ** np.maximum(own["mean"], FLOOR)
        for end in ENDS:
            part[end] = 10 ** np.maximum(own[end], FLOOR)
        kept = [*map(probability_column, ASKED), "p_below_detection", "crps", "n_dates"]
        part[[*kept, "strangeness", "reasons"]] = own[[*kept, "strangeness", "reasons"]]
        part["flagged"] = own["flagged"].map({True: "True", False: "False"}).fillna("")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def of_run(run: RunFolder) -> Sureness:
    """What a run folder holds of it."""
    return Sureness(
        calibration=run.calibration,
        scores=run.distribution_scores,
        reliability=run.reliability,
        withheld=run.withheld,
        familiar=run.familiar,
        blind=run.familiar_blind,
    )


def sections(sure: Sureness, tasks: Sequence[str], *, pictures: bool = True) -> list[dict[str, Any]]:
    """What a page shows of it.

    Parameters
    ----------
    sure : Sureness
    tasks : sequence of str
        In the order of the page.
    pictures : bool
        Draw them.

    Returns
    -------
    list of dict
        ``name``, ``heading``, ``explanation`` and ``parts`` of each section there is something for. A part,
        one for each task or for all, has ``title``, ``says`` (sentences), ``tables`` and ``pictures``.
    """
    of_task = [_of_task(sure, task, pictures) for task in tasks if sure.models(task)]
    says, shown = findings.familiar_verdicts(sure), tables.familiar_tables(sure)
    familiar = {"title": "", "says": says, "tables": shown, "pictures": []}
    parts = {name: [each[name] for each in of_task] for name in HEADINGS if name != FAMILIAR}
    parts[FAMILIAR] = [familiar]
    return [
        {"name": name, "heading": heading, "explanation": explanation, "parts": shown_parts}
        for name, (heading, explanation) in HEADINGS.items()
        if (shown_parts := [part for part in parts[name] if part["says"]])
    ]


def _of_task(sure: Sureness, task: str, pictures: bool) -> dict[str, Any]:
    title, of_task = findings.title_of(task), {"task": task}
    chosen = findings.lines_of(sure.calibration, **of_task)
    withheld = findings.lines_of(sure.withheld, **of_task)
    coverage = chosen[chosen["rows"].isin(("all", "detected"))]
    return {
        "intervals": {
            "title": title,
            "says": findings.coverage_verdicts(sure, task),
            "tables": [tables.interval_table(sure, task), tables.part_table(sure, task)],
            "pictures": [figures.coverage_figure(coverage, title=title)] if pictures else [],
        },
        "exceedance": {
            "title": title,
            "says": findings.exceedance_verdicts(sure, task),
            "tables": [tables.exceedance_table(sure, task), tables.reliability_table(sure, task)],
            "pictures": list(_reliability_figures(sure, task)) if pictures else [],
        },
        "withheld": {
            "title": title,
            "says": findings.withheld_verdicts(sure, task),
            "tables": [tables.withheld_table(sure, task)] if len(withheld) else [],
            "pictures": [figures.withheld_figure(withheld, title=title)]
            if pictures and len(withheld)
            else [],
        },
    }


def _reliability_figures(sure: Sureness, task: str) -> Iterator[Picture]:
    """The main model beside the calendar, threshold by threshold."""
    shown = (CALENDAR, findings.main_model(sure, task))
    found = findings.lines_of(sure.reliability, task=task)
    for threshold in ASKED if len(found) else ():
        own = found[(found["threshold"] == threshold) & found["model"].isin(shown)]
        if not own.empty:
            title = f"{findings.title_of(task)}, above {threshold:g} ug/L"
            yield figures.reliability_figure(own, title=title.replace("ug/L", "µg/L"))
