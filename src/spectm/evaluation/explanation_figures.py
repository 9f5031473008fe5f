"""Figures of an explanation: every one also stands on its page as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spectm.evaluation.explanation import Explanation, Part
from spectm.evaluation.figures import BLUE, GREY, INK, RED, Picture, new_canvas, to_picture
from spectm.evaluation.hidden_windows import Occlusion
from spectm.spectral.windows import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["account", "band_sizes", "bands", "null_histogram", "occluded", "spectrum"]

FloatArray = npt.NDArray[np.floating[Any]]

UP, DOWN = "#9dc3dd", "#f6d2bb"  # and hatched, for eyes and printers without colour
SHADE = "#ececec"


def account(
    start: float,
    parts: Sequence[Part],
    total: float,
    *,
    quantity: str = "microcystin",
    unit: str = "µg/L",
    origin: str = "the laboratory's average of earlier years",
) -> Picture:
    """Steps from an average, of which `origin` says whose, to the estimate, on an axis of concentrations."""
    canvas, axes = new_canvas(height=1.1 + 0.3 * len(parts))
    ends = start + np.cumsum([part.change for part in parts])
    begins = np.concatenate([[start], ends[:-1]])
    place = np.arange(len(parts))
    for number, (left, right) in enumerate(zip(begins, ends, strict=True)):
        rises = right >= left
        axes.barh(
            number,
            right - left,
            left=left,
            height=0.6,
            color=UP if rises else DOWN,
            edgecolor=INK,
            linewidth=0.6,
            hatch="" if rises else "///",
        )
        spread = parts[number].spread
        if np.isfinite(spread):
            axes.hlines(number, right - spread, right + spread, color=INK, linewidth=1.4)
        if number:
            axes.vlines(left, number - 0.7, number - 0.3, color=GREY, linewidth=0.8)
    axes.axvline(start, color=GREY, linewidth=0.8, linestyle=":")
    axes.axvline(total, color=RED, linewidth=1.4, linestyle="--")
    axes.set(yticks=place, yticklabels=[part.name for part in parts], xlabel=f"{quantity}, {unit} (log axis)")
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    _decades(axes)
    said = ", ".join(f"{part.name} {_factor(part.change)}" for part in parts)
    alt = f"Bars from {origin}, {10**start:.2g} {unit}, to the estimate, {10**total:.2g} {unit}: {said}."
    caption = (
        f"From {origin} (dotted line) to the estimate (dashed). Plain: raises; hatched: lowers. Line at the "
        "end of a bar: spread over the ensemble."
    )
    return to_picture(canvas, alt, caption)


def spectrum(found: Explanation) -> Picture:
    """The spectrum, its reference, and its windows as the models fill them in."""
    canvas, axes = new_canvas(height=3.2)
    wavelength = found.attributions.wavelength
    _shade(axes, found.windows, wavelength)
    axes.plot(wavelength, 1e3 * found.attributions.spectra[0], color=INK, linewidth=1.5, label="measured")
    reference = 1e3 * found.attributions.reference[0]
    axes.plot(wavelength, reference, color=GREY, linewidth=1.2, linestyle=":", label="reference")
    mean = np.mean(found.filled, axis=0) if len(found.filled) else None
    if mean is not None:
        spread = np.std(found.filled, axis=0, ddof=1) if len(found.filled) > 1 else np.zeros(mean.size)
        for number in range(len(found.windows)):
            inside = found.window == number
            label = "filled in" if number == 0 else None
            low, high = (1e3 * (mean + sign * spread)[inside] for sign in (-1, 1))
            axes.fill_between(wavelength[inside], low, high, color=DOWN, linewidth=0)
            axes.plot(
                wavelength[inside], 1e3 * mean[inside], color=RED, linewidth=1.6, linestyle="--", label=label
            )
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set(xlabel="wavelength, nm", ylabel="Rrs, 10⁻³ sr⁻¹")
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    alt = f"Reflectance spectrum from {wavelength[0]:.0f} to {wavelength[-1]:.0f} nm with its reference"
    if mean is not None:
        off = 1e3 * (mean - found.attributions.spectra[0])[found.window >= 0]
        alt += (
            f" and its windows filled in, which lie {off.min():+.2g} to {off.max():+.2g} from it in 10⁻³ per "
            "steradian"
        )
    filled = ""
    if mean is not None:
        filled = " Dashed: filled in from the other bands, with the spread over the ensemble."
    return to_picture(canvas, f"{alt}.", f"Grey: the windows that pretraining hides.{filled}")


def bands(wavelength: FloatArray, mean: FloatArray, spread: FloatArray, windows: Sequence[Window]) -> Picture:
    """What each band adds, log10, with the spread over the ensemble."""
    canvas, axes = new_canvas(height=3.0)
    _shade(axes, windows, wavelength)
    axes.vlines(wavelength, 0, mean, color=BLUE, linewidth=1.1)
    if np.isfinite(spread).all():
        axes.fill_between(
            wavelength, mean - spread, mean + spread, color=GREY, alpha=0.35, linewidth=0, step="mid"
        )
    axes.plot(wavelength, mean, color=BLUE, linewidth=1.0)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set(xlabel="wavelength, nm", ylabel="added to log10 of the estimate")
    top, low = int(mean.argmax()), int(mean.argmin())
    alt = (
        f"What each band adds: most at {wavelength[top]:.0f} nm ({mean[top]:+.3f}), least at "
        f"{wavelength[low]:.0f} nm ({mean[low]:+.3f})."
    )
    return to_picture(
        canvas,
        alt,
        "What each band adds to the estimate. Grey: windows; grey band: spread over the ensemble.",
    )


def band_sizes(
    wavelength: FloatArray, size: FloatArray, signed: FloatArray, windows: Sequence[Window]
) -> Picture:
    """Mean size of the attribution of each band over many spectra, and its mean with sign."""
    canvas, axes = new_canvas(height=3.0)
    _shade(axes, windows, wavelength)
    axes.fill_between(wavelength, 0, size, color=UP, linewidth=0, step="mid")
    axes.plot(wavelength, size, color=BLUE, linewidth=1.3, label="mean size")
    axes.plot(wavelength, signed, color=RED, linewidth=1.1, linestyle="--", label="mean with sign")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set(xlabel="wavelength, nm", ylabel="added to log10 of the estimate")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    top = int(size.argmax())
    alt = f"Mean size of what each band adds, largest at {wavelength[top]:.0f} nm ({size[top]:.3f})."
    return to_picture(canvas, alt, "What each band adds, averaged over the spectra. Grey: windows.")


def occluded(parts: Sequence[Occlusion]) -> Picture:
    """By how much each window raises the estimate, against two replacements."""
    canvas, axes = new_canvas(height=1.1 + 0.5 * len(parts))
    place = np.arange(len(parts))
    kinds = (
        ("as in the reference", UP, "", -0.19, [(p.reference, p.reference_spread) for p in parts]),
        ("filled in", DOWN, "///", 0.19, [(p.filled, p.filled_spread) for p in parts]),
    )
    for label, colour, hatch, shift, values in kinds:
        mean, spread = (np.array(column) for column in zip(*values, strict=True))
        known = np.isfinite(mean)
        if not known.any():
            continue
        axes.barh(
            place[known] + shift,
            mean[known],
            height=0.36,
            color=colour,
            edgecolor=INK,
            linewidth=0.6,
            hatch=hatch,
            label=label,
        )
        wide = known & np.isfinite(spread)
        axes.hlines(
            place[wide] + shift, (mean - spread)[wide], (mean + spread)[wide], color=INK, linewidth=1.3
        )
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(yticks=place, yticklabels=[part.name for part in parts])
    axes.set_xlabel("added to log10(µg/L)")
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.4, -0.2))
    said = ", ".join(f"{part.name} {part.reference:+.2f} and {part.filled:+.2f}" for part in parts)
    alt = f"Bars of what windows add against the reference and against filling in: {said}."
    caption = (
        "The estimate minus that with the window replaced: as in the reference spectrum (plain), or as "
        "filled in from the other bands (hatched). Line: spread over the ensemble."
    )
    return to_picture(canvas, alt, caption)


def null_histogram(observed: float, null: FloatArray) -> Picture:
    """The agreement with the windows among those of shuffled labels."""
    canvas, axes = new_canvas(height=2.4)
    axes.hist(
        null, bins=np.linspace(0, 1, 21), color=UP, edgecolor=INK, linewidth=0.5, label="shuffled labels"
    )
    axes.axvline(observed, color=RED, linewidth=1.8, linestyle="--", label="this model")
    axes.set(xlabel="share of the windows in how far estimates are moved", ylabel="models", xlim=(0, 1))
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.24))
    alt = (
        f"Histogram of the agreement of {null.size} models of shuffled labels, {null.min():.2f} to "
        f"{null.max():.2f}; this model has {observed:.2f}."
    )
    return to_picture(canvas, alt, "Dashed: this model; bars: models of shuffled labels.")


def _shade(axes: "Axes", windows: Sequence[Window], wavelength: FloatArray) -> None:
    for one in windows:
        axes.axvspan(one.low_nm, min(one.high_nm, float(wavelength[-1])), color=SHADE, linewidth=0)


def _decades(axes: "Axes") -> None:
    """Ticks of an axis of log10 as concentrations."""
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high - low < 1.5 else (1, 3)
    wanted = [step * 10.0**decade for decade in range(-3, 4) for step in steps]
    ticks = [value for value in wanted if low <= np.log10(value) <= high]
    axes.set_xticks([float(np.log10(value)) for value in ticks], [f"{value:g}" for value in ticks])


def _factor(change: float) -> str:
    return f"times {10**change:.2f}"
