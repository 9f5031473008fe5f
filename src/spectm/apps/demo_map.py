"""The demo's map: estimates of one period on a grid, beside what the simulated lake really held."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from spectm.apps.store import open_store
from spectm.data.cube import cube_layout, open_cube
from spectm.data.grid import Grid
from spectm.data.periods import Period, period_of
from spectm.errors import CubeError
from spectm.files import replacing
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.season import SeasonConfig
from spectm.simulation.shoreline import ISLANDS, SHORELINE, STATIONS, is_land

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm

__all__ = ["LakeMap", "draw_map", "lake_map", "seen_periods"]

FloatArray = npt.NDArray[np.floating[Any]]

SEEN_ENOUGH = 0.4  # of the water: a map of less shows clouds rather than a lake
LOW, HIGH = 0.1, 20.0  # ug/L, ends of the colours
TICKS = (0.1, 0.3, 1.0, 3.0, 10.0)
LAND, UNSEEN, INK, RED = "#e9e5dc", "#c9ced3", "#1b1b1b", "#c44e00"
FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LakeMap:
    """Estimates and truth of one period.

    Parameters
    ----------
    period : Period
        Days of the composite.
    grid : Grid
        Its cells.
    estimate : ndarray, shape (n_rows, n_columns)
        Particulate microcystin, ug/L; NaN on land and where nothing was seen.
    truth : ndarray, shape (n_rows, n_columns)
        What the lake held, ug/L, the geometric mean over the passes of the period; NaN on land.
    """

    period: Period
    grid: Grid
    estimate: FloatArray
    truth: FloatArray

    @property
    def n_cells(self) -> int:
        """Cells with an estimate in water."""
        return int(self._both.sum())

    @property
    def n_water(self) -> int:
        """Cells of water."""
        return int(np.isfinite(self.truth).sum())

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of estimate and truth over the cells."""
        if self.n_cells < 3:
            return float("nan")
        return float(stats.spearmanr(self.estimate[self._both], self.truth[self._both]).statistic)

    @property
    def within_factor(self) -> float:
        """Share of the cells whose estimate lies within a factor of 2 of the truth."""
        return float(np.mean(np.abs(self._error) <= np.log10(FACTOR)))

    @property
    def typical_factor(self) -> float:
        """Median factor between estimate and truth, whichever is larger."""
        return float(10 ** np.median(np.abs(self._error)))

    @property
    def _both(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.estimate) & np.isfinite(self.truth)

    @property
    def _error(self) -> FloatArray:
        """log10 of estimate over truth; a value below the laboratory's 0.1 ug/L counts as that."""
        estimate, truth = (np.maximum(each[self._both], LOW) for each in (self.estimate, self.truth))
        return np.log10(estimate / truth)


def seen_periods(cube: Path, n: int) -> list[Period]:
    """The latest periods of a cube in which most of its water was seen, or else the ones that show most.

    Parameters
    ----------
    cube : Path
        Of `spectm compose`.
    n : int
        How many are wanted; fewer come back where there are no more with a pixel.

    Returns
    -------
    list of Period
        In order of time.

    Raises
    ------
    CubeError
        If no period holds a pixel.
    """
    with open_cube(cube) as opened:
        seen = opened["count"].values > 0
        days = opened["time"].values
    if not seen.any():
        raise CubeError(f"wanted a period with pixels, found none in {cube}. Simulate more passes.")
    share = seen.sum(axis=(1, 2)) / seen.any(axis=0).sum()
    enough = np.flatnonzero(share >= SEEN_ENOUGH)
    last = int(enough[-1] if enough.size else share.argmax())
    before = np.flatnonzero(share[: last + 1] > 0)[-n:]
    return [period_of(days[one], cube_layout(cube).days) for one in before]


