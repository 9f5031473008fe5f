"""From estimates of single overpasses to what is to be expected for a place and a day."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import DETECTION_LIMIT, Climatology, day_of_year
from spectm.data.layouts import EASTERN
from spectm.data.memory import Record
from spectm.data.patches import Patches
from spectm.training.history import Departures, carried

__all__ = ["forecast", "local_days", "places", "usual_at"]

FloatArray = npt.NDArray[np.floating[Any]]
StringArray = npt.NDArray[np.str_]
TimeArray = npt.NDArray[np.datetime64]


def usual_at(climatology: Climatology, time: TimeArray, station: StringArray) -> FloatArray:
    """What is usual at places on the local day of some moments (UTC), log10, shape (n,)."""
    return climatology.predict(day_of_year(pd.Series(local_days(time))), station)


def local_days(time: TimeArray) -> StringArray:
    """Local calendar days of some moments (UTC), written year-month-day, shape (n,)."""
    moments, which = np.unique(time, return_inverse=True)  # a map has one for all of its cells
    days = pd.DatetimeIndex(moments, tz="UTC").tz_convert(EASTERN).strftime("%Y-%m-%d")
    return days.to_numpy(dtype=np.str_)[which.reshape(time.shape)]


def places(patches: Patches) -> StringArray:
    """A name for the place of each patch: the station, else its position, else a name of its own."""
    of_position = [
        f"{latitude:.4f}, {longitude:.4f}" if np.isfinite(latitude + longitude) else f"patch {number}"
        for number, (latitude, longitude) in enumerate(zip(patches.latitude, patches.longitude, strict=True))
    ]
    return np.where(patches.station != "", patches.station, of_position).astype(np.str_)


def forecast(
    patches: Patches,
    estimate: FloatArray,
    spread: float,
    record: Record,
    targets: pd.DataFrame,
    *,
    own: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """From estimates of all overpasses of some places to estimates for targets.

    Parameters
    ----------
    patches : Patches
        Where and when the overpasses were.
    estimate : ndarray, shape (sample,)
        Of each patch by itself, log10; NaN where nothing was seen.
    spread : float
        Standard deviation of these, log10.
    record : Record
        Climatology and memory.
    targets : DataFrame
        Columns ``station``, ``date`` (local day of the target), ``overpass_time`` (UTC: nothing later is
        looked at) and ``lead_days`` (from the overpass to the target; 0 for the same days). Column ``place``,
        one of `places`, where that is no station.
    own : tuple of ndarray, shape (n,), optional
        One more departure of each row and its age in days, as the last laboratory value; NaN for none.

    Returns
    -------
    tuple of ndarray, shape (n,)
        Mean and standard deviation of log10 of the quantity; NaN where no overpass of ten days was seen.
    """
    usual = usual_at(record.climatology, patches.time, patches.station)
    known = Departures(value=estimate - usual, place=places(patches), time=patches.time)
    station = targets["station"].to_numpy(dtype=np.str_)
    place = targets["place"].to_numpy(dtype=np.str_) if "place" in targets else station
    overpass = targets["overpass_time"].to_numpy(dtype="datetime64[ns]")
    value, age = (None, None) if own is None else own
    departure, left = carried(
        known,
        place,
        overpass,
        targets["lead_days"].to_numpy(dtype=np.float64),
        record.memory,
        own=value,
        own_age_days=age,
    )
    mean = record.climatology.predict(day_of_year(targets["date"]), station) + departure
    mean = np.maximum(mean, np.log10(DETECTION_LIMIT))  # NaN stays
    return mean, np.sqrt((left * spread) ** 2 + (1 - left**2) * record.memory.spread**2)
