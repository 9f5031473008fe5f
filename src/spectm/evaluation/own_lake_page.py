"""Markdown of `spectm own-lake`: whatever is said is read off its table."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from spectm.evaluation.findings import Row, bracketed, number, reading
from spectm.evaluation.own_lake import ALONE, DATES, RIDGE, START, TUNED, YEAR
from spectm.evaluation.report_tables import Table, markdown
from spectm.evaluation.study_pages import study_head

__all__ = ["own_lake_page"]

NAMES = {
    START: "the released model, unchanged",
    TUNED: "the released model, tuned",
    RIDGE: "ridge regression on own samples alone",
    ALONE: "the blend on own samples alone",
}
SPLITS = {
    DATES: "Other dates of the same years",
    YEAR: "Another year than those learned from",
}
DRAWS_FOR_CLAIMS = 10


def own_lake_page(table: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """What own samples are worth, with a released model as a start and without.

    Parameters
    ----------
    table : DataFrame
        ``own_lake.csv``.
    record : mapping
        ``command``, ``quick``, ``simulated``, ``files``; ``start`` and ``optics`` (what the water is, in
        words, or nothing).
    """
    draws = int(table["n_draws"].min())
    water = f"The lake: {record['optics']}. " if record["optics"] else ""
    blocks = [
        "# A released model on another lake",
        *study_head(record, few=draws < DRAWS_FOR_CLAIMS, counted=f"{draws} draws"),
        f"{water}`{record['start']}` is given to it as it is; tuned by `spectm finetune --start` with "
        "samples of a few sampling dates; and beside it, what the same samples teach without it. Estimates "
        f"are of single overpasses, each by itself. R2 is the mean over {draws} draws of dates; intervals "
        "are of 95 %, test dates and draws drawn together. A difference is R2 of the tuned model minus that "
        "of the other with the same samples: above zero, the tuned one is better. *Corrected*: holds for "
        "all numbers of dates of a table at once.",
    ]
    for split, group in table.groupby("split", sort=False):
        first = group.iloc[0].to_dict()
        blocks += [
            f"## {SPLITS[str(split)]}",
            f"Tested on {first['n_test']} samples of {first['n_test_dates']} dates ({first['tested']}).",
            "\n".join(f"- {line}" for line in _said(group)),
            markdown(_scores(group)),
            *(markdown(_differences(group, other)) for other in (START, RIDGE, ALONE)),
        ]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _said(table: pd.DataFrame) -> Iterator[str]:
    """From how many samples on the tuned model is better than each other, and where it is worse."""
    for other in (START, RIDGE, ALONE):
        rows = table[table["model"] == other].sort_values("dates").to_dict("records")
        words = [reading(row["corrected_low"], row["corrected_high"]) for row in rows]
        yield (
            f"Against {NAMES[other]}, tuning is better with {_counts(rows, words, 'better')}; worse with "
            f"{_counts(rows, words, 'worse')}; not told apart with {_counts(rows, words, 'not told apart')}."
        )


def _counts(rows: list[Row], words: list[str], wanted: str) -> str:
    chosen = [row for row, word in zip(rows, words, strict=True) if word == wanted]
    return ", ".join(f"{row['samples']:.0f}" for row in chosen) + " samples" if chosen else "no number"


def _scores(table: pd.DataFrame) -> Table:
    """Models as columns."""
    rows = []
    for dates, group in table.sort_values("dates").groupby("dates"):
        of_model = {str(row["model"]): row for row in group.to_dict("records")}
        cells = [bracketed(*(of_model[name][key] for key in ("r2", "r2_low", "r2_high"))) for name in NAMES]
        rows.append((str(dates), f"{group['samples'].mean():.0f}", *cells))
    heads = [name[0].upper() + name[1:] for name in NAMES.values()]
    return Table("R2 by number of own samples", ("Dates", "Samples", *heads), rows)


def _differences(table: pd.DataFrame, other: str) -> Table:
    rows = []
    for row in table[table["model"] == other].sort_values("dates").to_dict("records"):
        low, high = row["corrected_low"], row["corrected_high"]
        rows.append(
            (
                str(row["dates"]),
                f"{row['samples']:.0f}",
                bracketed(row["difference"], row["low"], row["high"]),
                f"[{number(low)}, {number(high)}]",
                number(row["detectable"]),
                reading(low, high) if math.isfinite(low) else "n/a",
            )
        )
    columns = ("Dates", "Samples", "Difference", "Corrected", "Detectable", "Tuned is")
    return Table(f"Tuned minus {NAMES[other]}", columns, rows)
