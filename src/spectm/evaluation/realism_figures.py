"""Figures of real against simulated."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.evaluation.figures import BLUE, GREY, INK, RED, Picture, new_canvas, to_picture
from spectm.evaluation.realism_classifier import Separation
from spectm.evaluation.realism_spectra import Spectra, normalised

__all__ = ["angle_chart", "importance_chart", "quartile_chart", "record_charts", "spectra_charts"]

FloatArray = npt.NDArray[np.floating[Any]]
BY = (("real", INK, "-"), ("simulated", RED, "--"))
UNITS = {
    "chlorophyll": "chlorophyll, µg/L",
    "phycocyanin": "phycocyanin, µg/L",
    "turbidity": "turbidity, NTU",
    "microcystin": "microcystin, µg/L",
}
MONTH_NAMES = ("Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct")


def record_charts(record: pd.DataFrame) -> list[Picture]:
    """Seasonal course of each quantity: median and quartiles; then the share below detection."""
    record = record[record["by"] == "month"]
    return [_course(record[record["quantity"] == quantity], quantity) for quantity in UNITS] + [
        _below(record[record["quantity"] == "microcystin"])
    ]


def _course(lines: pd.DataFrame, quantity: str) -> Picture:
    canvas, axes = new_canvas(height=2.9)
    place = np.arange(len(lines))
    for shift, (name, colour, style) in zip((-0.12, 0.12), BY, strict=True):
        low, middle, high = (lines[f"{name}_{level}"].to_numpy(dtype=np.float64) for level in (25, 50, 75))
        axes.vlines(place + shift, low, high, color=colour, linewidth=5, alpha=0.35)
        axes.plot(place + shift, middle, "o", linestyle=style, color=colour, linewidth=1, label=name)
    axes.set(yscale="log", ylabel=UNITS[quantity], xticks=place, xticklabels=MONTH_NAMES[: len(lines)])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.legend(fontsize=8, frameon=False)
    said = "; ".join(
        f"{month} {real:.3g} and {ours:.3g}"
        for month, real, ours in zip(MONTH_NAMES, lines["real_50"], lines["simulated_50"], strict=False)
    )
    alt = f"Medians and quartiles of {quantity} by month. Medians real and simulated: {said}."
    return to_picture(
        canvas, alt, f"Laboratory {quantity}: medians (points) and quartiles (bars). Simulated: red."
    )


def _below(lines: pd.DataFrame) -> Picture:
    canvas, axes = new_canvas(height=2.6)
    place = np.arange(len(lines))
    for shift, (name, colour, _) in zip((-0.2, 0.2), BY, strict=True):
        share = 100 * lines[f"{name}_below"].to_numpy(dtype=np.float64)
        axes.bar(place + shift, share, width=0.38, color=colour, alpha=0.75, label=name)
    axes.set(ylabel="below detection, %", xticks=place, xticklabels=MONTH_NAMES[: len(lines)], ylim=(0, 118))
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper right")
    alt = "Share of microcystin below detection by month, real and simulated, as bars."
    return to_picture(canvas, alt, "Microcystin below detection. Simulated: red.")


def spectra_charts(real: Spectra, simulated: Spectra) -> list[Picture]:
    """Median and 5-95 % of spectra as they are, then brightness-normalised."""
    wavelength, chosen = real.wavelength, real.wavelength >= 400
    whole = (1e3 * real.Rrs, 1e3 * simulated.Rrs)
    shape = (normalised(real.Rrs, wavelength), normalised(simulated.Rrs, wavelength))
    return [
        _envelope(wavelength, *whole, label="Rrs, 10⁻³ sr⁻¹", title="Spectra as files hold them"),
        _envelope(
            wavelength[chosen],
            *shape,
            label="Rrs over its root mean square",
            title="Brightness-normalised spectra",
        ),
    ]


def _envelope(
    wavelength: FloatArray, real: FloatArray, simulated: FloatArray, *, label: str, title: str
) -> Picture:
    canvas, axes = new_canvas(height=3.2)
    for values, (name, colour, style) in zip((real, simulated), BY, strict=True):
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
        axes.fill_between(wavelength, low, high, color=colour, alpha=0.14, linewidth=0)
        for edge in (low, high):
            axes.plot(wavelength, edge, color=colour, linewidth=0.7, linestyle=style)
        axes.plot(wavelength, middle, color=colour, linewidth=1.8, linestyle=style, label=name)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(xlabel="wavelength, nm", ylabel=label)
    axes.legend(fontsize=8, frameon=False)
    return to_picture(
        canvas, f"{title}: medians and 5 to 95 % of real and simulated spectra.", f"{title}: median, 5-95 %."
    )


def angle_chart(angles: dict[str, FloatArray]) -> Picture:
    """How the angles are spread: a rising curve for each kind of neighbour."""
    canvas, axes = new_canvas(height=3.0)
    for (name, values), colour, style in zip(
        angles.items(), (INK, RED, BLUE), ("-", "--", ":"), strict=False
    ):
        ordered = np.sort(values[np.isfinite(values)])
        axes.plot(
            ordered, np.arange(1, ordered.size + 1) / ordered.size, color=colour, linestyle=style, label=name
        )
    for level in (0.5, 0.9):
        axes.axhline(level, color=GREY, linewidth=0.6)
    axes.set(xlabel="angle to the nearest, rad", ylabel="share of real spectra", xlim=(0, 0.25), ylim=(0, 1))
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    said = ", ".join(f"{name} {np.nanmedian(values):.3f}" for name, values in angles.items())
    return to_picture(
        canvas,
        f"Distribution of spectral angles; medians: {said}.",
        "Angle from a real spectrum to the nearest.",
    )


def quartile_chart(table: pd.DataFrame) -> Picture:
    """Simulated quartiles on the scale of the real ones, on which the real range is 0 to 1."""
    canvas, axes = new_canvas(height=0.9 + 0.3 * len(table))
    place = np.arange(len(table))
    start, spread = table["real_25"], table["real_75"] - table["real_25"]
    spread = spread.where(spread > 0)
    low, middle, high = (((table[f"simulated_{n}"] - start) / spread).to_numpy() for n in (25, 50, 75))
    axes.axvspan(0, 1, color="#dfe8ee", linewidth=0)
    axes.hlines(place, low, high, color=RED, linewidth=3, alpha=0.5)
    axes.plot(middle, place, "o", color=RED, markersize=5, label="simulated median")
    real = ((table["real_50"] - start) / spread).to_numpy()
    axes.plot(real, place, "|", color=INK, markersize=11, label="real median")
    axes.set(yticks=place, yticklabels=list(table["quantity"]), ylim=(len(table) - 0.4, -0.6))
    axes.set(xlabel="0 and 1: real quartiles")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=2)
    alt = "Simulated quartiles of each index as lines, on a scale where real quartiles are 0 and 1."
    return to_picture(
        canvas, alt, "Quartiles of indices: red line, simulated; shaded, the real interquartile range."
    )


def importance_chart(separations: list[Separation]) -> Picture:
    """By which wavelengths the classifier tells real from simulated."""
    canvas, axes = new_canvas(height=3.0)
    styles = ((INK, "-"), (RED, "--"), (BLUE, ":"), ("#00795a", "-."), ("#8a4a7a", "-"))
    for one, (colour, style) in zip(separations, styles, strict=False):
        label = f"{one.form}, AUC {one.auc:.2f}"
        axes.plot(one.centre_nm, one.importance, color=colour, linestyle=style, marker=".", label=label)
    axes.set(xlabel="wavelength, nm", ylabel="area lost when shuffled")
    axes.legend(fontsize=8, frameon=False)
    said = ", ".join(f"{one.form} {one.auc:.2f}" for one in separations)
    return to_picture(
        canvas,
        f"Permutation importance by wavelength. Areas under the curve: {said}.",
        "What gives simulated spectra away.",
    )
