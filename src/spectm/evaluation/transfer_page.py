"""Markdown of `spectm transfer`: whatever is said is read off its tables."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from spectm.evaluation.findings import CONTEXT_MEANINGS, TASK_TITLES, Row, bracketed, number
from spectm.evaluation.report_tables import Table, markdown
from spectm.evaluation.study_pages import study_head
from spectm.evaluation.transfer import MOVED, OWN, RETRAINED

__all__ = ["transfer_page"]

WAYS = {OWN: "its own", MOVED: "resampled, not trained anew", RETRAINED: "trained on it"}


def transfer_page(table: pd.DataFrame, lists: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """What other band lists cost.

    Parameters
    ----------
    table : DataFrame
        ``transfer.csv``.
    lists : DataFrame
        As `spectm.evaluation.transfer.describe_lists` gives it.
    record : mapping
        ``command``, ``quick``, ``simulated`` and ``files``.
    """
    source = str(lists["bands"].iloc[0])
    seeds = _seeds(int(table.loc[table["model"] != "ridge", "n_seeds"].min()))
    blocks = [
        "# Transfer to other band lists",
        *study_head(record, few=False, counted=seeds),
        f"Other sensors are simulated from the {lists['n_used'].iloc[0]} bands of `{source}`: a band that is "
        "wider than these is their mean over its width, another the line between its neighbours at its "
        "centre. Bands that the source does not reach are left out, so this says nothing of them, nor of "
        "another instrument's noise, calibration or atmospheric correction. *Resampled*: a model trained on "
        f"`{source}` sees spectra interpolated linearly back to its bands; beyond the reach of the other "
        "list (half a step past its ends) it is given the nearest band's value, which "
        "`spectm predict --resample` refuses to do. *Trained on it*: the same recipe, from pretraining on, "
        f"on the other list. Leave-date-out, {seeds} (ridge regression knows none); intervals are of "
        "95 %, dates and seeds drawn together. A difference is R2 minus that of the same model and seed on "
        "the source's bands: below zero is a loss. *Corrected*: holds for all lines of one model in a table "
        "at once.",
        markdown(_list_table(lists)),
        "\n".join(_said(table)),
    ]
    for (task, context), group in table.groupby(["task", "context"], sort=False):
        title = f"{TASK_TITLES[str(task)]}, given {CONTEXT_MEANINGS[str(context)]}"
        columns = ("Model", "Bands", "Model is", "R2", "Difference", "Corrected", "Detectable", "Reading")
        rows = [_row(row) for row in group.to_dict("records")]
        blocks.append(markdown(Table(title, columns, rows)))
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _list_table(lists: pd.DataFrame) -> Table:
    """How many bands there are, and where."""
    windows = [name for name in lists.columns if name.endswith(" nm")]
    rows = []
    for row in lists.to_dict("records"):
        beyond = f"{row['beyond']} (to {row['beyond_to_nm']:g} nm)" if row["beyond"] else "0"
        inside = [str(row[name]) if row[name] else "none" for name in windows]
        rows.append((str(row["bands"]), str(row["n_listed"]), str(row["n_used"]), *inside, beyond))
    columns = ("Band list", "Bands", "Used", *(f"In {name}" for name in windows), "Out of its reach")
    return Table("Band lists, bands in each window, and bands of the source out of reach", columns, rows)


def _said(table: pd.DataFrame) -> Iterator[str]:
    """How many losses hold, for each task and context of the default model."""
    blends = table[(table["model"] != "ridge") & (table["way"] != OWN)]
    for (task, context), group in blends.groupby(["task", "context"], sort=False):
        parts = []
        for way, own in group.groupby("way", sort=False):
            lost = own[own["corrected_high"] < 0]
            gained = own[own["corrected_low"] > 0]
            worst = min(own.to_dict("records"), key=lambda row: row["difference"])
            change = bracketed(worst["difference"], worst["low"], worst["high"])
            parts.append(
                f"{WAYS[str(way)]}: a loss holds for {_names(lost)}, a gain for {_names(gained)}; the "
                f"lowest difference is {change} (`{worst['bands']}`)"
            )
        given = f"{TASK_TITLES[str(task)]}, spectm-blend, given {CONTEXT_MEANINGS[str(context)]}"
        yield f"- {given}. {'. '.join(part[0].upper() + part[1:] for part in parts)}."


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(f"`{name}`" for name in rows["bands"]) or "none"


def _row(row: Row) -> tuple[str, ...]:
    r2 = bracketed(row["r2"], row["r2_low"], row["r2_high"])
    first = (str(row["model"]), str(row["bands"]), WAYS[str(row["way"])], r2)
    if not math.isfinite(row["difference"]):
        return (*first, *[""] * 4)
    low, high = row["corrected_low"], row["corrected_high"]
    reading = "gain" if low > 0 else "loss" if high < 0 else "not told apart"
    return (
        *first,
        bracketed(row["difference"], row["low"], row["high"]),
        f"[{number(low)}, {number(high)}]",
        number(row["detectable"]),
        reading,
    )
