"""Figures of one place: its weeks beside the laboratory's values, and its spectrum with hidden windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.apps.history import forecast_after, history_at
from spectm.apps.looks import INK, RED
from spectm.apps.places import Station
from spectm.apps.spectra import Spectrum
from spectm.apps.store import Store
from spectm.errors import OutputError
from spectm.files import replacing
from spectm.trust.thresholds import Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["FORMATS", "draw_series", "draw_spectrum", "save_figure"]

FloatArray = npt.NDArray[np.floating[Any]]

FORMATS = ("png", "svg", "pdf")
BLUE, GREY = "#0072b2", "#6b6b6b"
DPI = 150
FLOOR, CEILING = 0.05, 50.0  # ug/L, ends of the axis where nothing lies beyond
TICKS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
WIDTH_IN = 6.6


def draw_series(
    store: Store,
    station: Station,
    *,
    samples: pd.DataFrame | None = None,
    thresholds: Sequence[Threshold] = (),
    width: float = WIDTH_IN,
    legend: bool = True,
    n_periods: int | None = None,
    until: np.datetime64 | None = None,
) -> "Canvas":
    """Estimates of a place over the periods of a store, with intervals, forecast and laboratory values.

    Parameters
    ----------
    store : Store
    station : Station
    samples : DataFrame, optional
        Of `spectm.apps.places.samples_at`: those of this station and of the time shown are drawn.
    thresholds : sequence of Threshold
        Drawn as lines.
    width : float
        Inches.
    legend : bool
        Whether signs are explained.
    n_periods : int, optional
        The last so many periods only.
    until : datetime64, optional
        Only periods up to this day, and the forecast made then.

    Raises
    ------
    StoreError
        If the place lies outside the maps.
    """
    from matplotlib.figure import Figure as Canvas

    past, ahead = history_at(store, station), forecast_after(store, station, until=until)
    past = past if until is None else past[past["end"] <= pd.Timestamp(until)]
    past = past if n_periods is None else past.tail(n_periods)
    canvas = Canvas(figsize=(width, 0.5 * width + (0.7 if legend else 0.1)), layout="constrained")
    axes = canvas.subplots()
    first = past["first"].min()
    last = max([past["end"].max(), *(ahead["about"] + 0.02 * (past["end"].max() - first))])
    _draw_estimates(axes, past)
    _draw_forecast(axes, ahead)
    shown = _samples_between(samples, station, first, last)
    _draw_samples(axes, shown)
    largest = np.nanmax([CEILING / 2, *past["high90"], *ahead["high90"], *shown["microcystin"]])
    axes.set(yscale="log", ylim=(FLOOR, 2 * largest), xlim=(first, last))
    _draw_thresholds(axes, thresholds, 2 * largest)
    ticks = [tick for tick in TICKS if FLOOR <= tick <= 2 * largest]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylabel("particulate microcystin, µg/L", fontsize=9)
    _date_axis(axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_title(f"{station.name}: estimates and laboratory".replace("$", r"\$"), fontsize=10, loc="left")
    if legend:
        where: dict[str, Any] = {"loc": "outside lower center", "ncols": 2, "frameon": False}
        canvas.legend(fontsize=8.5, **where)
    _stamp(axes, simulated=store.simulated)
    return canvas


def _draw_estimates(axes: "Axes", past: pd.DataFrame) -> None:
    """A point for each period that was seen, with a thick and a thin bar."""
    known = past[past["microcystin"].notna()]
    if known.empty:
        return
    time = known["about"].to_numpy()
    axes.vlines(time, known["low90"], known["high90"], color=BLUE, linewidth=1.2, label="90 % interval")
    axes.vlines(
        time, known["low50"], known["high50"], color=BLUE, linewidth=5, alpha=0.45, label="50 % interval"
    )
    for kind, face, label in (
        (~known["flagged"], BLUE, "estimate"),
        (known["flagged"], "white", "estimate, spectrum flagged as unfamiliar"),
    ):
        chosen = known[kind]
        if len(chosen):
            look: dict[str, Any] = {"markeredgecolor": BLUE, "markersize": 7, "zorder": 4}
            axes.plot(chosen["about"], chosen["microcystin"], "s", markerfacecolor=face, label=label, **look)


def _draw_forecast(axes: "Axes", ahead: pd.DataFrame) -> None:
    """The newest forecast: a diamond on broken bars."""
    if ahead.empty:
        return
    time, colour = ahead["about"].to_numpy(), RED
    axes.vlines(time, ahead["low90"], ahead["high90"], color=colour, linewidth=1.2, linestyle="--")
    axes.vlines(time, ahead["low50"], ahead["high50"], color=colour, linewidth=5, alpha=0.4)
    look: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": colour, "markersize": 8}
    axes.plot(time, ahead["microcystin"], "D", label="forecast, 8 days ahead", zorder=4, **look)


def _samples_between(samples: pd.DataFrame | None, station: Station, first: Any, last: Any) -> pd.DataFrame:
    if samples is None:
        return pd.DataFrame({"time": [], "microcystin": [], "below_detection": np.array([], dtype=bool)})
    inside = (samples["time"] >= first) & (samples["time"] <= last)
    return samples[(samples["station"] == station.name) & inside]


def _draw_samples(axes: "Axes", samples: pd.DataFrame) -> None:
    """Dots, and open triangles at the limit where the laboratory only knows that it is less."""
    below = samples["below_detection"].to_numpy(dtype=bool)
    found, less = samples[~below], samples[below]
    if len(found):
        look: dict[str, Any] = {"color": INK, "markersize": 4.5, "zorder": 5}
        axes.plot(found["time"], found["microcystin"], "o", label="laboratory", **look)
    if len(less):
        look = {"markerfacecolor": "none", "markeredgecolor": INK, "markersize": 6, "zorder": 5}
        label = "laboratory: below detection, at the limit"
        axes.plot(less["time"], less["microcystin"], "v", label=label, **look)


def _draw_thresholds(axes: "Axes", thresholds: Sequence[Threshold], top: float) -> None:
    """Lines with their values; names are in the text around the figure."""
    for value in sorted({one.value for one in thresholds if one.value < top}):
        axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (6, 3)), zorder=0)
        look: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 7.5, "color": GREY}
        axes.text(1.005, value, f"{value:g}", va="center", ha="left", **look)


def _date_axis(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter: Any = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    formatter.offset_formats = ["", *["%Y"] * 5]
    axes.xaxis.set_major_formatter(formatter)


def _stamp(axes: "Axes", *, simulated: bool) -> None:
    if simulated:
        said: dict[str, Any] = {"ha": "right", "color": RED, "fontweight": "bold", "fontsize": 10}
        axes.text(0.99, 1.01, "SIMULATED", va="bottom", transform=axes.transAxes, **said)


def draw_spectrum(spectrum: Spectrum, *, width: float = WIDTH_IN) -> "Canvas":
    """A spectrum with its hidden windows shaded, and what the model infers there from the rest."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, 0.56 * width), layout="constrained")
    axes = canvas.subplots()
    for number, (low, high) in enumerate(spectrum.windows):
        axes.axvspan(low, high, color="#e2e2e2", linewidth=0, label="hidden window" if number == 0 else None)
    parts: tuple[tuple[str, FloatArray, dict[str, Any]], ...] = (
        ("measured" if not spectrum.simulated else "simulated measurement", spectrum.Rrs, {"color": INK}),
        ("inferred from the bands outside", spectrum.inferred, {"color": RED, "linestyle": "--"}),
    )
    for label, values, look in parts:
        for number, stretch in enumerate(spectrum.stretches):
            known = label if number == 0 else None
            axes.plot(spectrum.wavelength[stretch], 1e3 * values[stretch], linewidth=1.5, label=known, **look)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(xlabel="wavelength, nm", ylabel="Rrs, 10⁻³ sr⁻¹")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_title(spectrum.title.replace("$", r"\$"), fontsize=10, loc="left")
    axes.legend(fontsize=8.5, frameon=False)
    _stamp(axes, simulated=spectrum.simulated)
    return canvas


def save_figure(canvas: "Canvas", out: Path, *, about: str) -> None:
    """Write a figure; the suffix says as what.

    Parameters
    ----------
    canvas : Figure
    out : Path
        ``.png``, ``.svg`` or ``.pdf``.
    about : str
        Kept in the file, where programs look for a description.

    Raises
    ------
    OutputError
        If it is another suffix.
    """
    kind = out.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise OutputError(f"wanted a picture as {', '.join(FORMATS)}; found {out.name!r}. Change its suffix.")
    names = {"png": "Description", "svg": "Description", "pdf": "Subject"}
    with replacing(out) as unfinished:
        canvas.savefig(unfinished, format=kind, dpi=DPI, metadata={names[kind]: about})
