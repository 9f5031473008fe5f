"""What PACE would deliver of a simulated lake: swaths at the true geometry, with errors and flags."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from spectm.data.regions import Region
from spectm.simulation.bands import seen_bands
from spectm.simulation.granule_file import Granule, granule_name, write_granule_file
from spectm.simulation.granule_layout import RRS_RANGE
from spectm.simulation.noise import (
    NoiseConfig,
    Pixels,
    calibration_change,
    retrieval_error,
    smooth_chance,
)
from spectm.simulation.orbit import Overpass, glint, overpasses, sun_angles
from spectm.simulation.quality import (
    BRIGHT_865,
    Conditions,
    bits,
    seen_flags,
    spectral_flags,
    unseen,
)
from spectm.simulation.shoreline import BOX
from spectm.simulation.swath import Swath, find_swath
from spectm.spectral.indices import avw
from spectm.spectral.optics import Water, band_reflectance, reflectance
from spectm.spectral.sensors import Sensor, named_sensor

__all__ = [
    "LAKE",
    "WHOLE",
    "Lake",
    "Look",
    "SensorConfig",
    "State",
    "lake_overpasses",
    "look",
    "observe",
    "write_granule",
]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.intp]

LAKE = Region(name="lake-erie-west", west=BOX[0], south=BOX[1], east=BOX[2], north=BOX[3])
"""The part of a granule that is written unless another is asked for."""
WHOLE = None
"""All 1,709 lines and 1,272 pixels; beyond the simulated lake everything is land."""

# Points of the lake that are averaged over a pixel, in its own directions: at the edge of a swath it is seven
# times as wide as a cell of the lake.
PARTS_ALONG, PARTS_ACROSS = (np.arange(n) / n - (n - 1) / (2 * n) for n in (3, 5))
BEYOND = 0.15  # degrees that the lake goes on to the east of its map, mirrored: there it is open water
NEAR = 0.2  # degrees from the lake's map within which a pixel may reach it
AIR_MASS = 2 / np.cos(np.deg2rad(40))
CLOUD_SIDE_KM, AEROSOL_KM = 3.0, 20.0
# Chance has a stream for each purpose, so that none depends on how often another was asked.
SCENE, INSTRUMENT, REPROCESSED, AEROSOL = 1, 2, 3, 4
GREEN_LEAVES_NM, RED_EDGE_NM = 550.0, 712.0
NEAR_INFRARED_NM = 865.0  # where clouds are looked for


class State(Protocol):
    """What is needed of a lake at one moment; `spectm.simulation.lake.LakeState` is one."""

    @property
    def latitude(self) -> FloatArray:
        """Middles of rows, degrees, evenly spaced, shape (n_rows,)."""

    @property
    def longitude(self) -> FloatArray:
        """Middles of columns, degrees, evenly spaced and rising, shape (n_cols,)."""

    @property
    def land(self) -> BoolArray:
        """True on land, shape (n_rows, n_cols)."""

    @property
    def cloud(self) -> FloatArray:
        """0 clear to 1 overcast, shape (n_rows, n_cols)."""

    def water(self) -> Water:
        """What the water holds, shape (n_rows, n_cols)."""


class Lake(Protocol):
    """What is needed of a lake; `spectm.simulation.lake.SimulatedLake` is one."""

    def state(self, time: np.datetime64) -> State:
        """The lake at a moment, UTC."""

    def wind_speed(self, time: np.datetime64) -> float:
        """Wind over the lake, m/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """How the lake is seen.

    Parameters
    ----------
    noise : NoiseConfig
        Errors of reflectance.
    aerosol, aerosol_spread : float
        Optical thickness at 865 nm: median, and standard deviation of its logarithm from scene to scene.
    uncertainty, uncertainty_exponent : float
        The uncertainty that files state, sr^-1 at 346 nm, and the power of wavelength by which it falls.
    """

    noise: NoiseConfig = field(default_factory=NoiseConfig)
    aerosol: float = 0.08
    aerosol_spread: float = 0.5
    uncertainty: float = 1.6e-3
    uncertainty_exponent: float = 3.7


def lake_overpasses(first: np.datetime64, last: np.datetime64) -> tuple[Overpass, ...]:
    """When PACE sees the middle of western Lake Erie, one or two times a day, in order.

    Parameters
    ----------
    first, last : datetime64
        First and last day, UTC.

    Examples
    --------
    >>> passes = lake_overpasses(np.datetime64("2024-08-10"), np.datetime64("2024-08-11"))
    >>> print([str(one.time.astype("datetime64[m]")) for one in passes])
    ['2024-08-10T18:02', '2024-08-11T16:59', '2024-08-11T18:36']
    """
    return overpasses(first, last, (BOX[1] + BOX[3]) / 2, (BOX[0] + BOX[2]) / 2)


