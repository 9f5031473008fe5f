"""Maps that people print: colours over the lake, shore, stations, laboratory values, scale bar, what it is.

What is unfamiliar is hatched, what was not seen is grey, and land has a tone of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.apps.looks import INK, LAND, RED, UNSEEN, Look, look_of
from spectm.apps.moment import KM_PER_DEGREE, NOW, Moment, days_in_words
from spectm.apps.places import Station
from spectm.apps.shores import Outline, water_of
from spectm.data.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["Scene", "draw_map", "map_title"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

WIDTH_IN = 6.6
WIDE_IN = 6.0  # from which three signs stand in a row
SMALL = 8.0  # points
BARS_KM = (1, 2, 5, 10, 20, 50, 100, 200, 500)
BAR_SHARE = 0.28  # of the map's width, at most
DIRECTIONS = ((1, 0.4), (-1, 0.4), (0, 1), (0, -1), (1, -1), (-1, -1), (1, 1.2), (-1, 1.2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is drawn over the colours.

    Parameters
    ----------
    outlines : sequence of ndarray, shape (n, 2)
        Shore and islands: longitude, latitude, degrees.
    stations : sequence of Station
    samples : DataFrame or None
        Of `spectm.apps.places.samples_at`; those of the days that the map is about are drawn.
    """

    outlines: Sequence[Outline] = ()
    stations: Sequence[Station] = ()
    samples: pd.DataFrame | None = None


def map_title(moment: Moment, what: str, threshold: float) -> str:
    """What a map shows, and of which days."""
    title = look_of(what).title.format(threshold=threshold)
    if moment.horizon == NOW:
        return f"{title}, {days_in_words(moment.period)}"
    return f"{title}, {moment.horizon:g} days ahead: about {days_in_words(moment.target)}"


def draw_map(
    moment: Moment, what: str, scene: Scene, *, threshold: float = 8.0, width: float = WIDTH_IN
) -> "Canvas":
    """Map of the estimate, of the interval's width, or of exceedance.

    Parameters
    ----------
    moment : Moment
        Period and horizon.
    what : str
        A name of `spectm.apps.looks.LOOKS`.
    scene : Scene
        Shore, stations, laboratory values.
    threshold : float
        ug/L, of exceedance.
    width : float
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    OutputError, StoreError
        If there is no such map or threshold.
    """
    from matplotlib.figure import Figure as Canvas

    look, grid = look_of(what), moment.grid
    values, water = look.values(moment, threshold), water_of(moment.grid, moment.water)
    samples = _samples_of(moment, scene) if what == "estimate" else None
    signs = _signs(moment, scene, samples, unseen=bool((water & ~np.isfinite(values)).any()))
    n_columns = 3 if width > WIDE_IN else 2
    tall = float(grid.n_rows / (grid.n_columns * np.cos(np.deg2rad(_middle(grid)))))
    height = min((width - 0.6) * tall, 1.3 * width) + 1.35 + 0.18 * -(-len(signs) // n_columns)
    canvas = Canvas(figsize=(width, height), layout="constrained")
    canvas.get_layout_engine().set(h_pad=0.02, w_pad=0.02)  # type: ignore[union-attr, call-arg]
    axes = canvas.subplots()
    image = _draw_cells(axes, grid, values, water, look)
    _hatch(axes, grid, moment.flagged & np.isfinite(values))
    for line in scene.outlines:
        axes.plot(line[:, 0], line[:, 1], color=INK, linewidth=0.7)
    _frame(axes, grid)
    _scale_bar(axes, grid)
    bar = canvas.colorbar(image, ax=axes, location="bottom", extend=look.extend, aspect=38, pad=0.02)
    shown = "{:.0%}" if look.high == 1.0 else "{:g}"
    bar.set_ticks(list(look.ticks), labels=[shown.format(tick).replace("%", " %") for tick in look.ticks])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=SMALL + 0.5)
    bar.set_label(look.label.format(threshold=threshold), fontsize=SMALL + 1)
    title, _, days = map_title(moment, what, threshold).partition(", ")
    axes.set_title(f"{title}\n{days}", fontsize=10, loc="left", linespacing=1.4)
    if signs:
        where: dict[str, Any] = {"loc": "outside lower center", "ncols": n_columns, "frameon": False}
        canvas.legend(handles=signs, fontsize=SMALL + 0.5, handletextpad=0.5, columnspacing=1.3, **where)
    _draw_places(canvas, axes, scene.stations, samples, look)
    if moment.store.simulated:
        said: dict[str, Any] = {"ha": "right", "color": RED, "fontweight": "bold", "fontsize": 11}
        axes.text(0.985, 0.965, "SIMULATED", va="top", transform=axes.transAxes, **said)
    return canvas


