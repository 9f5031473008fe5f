"""One period of a prediction store, for one horizon: what maps, files and pages show."""

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm.apps.store import Store
from spectm.data.grid import Grid, grid_of_centres
from spectm.data.periods import Period
from spectm.errors import StoreError
from spectm.trust.estimate import Estimate

__all__ = ["AHEAD", "LATEST", "NOW", "Moment", "chosen_period", "days_in_words", "moment_at", "periods_of"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

NOW, AHEAD = 0.0, 8.0  # days: the horizons that pages show
LATEST = "latest"
# Not from the locale: a page is in English wherever it is written.
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
KM_PER_DEGREE = 111.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Fields of one period and horizon, shape (n_rows, n_columns) each; rows from the north.

    Parameters
    ----------
    store : Store
    period : Period
        Days that were seen.
    horizon : float
        Days after what was seen.
    grid : Grid
        Cells.
    maps : Dataset
        Variables of the store at this period and horizon.
    water : ndarray of bool
        Where any period of the store saw water.
    """

    store: Store
    period: Period
    horizon: float
    grid: Grid
    maps: xr.Dataset = field(repr=False)
    water: BoolArray = field(repr=False)

    @property
    def target(self) -> Period:
        """Days that the numbers are about."""
        shift = np.timedelta64(round(self.horizon), "D")
        return Period(self.period.start + shift, self.period.end + shift)

    @cached_property
    def estimate(self) -> Estimate:
        """Distributions of all cells: any question can be asked of them."""
        return self.store.estimate(self.period.start, self.horizon)

    @cached_property
    def microcystin(self) -> FloatArray:
        """Median, ug/L; NaN where there is no estimate."""
        return self.of("microcystin")

    @property
    def seen(self) -> BoolArray:
        """Where there is an estimate."""
        return np.isfinite(self.microcystin)

    @cached_property
    def flagged(self) -> BoolArray:
        """Where the spectrum is unlike those learned from."""
        return np.asarray(self.maps["flagged"].values == 1)

    @cached_property
    def pixel_age(self) -> FloatArray:
        """Days from what was seen to the end of the period."""
        return self.of("pixel_age")

    @cached_property
    def cell_km2(self) -> FloatArray:
        """Area of the cells of each row, as a column."""
        side = self.grid.resolution * KM_PER_DEGREE
        return (side**2 * np.cos(np.deg2rad(self.grid.latitude)))[:, None]

    def of(self, name: str) -> FloatArray:
        """A variable by its name."""
        return self.maps[name].values.astype(np.float64)

    def exceedance(self, threshold: float) -> FloatArray:
        """Probability to lie above any threshold, ug/L.

        Raises
        ------
        StoreError
            If the threshold is no concentration above zero.
        """
        if not 0 < threshold < np.inf:
            raise StoreError(
                f"wanted a threshold in ug/L above zero, found {threshold:g}. Those of drinking and bathing "
                "water lie between 0.3 and 24."
            )
        return self.estimate.exceedance(threshold)

    def reasons(self, row: int, column: int) -> tuple[str, ...]:
        """Why the spectrum of a cell is unlike those learned from."""
        return self.store.reasons(int(self.maps["applicability"].values[row, column]))


def days_in_words(period: Period) -> str:
    """First and last day as people write them.

    Examples
    --------
    >>> first = np.datetime64("2024-08-20")
    >>> print(days_in_words(Period(first, first + 8)), "|", days_in_words(Period(first + 8, first + 16)))
    20 to 27 August 2024 | 28 August to 4 September 2024
    """
    first, last = (day.astype(object) for day in (period.start, period.end - np.timedelta64(1, "D")))
    start = f"{first.day}"
    if first.month != last.month:
        start += f" {MONTHS[first.month - 1]}"
    if first.year != last.year:
        start += f" {first.year}"
    end = f"{last.day} {MONTHS[last.month - 1]} {last.year}"
    return end if first == last else f"{start} to {end}"


def periods_of(store: Store) -> list[Period]:
    """Whole periods of a store's maps, in order."""
    days = store.dataset["time_bnds"].values.astype("datetime64[D]")
    return [Period(start, end) for start, end in days]


def chosen_period(store: Store, wanted: str = LATEST) -> int:
    """Position of the period that holds a day (year-month-day), or of the latest that holds an estimate.

    Raises
    ------
    StoreError
        If there is none.
    """
    if wanted != LATEST:
        try:
            day = np.datetime64(date.fromisoformat(wanted), "D")
        except ValueError as error:
            raise StoreError(
                f"wanted a day as in 2024-08-12, or {LATEST!r}, found {wanted!r}. Give any day of the period."
            ) from error
        return store.position(day)
    estimates = store.dataset["microcystin"]
    for position in reversed(range(estimates.sizes["time"])):
        if np.isfinite(estimates.isel(time=position, horizon=0).values).any():
            return position
    raise StoreError(
        f"wanted a period with an estimate, found {estimates.sizes['time']} without any in {store.folder}: "
        "nothing but cloud? Predict over more periods."
    )


def moment_at(store: Store, wanted: str | int = LATEST, *, horizon: float = NOW) -> Moment:
    """Fields of a period: by a day in it, by its position, or the latest that holds an estimate.

    Raises
    ------
    StoreError
        If there is no such period or horizon.
    """
    maps = store.dataset
    position = wanted if isinstance(wanted, int) else chosen_period(store, wanted)
    period = periods_of(store)[position]
    return Moment(
        store=store,
        period=period,
        horizon=horizon,
        grid=grid_of_centres(maps["lat"].values, maps["lon"].values),
        maps=store.at(period.start, horizon).load(),
        water=_ever_seen(store),
    )


@lru_cache(maxsize=2)
def _ever_seen(store: Store) -> BoolArray:
    """Where any period has a pixel; read period by period, as all of them may not fit into memory."""
    counts = store.dataset["n_observations"]
    found = np.zeros(counts.shape[1:], dtype=np.bool_)
    for position in range(counts.sizes["time"]):
        found |= counts.isel(time=position).values > 0
    return found
