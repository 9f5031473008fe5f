"""Windows of a cube as patches: one file, in a fixed order, written period by period.

A window keeps its place on the grid from period to period and is named by it, so that the same place eight
days later is found by name (`spectm.data.patches.partners`).
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm import __version__
from spectm.data.cube import CubeLayout, cube_layout, open_cube, read_part
from spectm.data.grid import Grid
from spectm.data.origin import is_simulated, origin_mark
from spectm.data.patch_file import PatchWriter, writing_patches
from spectm.data.periods import Period, period_of
from spectm.data.regions import Region
from spectm.errors import CubeError, PatchError

__all__ = [
    "CutReport",
    "CuttingConfig",
    "cell_names",
    "check_size",
    "cut_cube",
    "reflectance_layout",
    "valid_wanted",
]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[int, int, str], None]

DAY = np.timedelta64(1, "D")
# fmt: off
COLUMNS = (
    "time", "time_bnds", "observation_time", "latitude", "longitude", "station", "granule", "n_valid",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class CuttingConfig:
    """Which windows are cut.

    Parameters
    ----------
    size : int
        Cells on a side, odd.
    min_valid : float or int
        Valid cells that a window needs: a share above 0 and up to 1.0 as a float, or a number as an int.
    stride : int, optional
        Cells from one window to the next, both ways; the size without it, so that no cell is cut twice.

    Raises
    ------
    PatchError
        If a value is another one.
    """

    size: int = 3
    min_valid: float | int = 0.5
    stride: int | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be cut before anything is read."""
        check_size(self.size)
        valid_wanted(self.min_valid, self.size)
        if self.step < 1:
            raise PatchError(f"wanted a stride of 1 cell or more, found {self.stride}. Try {self.size}.")

    @property
    def step(self) -> int:
        """Cells from one window to the next."""
        return self.size if self.stride is None else self.stride

    @property
    def half(self) -> int:
        """Cells between the centre and the edge."""
        return self.size // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CutReport:
    """What was cut: number of patches, of different places, and of periods that hold any."""

    n_patches: int
    n_places: int
    n_periods: int


def cut_cube(
    path: Path,
    out: Path,
    *,
    config: CuttingConfig | None = None,
    region: Region | None = None,
    memory_mb: float = 256.0,
    progress: Progress = lambda done, total, what: None,
) -> CutReport:
    """Cut the windows of a cube that hold enough valid cells, and write them as one file of patches.

    Windows lie on the grid at fixed places, the first in its north-west corner; none reaches over the edge.
    A cell is valid in a period when it holds a spectrum (all bands), and water when it ever did in this cube.
    Windows have water in their centre.

    Parameters
    ----------
    path : Path
        Cube of ``Rrs``.
    out : Path
        File to write, by period, then from north to south, then from west to east.
    config : CuttingConfig, optional
        Size, stride and share of valid cells.
    region : Region, optional
        Only windows whose centre lies there; their names are the same without it.
    memory_mb : float
        Megabytes of reflectance to hold at a time, at least one row of windows.
    progress : callable
        Given the periods done, all periods, and the one at work.

    Returns
    -------
    CutReport

    Raises
    ------
    PatchError
        If the cube holds no ``Rrs``, or no window can be cut.
    CubeError
        If there is no cube, or it is damaged.
    """
    config = config or CuttingConfig()
    layout = reflectance_layout(path)
    with open_cube(path) as cube:
        windows = _Windows(path, cube, layout, config, _places(layout.grid, config, region))
        n_by_period = [int(windows.chosen(windows.valid(i)).sum()) for i in range(windows.n_periods)]
        if not sum(n_by_period):
            raise _nothing_to_cut(path, config, region, windows)
        shape = (sum(n_by_period), len(layout.wavelength), config.size, config.size)
        with writing_patches(
            out,
            shape,
            np.array(layout.wavelength),
            columns=COLUMNS,
            attrs=_provenance(path, cube, layout, config, region),
            time_name="middle of the period, UTC",
        ) as writer:
            for i, n_patches in enumerate(n_by_period):
                progress(i, windows.n_periods, str(windows.period(i)))
                if n_patches:
                    windows.write(i, writer, memory_mb)
        progress(windows.n_periods, windows.n_periods, "")
    return CutReport(
        n_patches=sum(n_by_period),
        n_places=windows.n_places,
        n_periods=sum(n > 0 for n in n_by_period),
    )


def reflectance_layout(path: Path) -> CubeLayout:
    """Layout of a cube, which must hold remote-sensing reflectance.

    Raises
    ------
    PatchError
        If it holds surface reflectance.
    CubeError
        If there is no cube.
    """
    layout = cube_layout(path)
    if layout.reflectance != "Rrs":
        raise PatchError(
            f"wanted remote-sensing reflectance (Rrs), found surface reflectance ({layout.reflectance}, "
            f"{layout.product}) in {path}. It is corrected for land and can't be turned into Rrs; fetch "
            "l2-aop or l3m-rrs-8d and compose those."
        )
    return layout