def _middle(grid: Grid) -> float:
    return grid.north - grid.n_rows * grid.resolution / 2


def _draw_cells(axes: "Axes", grid: Grid, values: FloatArray, water: BoolArray, look: Look) -> Any:
    """Land, water that was not seen, and colours."""
    from matplotlib.colors import ListedColormap

    east, south = grid.west + grid.n_columns * grid.resolution, grid.north - grid.n_rows * grid.resolution
    box: dict[str, Any] = {"extent": (grid.west, east, south, grid.north), "interpolation": "nearest"}
    axes.set_facecolor(LAND)
    axes.imshow(np.where(water, 1.0, np.nan), cmap=ListedColormap([UNSEEN]), **box)
    return axes.imshow(values, norm=look.scale, cmap=look.colour_map, **box)


def _hatch(axes: "Axes", grid: Grid, flagged: BoolArray) -> None:
    """Hatch cells, in black on white lines: one of them shows on any colour."""
    import matplotlib as mpl
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outlines

    rows, columns = np.nonzero(flagged)
    if not rows.size:
        return
    step = grid.resolution
    x = (grid.west + step * columns)[:, None] + step * np.array([0, 1, 1, 0, 0])
    y = (grid.north - step * rows)[:, None] - step * np.array([0, 0, 1, 1, 0])
    cells = Outlines.make_compound_path_from_polys(np.stack([x, y], axis=-1))
    for colour, width in (("white", 1.8), (INK, 0.6)):
        with mpl.rc_context({"hatch.linewidth": width}):
            look: dict[str, Any] = {"facecolor": "none", "edgecolor": colour, "linewidth": 0, "hatch": "////"}
            axes.add_patch(PathPatch(cells, **look))


def _frame(axes: "Axes", grid: Grid) -> None:
    """Limits, true proportions, and degrees along the sides."""
    east, south = grid.west + grid.n_columns * grid.resolution, grid.north - grid.n_rows * grid.resolution
    axes.set(xlim=(grid.west, east), ylim=(south, grid.north))
    axes.set_aspect(1 / np.cos(np.deg2rad(_middle(grid))))
    axes.xaxis.set_major_formatter(lambda x, _: f"{abs(_turned(x)):.4g}°{'W' if _turned(x) < 0 else 'E'}")
    axes.yaxis.set_major_formatter(lambda y, _: f"{abs(y):.4g}°{'S' if y < 0 else 'N'}")
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=SMALL)


def _turned(longitude: float) -> float:
    """The same meridian between -180 and 180: a grid may run over the date line."""
    return (longitude + 180) % 360 - 180


def _scale_bar(axes: "Axes", grid: Grid) -> None:
    """A bar of a round number of kilometres, in the lower right corner, over land or sea."""
    km_per_degree = KM_PER_DEGREE * float(np.cos(np.deg2rad(_middle(grid))))
    width = grid.n_columns * grid.resolution
    length = max([km for km in BARS_KM if km <= BAR_SHARE * width * km_per_degree], default=BARS_KM[0])
    share = length / (width * km_per_degree)
    right, y = 0.965, 0.045
    look: dict[str, Any] = {"transform": axes.transAxes, "solid_capstyle": "butt"}
    axes.plot([right - share, right], [y, y], color="white", linewidth=6, **look)
    axes.plot([right - share, right], [y, y], color=INK, linewidth=3, **look)
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "bottom", "fontsize": SMALL}
    axes.text(right - share / 2, y + 0.015, f"{length} km", path_effects=_halo(), **place)


