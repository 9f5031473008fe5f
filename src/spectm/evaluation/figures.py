"""Figures of a report, each as an image that an HTML file can hold in itself.

matplotlib is used through its objects and imported where something is drawn: no global figure is left
behind, and nothing that only reads tables waits for it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.evaluation.reconstruction import METHODS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = [
    "Picture",
    "agreement",
    "example",
    "interval_bars",
    "loss_curves",
    "stamped",
    "zero_line_intervals",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Okabe and Ito (2008), darkened where 3:1 against white wants it: told apart by every eye, and by shape too.
BLUE, RED, GREEN, PURPLE, INK, GREY = "#0072b2", "#c44e00", "#00795a", "#8a4a7a", "#1b1b1b", "#6b6b6b"
WIDTH_IN = 4.4  # nearly the width of a phone, so that letters keep their size there
_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "svg.hashsalt": "spectm",
    "hatch.linewidth": 0.6,
}
_LINES = {"spectm": (BLUE, "-"), "ridge": (RED, "--"), "pca": (GREEN, "-."), "spline": (PURPLE, ":")}


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a data URI, with words for who can't see it and words for everybody."""

    uri: str
    alt: str
    caption: str

    @property
    def svg(self) -> bytes:
        """The image as a file of its own."""
        return base64.b64decode(self.uri.partition(",")[2])


def interval_bars(scores: pd.DataFrame, *, reference: float, least: float, title: str) -> Picture:
    """Bars of R2 with 95 % intervals and the climatology as a line.

    Parameters
    ----------
    scores : DataFrame
        model, r2, r2_low, r2_high. The SpecTM family, whose names begin with "spectm", is hatched.
    reference : float
        R2 of the climatology; NaN draws no line.
    least : float
        Where the axis begins; what lies further left is cut there, and an arrow says so.
    title : str
        Which task and context.
    """
    labels, (values, low, high) = list(scores["model"]), _columns(scores, "r2", "r2_low", "r2_high")
    canvas, axes = new_canvas(height=0.9 + 0.27 * len(labels))
    place = np.arange(len(labels))
    family = np.array([label.startswith("spectm") for label in labels])
    shown = np.clip(np.nan_to_num(values), least, 1.0)
    for kind, colour, hatch in ((~family, "#9dc3dd", ""), (family, "#f6d2bb", "///")):
        bars: dict[str, Any] = {"color": colour, "edgecolor": "#9a6a4c", "linewidth": 0.5, "height": 0.68}
        axes.barh(place[kind], shown[kind], hatch=hatch, **bars)
    _intervals(axes, place, low, high, (least, 1.0))
    axes.axvline(0, color=INK, linewidth=0.8)
    if np.isfinite(reference):
        at = max(reference, least)
        axes.axvline(at, color=RED, linewidth=1.4, linestyle="--")
        where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        where |= {"xytext": (0, 2), "ha": "center", "va": "bottom"}
        axes.annotate(f"climatology {reference:.2f}", (at, 1), color=RED, **where)
    axes.set(yticks=place, yticklabels=labels, xlim=(least - 0.02, 1.02), xlabel="R² (1 is perfect)")
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    known = f" Climatology: {reference:.2f}." if np.isfinite(reference) else ""
    alt = f"Bar chart of R² with 95 % intervals, {title}: {_said(labels, values)}.{known}"
    caption = f"{title}. Hatched: SpecTM family; dashed line: climatology; line on a bar: 95 % interval."
    return to_picture(canvas, alt, caption + _cut_note(low, high, (least, 1.0)))


