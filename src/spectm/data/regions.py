"""Boxes of longitude and latitude: some by name, others typed."""

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import RegionError

__all__ = ["Region", "parse_region", "region_names"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A box in degrees; one whose west is east of its east lies across the date line.

    Parameters
    ----------
    name : str
        What it is called in files and messages.
    west, east : float
        Degrees east, -180 to 180.
    south, north : float
        Degrees north, -90 to 90.

    Raises
    ------
    RegionError
        If a number is out of range or the box is empty.

    Examples
    --------
    >>> fiji = Region(name="fiji", west=176, south=-20, east=-178, north=-15)
    >>> print(fiji.contains(np.array([-17.0, -17.0]), np.array([179.0, 0.0])))
    [ True False]
    """

    name: str
    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        """Refuse a box that holds nothing."""
        longitudes = -180 <= self.west <= 180 and -180 <= self.east <= 180 and self.west != self.east
        if not (longitudes and -90 <= self.south < self.north <= 90):
            raise RegionError(
                f"wanted west, south, east, north in degrees with south below north, found {self.bounds} in "
                f"the region {self.name!r}. West is first, as in -83.55,41.35,-82.4,42.1."
            )

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north, degrees."""
        return self.west, self.south, self.east, self.north

    @property
    def crosses_date_line(self) -> bool:
        """True if the box runs east over 180 degrees."""
        return self.west > self.east

    @property
    def width(self) -> float:
        """Degrees of longitude from west to east."""
        return self.east - self.west + (360 if self.crosses_date_line else 0)

    def contains(self, latitude: FloatArray, longitude: FloatArray) -> BoolArray:
        """True where a place lies in the box, its border included; a missing coordinate lies nowhere.

        Parameters
        ----------
        latitude, longitude : ndarray, any one shape
            Degrees north, and degrees east from -180 to 360.
        """
        east_of_west = np.mod(np.asarray(longitude, dtype=np.float64) - self.west, 360)
        inside = (latitude >= self.south) & (latitude <= self.north) & (east_of_west <= self.width)
        return np.asarray(inside, dtype=np.bool_)

    def meets(self, other: "Region") -> bool:
        """True if the boxes share a place, their borders included.

        Examples
        --------
        >>> parse_region("170,0,-170,10").meets(parse_region("-175,5,-160,20"))
        True
        """
        beside = (other.west - self.west) % 360 <= self.width or (self.west - other.west) % 360 <= other.width
        return beside and self.south <= other.north and other.south <= self.north


@cache
def _named() -> dict[str, Region]:
    """Regions that come with the package."""
    table = resources.files("spectm.data") / "tables" / "regions.csv"
    with table.open(encoding="utf-8") as lines:
        return {
            row["name"]: Region(
                name=row["name"], **{side: float(row[side]) for side in ("west", "south", "east", "north")}
            )
            for row in csv.DictReader(lines)
        }


def region_names() -> tuple[str, ...]:
    """Names that `parse_region` knows."""
    return tuple(_named())


def parse_region(text: str) -> Region:
    """Region of a name, or of four numbers: west, south, east, north.

    Parameters
    ----------
    text : str
        A name of `region_names`, or degrees such as ``"-83.55,41.35,-82.4,42.1"``.

    Raises
    ------
    RegionError
        If it is neither.

    Examples
    --------
    >>> parse_region("-83.55,41.35,-82.4,42.1").north
    42.1
    """
    if text in _named():
        return _named()[text]
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        near = difflib.get_close_matches(text, region_names(), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known names: {', '.join(region_names())}."
        raise RegionError(
            f"wanted the name of a region or west,south,east,north in degrees, found {text!r}. {hint}"
        ) from error
    return Region(name=text, west=west, south=south, east=east, north=north)
