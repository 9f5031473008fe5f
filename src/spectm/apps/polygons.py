"""Polygons of longitude and latitude, and the cells whose centres lie in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.grid import Grid
from spectm.errors import RegionError

__all__ = ["MAX_CORNERS", "Polygon", "parse_polygon"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
Ring = Sequence[Sequence[float]]

MAX_CORNERS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """An area with or without holes.

    Parameters
    ----------
    rings : tuple of ndarray, shape (n, 2)
        Longitude and latitude of corners, degrees; the first ring is the outline, others are holes.
    """

    rings: tuple[FloatArray, ...]

    def cells(self, grid: Grid) -> BoolArray:
        """Cells of a grid whose centres lie inside, shape (n_rows, n_columns)."""
        inside = np.zeros(grid.shape, dtype=np.bool_)
        # A grid over the date line has longitudes beyond 180; corners are brought to its side of the globe.
        middle = grid.west + grid.n_columns * grid.resolution / 2
        for ring in self.rings:
            x, y = (ring[:, 0] - middle + 180) % 360 - 180 + middle, ring[:, 1]
            for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
                rows = np.flatnonzero((grid.latitude < y0) != (grid.latitude < y1))
                crossing = x0 + (grid.latitude[rows] - y0) * (x1 - x0) / (y1 - y0)
                inside[rows] ^= grid.longitude < crossing[:, None]
        return inside


def parse_polygon(found: object, *, where: str, max_corners: int = MAX_CORNERS) -> Polygon:
    """A polygon of GeoJSON: of a geometry, or of a feature that holds one.

    Parameters
    ----------
    found : object
        What `json.loads` or `tomllib.loads` gave; also a bare list of longitude, latitude pairs.
    where : str
        Where it is from, for errors.
    max_corners : int
        Of all rings together.

    Raises
    ------
    RegionError
        If it is no polygon, has too many corners, or one that is no place on Earth.
    """
    if isinstance(found, list):
        found = {"type": "Polygon", "coordinates": [found]}
    if isinstance(found, dict) and found.get("type") == "Feature":
        found = found.get("geometry")
    if not isinstance(found, dict) or found.get("type") != "Polygon":
        kind = found.get("type") if isinstance(found, dict) else type(found).__name__
        raise RegionError(
            f"{where}: wanted a GeoJSON polygon, found {kind!r}. Write "
            '{"type": "Polygon", "coordinates": [[[longitude, latitude], ...]]}.'
        )
    return Polygon(tuple(_rings(found.get("coordinates"), where, max_corners)))


def _rings(found: object, where: str, max_corners: int) -> list[FloatArray]:
    """Checked corners of each ring."""
    if not isinstance(found, list) or not found or not all(isinstance(ring, list) for ring in found):
        raise RegionError(f"{where}: wanted a list of rings of corners, found {type(found).__name__}.")
    if (n := sum(map(len, found))) > max_corners:
        raise RegionError(f"{where}: wanted at most {max_corners} corners, found {n}. Simplify the outline.")
    try:
        rings = [np.array(ring, dtype=np.float64) for ring in found]
    except (TypeError, ValueError) as error:
        raise RegionError(f"{where}: wanted corners as [longitude, latitude], found others.") from error
    for ring in rings:
        if ring.ndim != 2 or ring.shape[1] not in (2, 3) or len(np.unique(ring[:, :2], axis=0)) < 3:
            raise RegionError(
                f"{where}: wanted rings of at least three corners, each [longitude, latitude]; found one of "
                f"{len(ring)}."
            )
        if not (np.abs(ring[:, :2]) <= (180.0, 90.0)).all():  # also refuses NaN
            raise RegionError(
                f"{where}: wanted longitudes within 180 and latitudes within 90 degrees, found others. Is "
                "longitude first? Is it projected, in metres?"
            )
    return [ring[:, :2] for ring in rings]
