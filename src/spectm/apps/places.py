"""Stations: where they lie, in which cell, and what a laboratory found there."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.grid import Grid
from spectm.data.labels import Labels, station_positions, surface_samples
from spectm.errors import LabelError, StoreError
from spectm.simulation.shoreline import BOX, STATIONS

__all__ = [
    "Station",
    "cell_of",
    "find_station",
    "parse_point",
    "read_stations",
    "samples_at",
    "stations_of",
    "usual_stations",
]

FloatArray = npt.NDArray[np.floating[Any]]

NAMES = ("station", "name", "site", "id")
SAMPLE_COLUMNS = ["station", "time", "date", "microcystin", "below_detection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A place by its name.

    Parameters
    ----------
    name : str
    latitude, longitude : float
        Degrees north and east.
    """

    name: str
    latitude: float
    longitude: float


def read_stations(path: Path) -> list[Station]:
    """Stations of a CSV file: a name (column station, name, site or id), latitude and longitude.

    Raises
    ------
    StoreError
        If the file can't be read, a column is missing, a place is none on Earth, or a name occurs twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise StoreError(f"{path}: wanted a table of stations, found: {error}. Write it as CSV.") from error
    table.columns = [str(column).strip().lower() for column in table.columns]
    table = table.rename(columns={"lat": "latitude", "lon": "longitude"})  # as points may have them
    named = next((column for column in NAMES if column in table.columns), None)
    missing = [column for column in ("latitude", "longitude") if column not in table.columns]
    if named is None or missing:
        raise StoreError(
            f"{path}: wanted columns station, latitude, longitude; found {', '.join(table.columns)}. Name "
            "them so in the first line."
        )
    stations = [
        _station(row[named], row["latitude"], row["longitude"], f"{path}, line {line}")
        for line, row in enumerate(table.to_dict("records"), start=2)
    ]
    names = [one.name for one in stations]
    if not names or len(set(names)) < len(names):
        raise StoreError(
            f"{path}: wanted stations of different names, found {', '.join(names) or 'none'}. Rename some."
        )
    return stations


def _station(name: str, latitude: str, longitude: str, where: str) -> Station:
    try:
        place = float(latitude), float(longitude)
    except ValueError as error:
        raise StoreError(
            f"{where}: wanted latitude and longitude in degrees, found {latitude!r} and {longitude!r}. West "
            "and south are negative."
        ) from error
    if not (abs(place[0]) <= 90 and abs(place[1]) <= 180 and name.strip()):
        raise StoreError(
            f"{where}: wanted a name, a latitude within 90 and a longitude within 180 degrees; found "
            f"{name!r}, {place[0]:g}, {place[1]:g}. Are the two swapped, or in metres?"
        )
    return Station(name=name.strip(), latitude=place[0], longitude=place[1])


def parse_point(text: str) -> Station:
    """A place typed as "latitude,longitude", degrees.

    Raises
    ------
    StoreError
        If it is none.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise StoreError(f"wanted latitude,longitude in degrees, found {text!r}. Write 41.76,-83.33.")
    return _station(f"{parts[0].strip()}, {parts[1].strip()}", parts[0], parts[1], "the point")


def stations_of(labels: Labels) -> list[Station]:
    """Stations of a laboratory record whose position it gives."""
    known = station_positions(labels).dropna()
    found = [
        Station(name=str(name), latitude=float(latitude), longitude=float(longitude))
        for name, (latitude, longitude) in zip(
            known.index, known[["latitude", "longitude"]].to_numpy(), strict=True
        )
    ]
    return sorted(found, key=lambda one: _natural(one.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Key that puts WE2 before WE12."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def usual_stations(grid: Grid) -> list[Station]:
    """GLERL's stations in western Lake Erie, where a grid lies there; else none."""
    places = [Station(name=name, latitude=at[0], longitude=at[1]) for name, at in STATIONS.items()]
    within = grid.west >= BOX[0] - 1 and grid.west + grid.n_columns * grid.resolution <= BOX[2] + 1
    return [one for one in places if within and cell_of(grid, one) is not None]


def find_station(stations: Sequence[Station], name: str) -> Station:
    """One of some stations by its name.

    Raises
    ------
    StoreError
        If there is none of that name.
    """
    for one in stations:
        if one.name == name:
            return one
    names = [one.name for one in stations]
    plain = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower(), plain, n=1)
    hint = f"Did you mean {plain[near[0]]}?" if near else f"Known: {', '.join(names) or 'none'}."
    raise StoreError(f"wanted the station {name!r}, found none of that name. {hint}")


def cell_of(grid: Grid, station: Station) -> tuple[int, int] | None:
    """Row and column of the cell that a station lies in; None outside the grid."""
    number = int(grid.cell_of(np.array(station.latitude), np.array(station.longitude), grid.whole))
    return None if number < 0 else divmod(number, grid.n_columns)


def samples_at(labels: Labels, stations: Sequence[Station], *, where: object) -> pd.DataFrame:
    """Surface samples of particulate microcystin at some stations, by time.

    Returns
    -------
    DataFrame
        station, time (UTC, without zone), date (local), microcystin (ug/L; the limit where below detection)
        and below_detection.

    Raises
    ------
    LabelError
        If no sample is of one of the stations.
    """
    table = surface_samples(labels)
    table = table[table["microcystin"].notna()]
    chosen = table[table["station"].isin([one.name for one in stations])]
    if chosen.empty:
        found = ", ".join(sorted(set(table["station"]))[:8]) or "none"
        raise LabelError(
            f"{where}: wanted samples of {', '.join(one.name for one in stations[:8])}; found those of "
            f"{found}. Names must be the same in both files."
        )
    chosen = chosen.rename(columns={"microcystin_below_detection": "below_detection"})
    chosen = chosen.assign(time=chosen["time"].dt.tz_convert(None))
    return chosen[SAMPLE_COLUMNS].sort_values("time", kind="stable", ignore_index=True)
