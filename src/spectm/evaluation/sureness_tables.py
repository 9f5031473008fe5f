"""Tables of intervals, probabilities and flags of a run as text, for the page and the Markdown."""

from collections.abc import Sequence

import pandas as pd

from spectm.evaluation.calibration_scores import ALIKE
from spectm.evaluation.findings import bracketed, number
from spectm.evaluation.report_tables import Table
from spectm.evaluation.sureness import ASKED
from spectm.evaluation.sureness_familiar import ANY, LOOK
from spectm.evaluation.sureness_findings import (
    CORRUPTION,
    FOREIGN,
    MILD,
    Sureness,
    agreeing_ranges,
    cell,
    lines_of,
    main_model,
    percent,
    share_of_dates,
    title_of,
)
from spectm.evaluation.sureness_scores import AGAINST

__all__ = [
    "exceedance_table",
    "familiar_tables",
    "interval_table",
    "part_table",
    "reliability_table",
    "withheld_table",
]

NOT_NAMED = ("all", f"all{ALIKE}", "detected", f"detected{ALIKE}", "below detection")
MOST_REASONS = 4


def interval_table(sure: Sureness, task: str) -> Table:
    """Coverage, width, interval score and CRPS of each model."""
    columns = ("Model", "90 %, all", "90 %, detected", "50 %, all", "50 %, detected")
    columns_of_scores = ("Width at 90 %, log10", "Interval score at 90 %", "CRPS")
    gaps = [(name, other) for name in ("Interval score", "CRPS") for other in AGAINST]
    heads = (*columns, *columns_of_scores, *(f"{name} minus {other}" for name, other in gaps))
    rows = [_interval_row(sure, task, model) for model in sure.models(task)]
    return Table(f"{title_of(task)}: coverage and scores of intervals [95 %]", heads, rows)


def _interval_row(sure: Sureness, task: str, model: str) -> tuple[str, ...]:
    def covered(level: float, rows: str) -> pd.DataFrame:
        return lines_of(sure.calibration, task=task, model=model, rows=rows, level=level)

    def scored(score: str, against: str) -> pd.DataFrame:
        found = lines_of(sure.scores, task=task, model=model, rows="all", score=score)
        return lines_of(found, against=against)

    return (
        model,
        *(cell(covered(level, rows), "coverage") for level in (0.9, 0.5) for rows in ("all", "detected")),
        _plain(covered(0.9, "all"), "width"),
        _plain(covered(0.9, "all"), "interval_score"),
        cell(scored("crps", "")),
        *(cell(scored(s, other), digits=3) for s in ("interval_score_90", "crps") for other in AGAINST),
    )


def part_table(sure: Sureness, task: str) -> Table:
    """Coverage of 90 % intervals by month, station and class of concentration, of one model."""
    model = main_model(sure, task)
    chosen = lines_of(sure.calibration, task=task, model=model, level=0.9)
    rows = [
        (
            str(row["rows"]),
            str(int(row["n"])),
            bracketed(row["coverage"], row["coverage_low"], row["coverage_high"]),
            number(row["width"]),
            number(row["interval_score"]),
        )
        for row in chosen.to_dict("records")
    ]
    kinds = [(_kind(row[0]),) for row in rows]
    columns = ("Rows", "n", "Coverage at 90 % [95 %]", "Width, log10", "Interval score")
    return Table(f"{title_of(task)}: where intervals of {model} hold", columns, rows, _changes(kinds))


def _kind(rows: str) -> str:
    """What rows were chosen by."""
    if rows in NOT_NAMED:
        return ""
    word = rows.split()[0]
    return word if word in ("month", "station") else "class"


