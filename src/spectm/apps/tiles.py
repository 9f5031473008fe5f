"""One tile of one period, from the cube to the store: what a thread or a worker of a cluster does."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spectm.apps.cells import BATCH, CubeCells, estimates_of, look_alone, look_at
from spectm.apps.fields import fields_of
from spectm.apps.store_writer import FILL, VARIABLES, middle, read_tile, write_tile
from spectm.data.grid import Tile
from spectm.training.forecaster import Forecaster
from spectm.training.released import load

__all__ = ["Source", "TileCounts", "cells_of", "model_of", "predict_tile", "task_megabytes"]

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What every task has to know; plain values, as a cluster has to be sent them.

    Parameters
    ----------
    cube, model : Path
        Folders, which all workers see.
    digest : str
        Of the model: a worker that lives long must not take an older one for it.
    size : int
        Cells on a side of a window.
    resampled : bool
        Whether the cube has other bands than the model.
    horizons, thresholds : tuple of float
        Days ahead; ug/L.
    """

    cube: Path
    model: Path
    digest: str
    size: int
    resampled: bool
    horizons: tuple[float, ...]
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCounts:
    """Cells of a tile with an estimate, and those of them that are flagged."""

    n_estimates: int
    n_flagged: int


def model_of(source: Source) -> Forecaster:
    """The model of a source, read once in a process."""
    return _model(source.model, source.digest)


def cells_of(source: Source) -> CubeCells:
    """The cube of a source, opened once in a process for as long as it stays the same."""
    changed = (source.cube / "zarr.json").stat().st_mtime_ns
    return _cells(
        source.cube, changed, source.size, source.model if source.resampled else None, source.digest
    )


def predict_tile(
    source: Source,
    store: Path,
    row: int,
    i: int,
    earlier: Sequence[tuple[int, int | None]],
    tile: Tile,
) -> TileCounts:
    """Estimate the cells of a tile, and put them into the store.

    Parameters
    ----------
    source : Source
        Model, cube and settings.
    store : Path
        Maps.
    row : int
        Position of the period in the store.
    i : int
        Position among the complete periods of the cube.
    earlier : sequence of (int, int or None)
        Periods that count beside it: position in the cube, and in the store where they are whole there.
    tile : Tile
        Part of the grid.
    """
    one_thread()
    cells, model = cells_of(source), model_of(source)
    count = cells.counts(i, tile)
    seen = count > 0
    at = np.nonzero(seen)
    where = at[0] + tile.first_row, at[1] + tile.first_column
    fields: dict[str, Any] = {name: FILL[dtype] for name, (_, dtype, _) in VARIABLES.items()}
    fields["n_observations"] = count
    n_flagged = 0
    if seen.any():
        log10, flags = look_at(model, cells.windows(i, *where), cells.wavelength)
        before = [
            (middle(cells.periods[j]), _said(source, store, j, known, tile, seen)) for j, known in earlier
        ]
        estimates = estimates_of(model, cells.places(i, *where), log10, before, source.horizons)
        found = fields_of(estimates, flags, source.thresholds)
        found["log10_alone"] = log10.astype(np.float32)
        found["pixel_age"] = cells.ages(i, tile)[seen]
        fields |= {name: _scattered(values, seen, name) for name, values in found.items()}
        n_flagged = int((found["flagged"] == 1).sum())
    write_tile(store, row, tile, fields)
    return TileCounts(n_estimates=int(seen.sum()), n_flagged=n_flagged)


def task_megabytes(n_bands: int, size: int, side: int, n_models: int) -> float:
    """What a task takes at most, rather more than less."""
    reflectance = (
        3.0 * n_bands * (side + size) ** 2 * 4
    )  # as read, with its margin, and one chunk decompressed
    windows = 4.0 * BATCH * n_bands * size**2 * 4
    activations = BATCH * 64e3 * 8.0  # of an encoder of the usual size
    embeddings = 2.0 * max(n_models, 1) * BATCH * 4e3 * 8.0
    return (reflectance + windows + activations + embeddings) / 1e6


def one_thread() -> None:
    """Let tensors of this process be done in one thread: several tasks run beside each other."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _said(
    source: Source, store: Path, j: int, known: int | None, tile: Tile, seen: BoolArray
) -> npt.NDArray[np.float64]:
    """What the cells that are seen now said in an earlier period, NaN where nothing."""
    cells = cells_of(source)
    if known is not None:
        return read_tile(store, "log10_alone", known, tile)[seen].astype(np.float64)
    both = seen & (cells.counts(j, tile) > 0)
    row, column = np.nonzero(both)
    windows = cells.windows(j, row + tile.first_row, column + tile.first_column)
    said = np.full(seen.shape, np.nan)
    said[both] = look_alone(model_of(source), windows, cells.wavelength)
    return said[seen]


def _scattered(values: npt.NDArray[Any], seen: BoolArray, name: str) -> npt.NDArray[Any]:
    """Values (..., n) of the cells that are seen as a map (..., lat, lon)."""
    scattered = np.full((*values.shape[:-1], *seen.shape), FILL[VARIABLES[name][1]], dtype=values.dtype)
    scattered[..., seen] = values
    return scattered


@lru_cache(maxsize=2)
def _model(folder: Path, digest: str) -> Forecaster:
    return load(folder)


@lru_cache(maxsize=4)
def _cells(path: Path, changed: int, size: int, model: Path | None, digest: str) -> CubeCells:
    target = None if model is None else np.array(_model(model, digest).meta["wavelength_nm"])
    return CubeCells(path, size, target)
