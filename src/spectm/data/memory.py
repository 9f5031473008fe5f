"""How long a departure from the climatology lasts, as a long laboratory record tells it."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import DETECTION_LIMIT, Climatology, day_of_year, log10_censored
from spectm.errors import LabelError

__all__ = ["Memory", "Record", "departures"]

FloatArray = npt.NDArray[np.floating[Any]]

# Surveys are weekly: the pairs that say most about eight days lie within three days of that.
SHORTEST_DAYS, LONGEST_DAYS = 5, 11
LEFT = (0.01, 0.99)
FEWEST_PAIRS = 20  # fewer would give the slope an interval as wide as the question


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    r"""A departure fades as :math:`e^{-t / \tau}`.

    Parameters
    ----------
    days : float
        :math:`\tau`: after so many days 37 % of a departure is left.
    spread : float
        Standard deviation of departures, log10 of ug L-1.
    """

    days: float
    spread: float

    @classmethod
    def fit(
        cls,
        surface_table: pd.DataFrame,
        *,
        last_year: int,
        quantity: str = "microcystin",
        limit: float = DETECTION_LIMIT,
    ) -> Self:
        r"""Learn from the years up to `last_year`; parameters as for `Climatology.fit`.

        Raises
        ------
        LabelError
            If fewer than 20 pairs of samples lie 5 to 11 days apart at one station.

        Notes
        -----
        With departures :math:`d` of a station, t days apart: :math:`b = \sum d_0 d_t / \sum d_0^2`, and
        :math:`\tau = -\bar t / \ln b`. An error of a single laboratory value lowers b, as it should where
        single values are to be predicted. It is kept within 0.01 and 0.99: a short record may show none, or
        growth.
        """
        table = surface_table[surface_table["date"].str[:4].astype(int) <= last_year]
        table = table[table[quantity].notna()]
        departure = departures(table, quantity=quantity, limit=limit)
        day = pd.to_datetime(table["date"], format="%Y-%m-%d").to_numpy().astype("datetime64[D]")
        lag, first, second = _pairs(table["station"].to_numpy(dtype=np.str_), day, departure)
        if lag.size < FEWEST_PAIRS:
            raise LabelError(
                f"memory: wanted {FEWEST_PAIRS} pairs of samples with {quantity} {SHORTEST_DAYS} to "
                f"{LONGEST_DAYS} days apart at one station, in {last_year} or earlier; found {lag.size}. "
                "Give the record of earlier years."
            )
        left = float((first * second).sum() / max((first**2).sum(), 1e-12))
        left = float(np.clip(left, *LEFT))
        return cls(days=float(-lag.mean() / np.log(left)), spread=float(np.sqrt((departure**2).mean())))

    def left(self, days: npt.ArrayLike) -> FloatArray:
        """Share of a departure that is left after some days, shape (...)."""
        return np.exp(-np.abs(np.asarray(days, dtype=np.float64)) / self.days)

    def to_dict(self) -> dict[str, float]:
        """Return everything as numbers, for JSON."""
        return {"days": self.days, "spread": self.spread}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What the laboratory's years up to `last_year` say: what is usual, and how long a departure lasts."""

    climatology: Climatology
    memory: Memory
    last_year: int

    @classmethod
    def fit(cls, surface_table: pd.DataFrame, *, last_year: int, quantity: str = "microcystin") -> Self:
        """Learn both; parameters and errors as for `Climatology.fit` and `Memory.fit`."""
        return cls(
            climatology=Climatology.fit(surface_table, last_year=last_year, quantity=quantity),
            memory=Memory.fit(surface_table, last_year=last_year, quantity=quantity),
            last_year=last_year,
        )


def departures(table: pd.DataFrame, *, quantity: str, limit: float = DETECTION_LIMIT) -> FloatArray:
    """What each sample departs from the climatology of the other years, log10, shape (n,).

    A record of a single year departs from its own climatology.
    """
    year = table["date"].str[:4].astype(int).to_numpy()
    found = np.empty(len(table))
    for one in np.unique(year):
        own = year == one
        others = table if own.all() else table[~own]
        usual = Climatology.fit(others, last_year=int(year.max()), quantity=quantity, limit=limit)
        found[own] = log10_censored(table[quantity][own], limit=limit) - usual.predict(
            day_of_year(table["date"][own]), table["station"][own]
        )
    return found


def _pairs(
    station: npt.NDArray[np.str_], day: npt.NDArray[np.datetime64], departure: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Days between two samples of a station, and the departures of the earlier and the later one."""
    lag = (day[None, :] - day[:, None]).astype(np.int64)  # (earlier, later)
    paired = (lag >= SHORTEST_DAYS) & (lag <= LONGEST_DAYS) & (station[:, None] == station)
    earlier, later = np.nonzero(paired)
    return lag[paired].astype(np.float64), departure[earlier], departure[later]