def write_granule(
    lake: Lake,
    time: np.datetime64,
    folder: Path,
    *,
    seed: int,
    near_real_time: bool = False,
    crop: Region | None = LAKE,
    config: SensorConfig | None = None,
) -> Path:
    """Write the level-2 file of the overpass nearest to a time; its path.

    Parameters
    ----------
    lake : Lake
        What is looked at.
    time : datetime64
        UTC.
    folder : Path
        Where the file goes, under the name that the archive would give it; an older one is replaced.
    seed : int
        Chance of errors; together with the overpass it fixes every byte.
    near_real_time : bool
        Write the twin that comes within hours: the same scene and noise, another calibration.
    crop : Region, optional
        Lines and pixels that hold this region; `WHOLE` for all of them.
    config : SensorConfig, optional
        How it is seen.

    Raises
    ------
    SimulationError
        If the overpass does not see the region.
    """
    half = np.timedelta64(13, "h")  # passes are a day apart at most, and 20 minutes
    passes = lake_overpasses(time - half, time + half)
    overpass = min(passes, key=lambda one: abs(one.time - time))
    granule = observe(lake, overpass, seed=seed, near_real_time=near_real_time, crop=crop, config=config)
    path = Path(folder) / granule_name(granule.start, near_real_time)
    write_granule_file(granule, path)
    return path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """A pass as it truly is: where pixels lie, what can be seen, and the water there.

    Parameters
    ----------
    swath : Swath
    conditions : Conditions
        How each pixel is seen.
    line, pixel : ndarray of int, shape (n,)
        Pixels whose water is seen, row by row.
    Rrs : ndarray, shape (n, n_bands)
        Without error, shore that lies in a pixel included, sr^-1.
    contents : mapping of str to ndarray, shape (n,)
        Mean over the water of each pixel: the fields of `Water`, and microcystin where the lake has any.
    """

    swath: Swath
    conditions: Conditions
    line: IntArray
    pixel: IntArray
    Rrs: FloatArray
    contents: Mapping[str, FloatArray]


def look(lake: Lake, overpass: Overpass, *, crop: Region | None = LAKE) -> Look:
    """Truth of an overpass, before any error.

    Raises
    ------
    SimulationError
        If the overpass does not see the region.
    """
    swath = find_swath(overpass, crop)
    state = lake.state(overpass.time)
    parts = _parts(swath.latitude, swath.longitude, state)
    conditions = _conditions(swath, parts, state, lake.wind_speed(overpass.time))
    line, pixel = np.nonzero(~unseen(conditions))
    contents = _contents(state, parts, line, pixel)
    bright = _bright(state, contents, conditions.land[line, pixel])
    conditions.bright[line[bright], pixel[bright]] = True
    line, pixel = line[~bright], pixel[~bright]
    contents = {name: values[~bright] for name, values in contents.items()}
    Rrs = _truth(state, contents, conditions.land[line, pixel], seen_bands())
    return Look(swath=swath, conditions=conditions, line=line, pixel=pixel, Rrs=Rrs, contents=contents)