def lake_map(cube: Path, predictions: Path, period: Period, season: SeasonConfig) -> LakeMap:
    """Put the estimates of one period on its grid, and the truth beside them.

    Parameters
    ----------
    cube : Path
        That was predicted.
    predictions : Path
        Folder of `spectm predict`.
    period : Period
        One that was predicted.
    season : SeasonConfig
        The simulation that it comes from.
    """
    grid = cube_layout(cube).grid
    estimate = open_store(predictions).at(period.start, 0.0)["microcystin"].values
    latitude, longitude = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    water = ~is_land(latitude, longitude)
    truth = np.full(grid.shape, np.nan)
    times = [
        one.time
        for one in season.overpasses()
        if period.start <= one.time.astype("datetime64[D]") < period.end
    ]
    lake = SimulatedLake(
        season.seed, season.years, resolution=season.resolution, cloudiness=season.cloudiness
    )
    held = [lake.sample(time, latitude[water], longitude[water])["microcystin"] for time in times]
    truth[water] = 10 ** np.mean(np.log10(held), axis=0)
    return LakeMap(period=period, grid=grid, estimate=np.where(water, estimate, np.nan), truth=truth)


def draw_map(shown: LakeMap, out: Path) -> None:
    """Draw both maps side by side, with shore, stations and one logarithmic scale of colours.

    Parameters
    ----------
    shown : LakeMap
    out : Path
        PNG file; an older one is replaced.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(10.4, 4.1), layout="constrained")
    panels = canvas.subplots(1, 2, sharey=True)
    scale = LogNorm(LOW, HIGH)
    images = [
        _draw_panel(axes, shown, values, scale, f"{title}, {shown.period}")
        for axes, values, title in (
            (panels[0], shown.estimate, "estimated from the satellite"),
            (panels[1], shown.truth, "what the lake held"),
        )
    ]
    bar = canvas.colorbar(images[0], ax=panels, shrink=0.85, extend="both", pad=0.01)
    bar.set_ticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
    bar.ax.minorticks_off()
    bar.set_label("particulate microcystin, µg/L", fontsize=9)
    with replacing(Path(out)) as unfinished:
        canvas.savefig(unfinished, format="png", dpi=130)


def _draw_panel(axes: "Axes", shown: LakeMap, values: FloatArray, scale: "LogNorm", title: str) -> Any:
    """One map: colours over grey water, shore, stations, and what it is."""
    from matplotlib.colors import ListedColormap

    grid = shown.grid
    east, south = grid.west + grid.n_columns * grid.resolution, grid.north - grid.n_rows * grid.resolution
    box: Any = {"extent": (grid.west, east, south, grid.north), "interpolation": "nearest"}
    axes.set_facecolor(LAND)
    water = np.where(np.isfinite(shown.truth), 1.0, np.nan)
    axes.imshow(water, cmap=ListedColormap([UNSEEN]), **box)
    image = axes.imshow(values, norm=scale, cmap="viridis", **box)
    for outline in (SHORELINE, *ISLANDS.values()):
        latitude, longitude = np.array([*outline, outline[0]]).T
        axes.plot(longitude, latitude, color=INK, linewidth=0.7)
    latitude, longitude = np.array(list(STATIONS.values())).T
    ring: Any = {"markersize": 5, "markerfacecolor": "white", "markeredgecolor": INK}
    axes.plot(longitude, latitude, "o", **ring)
    axes.set(xlim=(grid.west, east), ylim=(south, grid.north))
    axes.set_aspect(1 / np.cos(np.deg2rad((south + grid.north) / 2)))
    axes.set_title(title, fontsize=9.5, loc="left")
    axes.xaxis.set_major_formatter(lambda degrees, _: f"{-degrees:.4g}°W")
    axes.yaxis.set_major_formatter(lambda degrees, _: f"{degrees:.4g}°N")
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=8)
    said: Any = {"transform": axes.transAxes, "ha": "right", "color": RED, "fontweight": "bold"}
    axes.text(0.99, 0.02, "SIMULATED", fontsize=9, **said)
    return image