def _halo() -> list[Any]:
    """White around letters, to be read on any ground."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.4, foreground="white")]


def _samples_of(moment: Moment, scene: Scene) -> pd.DataFrame | None:
    """The last laboratory value of each station in the days that the map is about."""
    if scene.samples is None:
        return None
    days = scene.samples["time"].to_numpy().astype("datetime64[D]")
    inside = (days >= moment.target.start) & (days < moment.target.end)
    return scene.samples[inside].groupby("station").last()


def _draw_places(
    canvas: "Canvas", axes: "Axes", stations: Sequence[Station], samples: pd.DataFrame | None, look: Look
) -> None:
    """Stations as rings with names; filled with the colour of the laboratory's value where there is one."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    inside = [one for one in stations if left <= one.longitude <= right and bottom <= one.latitude <= top]
    for one in inside:
        place: dict[str, Any] = {"markeredgecolor": INK, "linestyle": "none", "zorder": 5}
        if samples is not None and one.name in samples.index:
            found: Any = samples.loc[one.name]
            marker = "v" if found["below_detection"] else "o"
            colour = look.colour_map(look.scale(float(found["microcystin"])))
            place |= {"markeredgecolor": "white", "markeredgewidth": 2.6, "markersize": 10}
            axes.plot(one.longitude, one.latitude, marker, **place)
            place |= {"markeredgecolor": INK, "markeredgewidth": 1.1, "markersize": 9}
            axes.plot(one.longitude, one.latitude, marker, markerfacecolor=colour, **place)
        else:
            axes.plot(one.longitude, one.latitude, "o", markersize=4.5, markerfacecolor="white", **place)
    _name_places(canvas, axes, inside)


def _name_places(canvas: "Canvas", axes: "Axes", stations: Sequence[Station]) -> None:
    """Names beside the stations, where they cover no other station and no other name."""
    canvas.draw_without_rendering()  # places on paper are known only now
    canvas.set_layout_engine("none")  # and stay: finding them takes longest of all
    point = canvas.dpi / 72
    at = np.array([axes.transData.transform((one.longitude, one.latitude)) for one in stations]) / point
    taken = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in at]
    for one, (x, y) in zip(stations, at, strict=True):
        size = 0.62 * SMALL * len(one.name), SMALL
        boxes = {}
        for right, up in DIRECTIONS:
            middle = x + right * (size[0] / 2 + 7), y + up * (size[1] / 2 + 6)
            box = (middle[0] - size[0] / 2, middle[1] - size[1] / 2)
            boxes[right, up] = (*box, box[0] + size[0], box[1] + size[1])
        free = [way for way, box in boxes.items() if not any(_overlap(box, other) for other in taken)]
        chosen = boxes[(free or list(boxes))[0]]
        taken.append(chosen)
        offset = (chosen[0] + chosen[2]) / 2 - x, (chosen[1] + chosen[3]) / 2 - y
        where: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": "center"}
        where |= {"va": "center", "fontsize": SMALL, "path_effects": _halo(), "zorder": 6}
        note = axes.annotate(_plain(one.name), (one.longitude, one.latitude), **where)
        note.set_in_layout(False)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _plain(name: str) -> str:
    """A name that matplotlib does not take for a formula."""
    return name.replace("$", r"\$")


def _signs(moment: Moment, scene: Scene, samples: pd.DataFrame | None, *, unseen: bool) -> list[Any]:
    """What the signs mean, those that are there."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    signs: list[Any] = []
    if unseen:
        signs.append(Patch(facecolor=UNSEEN, label="not seen"))
    if moment.flagged.any():
        hatched: dict[str, Any] = {"facecolor": "white", "edgecolor": INK, "hatch": "/////", "linewidth": 0.4}
        signs.append(Patch(label="flagged: unfamiliar spectrum", **hatched))
    ring: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white", "markeredgecolor": INK}
    if scene.stations:
        signs.append(Line2D([], [], marker="o", markersize=4.5, label="station", **ring))
    if samples is not None and len(samples):
        ring |= {"markerfacecolor": LAND, "markersize": 8}
        signs.append(Line2D([], [], marker="o", label="laboratory value, same colours", **ring))
        if samples["below_detection"].any():
            signs.append(Line2D([], [], marker="v", label="laboratory: below detection", **ring))
    return signs
