"""Windows around cells of a cube, and what a model says of them: the one way that maps and points share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.apps.store_writer import middle
from spectm.data.cube import open_cube, read_part
from spectm.data.cutting import check_size, reflectance_layout
from spectm.data.grid import Tile
from spectm.data.patches import Patches
from spectm.data.periods import Period, period_of
from spectm.errors import CheckpointError, CubeError
from spectm.spectral.sensors import resample
from spectm.training.forecaster import Forecaster
from spectm.training.history import MAX_DAYS
from spectm.trust.applicability import Flags
from spectm.trust.estimate import Estimate

__all__ = [
    "BATCH",
    "CubeCells",
    "Windows",
    "cell_patches",
    "estimates_of",
    "look_alone",
    "look_at",
    "on_bands",
    "some_flags",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
TimeArray = npt.NDArray[np.datetime64]

# Few enough to stay in the cache of a core. Always so many, the last ones filled up: products of matrices of
# one shape give each row the same digits wherever it stands, so that tiles leave no seams.
BATCH = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Windows around some cells, one for each.

    Parameters
    ----------
    Rrs : ndarray of float32, shape (n, n_bands, y, x)
        sr^-1; NaN is missing, also beyond the edge of the cube.
    time : ndarray of datetime64, shape (n,)
        Middle of the period, UTC.
    latitude, longitude : ndarray, shape (n,)
        Centre of the cell, degrees.
    """

    Rrs: npt.NDArray[np.float32]
    time: TimeArray
    latitude: npt.NDArray[np.float64]
    longitude: npt.NDArray[np.float64]


