"""What is known beside the spectrum: season, station, climatology, and the last laboratory value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.layouts import EASTERN
from spectm.errors import ConfigError, LabelError

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
StringArray = npt.NDArray[np.str_]
Context = Literal["none", "season", "season+lab"]

#: What a model can be given beside the spectrum.
CONTEXTS: tuple[Context, ...] = ("none", "season", "season+lab")

#: What the protocol counts a value below detection as, ug L-1, and the least a prediction counts as.
DETECTION_LIMIT = 0.1

MAX_DAYS = 30
_YEAR_DAYS = 365.25
_LAB_COLUMNS = ["log10_last", "has_last", "age_of_last"]


def log10_censored(values: npt.ArrayLike, *, limit: float = DETECTION_LIMIT) -> FloatArray:
    """Decimal logarithm of concentrations, where anything below the limit counts as the limit.

    Parameters
    ----------
    values : array_like, shape (...)
        Concentrations, ug L-1. NaN passes through.
    limit : float
        The least value, ug L-1.

    Returns
    -------
    ndarray, shape (...)
        log10 of ug L-1.

    Examples
    --------
    >>> print(log10_censored([0.02, 0.1, 10.0]))
    [-1. -1.  1.]
    """
    return np.log10(np.maximum(np.asarray(values, dtype=np.float64), limit))


def day_of_year(dates: pd.Series) -> FloatArray:
    """Day of year, 1 to 366, of local dates written year-month-day; shape (n,), whole days as floats."""
    return pd.to_datetime(dates, format="%Y-%m-%d").dt.day_of_year.to_numpy().astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Climatology:
    r"""What the laboratory usually finds at a station on a day of the year; it needs no reflectance.

    Attributes
    ----------
    day_of_year : ndarray, shape (n_samples,)
        Of the samples learned from, by local date.
    station : ndarray of str, shape (n_samples,)
        Where they were taken.
    log10_value : ndarray, shape (n_samples,)
        What was found, log10 of ug L-1, censored at the detection limit.
    width_days : float
        Standard deviation of the Gaussian kernel in day of year.
    prior_samples : float
        How many samples at the station the mean over all stations counts as.

    Notes
    -----
    With :math:`w_i = \exp(-d_i^2 / 2 s^2)`, :math:`d_i` the days between sample i and the day asked for, and
    :math:`m = \sum_i w_i y_i / \sum_i w_i` over all stations, the answer is
    :math:`(3 m + \sum_{i \in S} w_i y_i) / (3 + \sum_{i \in S} w_i)` over the samples S of the station.
    A station without samples gets m. Days are counted the shorter way round a year of 365.25 days, so that 31
    December is next to 1 January; for GLERL, who sample from March to November, it makes no difference.
    """

    day_of_year: FloatArray
    station: StringArray
    log10_value: FloatArray
    width_days: float = 12.0
    prior_samples: float = 3.0

    @classmethod
    def fit(
        cls,
        surface_table: pd.DataFrame,
        *,
        last_year: int,
        quantity: str = "microcystin",
        limit: float = DETECTION_LIMIT,
    ) -> Self:
        """Return the climatology of the samples up to a year.

        Parameters
        ----------
        surface_table : DataFrame
            Of `labels.surface_samples`: columns station, date and the quantity.
        last_year : int
            The last year to learn from, by local date: the one before the first that is tested.
        quantity : str
            A column in ug L-1.
        limit : float
            What anything lower counts as, ug L-1.

        Raises
        ------
        LabelError
            If no sample of those years holds the quantity.
        """
        years = surface_table["date"].str[:4].astype(int)
        rows = surface_table[(years <= last_year) & surface_table[quantity].notna()]
        if rows.empty:
            found = f"years {years.min()} to {years.max()}" if len(years) else "no surface sample"
            raise LabelError(
                f"climatology: wanted surface samples with {quantity} of {last_year} or earlier, "
                f"found {found}. Give the record of earlier years too: what is usual can't be learned from "
                "the years under test."
            )
        return cls(
            day_of_year=day_of_year(rows["date"]),
            station=rows["station"].to_numpy(dtype=np.str_),
            log10_value=log10_censored(rows[quantity], limit=limit),
        )

    def predict(self, day_of_year: npt.ArrayLike, station: npt.ArrayLike) -> FloatArray:
        """Return what is usual on those days at those stations.

        Parameters
        ----------
        day_of_year : array_like, shape (n,)
            Of the laboratory sample, by local date.
        station : array_like of str, shape (n,)
            A name never seen gets the mean over all stations.

        Returns
        -------
        ndarray, shape (n,)
            log10 of ug L-1.
        """
        days, day = np.unique(np.asarray(day_of_year, dtype=np.float64), return_inverse=True)
        names, own = np.unique(self.station, return_inverse=True)
        apart = np.abs(days[:, None] - self.day_of_year) % _YEAR_DAYS  # (day, sample)
        apart = np.minimum(apart, _YEAR_DAYS - apart)
        weight = np.exp(-0.5 * (apart / self.width_days) ** 2)  # at most 183 days: never rounds to 0
        everywhere = weight @ self.log10_value / weight.sum(axis=1)
        of_station = np.equal.outer(own, np.arange(names.size + 1)).astype(np.float64)
        here = weight @ (of_station * self.log10_value[:, None])  # (day, name); the last is of no sample
        usual = (self.prior_samples * everywhere[:, None] + here) / (self.prior_samples + weight @ of_station)
        name = pd.Index(names).get_indexer(pd.Index(np.asarray(station)))  # -1, the last, where never seen
        return np.asarray(usual[day, name])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists and numbers, for JSON."""
        return {
            "day_of_year": self.day_of_year.tolist(),
            "station": self.station.tolist(),
            "log10_value": self.log10_value.tolist(),
            "width_days": self.width_days,
            "prior_samples": self.prior_samples,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Return the climatology that `to_dict` wrote."""
        return cls(
            day_of_year=np.asarray(stored["day_of_year"], dtype=np.float64),
            station=np.asarray(stored["station"], dtype=np.str_),
            log10_value=np.asarray(stored["log10_value"], dtype=np.float64),
            width_days=float(stored["width_days"]),
            prior_samples=float(stored["prior_samples"]),
        )


def last_values(
    rows: pd.DataFrame,
    surface_table: pd.DataFrame,
    *,
    max_days: int = MAX_DAYS,
    quantity: str = "microcystin",
    limit: float = DETECTION_LIMIT,
    timezone: str = EASTERN,
) -> pd.DataFrame:
    """Newest laboratory value at each row's station that was not of its overpass's or its target's date.

    Parameters
    ----------
    rows : DataFrame
        Matchups: columns station, date (local, of the target) and overpass_time (UTC).
    surface_table : DataFrame
        Of `labels.surface_samples`; its index becomes `last_sample_id`.
    max_days : int
        The oldest a value may be, in days between its date and the earlier of the two dates of the row.
    quantity : str
        A column in ug L-1.
    limit : float
        What anything lower counts as, ug L-1.
    timezone : str
        IANA name of the clock that dates are told by, for the date of an overpass.

    Returns
    -------
    DataFrame
        With the index of `rows`: log10_last (log10 of ug L-1, NaN where there is none), age_days (NaN),
        has_last, last_sample_id (-1) and last_date (year-month-day, empty).

    Notes
    -----
    Dates, not times: samples of one cruise share a date and would tell of each other. Simply the last
    value before an overpass would be the target itself wherever the overpass came after its sample.
    """
    measured = surface_table[surface_table[quantity].notna()].sort_values("time", kind="stable")
    by_station = dict(iter(measured.groupby("station")))
    overpass_dates = rows["overpass_time"].dt.tz_convert(timezone).dt.strftime("%Y-%m-%d")
    known_before = np.minimum(_days(overpass_dates), _days(rows["date"]))
    found = []
    for station, before in zip(rows["station"], known_before, strict=True):
        age, row = _newest(by_station.get(station, measured.iloc[:0]), before, max_days)
        found.append(
            (age, row.name, row["date"], row[quantity]) if row is not None else (np.nan, -1, "", np.nan)
        )
    columns = ["age_days", "last_sample_id", "last_date", quantity]
    last = pd.DataFrame(found, columns=columns, index=rows.index)
    last["has_last"] = last["age_days"].notna()
    last["log10_last"] = log10_censored(last[quantity], limit=limit)
    return last[["log10_last", "age_days", "has_last", "last_sample_id", "last_date"]]


def context_columns(context: Context, stations: Sequence[str]) -> list[str]:
    """Names of the features of a context, in the order of `context_features`.

    Parameters
    ----------
    context : {"none", "season", "season+lab"}
        What a model is given beside the spectrum.
    stations : sequence of str
        The stations told apart.

    Raises
    ------
    ConfigError
        If there is no such context.

    Examples
    --------
    >>> context_columns("season", ["WE2"])
    ['sin_day_of_year', 'cos_day_of_year', 'station_WE2', 'climatology']
    """
    if context not in CONTEXTS:
        raise ConfigError(f"context: wanted one of {', '.join(CONTEXTS)}, found {context!r}.")
    if context == "none":
        return []
    season = ["sin_day_of_year", "cos_day_of_year", *(f"station_{name}" for name in stations), "climatology"]
    return season if context == "season" else season + _LAB_COLUMNS


def context_features(
    context: Context,
    rows: pd.DataFrame,
    *,
    stations: Sequence[str],
    climatology: FloatArray,
    last: pd.DataFrame,
    max_days: int = MAX_DAYS,
) -> FloatArray:
    """Feature matrix of a context, not standardised.

    Parameters
    ----------
    context : {"none", "season", "season+lab"}
        What a model is given beside the spectrum.
    rows : DataFrame
        Matchups: columns station and date (local, of the target).
    stations : sequence of str
        The stations told apart; a row at any other has 0 for all of them.
    climatology : ndarray, shape (n,)
        `Climatology.predict` for the rows, log10 of ug L-1.
    last : DataFrame
        `last_values` of the rows.
    max_days : int
        The age that counts as 1.

    Returns
    -------
    ndarray, shape (n, n_features)
        The columns `context_columns`; finite. Where there is no last value, it is the climatology, of age 1.

    Raises
    ------
    ConfigError
        If there is no such context.
    """
    columns = context_columns(context, stations)
    if not columns:  # rows without a season, such as leaves, have no date to look at
        return np.empty((len(rows), 0))
    angle = 2 * np.pi * day_of_year(rows["date"]) / _YEAR_DAYS
    has_last = last["has_last"].to_numpy(dtype=bool)
    features = {
        "sin_day_of_year": np.sin(angle),
        "cos_day_of_year": np.cos(angle),
        **{f"station_{name}": (rows["station"] == name).to_numpy(dtype=np.float64) for name in stations},
        "climatology": climatology,
        "log10_last": np.where(has_last, last["log10_last"].to_numpy(), climatology),
        "has_last": has_last.astype(np.float64),
        "age_of_last": np.where(has_last, last["age_days"].to_numpy() / max_days, 1.0),
    }
    return np.stack([features[name] for name in columns], axis=1)


def _days(dates: pd.Series) -> IntArray:
    """Return year-month-day dates as whole days since 1970, which can be subtracted."""
    return pd.to_datetime(dates, format="%Y-%m-%d").to_numpy().astype("datetime64[D]").astype(np.int64)


def _newest(samples: pd.DataFrame, before: int, max_days: int) -> "tuple[float, pd.Series[Any] | None]":
    """Return the age and the row of the last sample that is fresh, of samples in order of time."""
    ages = before - _days(samples["date"])
    fresh = np.flatnonzero((ages > 0) & (ages <= max_days))
    return (float(ages[fresh[-1]]), samples.iloc[fresh[-1]]) if fresh.size else (np.nan, None)
