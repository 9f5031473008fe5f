"""Many granules onto one tile of a grid: what each cell saw over a period, by averaging the pixels in it.

Memory follows from the tile and from one slab of one granule, never from the number of granules, except for
the median, which needs all values of a tile at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import sparse

from spectm.data.flags import flag_counts, flag_mask, flag_names
from spectm.data.granule import open_granule, read_variables
from spectm.data.grid import Grid, Tile
from spectm.errors import CubeError, EmptyRegionError, SpectmError

__all__ = ["STATISTICS", "CompositeConfig", "Losses", "TileComposite", "compose_tile"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

STATISTICS = ("mean", "median", "weighted")
DAY = np.timedelta64(1, "D")
# Bytes that a value of a slab takes on its way: as stored, decoded, gathered and squared in double precision.
SLAB_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeConfig:
    """Which pixels count, and how those of a cell are joined.

    Parameters
    ----------
    flags : tuple of str
        Presets or names of level-2 flags that leave a pixel out.
    statistic : str
        "mean"; "median"; or "weighted", the mean with the inverse squares of ``Rrs_unc`` as weights.
    slab_mb : float
        Megabytes that one slab of a granule may take.

    Raises
    ------
    CubeError, FlagError
        If the statistic is another one, or no flag or preset is named.
    """

    flags: tuple[str, ...] = ("bloom",)
    statistic: str = "mean"
    slab_mb: float = 256.0

    def __post_init__(self) -> None:
        """Refuse an unknown statistic before anything is read."""
        flag_names(self.flags)
        if self.statistic not in STATISTICS:
            raise CubeError(f"wanted a statistic of {', '.join(STATISTICS)}; found {self.statistic!r}.")


@dataclass(slots=True)
class Losses:
    """Pixels within the tile: how many there were, and what cost the others.

    `flagged` and `alone` count by flag, as `flag_counts` does: pixels that carry it, and those that it alone
    costs. `incomplete` pixels lack a band (or its uncertainty, where that is the weight).
    """

    seen: int = 0
    used: int = 0
    incomplete: int = 0
    flagged: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Losses") -> None:
        """Count another granule or tile in."""
        self.seen += other.seen
        self.used += other.used
        self.incomplete += other.incomplete
        for mine, its in ((self.flagged, other.flagged), (self.alone, other.alone)):
            for name, n_pixels in its.items():
                mine[name] = mine.get(name, 0) + n_pixels


@dataclass(frozen=True, slots=True, eq=False)
class TileComposite:
    """One period on one tile.

    Parameters
    ----------
    reflectance : ndarray of float32, shape (lat, lon, wavelength)
        Mean or median, NaN where no pixel fell.
    spread : ndarray of float32, same shape
        Standard deviation of the pixels of a cell (n - 1), NaN for fewer than two.
    count : ndarray of int32, shape (lat, lon)
        Pixels in each cell.
    age : ndarray of float32, shape (lat, lon)
        Mean days from the pixels to the end of the period.
    losses : Losses
        Of all granules together.
    bad : dict of str to str
        Name of each granule that could not be used, and why; nothing of it entered.
    """

    reflectance: Float32Array
    spread: Float32Array
    count: npt.NDArray[np.int32]
    age: Float32Array
    losses: Losses
    bad: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Used pixels of a slab, joined by cell; the median needs the pixels themselves, too."""

    cells: IntArray  # increasing, each once
    count: IntArray
    age: Float64Array  # (cell,), sum of days to the end of the period
    mean: npt.NDArray[np.floating[Any]]  # (cell, band)
    deviation: npt.NDArray[np.floating[Any]]  # (cell, band), sum of squares of differences from the mean
    weighted: tuple[Float64Array, Float64Array] | None  # sums of weight times value, and of weights
    pixels: tuple[IntArray, Float32Array] | None


def compose_tile(
    paths: Sequence[Path], grid: Grid, tile: Tile, n_bands: int, end: np.datetime64, config: CompositeConfig
) -> TileComposite:
    """Composite of some granules on one tile.

    Parameters
    ----------
    paths : sequence of Path
        Granules or maps of one product and band list; the order changes nothing but rounding.
    grid, tile : Grid, Tile
        Where.
    n_bands : int
        Bands of the product.
    end : datetime64
        End of the period, to which ages run.
    config : CompositeConfig
        Which pixels count, and how they are joined.
    """
    n_cells = tile.shape[0] * tile.shape[1]
    accumulator = _Accumulator(n_cells, n_bands, config.statistic)
    losses, bad = Losses(), {}
    for path in paths:
        try:
            with open_granule(path, region=grid.region_of(tile)) as granule:
                its_losses, parts = _pixels_of(granule, grid, tile, end, config)
        except EmptyRegionError:
            continue
        except (SpectmError, OSError) as error:
            bad[path.name] = str(error)
            continue
        losses.add(its_losses)
        for part in parts:
            accumulator.add(part)
    centre, spread, age = accumulator.result()
    return TileComposite(
        reflectance=centre.reshape(*tile.shape, n_bands),
        spread=spread.reshape(*tile.shape, n_bands),
        count=accumulator.count.astype(np.int32).reshape(tile.shape),
        age=age.reshape(tile.shape),
        losses=losses,
        bad=bad,
    )


