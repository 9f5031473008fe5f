"""What a store says of one place, period by period."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.apps.moment import AHEAD, NOW, periods_of
from spectm.apps.places import Station, cell_of
from spectm.apps.store import Store, task_of
from spectm.data.grid import grid_of_centres
from spectm.errors import StoreError
from spectm.trust.estimate import LEVELS, Estimate

__all__ = ["cell_in", "estimate_at", "forecast_after", "history_at", "level_names"]

FloatArray = npt.NDArray[np.floating[Any]]

READ = (
    *("time_bnds", "microcystin", "log10_mean", "log10_spread"),
    *("pixel_age", "n_observations", "flagged", "applicability"),
)


def level_names(level: float) -> tuple[str, str]:
    """Columns of the ends of an interval.

    Examples
    --------
    >>> level_names(0.9)
    ('low90', 'high90')
    """
    return f"low{100 * level:.0f}", f"high{100 * level:.0f}"


def cell_in(store: Store, station: Station) -> tuple[int, int]:
    """Row and column of a station's cell.

    Raises
    ------
    StoreError
        If it lies outside the maps.
    """
    maps = store.dataset
    grid = grid_of_centres(maps["lat"].values, maps["lon"].values)
    cell = cell_of(grid, station)
    if cell is None:
        east, south = grid.west + grid.n_columns * grid.resolution, grid.north - grid.n_rows * grid.resolution
        raise StoreError(
            f"wanted a place on the maps of {store.folder}, from {south:.4g} to {grid.north:.4g} N and "
            f"{grid.west:.4g} to {east:.4g} E; found {station.name} at {station.latitude:g}, "
            f"{station.longitude:g}. Is the latitude first, and west negative?"
        )
    return cell


def history_at(store: Store, station: Station, *, horizon: float = NOW) -> pd.DataFrame:
    """Estimates of the cell that a station lies in, one row for each whole period.

    Parameters
    ----------
    store : Store
    station : Station
    horizon : float
        Days ahead.

    Returns
    -------
    DataFrame
        first, end (days of the period), about (its middle, `horizon` later: what the numbers are of),
        microcystin, low50, high50, low90, high90 (ug/L), mean, spread (log10), age (days), n_observations,
        flagged (bool), reasons. Where nothing was seen, numbers are NaN.

    Raises
    ------
    StoreError
        If the place lies outside the maps, or the horizon is not in the store.
    """
    row, column = cell_in(store, station)
    store.at(periods_of(store)[0].start, horizon)  # refuses a horizon that is not there
    here = store.dataset[list(READ)].isel(lat=row, lon=column).sel(horizon=horizon).load()
    columns: dict[str, Any] = {
        "first": [period.start for period in periods_of(store)],
        "end": [period.end for period in periods_of(store)],
        "about": here["time"].values + np.timedelta64(round(horizon * 24), "h"),
        "microcystin": here["microcystin"].values,
        "mean": here["log10_mean"].values,
        "spread": here["log10_spread"].values,
        "age": here["pixel_age"].values.astype(np.float64),
        "n_observations": here["n_observations"].values,
        "flagged": here["flagged"].values == 1,
        "reasons": ["; ".join(store.reasons(int(bits))) for bits in here["applicability"].values],
    }
    table = pd.DataFrame(columns)
    estimate = estimate_at(store, table, horizon)
    for level in LEVELS:
        low, high = level_names(level)
        table[low], table[high] = estimate.interval(level)
    return table


def estimate_at(store: Store, history: pd.DataFrame, horizon: float) -> Estimate:
    """The distributions behind a history: any question can be asked of them."""
    return Estimate(
        mean=history["mean"].to_numpy(dtype=np.float64),
        spread=history["spread"].to_numpy(dtype=np.float64),
        calibration=store.calibration[task_of(horizon)],
        least=store.record["settings"]["detection_limit"],
    )


def forecast_after(store: Store, station: Station, *, until: np.datetime64 | None = None) -> pd.DataFrame:
    """The newest forecast of a place, made of periods up to a day: one row of its history ahead, or none.

    An old one, of days before the last period, is no forecast any more.
    """
    ahead = history_at(store, station, horizon=AHEAD)
    if until is not None:
        ahead = ahead[ahead["end"] <= pd.Timestamp(until)]
    if ahead.empty:
        return ahead
    newest = ahead.dropna(subset=["microcystin"]).tail(1)
    return newest[newest["about"] >= ahead["first"].iloc[-1]]
