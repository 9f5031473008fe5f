"""Figures of intervals, probabilities and flags."""

from typing import Any

import numpy as np
import pandas as pd

from spectm.evaluation.figures import BLUE, GREEN, GREY, INK, PURPLE, RED, Picture, new_canvas, to_picture

__all__ = ["coverage_figure", "reliability_figure", "withheld_figure"]

STYLES = {
    "climatology": (GREY, "s", ":"),
    "gp": (GREEN, "^", "-."),
    "blend-plain": (RED, "D", "--"),
    "spectm-blend": (BLUE, "o", "-"),
}
OTHER = (PURPLE, "v", "-")


def coverage_figure(calibration: pd.DataFrame, *, title: str) -> Picture:
    """Coverage of 50 and 90 % intervals with its 95 % interval, model by model.

    Parameters
    ----------
    calibration : DataFrame
        ``calibration.csv`` of one task, rows "all" and "detected".
    title : str
    """
    models = list(dict.fromkeys(calibration["model"]))
    canvas, axes = new_canvas(height=1.1 + 0.42 * len(models))
    said = []
    for level, colour in ((0.9, BLUE), (0.5, RED)):
        axes.axvline(level, color=colour, linewidth=1.0, linestyle="--")
        for rows, shift, marker, face in (("all", -0.16, "o", colour), ("detected", 0.16, "D", "white")):
            chosen = calibration[(calibration["level"] == level) & (calibration["rows"] == rows)]
            chosen = chosen[chosen["coverage"].notna()]
            place = np.array([models.index(name) for name in chosen["model"]]) + shift
            axes.hlines(place, chosen["coverage_low"], chosen["coverage_high"], color=colour, linewidth=1.3)
            look: dict[str, Any] = {"markersize": 5.5, "markerfacecolor": face, "markeredgecolor": colour}
            axes.plot(chosen["coverage"], place, marker, label=f"{100 * level:.0f} %, {rows}", **look)
            said += [f"{name} {100 * level:.0f} % of {rows} rows {value:.2f}"
                     for name, value in zip(chosen["model"], chosen["coverage"], strict=True)]  # fmt: skip
    axes.set(yticks=range(len(models)), yticklabels=models, xlabel="share of rows covered", xlim=(0, 1.02))
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    where: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.4, 1.0)}
    axes.legend(ncols=2, fontsize=8, frameon=False, **where)
    alt = f"Points with 95 % intervals of coverage, {title}: {', '.join(said)}."
    return to_picture(canvas, alt, f"{title}. Dashed: what is promised; open: detected rows alone.")


def reliability_figure(reliability: pd.DataFrame, *, title: str) -> Picture:
    """Observed frequency against predicted probability, with the diagonal.

    Parameters
    ----------
    reliability : DataFrame
        ``reliability.csv`` of one task and threshold, of few models.
    title : str
    """
    canvas, axes = new_canvas(height=4.0)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8)
    said = []
    models = list(dict.fromkeys(reliability["model"]))
    for number, model in enumerate(models):
        own = reliability[reliability["model"] == model]
        colour, marker, line = STYLES.get(model, OTHER)
        x = own["probability"].to_numpy() + 0.012 * (number - (len(models) - 1) / 2)
        axes.vlines(x, own["frequency_low"], own["frequency_high"], color=colour, linewidth=1.3)
        sizes = 14 + 1.6 * own["n"].to_numpy(dtype=np.float64)
        axes.plot(x, own["frequency"], line, color=colour, linewidth=0.9)
        axes.scatter(x, own["frequency"], sizes, color=colour, marker=marker, label=model, zorder=3)
        pairs = zip(own["probability"], own["frequency"], own["n"], strict=True)
        said.append(f"{model} " + ", ".join(f"{p:.2f}: {f:.2f} of {n:.0f}" for p, f, n in pairs))
    axes.set(
        xlabel="predicted probability", ylabel="observed frequency", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03)
    )
    axes.set_aspect("equal")
    axes.legend(fontsize=8, frameon=False, loc="lower right", markerscale=0.7)
    alt = f"Reliability diagram, {title}; observed frequency by predicted probability: {'; '.join(said)}."
    caption = f"{title}. On the line, probabilities are right; larger: more rows; upright: 95 % interval."
    return to_picture(canvas, alt, caption)


def withheld_figure(withheld: pd.DataFrame, *, title: str) -> Picture:
    """RMSE of the rows that are kept, by the share kept.

    Parameters
    ----------
    withheld : DataFrame
        ``withheld.csv`` of one task.
    title : str
    """
    canvas, axes = new_canvas(height=3.2)
    said = []
    for model, lines in withheld.groupby("model", sort=False):
        colour, marker, style = STYLES.get(str(model), OTHER)
        curve = lines[~lines["kept"].isin(("flagged", "not flagged"))].sort_values("share")
        kept = lines[(lines["kept"] == "not flagged") & lines["rmse"].notna()]
        share = 100 * curve["share"].to_numpy(dtype=np.float64)
        axes.plot(share, curve["rmse"], style, marker=marker, markersize=4, color=colour, label=str(model))
        axes.plot(100 * kept["share"], kept["rmse"], "*", markersize=11, color=colour)
        pairs = zip(share, curve["rmse"], strict=True)
        said.append(f"{model} " + ", ".join(f"{s:.0f} %: {r:.2f}" for s, r in pairs))
    axes.set(xlabel="rows kept, the most familiar first, %", ylabel="RMSE, log10", xlim=(102, 48))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower left")
    alt = f"RMSE of the rows kept when the strangest are withheld, {title}: {'; '.join(said)}."
    return to_picture(canvas, alt, f"{title}. Star: what is not flagged.")