def _pixels_of(
    granule: xr.Dataset, grid: Grid, tile: Tile, end: np.datetime64, config: CompositeConfig
) -> tuple[Losses, list[_Part]]:
    """What one granule gives to a tile; whole, or not at all where a part of it is damaged."""
    rows, columns = list(granule.sizes)[:2]
    cell, age = _places_and_ages(granule, grid, tile, end)
    inside = cell >= 0
    used, losses = inside, Losses(seen=int(inside.sum()))
    if "l2_flags" in granule:
        flags = read_variables(granule, ["l2_flags"])["l2_flags"]
        used = inside & ~flag_mask(flags, config.flags).values
        counts = flag_counts(flags, xr.DataArray(inside, dims=flags.dims), config.flags)
        losses.flagged = dict(zip(counts["flag"], counts["pixels"].astype(int), strict=True))
        losses.alone = dict(zip(counts["flag"], counts["alone"].astype(int), strict=True))
    parts = []
    for window in _slabs(granule, used, config):
        part = granule.isel({rows: window[0], columns: window[1]})
        chosen = used[window]
        values, weight = _spectra(part, chosen, config)
        whole = np.isfinite(values).all(axis=1)
        if weight is not None:
            whole &= (np.isfinite(weight) & (weight > 0)).all(axis=1)
        losses.incomplete += int(whole.size - whole.sum())
        losses.used += int(whole.sum())
        if not whole.any():
            continue
        if not whole.all():
            values = values[whole]
            weight = None if weight is None else weight[whole]
        of_part = cell[window][chosen][whole], values, age[window][chosen][whole], weight
        parts.append(_part(*of_part, keep_pixels=config.statistic == "median"))
    return losses, parts


def _places_and_ages(
    granule: xr.Dataset, grid: Grid, tile: Tile, end: np.datetime64
) -> tuple[IntArray, Float64Array]:
    """Cell of every pixel and its days to the end of the period, both (row, column)."""
    latitude, longitude = granule["lat"].values, granule["lon"].values
    if latitude.ndim == 1:
        latitude, longitude = np.meshgrid(latitude, longitude, indexing="ij")
        time = np.full(latitude.shape[0], _middle(granule))
    else:
        time = granule["time"].values
    age = (end.astype("datetime64[ns]") - time) / DAY
    return grid.cell_of(latitude, longitude, tile), np.broadcast_to(age[:, None], latitude.shape)


