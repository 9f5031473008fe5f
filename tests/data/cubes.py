"""Cubes whose every cell is given, without granules."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spectm.data.composite import Losses, TileComposite
from spectm.data.cube import CubeLayout, finish_period, prepare_cube, write_tile
from spectm.data.grid import Grid
from spectm.data.periods import period_of, periods_between

NM = (443.0, 560.0, 665.0)


def make_cube(
    path: Path,
    Rrs: np.ndarray,
    *,
    age: np.ndarray | float = 4.0,
    first: str = "2024-08-04",
    days: int = 8,
    west: float = -83.5,
    north: float = 42.0,
    resolution: float = 0.0125,
    product: str = "L2_AOP",
    unfinished: tuple[int, ...] = (),
    wavelength: Sequence[float] = NM,
    simulated: bool = False,
) -> Path:
    """Cube with `Rrs` (time, lat, lon, band); a cell counts one pixel where it has all bands.

    `age` broadcasts to (time, lat, lon). Periods whose numbers are in `unfinished` are left without a record.
    """
    n_periods, n_rows, n_columns, n_bands = Rrs.shape
    grid = Grid(west=west, north=north, resolution=resolution, n_rows=n_rows, n_columns=n_columns)
    start = np.datetime64(first)
    periods = [period_of(start, days)]
    while len(periods) < n_periods:
        periods.append(period_of(periods[-1].end, days))
    assert periods == periods_between(start, periods[-1].start, days)
    layout = CubeLayout(
        product=product,
        wavelength=tuple(wavelength[:n_bands]),
        grid=grid,
        days=days,
        flags=("LAND", "CLDICE"),
        statistic="mean",
        simulated=simulated,
    )
    prepare_cube(path, layout, periods)
    age = np.broadcast_to(age, Rrs.shape[:3])
    for i, period in enumerate(periods):
        valid = np.isfinite(Rrs[i]).all(axis=-1)
        made = TileComposite(
            reflectance=Rrs[i].astype(np.float32),
            spread=np.full(Rrs[i].shape, np.nan, dtype=np.float32),
            count=valid.astype(np.int32),
            age=np.where(valid, age[i], np.nan).astype(np.float32),
            losses=Losses(),
            bad={},
        )
        write_tile(path, i, grid.whole, made)
        if i not in unfinished:
            record = {"granules": [], "pixels": {"seen": 0, "used": 0, "incomplete": 0}}
            finish_period(path, period, record | {"flagged": {}, "alone": {}})
    return path


def numbered(n_periods: int, n_rows: int, n_columns: int) -> np.ndarray:
    """Rrs that tells where it comes from: 0.01 period + 0.001 row + 0.0001 column + 0.00001 band."""
    period, row, column, band = np.mgrid[:n_periods, :n_rows, :n_columns, : len(NM)]
    return 0.01 * period + 0.001 * row + 0.0001 * column + 0.00001 * band
