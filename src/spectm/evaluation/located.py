"""Which patch of a file is of a place and a day; and if none is, which ones are near."""

from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.patches import Patches
from spectm.errors import PatchError
from spectm.training.forecast import local_days, places

__all__ = ["find_patch"]

FloatArray = npt.NDArray[np.floating[Any]]

EARTH_RADIUS_KM = 6371.0
NEAR_KM = 1.5  # a pixel of PACE and a half: further off, it is another place
NAMED = 3  # places and days that a message names
MOST_NAMES = 20


def find_patch(
    patches: Patches,
    day: str,
    *,
    station: str | None = None,
    place: tuple[float, float] | None = None,
    clock: str | None = None,
) -> int:
    """Position of the patch of a place and a local day.

    Parameters
    ----------
    patches : Patches
    day : str
        Local, year-month-day.
    station : str, optional
        Its name; else
    place : tuple of float, optional
        latitude and longitude, degrees: the nearest patch within 1.5 km.
    clock : str, optional
        Hour and minute of the overpass, UTC, such as "17:53", where a day has several.

    Raises
    ------
    PatchError
        If there is no such patch, several, or none with a valid pixel; the message names what there is.
    """
    here = patches.station == station if place is None else _near(patches, *place)
    asked = f"station {station}" if place is None else f"{place[0]:g}, {place[1]:g}"
    if not here.any():
        raise PatchError(
            f"wanted a patch of {asked}, found none in {patches.source}; {_nearest_places(patches, place)}"
        )
    days = local_days(patches.time)
    rows = np.flatnonzero(here & (days == day))
    if clock is not None:
        rows = rows[[_clock(patches.time[row]) == clock for row in rows]]
    if rows.size == 0:
        at = "" if clock is None else f" at {clock} UTC"
        raise PatchError(
            f"wanted a patch of {asked} on {day}{at}, found none in {patches.source}; the nearest days with "
            f"one are {', '.join(_nearest_days(patches, here, day))}"
        )
    seen = rows[patches.select(rows).valid.any(axis=(1, 2))]
    if seen.size == 0:
        raise PatchError(
            f"the patch of {asked} on {day} in {patches.source} has no pixel with all bands: cloud, or its "
            f"mask, hides it. The nearest days with one are {', '.join(_nearest_days(patches, here, day))}"
        )
    if seen.size > 1:
        found = ", ".join(_clock(patches.time[row]) for row in seen)
        raise PatchError(
            f"wanted one patch of {asked} on {day}, found {seen.size} in {patches.source}, at {found} UTC; "
            "choose one with --time, or name the station"
        )
    return int(seen[0])


def _clock(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]"))[11:]


def _near(patches: Patches, latitude: float, longitude: float) -> npt.NDArray[np.bool_]:
    """The patches of the place nearest to a point, if that is near enough."""
    km = _km(patches, latitude, longitude)
    known = km[np.isfinite(km)]
    return km <= min(known.min(initial=np.inf) + 0.01, NEAR_KM)


def _km(patches: Patches, latitude: float, longitude: float) -> FloatArray:
    """Distance of each patch from a point; NaN where its place is unknown."""
    north = np.deg2rad(patches.latitude - latitude)
    east = np.deg2rad(patches.longitude - longitude) * np.cos(np.deg2rad(latitude))
    return EARTH_RADIUS_KM * np.hypot(north, east)


def _nearest_places(patches: Patches, place: tuple[float, float] | None) -> str:
    names = places(patches)
    if place is None or not np.isfinite(patches.latitude).any():
        known = sorted(set(names))
        more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
        return f"there are {', '.join(known[:MOST_NAMES])}{more}"
    km = _km(patches, *place)
    order = np.argsort(np.where(np.isfinite(km), km, np.inf), kind="stable")
    nearest: dict[str, float] = {}
    for row in order:
        nearest.setdefault(str(names[row]), float(km[row]))
    named = [f"{name} ({away:.1f} km)" for name, away in list(nearest.items())[:NAMED]]
    return f"nothing lies within {NEAR_KM:g} km; the nearest are {', '.join(named)}"


def _nearest_days(patches: Patches, here: npt.NDArray[np.bool_], day: str) -> list[str]:
    """Local days nearest to one on which a place has a valid pixel."""
    rows = np.flatnonzero(here)
    rows = rows[patches.select(rows).valid.any(axis=(1, 2))]
    known = np.unique(local_days(patches.time[rows]))
    away = np.abs(known.astype("datetime64[D]") - np.datetime64(day, "D")).astype(int)
    return sorted(known[np.argsort(away, kind="stable")[:NAMED]].tolist()) or ["(none)"]
