"""Outlines of land: those of western Lake Erie that ship, or lines of a GeoJSON file of one's own."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.grid import Grid
from spectm.errors import RegionError
from spectm.simulation.shoreline import BOX, ISLANDS, SHORELINE, is_land

__all__ = ["Outline", "outlines_of", "read_outlines", "water_of"]

Outline = npt.NDArray[np.float64]  # (n, 2): longitude, latitude, degrees
BoolArray = npt.NDArray[np.bool_]

_LINES = {"LineString": 0, "MultiLineString": 1, "Polygon": 1, "MultiPolygon": 2}  # lists around a line
_DEGREES = re.compile(r"(CRS:?:?84|OGC:1\.3:CRS84|EPSG:+(?:.*:)?4326|WGS ?84)$", re.IGNORECASE)


def outlines_of(grid: Grid, file: Path | None = None) -> list[Outline]:
    """Shore and islands to draw over a grid: of a file, or those that ship where the grid lies there.

    Raises
    ------
    RegionError
        As `read_outlines` does.
    """
    if file is not None:
        return read_outlines(file)
    if not _is_erie(grid):
        return []
    closed = [np.array([*line, line[0]])[:, ::-1] for line in (SHORELINE, *ISLANDS.values())]
    return [line.astype(np.float64) for line in closed]


def water_of(grid: Grid, seen: BoolArray) -> BoolArray:
    """Cells of water: where any was ever seen, and in western Lake Erie also where the chart has it."""
    if not _is_erie(grid):
        return seen
    latitude, longitude = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    return seen | ~is_land(latitude, longitude)


def read_outlines(path: Path) -> list[Outline]:
    """Lines and rings of a GeoJSON file, longitude and latitude in degrees.

    Raises
    ------
    RegionError
        If the file can't be read, holds no line, or is not in degrees of longitude and latitude.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RegionError(f"{path}: wanted GeoJSON, found: {error}. Export the shore as GeoJSON.") from error
    if not isinstance(found, dict):
        raise RegionError(f"{path}: wanted GeoJSON, found {type(found).__name__}. Export it as GeoJSON.")
    _check_projection(found, path)
    try:
        lines = [np.array(line, dtype=np.float64)[:, :2] for line in _lines(found)]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise RegionError(f"{path}: wanted whole lines of GeoJSON, found: {error!r}. Export it.") from error
    if not lines:
        raise RegionError(
            f"{path}: wanted lines or polygons, found none. Points and tables can't be drawn as a shore."
        )
    for line in lines:
        if not (np.abs(line) <= (180.0, 90.0)).all():
            worst = line[np.abs(line / (180.0, 90.0)).max(axis=1).argmax()]
            raise RegionError(
                f"{path}: wanted longitude and latitude in degrees, found {worst[0]:g}, {worst[1]:g}. It "
                "looks projected, in metres, or swapped: export it again in EPSG:4326."
            )
    return lines


def _is_erie(grid: Grid) -> bool:
    """Whether a grid lies within the chart that ships."""
    east, south = grid.west + grid.n_columns * grid.resolution, grid.north - grid.n_rows * grid.resolution
    rim = 0.1  # degrees: the chart's outline goes on a little beyond its box
    west_side, south_side, east_side, north_side = BOX
    inside = grid.west >= west_side - rim and east <= east_side + rim
    return inside and south >= south_side - rim and grid.north <= north_side + rim


def _check_projection(found: dict[str, Any], path: Path) -> None:
    """Old GeoJSON may name a projection, new is always in degrees."""
    known = found.get("crs")
    if known is None:
        return
    name = known.get("properties", {}).get("name", known) if isinstance(known, dict) else known
    if not _DEGREES.search(str(name)):
        raise RegionError(
            f"{path}: wanted longitude and latitude (EPSG:4326), found the projection {name!r}. Export it "
            "again in EPSG:4326, for example with ogr2ogr -t_srs EPSG:4326."
        )


def _lines(part: dict[str, Any]) -> Iterator[list[Any]]:
    """Every line of a feature, a geometry or a collection of either."""
    kind = part["type"]
    if kind in ("FeatureCollection", "GeometryCollection"):
        for one in part["features" if kind == "FeatureCollection" else "geometries"]:
            yield from _lines(one)
    elif kind == "Feature":
        if part["geometry"] is not None:
            yield from _lines(part["geometry"])
    elif kind in _LINES:
        lines = [part["coordinates"]]
        for _ in range(_LINES[kind]):
            lines = [line for group in lines for line in group]
        yield from lines
