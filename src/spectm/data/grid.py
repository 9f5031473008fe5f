"""A regular grid of longitude and latitude, north up, and the tiles that it is worked on in."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.regions import Region
from spectm.errors import CubeError

__all__ = ["Grid", "Tile", "grid_of_centres"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

# A side of 0.75 degrees is 60 cells of 0.0125, although its quotient is a little more in binary.
_ROUNDING = 1e-6
FINEST = 1e-4  # degrees, ten metres: a hundred times finer than any pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Rows and columns of a grid: [first_row, last_row) and [first_column, last_column)."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.last_row - self.first_row, self.last_column - self.first_column

    @property
    def index(self) -> tuple[slice, slice]:
        """Slices of rows and columns."""
        return slice(self.first_row, self.last_row), slice(self.first_column, self.last_column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cells of equal degrees that fill a region from its north-west corner.

    Parameters
    ----------
    west, north : float
        The corner, degrees east (-180 to 180) and north.
    resolution : float
        Side of a cell, degrees.
    n_rows, n_columns : int
        Rows go south, columns go east, over the date line where need be.

    Raises
    ------
    CubeError
        If there is no cell, or the grid leaves the globe.
    """

    west: float
    north: float
    resolution: float
    n_rows: int
    n_columns: int

    def __post_init__(self) -> None:
        """Refuse a grid of no cells or of more than the globe."""
        south, width = self.north - self.n_rows * self.resolution, self.n_columns * self.resolution
        if not (
            self.resolution >= FINEST
            and min(self.n_rows, self.n_columns) > 0
            and -90 - self.resolution <= south
            and width <= 360 + self.resolution
        ):
            raise CubeError(
                f"wanted a grid within the globe, found {self.n_rows} x {self.n_columns} cells of "
                f"{self.resolution:g} degrees from {self.north:g} N, {self.west:g} E. Is the resolution in "
                "degrees, such as 0.0125?"
            )

    @classmethod
    def over(cls, region: Region, resolution: float) -> "Grid":
        """Grid whose cells cover a region; the last row and column may reach beyond it."""
        if not resolution > 0:
            raise CubeError(f"wanted a resolution in degrees above 0, found {resolution:g}. Try 0.0125.")
        return cls(
            west=region.west,
            north=region.north,
            resolution=resolution,
            n_rows=math.ceil((region.north - region.south) / resolution - _ROUNDING),
            n_columns=math.ceil(region.width / resolution - _ROUNDING),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.n_rows, self.n_columns

    @property
    def latitude(self) -> npt.NDArray[np.float64]:
        """Centres of the rows, degrees north, decreasing."""
        return self.north - self.resolution * (np.arange(self.n_rows, dtype=np.float64) + 0.5)

    @property
    def longitude(self) -> npt.NDArray[np.float64]:
        """Centres of the columns, degrees east, increasing: above 180 beyond the date line."""
        return self.west + self.resolution * (np.arange(self.n_columns, dtype=np.float64) + 0.5)

    @property
    def whole(self) -> Tile:
        """All rows and columns."""
        return Tile(first_row=0, last_row=self.n_rows, first_column=0, last_column=self.n_columns)

    def cell_of(self, latitude: FloatArray, longitude: FloatArray, tile: Tile) -> IntArray:
        """Number of the cell that holds a place, counted along the rows of a tile; -1 outside it.

        A place on an edge belongs to the cell south or east of it, and so to one cell and one tile.

        Parameters
        ----------
        latitude, longitude : ndarray, any one shape
            Degrees north, and degrees east from -180 to 360.
        tile : Tile
            Part of this grid.

        Returns
        -------
        ndarray of int, the same shape
        """
        down = (self.north - np.asarray(latitude, dtype=np.float64)) / self.resolution
        across = np.mod(np.asarray(longitude, dtype=np.float64) - self.west, 360) / self.resolution
        known = np.isfinite(down) & np.isfinite(across)
        row = np.floor(np.where(known, down, -1)).astype(np.int64)
        column = np.floor(np.where(known, across, -1)).astype(np.int64)
        inside = (row >= tile.first_row) & (row < tile.last_row)
        inside &= (column >= tile.first_column) & (column < tile.last_column)
        cell = (row - tile.first_row) * tile.shape[1] + column - tile.first_column
        return np.where(inside, cell, -1)

    def region_of(self, tile: Tile) -> Region:
        """Box that holds every place of a tile, its edges included."""
        rim = _ROUNDING * self.resolution
        west = self.west + self.resolution * tile.first_column - rim
        east = self.west + self.resolution * tile.last_column + rim
        if east - west >= 360:
            west, east = -180.0, 180.0
        return Region(
            name=f"rows {tile.first_row}-{tile.last_row}, columns {tile.first_column}-{tile.last_column}",
            west=_wrapped(west),
            south=max(self.north - self.resolution * tile.last_row - rim, -90.0),
            east=_wrapped(east) if east != 180 else 180.0,
            north=min(self.north - self.resolution * tile.first_row + rim, 90.0),
        )

    def tiles(self, n_rows: int, n_columns: int) -> list[Tile]:
        """Tiles of at most so many rows and columns, from the north-west on."""
        return [
            Tile(
                first_row=row,
                last_row=min(row + n_rows, self.n_rows),
                first_column=column,
                last_column=min(column + n_columns, self.n_columns),
            )
            for row in range(0, self.n_rows, n_rows)
            for column in range(0, self.n_columns, n_columns)
        ]


def grid_of_centres(lat: FloatArray, lon: FloatArray) -> Grid:
    """Grid of a mapped file, from the centres of its cells.

    Parameters
    ----------
    lat, lon : ndarray, shape (n_rows,) and (n_columns,)
        Regular, degrees; latitudes in either order, longitudes from west to east, over the date line too.

    Raises
    ------
    CubeError
        If there is but one row or column, or the steps differ.
    """
    down = np.sort(np.asarray(lat, dtype=np.float64))[::-1]
    step_east = np.mod(np.diff(np.asarray(lon, dtype=np.float64)), 360)
    if down.size < 2 or step_east.size < 1:
        raise CubeError(
            f"wanted at least two rows and columns of a map, found {lat.size} x {lon.size}. Choose a larger "
            "region."
        )
    steps = np.concatenate([-np.diff(down), step_east])
    resolution = float((down[0] - down[-1]) / (down.size - 1))
    if np.abs(steps - resolution).max() > 0.01 * resolution:
        raise CubeError(
            f"wanted a map of equal steps, found steps from {steps.min():g} to {steps.max():g} degrees. "
            "Give a resolution to put it on a grid of its own."
        )
    return Grid(
        west=_wrapped(float(lon[0]) - resolution / 2),
        north=float(down[0]) + resolution / 2,
        resolution=resolution,
        n_rows=down.size,
        n_columns=step_east.size + 1,
    )


def _wrapped(longitude: float) -> float:
    """The same meridian between -180 and 180."""
    return (longitude + 180) % 360 - 180
