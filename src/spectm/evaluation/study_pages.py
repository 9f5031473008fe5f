"""Markdown of `spectm ablate` and `spectm label-efficiency`: whatever is said is read off their tables."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from spectm.evaluation.ablation import ABLATED, HEADS, REAL, REFERENCES
from spectm.evaluation.findings import TASK_TITLES, Row, bracketed, number, origin_of, reading
from spectm.evaluation.label_curves import FLOOR_MODEL
from spectm.evaluation.report_tables import Table, corrected_cells, markdown

__all__ = ["SEEDS_FOR_CLAIMS", "ablation_page", "claimed", "efficiency_page", "study_head"]

WAYS = {"dates": "whole dates", "rows": "single rows", "all": "nothing drawn"}
SEEDS_FOR_CLAIMS = 10
DRAWS_FOR_CLAIMS = 20


def ablation_page(table: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """What targeted masking and each pretraining task are worth; or simulated spectra; or other settings.

    Parameters
    ----------
    table : DataFrame
        ``ablation.csv``.
    record : mapping
        ``command``, ``written``, ``spectm_version``, ``quick``, ``simulated`` and ``files``; where sources
        are compared, ``simulated_files`` like ``files``.
    """
    seeds = int(table["n_seeds"].min())
    pretrainings = int(table.drop_duplicates("variant")["n_pretrainings"].sum())
    reference = str(table["reference"].iloc[0])
    of_sources = reference == REAL
    if of_sources:
        subject = "Pretraining on real and simulated spectra"
    elif set(table["variant"]) <= ABLATED.keys():
        subject = "Masking and pretraining tasks"
    else:
        subject = "Settings of pretraining"
    counted = _counted(seeds, "seed")
    made = f"{counted}, {_counted(pretrainings, 'pretraining')}."
    blocks = [
        _title(subject, record),
        *study_head(record, seeds < SEEDS_FOR_CLAIMS, counted, made),
        *([_sources(record)] if of_sources else []),
        "Leave-date-out; each variant is pretrained anew for every seed and block of dates, blind to what is "
        f"tested. R2 is the mean over {counted}. A difference is R2 of the reference "
        f"(`{reference}`: {REFERENCES[reference]}) minus R2 of the variant with the same seed: above zero, "
        "the reference is better. Intervals are of 95 %, dates and seeds drawn together. *Corrected*: holds "
        "for all lines of a table at once. *Detectable*: the least difference found four times in five.",
    ]
    for (task, head), group in table.groupby(["task", "head"], sort=False):
        context = "alone" if HEADS[str(head)] == "none" else "with the climatology and earlier overpasses"
        title = f"{TASK_TITLES[str(task)]}, {head} on the frozen embedding {context}"
        columns = (
            "Variant",
            "R2",
            "Reference minus it",
            "Corrected",
            "Corrected p",
            "Detectable",
            "The reference is",
        )
        rows = [_ablation_row(row, reference) for row in group.to_dict("records")]
        blocks.append(markdown(Table(title, columns, rows)))
    blocks.append("![Differences from the reference with their intervals, as in the tables.](ablation.png)")
    return _joined(blocks)


def _sources(record: Mapping[str, Any]) -> str:
    """What each source is, and where the simulator has its numbers from."""
    real, simulated = (
        ", ".join(f"{file['file']} ({file['n_patches']})" for file in record[name])
        for name in ("files", "simulated_files")
    )
    return (
        f"What the encoder is pretrained on: `{REAL}`: {real}, less all that is tested or within 60 h of it; "
        f"`simulated`: {simulated}, spectra of a simulated lake, whole; `real-and-simulated`: both; "
        "`no-pretraining`: nothing, random first weights. Normalisation is learned from the same spectra; "
        "`no-pretraining` has that of real ones. All take the same number of steps, and draw each of their "
        "spectra as often. Heads learn from real samples alone. The simulator itself was fitted to "
        "percentiles of real spectra and to a laboratory record, which may hold dates that are tested here "
        "(docs/simulation.md)."
    )


def _ablation_row(row: Row, reference: str) -> tuple[str, ...]:
    against = "" if row["reference"] == reference else f", against {row['reference']}"
    first = (f"{row['variant']}{against}", bracketed(row["r2"], row["r2_low"], row["r2_high"]))
    if not math.isfinite(row["difference"]):
        return (*first, *[""] * 5)
    said = reading(row["corrected_low"], row["corrected_high"])
    return (*first, *claimed(row, 3), said)


def claimed(row: Row, digits: int) -> tuple[str, ...]:
    """Difference, corrected interval, p and what was detectable."""
    return bracketed(row["difference"], row["low"], row["high"], digits), *corrected_cells(row, digits)


def efficiency_page(curves: pd.DataFrame, equal: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """How many labels each model needs.

    Parameters
    ----------
    curves, equal : DataFrame
        ``curves.csv`` and ``equal_labels.csv``.
    record : mapping
        As in `ablation_page`.
    """
    drawn = curves[~curves["size"].isin(["0", "all"])]
    draws = int(drawn["n_draws"].min()) if len(drawn) else 0
    trained = curves[(curves["n_pretrainings"] > 0) & (curves["size"] == "all")]
    seeds, pretrainings = (
        int(trained[name].max()) if len(trained) else 0 for name in ("n_draws", "n_pretrainings")
    )
    counted = _counted(draws, "draw")
    made = f"{counted}, {_counted(seeds, 'seed')}, {_counted(pretrainings, 'pretraining')}."
    blocks = [
        _title("Label efficiency", record),
        *study_head(record, draws < DRAWS_FOR_CLAIMS, counted, made),
        "Leave-date-out; each training part is cut down to a few rows, drawn by whole dates (then a little "
        "more, as no date is divided) or by single rows, the same for every model. R2 is the mean over "
        f"{counted}; intervals are of 95 %, dates and draws of labels drawn together. Eight days ahead, "
        "blends learn from labels of the current week.",
    ]
    if len(equal):
        blocks += list(_equal(equal))
    for (task, by), group in curves.groupby(["task", "by"], sort=False):
        blocks.append(markdown(_curve_table(str(task), str(by), group)))
    blocks.append(
        "![R2 by number of labels, as in the tables, the best context of each.](label_efficiency.png)"
    )
    return _joined(blocks)


def _equal(equal: pd.DataFrame) -> Iterator[str]:
    yield "## Labels to equal the best baseline trained on all"
    yield (
        "The baseline is the one with the highest of these very scores, which flatters it; where that is a "
        "blend, which has all of SpecTM but the encoder, the best of the others stands there, too. "
        "*Difference*: R2 minus that of the baseline, both trained on all labels; *corrected* for the models "
        "beside one baseline."
    )
    rows = []
    for row in equal.to_dict("records"):
        against = f"{row['baseline']} ({row['baseline_context']}), R2 {number(row['baseline_r2'])}"
        interval = f"[{_count(row['labels_low'])}, {_count(row['labels_high'])}]"
        share = f"{100 * row['share']:.0f} %" if math.isfinite(row["share"]) else "not reached"
        rows.append(
            (
                f"{row['model']} ({row['context']})",
                f"{TASK_TITLES[str(row['task'])]}, {WAYS[str(row['by'])]}",
                f"{against}, {row['baseline_labels']:.0f} labels",
                f"{_count(row['labels'])} {interval}",
                share,
                *claimed(row, 2),
            )
        )
    columns = ("Model", "Drawn", "Best baseline on all", "Labels needed [95 %]", "Share of its labels")
    more = ("Difference on all", "Corrected", "Corrected p", "Detectable")
    yield markdown(Table("Labels needed", (*columns, *more), rows))


def _count(labels: float) -> str:
    return f"{labels:.0f}" if math.isfinite(labels) else "not reached"


def _curve_table(task: str, by: str, group: pd.DataFrame) -> Table:
    """Models as rows, sizes as columns."""
    sizes = [size for size in dict.fromkeys(group["size"]) if size not in ("0", "all")]
    sizes = [*sorted(sizes, key=int), "all"]
    rows = []
    for (model, context), own in group.groupby(["model", "context"], sort=False):
        cell = {
            str(row["size"]): f"{bracketed(row['r2'], row['low'], row['high'])} ({row['labels']:.0f})"
            for row in own.to_dict("records")
        }
        if model == FLOOR_MODEL:
            row = own.iloc[0].to_dict()
            cell = dict.fromkeys(sizes, bracketed(row["r2"], row["low"], row["high"]))
        rows.append((f"{model} ({context})", *(cell.get(size, "") for size in sizes)))
    title = f"{TASK_TITLES[task]}, drawn by {WAYS[by]}: R2 [95 %] (mean number of labels)"
    return Table(title, ("Model", *sizes), rows)


def study_head(record: Mapping[str, Any], few: bool, counted: str, made: str = "") -> Iterator[str]:
    """What was simulated, the command, how much was run, and whether a claim may rest on it."""
    if origin := origin_of(record):
        yield f"**{origin}**"
    version = f"with spectm {record['spectm_version']} on {record['written'][:10]}"
    yield f"Written {version} by `{record['command']}`. {made}".rstrip()
    if record["quick"]:
        yield (
            f"**A quick run ({counted}, short pretraining): it shows that everything works, and no claim "
            "rests on it.**"
        )
    elif few:
        yield f"**{counted[0].upper()}{counted[1:]} only: too few for a claim.**"


def _title(subject: str, record: Mapping[str, Any]) -> str:
    return f"# {subject}, on a simulated lake" if record["simulated"] else f"# {subject}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _joined(blocks: list[str]) -> str:
    return "\n\n".join(block.strip() for block in blocks) + "\n"