class CubeCells:
    """Cells of the complete periods of a cube.

    Parameters
    ----------
    path : Path
        Cube of ``Rrs``.
    size : int
        Cells on a side of a window, odd.
    target : ndarray, shape (n_bands,), optional
        Bands to resample to, nm; without it the cube's own.

    Raises
    ------
    CubeError
        If there is no cube.
    PatchError
        If it holds surface reflectance, or the size is even.
    CheckpointError
        If the cube does not reach all the bands.
    """

    def __init__(self, path: Path, size: int = 3, target: npt.NDArray[np.float64] | None = None) -> None:
        check_size(size)
        self.path, self.half, self.target = path, size // 2, target
        self.layout = reflectance_layout(path)
        self.cube = open_cube(path)
        self.known_bands = np.array(self.layout.wavelength)
        if target is not None:
            on_bands(np.zeros((1, self.known_bands.size)), self.known_bands, target, str(path))

    @property
    def wavelength(self) -> npt.NDArray[np.float64]:
        """Bands of the windows, nm."""
        return self.known_bands if self.target is None else self.target

    @cached_property
    def periods(self) -> tuple[Period, ...]:
        """Complete periods, in order."""
        return tuple(period_of(start, self.layout.days) for start in self.cube["time"].values)

    def earlier(self, i: int) -> tuple[int, ...]:
        """Positions of the periods that count for the i-th beside itself: those of the ten days before."""
        now = middle(self.periods[i])
        age = [(now - middle(period)) / np.timedelta64(1, "D") for period in self.periods[:i]]
        return tuple(j for j, days in enumerate(age) if days <= MAX_DAYS)

    def counts(self, i: int, tile: Tile) -> npt.NDArray[np.int32]:
        """Pixels in each cell, (lat, lon): a cell holds a spectrum where there is any."""
        return self._read("count", i, *tile.index)

    def ages(self, i: int, tile: Tile) -> npt.NDArray[np.float32]:
        """Mean days from the pixels of each cell to the end of the period, (lat, lon)."""
        return self._read("age", i, *tile.index)

    def windows(self, i: int, row: IntArray, column: IntArray) -> Iterator[Windows]:
        """Windows around cells of one period that hold a spectrum, in parts, in the order given.

        Raises
        ------
        CubeError
            If one of them holds none, or not all of its bands.
        """
        if not row.size:
            return
        box, first = self._box(i, row, column)
        view = np.lib.stride_tricks.sliding_window_view(box, (2 * self.half + 1,) * 2, axis=(0, 1))
        for start in range(0, row.size, BATCH):
            rows, columns = row[start : start + BATCH], column[start : start + BATCH]
            Rrs = view[rows - first[0], columns - first[1]]  # (n, band, y, x)
            if not np.isfinite(Rrs[:, :, self.half, self.half]).all():
                raise CubeError(
                    f"wanted a spectrum in every cell with a count, found others on {self.periods[i]} in "
                    f"{self.path}. Was it changed by another program? Compose it anew."
                )
            yield replace(self.places(i, rows, columns), Rrs=self._on_target(Rrs))

    def places(self, i: int, row: IntArray, column: IntArray) -> Windows:
        """When and where some cells of a period are, without reflectance."""
        return Windows(
            Rrs=np.empty((row.size, 1, 0, 0), dtype=np.float32),
            time=np.full(row.size, middle(self.periods[i])).astype("datetime64[ns]"),
            latitude=self.layout.grid.latitude[row],
            longitude=(self.layout.grid.longitude[column] + 180) % 360 - 180,
        )

    def _box(
        self, i: int, row: IntArray, column: IntArray
    ) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
        """Reflectance (lat, lon, band) around some cells, NaN beyond the edge; and the first row and column.

        The window of cell (r, c) begins at (r - first row, c - first column) of the box.
        """
        sides, margins, first = [], [], []
        for values, n in ((row, self.layout.grid.n_rows), (column, self.layout.grid.n_columns)):
            low, high = int(values.min()) - self.half, int(values.max()) + self.half + 1
            sides.append(slice(max(low, 0), min(high, n)))
            margins.append((max(-low, 0), max(high - n, 0)))
            first.append(int(values.min()))
        Rrs = self._read("Rrs", i, *sides)
        return np.pad(Rrs, (*margins, (0, 0)), constant_values=np.nan), (first[0], first[1])

    def _on_target(self, Rrs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self.target is None:
            return Rrs
        moved = on_bands(np.moveaxis(Rrs, 1, -1), self.known_bands, self.target, str(self.path))
        return np.ascontiguousarray(np.moveaxis(moved, -1, 1), dtype=np.float32)

    def _read(self, name: str, i: int, rows: slice, columns: slice) -> npt.NDArray[Any]:
        return read_part(self.cube, name, i, rows, columns, path=self.path, period=self.periods[i])


def on_bands(spectrum: FloatArray, wavelength: FloatArray, target: FloatArray, where: str) -> FloatArray:
    """Spectra (..., n_bands) interpolated linearly to a model's bands; NaN where what they need is missing.

    Raises
    ------
    CheckpointError
        If a band lies beyond the ends.
    """
    probe = resample(np.zeros(wavelength.size), wavelength, target)
    if np.isnan(probe).any():
        raise CheckpointError(
            f"{where}: bands from {wavelength[0]:g} to {wavelength[-1]:g} nm can't be resampled to the "
            f"model's {target[np.isnan(probe)][0]:g} nm: nothing is extrapolated. Train a model on these "
            "bands."
        )
    return resample(spectrum, wavelength, target)


def look_at(
    model: Forecaster, windows: Iterable[Windows], wavelength: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], Flags]:
    """What windows say, each by itself, and whether they look familiar.

    Parameters
    ----------
    model : Forecaster
    windows : iterable of Windows
        In any parts; they are looked at in batches of one size, so that it does not matter in which.
    wavelength : ndarray, shape (n_bands,)
        nm.

    Returns
    -------
    tuple
        log10 of the concentration, shape (n,), rounded to single precision as it is kept; and flags.
    """
    sights = [(n, model.look(patches)) for n, patches in _batches(windows, wavelength)]
    return _as_kept([sight.log10[:n] for n, sight in sights]), _joined(
        [some_flags(sight.flags, slice(0, n)) for n, sight in sights]
    )