def zero_line_intervals(pairs: pd.DataFrame, *, title: str) -> Picture:
    """Differences in R2 as points with 95 % intervals around a line at zero.

    Parameters
    ----------
    pairs : DataFrame
        against, r2_difference, low, high; what lies beyond 1 either way is cut there, and an arrow says so.
    title : str
        Which model and context.
    """
    labels = [f"minus {against}" for against in pairs["against"]]
    values, low, high = _columns(pairs, "r2_difference", "low", "high")
    canvas, axes = new_canvas(height=0.8 + 0.27 * len(labels))
    place = np.arange(len(labels))
    ends = np.concatenate([low, high, [0.0]])
    edges = (max(-1.0, float(np.nanmin(ends))), min(1.0, float(np.nanmax(ends))))
    _intervals(axes, place, low, high, edges)
    clear, inside = (low > 0) | (high < 0), (values >= edges[0]) & (values <= edges[1])
    for kind, face in ((clear & inside, BLUE), (~clear & inside, "white")):
        axes.plot(values[kind], place[kind], "o", markersize=6, markerfacecolor=face, markeredgecolor=BLUE)
    axes.axvline(0, color=RED, linewidth=1.2, linestyle="--")
    axes.set(yticks=place, yticklabels=labels, xlabel="difference in R²")
    axes.set(xlim=(edges[0] - 0.04, edges[1] + 0.04), ylim=(len(labels) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    alt = f"Points with 95 % intervals, {title}: {_said(labels, values)}. A dashed line marks zero."
    caption = f"{title}. Filled: the interval excludes zero; open: it does not."
    return to_picture(canvas, alt, caption + _cut_note(low, high, edges))


def stamped(picture: Picture, word: str) -> Picture:
    """The same picture with a word in its lower right corner, in its caption and in its description.

    Parameters
    ----------
    picture : Picture
        One of this module's.
    word : str
        Such as "Simulated".
    """
    head, data = picture.uri.split(",", 1)
    svg = base64.b64decode(data).decode("utf-8")
    _, _, width, height = (float(number) for number in svg.split('viewBox="', 1)[1].split('"', 1)[0].split())
    text = (
        f'<text x="{width - 3:g}" y="{height - 4:g}" text-anchor="end" font-family="sans-serif" '
        f'font-size="8" font-weight="bold" fill="{RED}">{word.lower()}</text>'
    )
    body, end = svg.rsplit("</svg>", 1)
    data = base64.b64encode(f"{body}{text}</svg>{end}".encode()).decode("ascii")
    return Picture(f"{head},{data}", f"{word}. {picture.alt}", f"{word}. {picture.caption}")


def _columns(table: pd.DataFrame, *names: str) -> tuple[FloatArray, ...]:
    return tuple(table[name].to_numpy(dtype=np.float64) for name in names)


def _said(labels: Sequence[str], values: FloatArray) -> str:
    return ", ".join(f"{label} {value:.2f}" for label, value in zip(labels, values, strict=True))


def _intervals(
    axes: "Axes", place: IntArray, low: FloatArray, high: FloatArray, edges: tuple[float, float]
) -> None:
    """Lines from low to high on a pale ground; an arrow where one goes on beyond an edge."""
    known = np.isfinite(low + high)
    left, right = (np.clip(end[known], *edges) for end in (low, high))
    for colour, width in (("white", 3.4), (INK, 1.3)):
        axes.hlines(place[known], left, right, color=colour, linewidth=width)
    for beyond, edge, marker in ((low < edges[0], edges[0], "<"), (high > edges[1], edges[1], ">")):
        if beyond.any():
            axes.plot(np.full(beyond.sum(), edge), place[beyond], marker, color=INK, clip_on=False)


def _cut_note(low: FloatArray, high: FloatArray, edges: tuple[float, float]) -> str:
    return " An arrow: it goes on." if (low < edges[0]).any() or (high > edges[1]).any() else ""


def agreement(
    observed: FloatArray, predicted: FloatArray, below: npt.NDArray[np.bool_], *, title: str
) -> Picture:
    """Predicted against observed concentration, both axes logarithmic.

    Parameters
    ----------
    observed, predicted : ndarray, shape (n,)
        ug/L, positive.
    below : ndarray of bool, shape (n,)
        Observed below detection: drawn as open triangles at the limit.
    title : str
        Model, context and task.
    """
    canvas, axes = new_canvas(height=WIDTH_IN * 1.06)
    edge = np.array([0.02, 2.0 * max(10.0, float(observed.max(initial=0.0)))])
    inside = np.clip(predicted, edge[0], edge[1])
    axes.fill_between(edge, edge / 2, edge * 2, color="#dfe8ee", linewidth=0, label="within a factor of 2")
    axes.plot(edge, edge, color=INK, linewidth=1, label="1:1")
    axes.plot(observed[~below], inside[~below], "o", color=BLUE, alpha=0.65, markersize=4.5, label="detected")
    open_triangle: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": RED, "markersize": 5.5}
    axes.plot(observed[below], inside[below], "<", label="below detection (at its limit)", **open_triangle)
    axes.set(xscale="log", yscale="log", xlim=edge, ylim=edge, aspect="equal")
    ticks = [tick for tick in (0.1, 1, 10, 100) if tick <= edge[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set(xlabel="laboratory, µg/L", ylabel="predicted, µg/L")
    axes.minorticks_off()
    outside: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
    axes.legend(ncols=2, fontsize=8, frameon=False, **outside)
    near = int((np.abs(np.log10(inside[~below] / observed[~below])) <= np.log10(2)).sum())
    alt = (
        f"Scatter plot of predicted against laboratory microcystin, {title}. {near} of {int((~below).sum())} "
        f"detected values lie within a factor of 2; {int(below.sum())} are below detection."
    )
    return to_picture(canvas, alt, f"{title}.")


def example(lines: pd.DataFrame, *, title: str) -> Picture:
    """One spectrum with its hidden windows shaded and its guards hatched; below, the errors.

    Parameters
    ----------
    lines : DataFrame
        One example of ``reconstruction_examples.csv``, by wavelength.
    title : str
        Date and guard.
    """
    canvas, (top, bottom) = new_canvas(height=4.4, n_rows=2)
    wavelength = lines["wavelength"].to_numpy()
    scored, guard = (lines["scored"].to_numpy(), (lines["hidden"] & ~lines["scored"]).to_numpy())
    for axes in (top, bottom):
        for low, high in _runs(wavelength, scored):
            axes.axvspan(low, high, color="#ececec", linewidth=0)
        for low, high in _runs(wavelength, guard):
            axes.axvspan(low, high, facecolor="white", edgecolor=GREY, hatch="xxxx", linewidth=0)
        axes.spines[["top", "right"]].set_visible(False)
    observed = lines["observed"].to_numpy()
    top.plot(wavelength, 1e3 * observed, color=INK, linewidth=1.4, label="measured")
    bottom.axhline(0, color=INK, linewidth=1.0)
    for method, (colour, style) in _LINES.items():
        inferred = lines[method].to_numpy()
        if np.isfinite(inferred).any():
            top.plot(wavelength, 1e3 * inferred, color=colour, linestyle=style, linewidth=1.5, label=method)
            bottom.plot(wavelength, 1e3 * (inferred - observed), color=colour, linestyle=style, linewidth=1.5)
    top.set(ylabel="Rrs, 10⁻³ sr⁻¹", xlabel="wavelength, nm")
    edge = wavelength[lines["hidden"].to_numpy()]
    bottom.set(ylabel="error, 10⁻³ sr⁻¹", xlabel="wavelength, nm")
    if edge.size:
        bottom.set_xlim(edge.min() - 12, edge.max() + 6)
    top.legend(fontsize=8, frameon=False, ncols=2)
    said = ", ".join(
        f"{method} {1e3 * float(np.nanmax(np.abs(lines[method].to_numpy() - observed))):.2g}"
        for method in METHODS
        if lines[method].notna().any()
    )
    alt = (
        f"Reflectance spectrum, {title}, with hidden windows shaded, and the error of each method in them. "
        f"Largest error in 10⁻³ per steradian: {said or 'nothing was inferred'}."
    )
    return to_picture(canvas, alt, f"{title}. Grey: hidden windows; hatched: guards, hidden and not scored.")


def loss_curves(lines: pd.DataFrame, *, title: str) -> Picture:
    """Training and validation losses, a thin line for each pretraining, coloured and dashed by seed."""
    canvas, (top, bottom) = new_canvas(height=4.4, n_rows=2)
    styles = [(BLUE, "-"), (RED, "--"), (GREEN, "-."), (PURPLE, ":"), (GREY, "-")]
    seeds = sorted(set(lines["seed"]))
    for (seed, _), run in lines.sort_values("step").groupby(["seed", "scope"]):
        colour, style = styles[seeds.index(str(seed)) % len(styles)]
        thin = {"color": colour, "linestyle": style, "linewidth": 0.7, "alpha": 0.8, "rasterized": True}
        looked = run[run["validation"].notna()]
        top.plot(run["step"], run["loss"], **thin)
        bottom.plot(looked["step"], looked["validation"], marker=".", markersize=3, **thin)
    for seed, (colour, style) in zip(seeds, styles, strict=False):
        top.plot([], [], color=colour, linestyle=style, label=f"seed {seed}")
    for axes, what in ((top, "training loss"), (bottom, "validation loss")):
        axes.set(ylabel=what, xlabel="step")
        axes.spines[["top", "right"]].set_visible(False)
    top.legend(fontsize=8, frameon=False)
    n = lines.groupby(["seed", "scope"]).ngroups
    alt = f"Training and validation loss over steps, {title}, one thin line for each of {n} pretrainings."
    return to_picture(canvas, alt, f"{title}: {n} pretrainings, one thin line each.")


def _runs(wavelength: FloatArray, chosen: npt.NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Stretches of neighbouring chosen bands, each widened by half a step to its neighbours."""
    border = np.concatenate([wavelength[:1], (wavelength[1:] + wavelength[:-1]) / 2, wavelength[-1:]])
    change = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    return [(float(border[a]), float(border[b])) for a, b in zip(change[::2], change[1::2], strict=True)]


def new_canvas(*, height: float, n_rows: int = 1, n_columns: int = 1) -> "tuple[Canvas, Any]":
    """A figure of the width of all others, and its axes (an array of them where there are several)."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(WIDTH_IN, height), layout="constrained")
        axes: Axes | Any = canvas.subplots(n_rows, n_columns, sharex=n_columns > 1, sharey=n_columns > 1)
    if n_rows == n_columns == 1:
        axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def to_picture(canvas: "Canvas", alt: str, caption: str) -> Picture:
    """A figure as an image that a page holds in itself."""
    import matplotlib as mpl

    buffer = BytesIO()
    with mpl.rc_context(_STYLE):
        if (engine := canvas.get_layout_engine()) is not None:
            engine.execute(canvas)
            canvas.set_layout_engine(
                "none"
            )  # or saving would find the layout twice more, which takes longest
        # Without a date and with fixed ids, the same tables give the same page.
        canvas.savefig(buffer, format="svg", dpi=200, metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", alt, caption)
