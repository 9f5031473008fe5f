"""What `spectm evaluate` says of one's own target: Markdown and a figure, read off its tables."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spectm.data.spectra_file import Spectra
from spectm.evaluation.figures import BLUE, GREY, INK
from spectm.evaluation.findings import Row, bracketed, reading
from spectm.evaluation.own_target import REFERENCE
from spectm.evaluation.report_tables import Table, markdown
from spectm.evaluation.study_pages import SEEDS_FOR_CLAIMS, claimed
from spectm.files import replacing

__all__ = ["draw_own", "own_page"]

DPI = 150


def own_page(
    spectra: Spectra,
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    record: Mapping[str, Any],
) -> str:
    """Scores of all models, and what may be claimed of their differences.

    Parameters
    ----------
    spectra : Spectra
    scores, differences : DataFrame
        Of `spectm.evaluation.own_target.compare_own`.
    record : mapping
        ``command`` and ``quick``.
    """
    target, rows = spectra.target, spectra.labelled
    seeds = int(scores["n_seeds"].max())
    groups = np.unique(spectra.group[rows]).size
    made_up = "**Simulated: nothing of it was measured.** " if spectra.patches.simulated else ""
    blocks = [
        f"# {target.name}",
        f"{made_up}Written by `{record['command']}`. {rows.size} spectra of {groups} groups, "
        f"{int(spectra.below[rows].sum())} below detection ({target.detection_limit:g} {target.unit}); "
        f"{spectra.patches.n_bands} bands; source: {spectra.patches.source}.",
        "Whole groups are held back in turn; pretraining has not seen them either. Scores are of log10, with "
        f"95 % intervals over groups; {seeds} pretrainings of each masking, with the same seeds and folds. "
        "`probe` is a ridge regression on the frozen embedding alone, which shows what a masking is worth; "
        "`blend` adds reflectance and indices and is what `spectm finetune` makes. Models without "
        "pretraining read bands from 400 nm on.",
    ]
    if record["quick"] or seeds < SEEDS_FOR_CLAIMS:
        blocks.append(f"**No claim rests on {seeds} seeds.**")
    columns = ("Model", "R2", "RMSE, log10", "50 % interval holds", "90 % interval holds")
    blocks.append(
        markdown(Table("All models", columns, [_score_row(row) for row in scores.to_dict("records")]))
    )
    shown = ("Beside", "Difference of R2", "Corrected", "Corrected p", "Detectable", "It is")
    for head in ("probe", "blend"):
        own = differences[(differences["kind"] == "masking") & (differences["head"] == head)]
        title = f"Targeted masking beside other maskings, {head}"
        blocks.append(markdown(Table(title, shown, [_row(row) for row in own.to_dict("records")])))
    own = differences[differences["kind"] == "model"]
    title = f"blend-{REFERENCE} beside models without pretraining"
    blocks.append(markdown(Table(title, shown, [_row(row) for row in own.to_dict("records")])))
    blocks.append(
        "Above zero, targeted masking or the blend is better. *Corrected*: holds for all lines of a table at "
        "once. *Detectable*: the least difference found four times in five."
    )
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _score_row(row: Row) -> tuple[str, ...]:
    def held(level: int) -> str:
        name = f"coverage{level}"
        if not math.isfinite(row.get(name, math.nan)):
            return ""
        return bracketed(row[name], row[f"{name}_low"], row[f"{name}_high"])

    scores = [bracketed(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("r2", "rmse")]
    return (str(row["model"]), *scores, held(50), held(90))


def _row(row: Row) -> tuple[str, ...]:
    return (str(row["model"]), *claimed(row, 3), reading(row["corrected_low"], row["corrected_high"]))


def draw_own(predictions: pd.DataFrame, spectra: Spectra, path: Path) -> None:
    """Estimates of the blend beside what was measured, with 90 % intervals; means over seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    own = predictions[predictions["model"] == f"blend-{REFERENCE}"]
    columns = ["observed_log10", "mean", "low90", "high90"]
    table = 10 ** own.groupby("row")[columns].mean().clip(lower=np.log10(spectra.target.detection_limit))
    below = own.groupby("row")["below_detection"].first().to_numpy(dtype=np.bool_)
    figure = Figure(figsize=(5.2, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ends = [float(table.min().min()) / 1.3, float(table.max().max()) * 1.3]
    axes.plot(ends, ends, color=GREY, linewidth=0.8)
    x, mean = table["observed_log10"], table["mean"]
    axes.vlines(x, table["low90"], table["high90"], color=BLUE, alpha=0.25, linewidth=1)
    axes.scatter(x[~below], mean[~below], s=14, color=BLUE, label="measured")
    if below.any():
        label = "below detection"
        axes.scatter(x[below], mean[below], s=14, facecolors="none", edgecolors=INK, label=label)
        axes.legend(frameon=False)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    target = spectra.target
    axes.set_xlabel(f"measured {target.name}, {target.unit}")
    axes.set_ylabel(f"estimated from groups not seen, {target.unit}")
    note = "Simulated. " if spectra.patches.simulated else ""
    axes.set_title(f"{note}Lines: 90 % intervals", fontsize=9, loc="left")
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DPI)
