"""Figures of `spectm ablate` and `spectm label-efficiency`, as PNG files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.evaluation.ablation import REFERENCES
from spectm.evaluation.figures import BLUE, GREEN, GREY, INK, PURPLE, RED
from spectm.evaluation.findings import TASK_TITLES
from spectm.evaluation.label_curves import FLOOR_MODEL
from spectm.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_ablation", "draw_curves"]

FloatArray = npt.NDArray[np.float64]

DPI = 150
LEAST_R2 = -0.5  # a curve below it is cut: how bad a model is with ten labels is in the table
FAMILY = {"spectm-blend": (BLUE, "o"), "spectm-blend-embedding": (GREEN, "s"), "spectm-probe": (PURPLE, "^")}


def draw_ablation(table: pd.DataFrame, path: Path, *, note: str = "") -> None:
    """Differences from the reference with both intervals, a panel for each task and head.

    Parameters
    ----------
    table : DataFrame
        ``ablation.csv``.
    path : Path
        PNG to write.
    note : str
        Such as "Simulated.", put above.
    """
    shown = table[np.isfinite(table["difference"])]
    tasks, heads = (list(dict.fromkeys(shown[name])) for name in ("task", "head"))
    reference = str(table["reference"].iloc[0])
    against = ("\nagainst " + shown["reference"]).where(shown["reference"] != reference, "")
    shown = shown.assign(label=shown["variant"] + against)
    lines = shown["label"].nunique()
    canvas, grid = _canvas(len(tasks), len(heads), width=8.6, height=1.1 + 0.26 * lines)
    for i, task in enumerate(tasks):
        for j, head in enumerate(heads):
            part = shown[(shown["task"] == task) & (shown["head"] == head)]
            _differences(grid[i, j], part, f"{TASK_TITLES[task]}, {head}")
    for axes in grid[-1]:
        axes.set_xlabel("R², reference minus variant")
    above = f"{note} Reference: {REFERENCES[reference]}. Above zero it is better.".strip()
    said = "Thick: 95 % interval. Thin: corrected for all lines of a panel. Grey: too small to detect."
    canvas.suptitle(f"{above}\n{said}", fontsize=8.5)
    _save(canvas, path)


def _differences(axes: "Axes", part: pd.DataFrame, title: str) -> None:
    place = np.arange(len(part))
    names = ("difference", "low", "high", "corrected_low", "corrected_high", "detectable")
    value, low, high, corrected_low, corrected_high, detectable = (
        part[name].to_numpy(dtype=np.float64) for name in names
    )
    axes.barh(place, 2 * detectable, left=-detectable, height=0.8, color="#e4e4e4")
    axes.axvline(0, color=RED, linewidth=1.0, linestyle="--")
    axes.hlines(place, corrected_low, corrected_high, color=INK, linewidth=0.9)
    axes.hlines(place, low, high, color=BLUE, linewidth=3.2)
    axes.plot(value, place, "o", markersize=5, markerfacecolor="white", markeredgecolor=BLUE)
    axes.set(yticks=place, yticklabels=list(part["label"]), ylim=(len(part) - 0.4, -0.6))
    axes.locator_params(axis="x", nbins=5)
    axes.set_title(title, fontsize=9)


def draw_curves(curves: pd.DataFrame, path: Path, *, note: str = "") -> None:
    """R2 by number of labels, a panel for each task and way to draw them.

    Every model is shown in the context in which it is best when trained on all.

    Parameters
    ----------
    curves : DataFrame
        ``curves.csv``.
    path : Path
        PNG to write.
    note : str
        Such as "Simulated.", put above.
    """
    tasks, ways = (list(dict.fromkeys(curves[name])) for name in ("task", "by"))
    canvas, grid = _canvas(len(tasks), len(ways), width=8.6, height=3.1)
    for i, task in enumerate(tasks):
        for j, way in enumerate(ways):
            part = curves[(curves["task"] == task) & (curves["by"] == way)]
            _curve_panel(grid[i, j], part)
            grid[i, j].set_title(f"{TASK_TITLES[task]}, drawn by {way}", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("laboratory values learned from")
    said = "Bands: 95 % intervals of the first SpecTM and of the best baseline. Grey: other baselines."
    canvas.suptitle(f"{note} {said}".strip(), fontsize=8.5)
    _save(canvas, path)


def _curve_panel(axes: "Axes", part: pd.DataFrame) -> None:
    floor = float(part.loc[part["model"] == FLOOR_MODEL, "r2"].iloc[0])
    axes.axhline(floor, color=INK, linewidth=1.0, linestyle=":", label=FLOOR_MODEL)
    chosen = [
        _best_context(own) for _, own in part[part["model"] != FLOOR_MODEL].groupby("model", sort=False)
    ]
    plain = [own for own in chosen if own["model"].iloc[0] not in FAMILY]
    best = max(plain, key=lambda own: float(own["r2"].iloc[-1]), default=None)
    filled = False
    for own in sorted(chosen, key=lambda own: own["model"].iloc[0] in FAMILY):
        model = str(own["model"].iloc[0])
        colour, marker = FAMILY.get(model, (GREY, ""))
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.5}
        if own is best:
            style |= {"color": RED, "marker": "D", "linestyle": "--"}
        elif model not in FAMILY:
            style |= {"linewidth": 0.7, "alpha": 0.8}
        label = f"{model} ({own['context'].iloc[0]})" if own is best or model in FAMILY else None
        axes.plot(own["labels"], own["r2"], label=label, **style)
        if own is best or (model in FAMILY and not filled):
            filled |= model in FAMILY
            ends = (own["low"], own["high"])
            axes.fill_between(own["labels"], *ends, color=style["color"], alpha=0.13, linewidth=0)
    axes.set(xscale="log", ylim=(LEAST_R2, 1.0), ylabel="R²")
    least, most = 0.8 * part.loc[part["labels"] > 0, "labels"].min(), 1.2 * part["labels"].max()
    ticks = [count for count in (2, 5, 10, 20, 40, 80, 160, 320, 640) if least <= count <= most]
    axes.set_xticks(ticks, [str(count) for count in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=6.5, frameon=True, framealpha=0.85, edgecolor="none", loc="lower right")


def _best_context(own: pd.DataFrame) -> pd.DataFrame:
    """Lines of the context with the highest R2 on all labels, by number of labels."""
    contexts = [lines.sort_values("labels") for _, lines in own.groupby("context", sort=False)]
    return max(contexts, key=lambda lines: float(lines["r2"].iloc[-1]))


def _canvas(n_rows: int, n_columns: int, *, width: float, height: float) -> "tuple[Any, Any]":
    """A figure of panels that share nothing; `height` of one row, inches."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height * n_rows + 0.4), layout="constrained")
    grid = canvas.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7.5)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
    return canvas, grid


def _save(canvas: Any, path: Path) -> None:
    with replacing(path) as unfinished:
        canvas.savefig(unfinished, format="png", dpi=DPI, metadata={"Software": None})