def exceedance_table(sure: Sureness, task: str) -> Table:
    """Brier score, skill, excess and ranges of probability that agree, at each threshold."""
    rows = []
    for threshold in ASKED:
        for model in sure.models(task):
            at = {"task": task, "model": model, "threshold": threshold}
            brier = lines_of(sure.scores, score="brier", **at)
            positives = "n/a" if brier.empty else f"{brier['positives'].iloc[0]:.0f}"
            skills = [
                cell(lines_of(sure.scores, score="brier_skill", against=name, **at)) for name in AGAINST
            ]
            excess = cell(lines_of(sure.scores, score="excess", **at), digits=3)
            ranges = agreeing_ranges(sure, task, model, threshold)
            of_model = (model, cell(brier, digits=3), *skills, excess, ranges)
            rows.append((f"{threshold:g} ug/L", positives, *of_model))
    skill_heads = (f"Skill against {other} [95 %]" for other in AGAINST)
    columns_of_scores = ("Brier score", *skill_heads, "Frequency minus probability", "Ranges that agree")
    columns = ("Above", "Rows above", "Model", *columns_of_scores)
    caption = f"{title_of(task)}: probability to lie above a threshold"
    return Table(caption, columns, rows, _changes(rows))


def reliability_table(sure: Sureness, task: str) -> Table:
    """How often exceedances came true, by probability, of the main model."""
    model = main_model(sure, task)
    chosen = lines_of(sure.reliability, task=task, model=model)
    rows = [
        (
            f"{row['threshold']:g} ug/L",
            number(row["probability"]),
            bracketed(row["frequency"], row["frequency_low"], row["frequency_high"]),
            str(int(row["n"])),
        )
        for row in chosen.to_dict("records")
    ]
    columns = ("Above", "Mean probability", "Frequency [95 %]", "Rows")
    return Table(f"{title_of(task)}: reliability of {model}", columns, rows, _changes(rows))


def withheld_table(sure: Sureness, task: str) -> Table:
    """Errors of what is kept, for the main model."""
    model = main_model(sure, task)
    rows = [
        (
            _kept(str(row["kept"])),
            str(int(row["n"])),
            number(row["share_of_dates"]),
            bracketed(row["rmse"], row["rmse_low"], row["rmse_high"]),
            bracketed(row["crps"], row["crps_low"], row["crps_high"]),
        )
        for row in lines_of(sure.withheld, task=task, model=model).to_dict("records")
    ]
    columns = ("Rows", "n", "Share, mean over dates", "RMSE, log10 [95 %]", "CRPS, log10 [95 %]")
    return Table(f"{title_of(task)}: errors of {model} when strange spectra are withheld", columns, rows)


def _kept(name: str) -> str:
    return f"the most familiar {100 * float(name):.0f} %" if name[0].isdigit() else name


def familiar_tables(sure: Sureness) -> list[Table]:
    """Shares of the lake and of what is wrong; of what is a little off; of other waters, by their look."""
    held_out = (
        (("lake", CORRUPTION), ANY, "Held-out dates, and what was made of them"),
        ((MILD,), ANY, "Held-out dates, a little off"),
    )
    others = ((FOREIGN,), LOOK, "Spectra of other waters, on the bands that both have")
    asked = [(sure.familiar, kinds, reason, caption) for kinds, reason, caption in (*held_out, others)]
    for left_out, blind in sure.blind_by_way():
        asked += [
            (blind, kinds, reason, f"{caption}; with an encoder, {left_out} together")
            for kinds, reason, caption in held_out
        ]
    found = []
    for source, kinds, reason, caption in asked:
        table = source[source["kind"].isin(kinds) & (source["n"] > 0)]
        rows = [_familiar_row(own, reason) for _, own in table.groupby("spectra", sort=False)]
        if rows:
            columns = ("Spectra", "n", "Dates", reason.capitalize(), "Mean over dates [95 %]", "Reasons")
            found.append(Table(caption, columns, rows))
    return found


def _familiar_row(own: pd.DataFrame, reason: str) -> tuple[str, ...]:
    counted = own[own["reason"] == reason]
    first = counted.iloc[0]
    reasons = own[~own["reason"].isin((ANY, LOOK))].sort_values("share", ascending=False, kind="stable")
    named = [f"{row['reason']} {100 * row['share']:.0f} %" for row in reasons.to_dict("records")]
    return (
        str(first["spectra"]),
        str(int(first["n"])),
        str(int(first["n_dates"])),
        f"{100 * first['share']:.0f} %",
        percent(share_of_dates(counted)),
        ", ".join(named[:MOST_REASONS]) or "none",
    )


def _plain(lines: pd.DataFrame, name: str) -> str:
    return "n/a" if lines.empty else number(float(lines[name].iloc[0]))


def _changes(rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Rows whose first cell is another than the one before."""
    return tuple(i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0])
