"""The part of a granule that is looked at: its lines, its pixels, and where they lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.regions import Region
from spectm.errors import SimulationError
from spectm.simulation.orbit import N_PIXELS, Overpass, scan_angles, sun_angles, view

__all__ = ["Swath", "find_swath"]

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Swath:
    """Where the pixels of some lines lie, and from where they are seen; angles in degrees."""

    time: npt.NDArray[np.datetime64]
    first_line: int
    latitude: FloatArray
    longitude: FloatArray
    zenith: FloatArray
    azimuth: FloatArray
    side_latitude: FloatArray  # first, middle and last pixel of the whole line, shape (n_lines, 3)
    side_longitude: FloatArray
    side_sun: FloatArray

    @property
    def km(self) -> tuple[float, float]:
        """Size of the middle pixel along and across the track."""
        row, column = (n // 2 for n in self.latitude.shape)
        squeeze = np.cos(np.deg2rad(self.latitude[row, column]))
        sizes = []
        for axis, n in enumerate(self.latitude.shape):
            if n < 2:
                sizes.append(1.0)
                continue
            north, east = (
                np.gradient(side, axis=axis)[row, column] for side in (self.latitude, self.longitude)
            )
            sizes.append(max(1.0, 111.2 * float(np.hypot(north, east * squeeze))))
        return sizes[0], sizes[1]


def find_swath(overpass: Overpass, crop: Region | None) -> Swath:
    """Lines and pixels of a granule that hold a region, or all."""
    times, angles = overpass.line_times(), scan_angles()
    since = (times - overpass.node) / np.timedelta64(1, "s")
    lines, pixels = slice(0, times.size), slice(0, N_PIXELS)
    if crop is not None:
        lines, pixels = _window(overpass, since, angles, crop)
    lat, lon, zenith, azimuth = view(overpass.node, since[lines], angles[pixels])
    sides = view(overpass.node, since[lines], angles[[0, N_PIXELS // 2, -1]])
    side_sun, _ = sun_angles(times[lines, None], sides[0], sides[1])
    return Swath(times[lines], lines.start, lat, lon, zenith, azimuth, sides[0], sides[1], side_sun)


def _window(overpass: Overpass, since: FloatArray, angles: FloatArray, crop: Region) -> tuple[slice, slice]:
    """The smallest window of lines and pixels around all pixel centres in a region."""
    span = [slice(0, since.size), slice(0, angles.size)]
    for step in (12, 1):  # a coarse look first
        lines, pixels = (np.arange(one.start, one.stop, step) for one in span)
        lat, lon, *_ = view(overpass.node, since[lines], angles[pixels])
        # A small region may slip between coarse pixels, which are up to 12 times 7 km apart.
        wide = Region(
            name=crop.name,
            west=max(crop.west - 0.9 * (step > 1), -180),
            south=max(crop.south - 0.5 * (step > 1), -90),
            east=min(crop.east + 0.9 * (step > 1), 180),
            north=min(crop.north + 0.5 * (step > 1), 90),
        )
        inside = wide.contains(lat, lon)
        if not inside.any():
            raise SimulationError(
                f"wanted pixels in {crop.name} ({', '.join(f'{side:g}' for side in crop.bounds)}), found "
                f"none in the granule that begins {overpass.start}. Choose a region at the lake."
            )
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        margin = step if step > 1 else 0
        span = [
            slice(max(at[found[0]] - margin, 0), min(at[found[-1]] + margin + 1, n))
            for at, found, n in ((lines, rows, since.size), (pixels, columns, angles.size))
        ]
    return span[0], span[1]