def _middle(granule: xr.Dataset) -> np.datetime64:
    """Middle of the time that a map covers."""
    start, stop = (
        np.datetime64(granule.attrs[f"time_coverage_{side}"].removesuffix("Z"), "ns").astype(np.int64)
        for side in ("start", "end")
    )
    return np.datetime64(int(start + stop) // 2, "ns")


def _slabs(granule: xr.Dataset, used: BoolArray, config: CompositeConfig) -> Iterator[tuple[slice, slice]]:
    """Windows of lines around the used pixels, each as large as memory allows: little is read in vain."""
    lines, pixels = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not lines.size:
        return
    across = slice(int(pixels[0]), int(pixels[-1]) + 1)
    bytes_per_line = (across.stop - across.start) * granule.sizes["wavelength"] * SLAB_BYTES
    n_lines = max(1, int(config.slab_mb * 1e6 / bytes_per_line))
    for first in range(int(lines[0]), int(lines[-1]) + 1, n_lines):
        along = slice(first, min(first + n_lines, int(lines[-1]) + 1))
        if used[along, across].any():
            yield along, across


def _spectra(
    part: xr.Dataset, chosen: BoolArray, config: CompositeConfig
) -> tuple[npt.NDArray[np.floating[Any]], Float64Array | None]:
    """Spectra of the chosen pixels (pixel, band), and their weights where these are asked for."""
    name = "Rrs" if "Rrs" in part else "rhos"
    weighted = config.statistic == "weighted"
    read = read_variables(part, [name, f"{name}_unc"] if weighted else [name])
    values = read[name].values[chosen]
    if not weighted:
        return values, None
    uncertainty = read[f"{name}_unc"].values[chosen].astype(np.float64)
    with np.errstate(divide="ignore"):
        return values, uncertainty**-2.0


def _part(
    cell: IntArray,
    values: npt.NDArray[np.floating[Any]],
    age: Float64Array,
    weight: Float64Array | None,
    keep_pixels: bool,
) -> _Part:
    """Pixels joined by cell, in the precision of the values: a slab has but few pixels in a cell."""
    cells, place, count = np.unique(cell, return_inverse=True, return_counts=True)
    several = np.flatnonzero(count > 1)  # a single pixel is its own mean
    gather = _gather(place, cells.size, values.dtype)
    mean = np.asarray(gather @ values) / count[:, None].astype(values.dtype)
    deviation = np.zeros_like(mean)
    shared = np.flatnonzero(count[place] > 1)
    squares = values[shared]
    squares -= mean[place[shared]]
    squares *= squares
    among = np.searchsorted(several, place[shared])
    deviation[several] = np.asarray(_gather(among, several.size, values.dtype) @ squares)
    weighted = None
    if weight is not None:
        double = _gather(place, cells.size, weight.dtype)
        weighted = np.asarray(double @ (weight * values)), np.asarray(double @ weight)
    return _Part(
        cells=cells,
        count=count,
        age=np.bincount(place, weights=age, minlength=cells.size).astype(np.float64),
        mean=mean,
        deviation=deviation,
        weighted=weighted,
        pixels=(cell, values.astype(np.float32)) if keep_pixels else None,
    )


def _gather(place: IntArray, n_cells: int, dtype: npt.DTypeLike) -> sparse.csr_array:
    """A row for each cell with ones at its pixels: one product sums all bands, in the order of pixels."""
    n = place.size
    return sparse.csr_array((np.ones(n, dtype=dtype), (place, np.arange(n))), shape=(n_cells, n))


class _Accumulator:
    """Parts joined in double precision, and all their pixels where the median is wanted.

    Means and sums of squared deviations are joined as Chan, Golub and LeVeque (1983, The American
    Statistician 37, 242) do; sums of plain squares would lose the spread of bright pixels to rounding.
    """

    def __init__(self, n_cells: int, n_bands: int, statistic: str) -> None:
        self.statistic, self.shape = statistic, (n_cells, n_bands)
        self.only: _Part | None = None  # until there is a second part, which most tiles of a day never see
        self.dense: _Part | None = None
        self.pixels: list[tuple[IntArray, Float32Array]] = []
        self.count = np.zeros(n_cells, dtype=np.int64)

    def add(self, part: _Part) -> None:
        """Count a slab in."""
        self.count[part.cells] += part.count
        if part.pixels is not None:
            self.pixels.append(part.pixels)
        if self.only is None and self.dense is None:
            self.only = part
            return
        if self.dense is None:
            self.dense = self._empty()
        if self.only is not None:
            _join(self.dense, self.only)
            self.only = None
        _join(self.dense, part)

    def result(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Centre and spread, (cell, band), and mean age, (cell,); NaN where there is none."""
        centre, spread = (np.full(self.shape, np.nan, dtype=np.float32) for _ in range(2))
        age = np.full(self.count.shape, np.nan, dtype=np.float32)
        made = self.only or self.dense
        if made is None:
            return centre, spread, age
        filled = made.count > 0
        cells, count = made.cells[filled], made.count[filled]
        age[cells] = made.age[filled] / count
        if self.statistic == "median":
            self._put_medians(centre)
        elif made.weighted is not None:
            centre[cells] = made.weighted[0][filled] / made.weighted[1][filled]
        else:
            centre[cells] = made.mean if filled.all() else made.mean[filled]
        several = made.count > 1
        spread[made.cells[several]] = np.sqrt(made.deviation[several] / (made.count[several, None] - 1))
        return centre, spread, age

    def _empty(self) -> _Part:
        """Every cell of the tile, without pixels."""
        n_cells = self.shape[0]
        weighted = (np.zeros(self.shape), np.zeros(self.shape)) if self.statistic == "weighted" else None
        return _Part(
            cells=np.arange(n_cells),
            count=np.zeros(n_cells, dtype=np.int64),
            age=np.zeros(n_cells),
            mean=np.zeros(self.shape),
            deviation=np.zeros(self.shape),
            weighted=weighted,
            pixels=None,
        )

    def _put_medians(self, centre: Float32Array) -> None:
        order = np.argsort(np.concatenate([cell for cell, _ in self.pixels]), kind="stable")
        values = np.concatenate([part for _, part in self.pixels])[order]  # (pixel, band), cell by cell
        first = np.concatenate([[0], np.cumsum(self.count)])
        for n in np.unique(self.count[self.count > 0]):  # cells with equally many pixels at once
            cells = np.flatnonzero(self.count == n)
            centre[cells] = np.median(values[first[cells][:, None] + np.arange(n)], axis=1)


def _join(dense: _Part, part: _Part) -> None:
    """Put a part into the sums of a whole tile."""
    n_before = dense.count[part.cells, None]
    n_added = part.count[:, None]
    share = n_added / (n_before + n_added)
    apart = part.mean - dense.mean[part.cells]
    dense.mean[part.cells] += apart * share
    dense.deviation[part.cells] += part.deviation + apart * apart * (n_before * share)
    dense.count[part.cells] += part.count
    dense.age[part.cells] += part.age
    for mine, its in zip(dense.weighted or (), part.weighted or (), strict=True):
        mine[part.cells] += its