def check_size(size: int) -> None:
    """Refuse a window without a centre."""
    if size < 1 or size % 2 == 0:
        raise PatchError(f"wanted an odd size of a window, found {size}. Try 3.")


def valid_wanted(min_valid: float, size: int) -> int:
    """Pixels that a window needs.

    Parameters
    ----------
    min_valid : float or int
        A share as a float, or a number of pixels as an int.
    size : int
        Pixels on a side.

    Raises
    ------
    PatchError
        If that is none or more than there are.

    Examples
    --------
    >>> valid_wanted(0.5, 3), valid_wanted(1.0, 3), valid_wanted(1, 3)
    (5, 9, 1)
    """
    share = isinstance(min_valid, float)
    # 0.7 of 10 pixels are 7, although the product is a little more in binary.
    wanted = math.ceil(min_valid * size**2 - 1e-9) if share else int(min_valid)
    if not (min_valid > 0 and wanted <= size**2):
        raise PatchError(
            f"wanted a share of valid pixels above 0 and up to 1.0, or a number from 1 to {size**2}; found "
            f"{min_valid}. Try 0.5."
        )
    return wanted


class _Windows:
    """Windows of a cube at fixed places."""

    def __init__(
        self, path: Path, cube: xr.Dataset, layout: CubeLayout, config: CuttingConfig, places: BoolArray
    ) -> None:
        self.path, self.cube, self.layout, self.config = path, cube, layout, config
        self.n_periods = cube.sizes["time"]
        ever = np.zeros(layout.grid.shape, dtype=np.bool_)
        for i in range(self.n_periods):
            ever |= self.valid(i)
        self.water = ever
        self.places = places & ever[self._centres(places.shape)]  # (window row, window column)
        self.ever_chosen = np.zeros_like(places)

    @property
    def n_places(self) -> int:
        """Places that gave at least one patch, once all periods were looked at."""
        return int(self.ever_chosen.sum())

    def period(self, i: int) -> Period:
        """Days of the i-th period."""
        return period_of(self.cube["time"].values[i], self.layout.days)

    def valid(self, i: int) -> BoolArray:
        """Cells of a period that hold a spectrum: only pixels with all bands are counted in a cube."""
        return self._read("count", i, slice(None), slice(None)) > 0

    def chosen(self, valid: BoolArray) -> BoolArray:
        """Places of a period that hold enough valid cells."""
        n_valid = _window_sums(valid, self.config)
        chosen: BoolArray = self.places & (n_valid >= valid_wanted(self.config.min_valid, self.config.size))
        self.ever_chosen |= chosen
        return chosen

    def write(self, i: int, writer: PatchWriter, memory_mb: float) -> None:
        """Append the windows of a period, in strips from north to south."""
        counted = self.valid(i)
        for first, part in self._strips(self.chosen(counted), memory_mb):
            rows, columns = np.nonzero(part)
            rows = (rows + first) * self.config.step  # of the north-west cell of each window
            columns = columns * self.config.step
            self._append(i, writer, rows, columns, counted)

    def _append(
        self, i: int, writer: PatchWriter, rows: IntArray, columns: IntArray, counted: BoolArray
    ) -> None:
        """Append windows that lie in one strip, given by their first row and column."""
        down, across = (slice(int(x.min()), int(x.max()) + self.config.size) for x in (rows, columns))
        corner = rows - down.start, columns - across.start
        Rrs = self._cut(self._read("Rrs", i, down, across), corner)  # (sample, band, y, x)
        age = self._cut(self._read("age", i, down, across), corner)  # (sample, y, x)
        whole = np.logical_and.reduce(np.isfinite(Rrs), axis=1)
        if not np.array_equal(whole, self._cut(counted[down, across], corner)):
            raise CubeError(
                f"wanted a spectrum in every cell with a count and in no other, found others on "
                f"{self.period(i)} in {self.path}. Was it changed by another program? Compose it anew."
            )
        writer.append(Rrs, self._columns(i, rows, columns, whole, age))

    def _columns(
        self, i: int, rows: IntArray, columns: IntArray, whole: BoolArray, age: npt.NDArray[np.float32]
    ) -> dict[str, npt.NDArray[Any]]:
        """What stands beside the reflectance of each window."""
        period, grid, n = self.period(i), self.layout.grid, len(rows)
        row, column = rows + self.config.half, columns + self.config.half
        start, end = (day.astype("datetime64[s]") for day in (period.start, period.end))
        mean_age = np.where(whole, age, 0).sum(axis=(1, 2), dtype=np.float64) / whole.sum(axis=(1, 2))
        return {
            "time": np.full(n, start + (end - start) // 2),
            "time_bnds": np.tile(np.array([start, end]), (n, 1)),
            "observation_time": end - np.rint(mean_age * 86_400).astype("timedelta64[s]"),
            "latitude": grid.latitude[row],
            "longitude": (grid.longitude[column] + 180) % 360 - 180,
            "station": cell_names(grid, row, column),
            "granule": np.full(n, f"{self.path.name} {period}"),
            "n_valid": whole.sum(axis=(1, 2)),
        }

    def _read(self, name: str, i: int, rows: slice, columns: slice) -> npt.NDArray[Any]:
        return read_part(self.cube, name, i, rows, columns, path=self.path, period=self.period(i))

    def _cut(self, values: npt.NDArray[Any], corner: tuple[IntArray, IntArray]) -> npt.NDArray[Any]:
        """Windows of a strip (lat, lon, ...), as (sample, ..., y, x)."""
        size = self.config.size
        return np.lib.stride_tricks.sliding_window_view(values, (size, size), axis=(0, 1))[corner]

    def _centres(self, shape: tuple[int, ...]) -> tuple[IntArray, ...]:
        return np.ix_(*(self.config.half + self.config.step * np.arange(n) for n in shape))

    def _strips(self, chosen: BoolArray, memory_mb: float) -> Iterator[tuple[int, BoolArray]]:
        """Rows of windows that fit into memory together, and the number of the first."""
        cells = self.config.step * self.layout.grid.n_columns + chosen.shape[1] * self.config.size**2
        n_rows = max(1, int(memory_mb * 1e6 / (cells * len(self.layout.wavelength) * 4)))
        for first in range(0, len(chosen), n_rows):
            part = chosen[first : first + n_rows]
            if part.any():
                yield first, part


def _places(grid: Grid, config: CuttingConfig, region: Region | None) -> BoolArray:
    """True for places that are asked for, (window row, window column)."""
    n_rows, n_columns = ((n - config.size) // config.step + 1 for n in grid.shape)
    if min(n_rows, n_columns) < 1:
        raise PatchError(
            f"wanted windows of {config.size} x {config.size} cells, found a cube of {grid.n_rows} x "
            f"{grid.n_columns}. Choose a smaller size, or compose a larger region."
        )
    if region is None:
        return np.ones((n_rows, n_columns), dtype=np.bool_)
    latitude = grid.latitude[config.half :: config.step][:n_rows]
    longitude = grid.longitude[config.half :: config.step][:n_columns]
    return region.contains(*np.meshgrid(latitude, longitude, indexing="ij"))


def _window_sums(valid: BoolArray, config: CuttingConfig) -> IntArray:
    """Valid cells in the window at every place."""
    total = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), dtype=np.int64)
    total[1:, 1:] = valid.cumsum(axis=0).cumsum(axis=1)
    size, step = config.size, config.step
    in_columns = (total[:, size:] - total[:, :-size])[:, ::step]
    sums: IntArray = (in_columns[size:] - in_columns[:-size])[::step]
    return sums