def observe(
    lake: Lake,
    overpass: Overpass,
    *,
    seed: int,
    near_real_time: bool = False,
    crop: Region | None = LAKE,
    config: SensorConfig | None = None,
    seen: Look | None = None,
) -> Granule:
    """One granule, in memory; parameters as for `write_granule`.

    `seen` is what `look` gave for the same lake, overpass and crop: with it only the errors are left to do.
    """
    config, sensor, true_nm = config or SensorConfig(), named_sensor("oci-aop-v3"), seen_bands().wavelength
    seen = look(lake, overpass, crop=crop) if seen is None else seen
    swath, conditions, line, pixel, truth = seen.swath, seen.conditions, seen.line, seen.pixel, seen.Rrs
    pixels = _pixels(conditions, line, pixel, swath.km)

    def stream(purpose: int, *key: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose, *key])

    moment = overpass.orbit + 2**31  # orbits before the first one have negative numbers
    Rrs = truth + retrieval_error(
        truth,
        true_nm,
        pixels,
        config.noise,
        scene=stream(SCENE, moment),
        sensor=stream(INSTRUMENT),
    )
    if near_real_time:
        Rrs += calibration_change(true_nm, config.noise, stream(REPROCESSED, moment))
    np.clip(Rrs, *RRS_RANGE, out=Rrs)  # what the packing can hold: a flat floor in the blue
    flags = seen_flags(conditions)
    for name, raised in spectral_flags(Rrs, sensor.wavelength).items():
        flags[name] = flags.get(name, np.zeros(swath.latitude.shape, dtype=bool))
        flags[name][line, pixel] |= raised
    aerosol, angstrom = _aerosol(pixels, conditions.cloud[line, pixel], config, stream(AEROSOL, moment))
    return Granule(
        start=overpass.start,
        near_real_time=near_real_time,
        seed=seed,
        cropped=crop is not None,
        wavelength=sensor.wavelength,
        line_time=swath.time,
        first_line=swath.first_line,
        latitude=swath.latitude,
        longitude=swath.longitude,
        side_latitude=swath.side_latitude,
        side_longitude=swath.side_longitude,
        sun_zenith=swath.side_sun[:, 1],
        flags=bits(flags),
        line=line,
        pixel=pixel,
        Rrs=Rrs,
        uncertainty=_uncertainty(sensor.wavelength, pixels, config),
        aerosol=aerosol,
        angstrom=angstrom,
        avw=avw(Rrs, sensor.wavelength),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Cells of the lake in each pixel, shape (n_lines, n_pixels, n_parts); those beyond it are land."""

    row: IntArray
    column: IntArray
    land: BoolArray


def _parts(latitude: FloatArray, longitude: FloatArray, state: State) -> _Parts:
    """Which cells are averaged over each pixel; only those near the lake are looked at."""
    shape = (*latitude.shape, PARTS_ALONG.size * PARTS_ACROSS.size)
    parts = _Parts(np.zeros(shape, np.intp), np.zeros(shape, np.intp), np.ones(shape, dtype=bool))
    near = (latitude > state.latitude[-1] - NEAR) & (latitude < state.latitude[0] + NEAR)
    near &= (longitude > state.longitude[0] - NEAR) & (longitude < state.longitude[-1] + BEYOND + NEAR)
    if not near.any():
        return parts
    lines, pixels = (np.flatnonzero(near.any(axis=axis)) for axis in (1, 0))
    block = (slice(lines[0], lines[-1] + 1), slice(pixels[0], pixels[-1] + 1))
    lat, lon = (np.stack(list(_spread(place[block])), axis=-1) for place in (latitude, longitude))
    steps = [float(np.diff(axis[:2])[0]) for axis in (state.latitude, state.longitude)]
    row = np.rint((lat - state.latitude[0]) / steps[0]).astype(np.intp)
    column = np.rint((lon - state.longitude[0]) / steps[1]).astype(np.intp)
    n_rows, n_columns = state.land.shape
    beyond = n_columns + round(BEYOND / steps[1])
    outside = (row < 0) | (row >= n_rows) | (column < 0) | (column >= beyond)
    mirrored = np.where(column >= n_columns, 2 * n_columns - 1 - column, column)
    row, column = np.clip(row, 0, n_rows - 1), np.clip(mirrored, 0, n_columns - 1)
    parts.row[block], parts.column[block] = row, column
    parts.land[block] = outside | state.land[row, column]
    return parts


def _spread(place: FloatArray) -> Iterator[FloatArray]:
    """Coordinate of each part of every pixel, shape (n_lines, n_pixels), one part after the other."""
    down, across = (
        np.gradient(place, axis=axis) if place.shape[axis] > 1 else np.zeros_like(place) for axis in (0, 1)
    )
    return (place + i * down + j * across for i in PARTS_ALONG for j in PARTS_ACROSS)


def _conditions(swath: Swath, parts: _Parts, state: State, wind: float) -> Conditions:
    """How each pixel is seen."""
    sun, sun_azimuth = sun_angles(swath.time[:, None], swath.latitude, swath.longitude)
    relative = swath.azimuth - sun_azimuth
    return Conditions(
        land=parts.land.mean(axis=-1),
        cloud=_cloud(swath, state),
        sun_zenith=sun,
        view_zenith=swath.zenith,
        relative_azimuth=relative,
        glint=glint(sun, swath.zenith, relative, wind),
        bright=np.zeros(sun.shape, dtype=bool),
    )


def _cloud(swath: Swath, state: State) -> FloatArray:
    """Cloud over every pixel; beyond the map the sky repeats, mirrored."""

    def cell(place: FloatArray, axis: FloatArray) -> IntArray:
        at = np.rint((place - axis[0]) / (axis[1] - axis[0])).astype(np.intp) % (2 * axis.size)
        return np.minimum(at, 2 * axis.size - 1 - at)

    total = np.zeros(swath.latitude.shape)
    for lat, lon in zip(_spread(swath.latitude), _spread(swath.longitude), strict=True):
        total += state.cloud[cell(lat, state.latitude), cell(lon, state.longitude)]
    return total / (PARTS_ALONG.size * PARTS_ACROSS.size)


def _contents(state: State, parts: _Parts, line: IntArray, pixel: IntArray) -> dict[str, FloatArray]:
    """Mean over the water of seen pixels, shape (n,) each, of all that differs from place to place."""
    row, column, dry = (part[line, pixel] for part in (parts.row, parts.column, parts.land))
    water = state.water()
    weight = ~dry / np.maximum((~dry).sum(axis=-1, keepdims=True), 1)
    known = {one.name: np.asarray(getattr(water, one.name)) for one in fields(water)}
    known["microcystin"] = np.asarray(getattr(state, "microcystin", np.nan))
    means = {}
    for name, values in known.items():
        if values.ndim:
            whole = np.broadcast_to(values, state.land.shape)[row, column]
            means[name] = (np.where(dry, 0.0, whole) * weight).sum(axis=-1)
    return means


def _truth(state: State, contents: Mapping[str, FloatArray], land: FloatArray, sensor: Sensor) -> FloatArray:
    """Rrs without error of seen pixels, sr^-1, shape (n, n_bands): their water, and shore that is in them."""
    Rrs = band_reflectance(_water(state, contents), sensor).reshape(land.size, sensor.n_bands)
    return Rrs + land[:, None] * (_leaves(sensor.wavelength) - Rrs)


def _bright(state: State, contents: Mapping[str, FloatArray], land: FloatArray) -> BoolArray:
    """Where seen pixels are so bright in the near infrared that they are taken for clouds, shape (n,)."""
    nm = np.array([NEAR_INFRARED_NM])
    Rrs = reflectance(_water(state, contents), nm).reshape(land.size)
    return np.asarray(np.pi * (Rrs + land * (_leaves(nm)[0] - Rrs)) > BRIGHT_865)


def _water(state: State, contents: Mapping[str, FloatArray]) -> Water:
    """Water of seen pixels; what does not differ from place to place is that of the lake."""
    water = state.water()
    return replace(water, **{one.name: contents[one.name] for one in fields(water) if one.name in contents})


def _leaves(wavelength: FloatArray) -> FloatArray:
    """Rrs of green land, sr^-1: a green peak and the red edge; our choice."""
    green = 0.012 * np.exp(-(((wavelength - GREEN_LEAVES_NM) / 35) ** 2) / 2)
    return 0.012 + green + 0.09 / (1 + np.exp((RED_EDGE_NM - wavelength) / 7))


def _pixels(conditions: Conditions, line: IntArray, pixel: IntArray, km: tuple[float, float]) -> Pixels:
    """What errors depend on, for seen pixels."""
    side = ndimage.gaussian_filter(conditions.cloud, [CLOUD_SIDE_KM / one for one in km], mode="nearest")
    air = 1 / np.cos(np.deg2rad(conditions.sun_zenith)) + 1 / np.cos(np.deg2rad(conditions.view_zenith))
    return Pixels(
        line=line,
        pixel=pixel,
        shape=(conditions.cloud.shape[0], conditions.cloud.shape[1]),
        km=km,
        path=(np.sqrt(air / AIR_MASS))[line, pixel],
        near_cloud=np.clip(2 * side, 0, 1)[line, pixel],
    )


def _aerosol(
    pixels: Pixels, cloud: FloatArray, config: SensorConfig, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Optical thickness at 865 nm and Angstrom exponent, shape (n,); smooth, and thicker beside clouds."""
    smooth = smooth_chance(pixels, AEROSOL_KM, rng)
    thickness = config.aerosol * np.exp(config.aerosol_spread * rng.normal() + 0.15 * smooth)
    exponent = 1.3 + 0.25 * rng.normal() + 0.08 * smooth
    return thickness * (1 + cloud), exponent


def _uncertainty(wavelength: FloatArray, pixels: Pixels, config: SensorConfig) -> FloatArray:
    """Uncertainty that the file states, sr^-1, shape (n, n_bands)."""
    shape = (wavelength[0] / wavelength) ** config.uncertainty_exponent
    return config.uncertainty * pixels.path[:, None] * shape