def look_alone(
    model: Forecaster, windows: Iterable[Windows], wavelength: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The former of `look_at` without the latter, which takes less time."""
    return _as_kept([model.estimate(patches)[0][:n] for n, patches in _batches(windows, wavelength)])


def _as_kept(parts: Sequence[FloatArray]) -> npt.NDArray[np.float64]:
    return np.concatenate([np.empty(0), *parts]).astype(np.float32).astype(np.float64)


def estimates_of(
    model: Forecaster,
    now: Windows,
    log10: FloatArray,
    earlier: Sequence[tuple[np.datetime64, FloatArray]],
    horizons: Sequence[float],
) -> tuple[Estimate, ...]:
    """Distributions for cells, from what they say now and said in earlier periods.

    Parameters
    ----------
    model : Forecaster
    now : Windows
        Places, and one time; reflectance is not looked at.
    log10 : ndarray, shape (n,)
        Of `look_at`.
    earlier : sequence of (datetime64, ndarray)
        Time of each period before, and what the same cells said then; NaN where nothing was seen.
    horizons : sequence of float
        Days ahead.

    Returns
    -------
    tuple of Estimate
        One for each horizon, of n cells.
    """
    n, k = log10.size, 1 + len(earlier)
    times = [now.time, *(np.full(n, time).astype("datetime64[ns]") for time, _ in earlier)]
    patches = Patches(
        Rrs=np.empty((n * k, 1, 0, 0), dtype=np.float32),
        wavelength=np.zeros(1),
        time=np.concatenate(times),
        station=np.full(n * k, ""),
        latitude=np.tile(now.latitude, k),
        longitude=np.tile(now.longitude, k),
        source="cells",
    )
    known = np.concatenate([log10, *(values for _, values in earlier)])
    found = model.expected(patches, known, horizons)
    return tuple(
        Estimate(mean=one.mean[:n], spread=one.spread[:n], calibration=one.calibration, least=one.least)
        for one in found
    )


def cell_patches(cells: CubeCells, i: int, row: int, column: int) -> Patches:
    """Window around one cell in the i-th period, the first patch, and in those that count before it."""
    at = np.array([row]), np.array([column])
    tile = Tile(first_row=row, last_row=row + 1, first_column=column, last_column=column + 1)
    seen = [i, *(j for j in cells.earlier(i) if cells.counts(j, tile)[0, 0] > 0)]
    windows = _together([one for j in seen for one in cells.windows(j, *at)])
    return _patches(windows, slice(None), cells.wavelength)


def _batches(
    windows: Iterable[Windows], wavelength: npt.NDArray[np.float64]
) -> Iterator[tuple[int, Patches]]:
    """Patches, always as many; and how many of them count."""
    waiting: list[Windows] = []
    n_waiting = 0
    for part in windows:
        waiting.append(part)
        n_waiting += part.time.size
        while n_waiting >= BATCH:
            whole = _together(waiting)
            yield BATCH, _patches(whole, slice(0, BATCH), wavelength)
            n_waiting -= BATCH
            waiting = [_some(whole, slice(BATCH, None))]
    if n_waiting:
        filled = np.minimum(np.arange(BATCH), n_waiting - 1)
        yield n_waiting, _patches(_together(waiting), filled, wavelength)


def _together(parts: Sequence[Windows]) -> Windows:
    names = Windows.__dataclass_fields__
    return Windows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _some(windows: Windows, rows: slice | IntArray) -> Windows:
    return Windows(**{name: getattr(windows, name)[rows] for name in Windows.__dataclass_fields__})


def _patches(windows: Windows, rows: slice | IntArray, wavelength: npt.NDArray[np.float64]) -> Patches:
    chosen = _some(windows, rows)
    return Patches(
        Rrs=np.ascontiguousarray(chosen.Rrs),
        wavelength=wavelength,
        time=chosen.time,
        station=np.full(chosen.time.size, ""),
        latitude=chosen.latitude,
        longitude=chosen.longitude,
        source="windows of the cube",
    )


def some_flags(flags: Flags, rows: slice | IntArray) -> Flags:
    """Flags of some spectra."""
    return Flags(
        flagged=flags.flagged[rows],
        reasons={name: found[rows] for name, found in flags.reasons.items()},
        distance={name: found[rows] for name, found in flags.distance.items()},
    )


def _joined(parts: Sequence[Flags]) -> Flags:
    if not parts:
        return Flags(flagged=np.zeros(0, dtype=np.bool_), reasons={}, distance={})
    return Flags(
        flagged=np.concatenate([part.flagged for part in parts]),
        reasons={name: np.concatenate([part.reasons[name] for part in parts]) for name in parts[0].reasons},
        distance={
            name: np.concatenate([part.distance[name] for part in parts]) for name in parts[0].distance
        },
    )