def cell_names(grid: Grid, row: IntArray, column: IntArray) -> npt.NDArray[np.str_]:
    """Names of places by their centre cell, all of one length, so that they sort as they lie."""
    width = max(4, len(str(max(grid.shape) - 1)))
    return np.array([f"r{r:0{width}d}c{c:0{width}d}" for r, c in zip(row, column, strict=True)])


def _provenance(
    path: Path, cube: xr.Dataset, layout: CubeLayout, config: CuttingConfig, region: Region | None
) -> dict[str, Any]:
    settings = asdict(config) | {"stride": config.step, "region": None if region is None else region.bounds}
    return {
        "title": f"Windows of a cube, {config.size} x {config.size} cells",
        "source": f"{path.name}: {cube.attrs.get('title', 'cube')}",
        **origin_mark(is_simulated(cube.attrs)),
        "spectm_version": __version__,
        "cube": path.name,
        "cube_format_version": int(cube.attrs["format_version"]),
        "cube_layout": json.dumps(layout.to_dict()),
        "settings": json.dumps(settings),
    }


def _nothing_to_cut(
    path: Path, config: CuttingConfig, region: Region | None, windows: _Windows
) -> PatchError:
    where = (
        "" if region is None else f" in {region.name} ({', '.join(f'{side:g}' for side in region.bounds)})"
    )
    n_wanted = valid_wanted(config.min_valid, config.size)
    return PatchError(
        f"wanted windows of {config.size} x {config.size} cells with at least {n_wanted} valid ones{where}, "
        f"found none in {path}: {windows.n_periods} periods, {int(windows.water.sum())} cells ever valid, "
        f"{int(windows.places.sum())} places with water in the centre. Lower --min-valid or --size, or "
        "choose another region."
    )
