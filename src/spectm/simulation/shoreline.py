"""Western Lake Erie as a chart of few lines: shore, islands, river mouths, stations, and ways over water.

Vertices were typed from general knowledge of the map, to about a kilometre: a plausible lake, not a survey.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

__all__ = ["ISLANDS", "RIVERS", "SHORELINE", "STATIONS", "Chart", "chart", "is_land", "kilometres"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

#: Degrees, the box that is simulated: west, south, east, north. It holds the region `lake-erie-west`.
BOX = (-83.55, 41.35, -82.4, 42.1)

#: Latitude and longitude of the shore, from the mouth of the Detroit River anticlockwise, degrees. The last
#: vertices close it beyond the box, where the lake goes on.
SHORELINE: tuple[tuple[float, float], ...] = (
    *((42.13, -83.17), (42.085, -83.19), (42.045, -83.195), (42.005, -83.195), (41.985, -83.24)),
    *((41.96, -83.262), (41.943, -83.263), (41.925, -83.315), (41.905, -83.33), (41.885, -83.352)),
    *((41.868, -83.385), (41.835, -83.41), (41.805, -83.44), (41.77, -83.452), (41.745, -83.44)),
    *((41.732, -83.462), (41.705, -83.475), (41.685, -83.462), (41.686, -83.41), (41.678, -83.38)),
    *((41.698, -83.33), (41.69, -83.295), (41.668, -83.26), (41.648, -83.225), (41.628, -83.19)),
    *((41.615, -83.13), (41.605, -83.085), (41.582, -83.06), (41.55, -83.02), (41.525, -82.965)),
    *((41.517, -82.93), (41.535, -82.88), (41.56, -82.862), (41.587, -82.86), (41.59, -82.83)),
    *((41.555, -82.81), (41.55, -82.755), (41.54, -82.71), (41.512, -82.708), (41.503, -82.76)),
    *((41.492, -82.84), (41.485, -82.93), (41.475, -83.02), (41.45, -83.04), (41.43, -82.97)),
    *((41.435, -82.88), (41.452, -82.8), (41.455, -82.72), (41.47, -82.695), (41.49, -82.69)),
    *((41.468, -82.665), (41.432, -82.62), (41.402, -82.56), (41.382, -82.51), (41.395, -82.46)),
    *((41.425, -82.37), (41.425, -82.2), (42.2, -82.2), (42.2, -82.38), (42.115, -82.42)),
    *((42.045, -82.475), (41.965, -82.503), (41.91, -82.508), (41.945, -82.53), (41.99, -82.545)),
    *((42.025, -82.59), (42.033, -82.66), (42.022, -82.75), (41.998, -82.84), (41.975, -82.93)),
    *((42.0, -83.02), (42.045, -83.1), (42.085, -83.118), (42.13, -83.115)),
)

#: Islands by name: vertices as above.
ISLANDS: dict[str, tuple[tuple[float, float], ...]] = {
    "Pelee": (
        *((41.83, -82.665), (41.825, -82.64), (41.79, -82.625), (41.755, -82.625), (41.73, -82.64)),
        *((41.725, -82.68), (41.75, -82.685), (41.785, -82.69), (41.815, -82.68)),
    ),
    "Kelleys": ((41.617, -82.70), (41.612, -82.655), (41.59, -82.66), (41.583, -82.71), (41.60, -82.735)),
    "South Bass": ((41.665, -82.81), (41.65, -82.79), (41.632, -82.83), (41.645, -82.845)),
    "Middle Bass": ((41.695, -82.79), (41.685, -82.78), (41.668, -82.815), (41.678, -82.83)),
    "North Bass": ((41.725, -82.82), (41.715, -82.805), (41.703, -82.815), (41.708, -82.835)),
    "West Sister": ((41.744, -83.105), (41.74, -83.092), (41.731, -83.1), (41.735, -83.113)),
}

#: Where rivers enter, and how far their water is felt, km.
RIVERS: dict[str, tuple[float, float, float]] = {
    "Maumee": (41.70, -83.46, 15.0),
    "Detroit": (42.08, -83.15, 24.0),
    "Raisin": (41.897, -83.325, 5.0),
    "Sandusky": (41.452, -83.01, 14.0),
}

#: GLERL's weekly stations since 2018, in the order of a day's tour: medians of the positions in the record.
STATIONS: dict[str, tuple[float, float]] = {
    "WE8": (41.8341, -83.3597),
    "WE4": (41.8265, -83.1946),
    "WE13": (41.7429, -83.1366),
    "WE16": (41.6590, -83.1453),
    "WE12": (41.7034, -83.2547),
    "WE6": (41.7059, -83.3848),
    "WE9": (41.7177, -83.4234),
    "WE2": (41.7628, -83.3303),
}

_KM_PER_DEGREE = 111.2
_MIDDLE = 41.7  # latitude that east-west distances are measured at
_STEP = 0.0125  # degrees, of the chart's own lattice
_REACH = 3  # lattice points that one step of a way may pass: 32 directions, so that rings come out round


def kilometres(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """East and north of the box's south-western corner, km, on a plane that touches the lake's middle."""
    east = (np.asarray(longitude) - BOX[0]) * _KM_PER_DEGREE * np.cos(np.radians(_MIDDLE))
    return east, (np.asarray(latitude) - BOX[1]) * _KM_PER_DEGREE


def is_land(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> BoolArray:
    """Whether places lie on land, islands included.

    Parameters
    ----------
    latitude, longitude : array_like, shape (...)
        Degrees; they broadcast against each other.

    Examples
    --------
    >>> print(is_land([41.75, 41.77, 41.5], [-83.2, -82.65, -83.4]))  # open water, Pelee Island, Ohio
    [False  True  True]
    """
    latitude, longitude = np.broadcast_arrays(np.asarray(latitude, float), np.asarray(longitude, float))
    land = ~_inside(latitude, longitude, SHORELINE)
    for outline in ISLANDS.values():
        land |= _inside(latitude, longitude, outline)
    return land


def _inside(
    latitude: FloatArray, longitude: FloatArray, outline: tuple[tuple[float, float], ...]
) -> BoolArray:
    """Whether a line due east crosses the outline an odd number of times."""
    inside = np.zeros(latitude.shape, dtype=bool)
    for (y0, x0), (y1, x1) in zip(outline, (*outline[1:], outline[0]), strict=True):
        if y0 == y1:  # runs with the line: the edges before and after it count
            continue
        crosses = (y0 > latitude) != (y1 > latitude)
        inside ^= crosses & (longitude < x0 + (latitude - y0) * (x1 - x0) / (y1 - y0))
    return inside


class Chart:
    """Distances over water, on a lattice of its own that does not depend on the grid asked for."""

    def __init__(self) -> None:
        west, south, east, north = BOX
        latitude, longitude = np.meshgrid(
            np.arange(south, north + _STEP / 2, _STEP),
            np.arange(west, east + _STEP / 2, _STEP),
            indexing="ij",
        )
        self._x, self._y = kilometres(latitude, longitude)
        self._water = ~is_land(latitude, longitude)
        self._off_mainland = _inside(latitude, longitude, SHORELINE)
        self._ways = self._lattice_ways()
        rivers = {name: self._from_place(*place[:2]) for name, place in RIVERS.items()}
        self._maps = rivers | {"shore": self._from_shore()}

    def distance(self, name: str, x: FloatArray, y: FloatArray) -> FloatArray:
        """Way over water from a river's mouth, or from the nearest mainland ("shore"), km.

        Parameters
        ----------
        name : str
            One of `RIVERS`, or "shore".
        x, y : ndarray, shape (...)
            As `kilometres` gives them; off the water or the box, the nearest water counts.
        """
        rows = y / (self._y[1, 0] - self._y[0, 0])
        columns = x / (self._x[0, 1] - self._x[0, 0])
        return ndimage.map_coordinates(self._maps[name], [rows, columns], order=1, mode="nearest")

    def _lattice_ways(self) -> csr_array:
        """Straight steps between points of the lattice that touch no land."""
        row, column = np.nonzero(self._water)
        starts, ends, lengths = [], [], []
        for down, right in _steps():
            inside = (row + down >= 0) & (row + down < self._water.shape[0])
            inside &= column + right < self._water.shape[1]
            first, last = (row[inside], column[inside]), (row[inside] + down, column[inside] + right)
            free = np.ones(first[0].size, dtype=bool)
            for share in np.linspace(0, 1, 2 * _REACH + 1)[1:]:  # or a step would jump over a spit
                free &= self._water[first[0] + round(share * down), first[1] + round(share * right)]
            starts.append(np.ravel_multi_index(first, self._water.shape)[free])
            ends.append(np.ravel_multi_index(last, self._water.shape)[free])
            step = np.hypot(self._x[last] - self._x[first], self._y[last] - self._y[first])
            lengths.append(step[free])
        places = (np.concatenate(starts), np.concatenate(ends))
        size = self._water.size
        return coo_array((np.concatenate(lengths), places), shape=(size, size)).tocsr()

    def _from_place(self, latitude: float, longitude: float) -> FloatArray:
        """Way over water from a place to each point of the lattice, km."""
        x, y = kilometres(latitude, longitude)
        apart = np.where(self._water, np.hypot(self._x - x, self._y - y), np.inf)
        way = dijkstra(self._ways, directed=False, indices=np.array(apart.argmin()))
        return self._filled(way.reshape(self._water.shape) + apart.min())

    def _from_shore(self) -> FloatArray:
        """Distance from the mainland, km. Islands rise from deep water, and the open lake is no land."""
        spacing = (self._y[1, 0] - self._y[0, 0], self._x[0, 1] - self._x[0, 0])
        return self._filled(np.asarray(ndimage.distance_transform_edt(self._off_mainland, sampling=spacing)))

    def _filled(self, values: FloatArray) -> FloatArray:
        """Values of the nearest water on land and on ponds that no way leads to, all slightly smoothed."""
        missing = ~self._water | ~np.isfinite(values)
        nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
        return ndimage.gaussian_filter(values[tuple(nearest)], 0.8, mode="nearest")


def _steps() -> list[tuple[int, int]]:
    """Steps (down, right) to all directions of the right half-plane, each direction once."""
    reach = range(-_REACH, _REACH + 1)
    pairs = [(down, right) for down in reach for right in range(_REACH + 1) if np.gcd(down, right) == 1]
    return [(down, right) for down, right in pairs if right > 0 or down > 0]


@cache
def chart() -> Chart:
    """The one chart there is, made when it is first asked for."""
    return Chart()
