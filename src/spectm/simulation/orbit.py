"""Where PACE is, where its ocean colour instrument looks, and where the sun stands.

A circular, sun-synchronous orbit over an ellipsoid. One scan line of a real granule is met within 0.01
degrees from edge to edge, and days' overpasses come within minutes of the real ones; `docs/simulation.md`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import SimulationError

__all__ = ["N_PIXELS", "Overpass", "glint", "overpasses", "scan_angles", "sun_angles", "view"]

FloatArray = npt.NDArray[np.floating[Any]]
TimeArray = npt.NDArray[np.datetime64]

# Fitted to places and times in the headers of real granules: one node, the period, and how far the instrument
# is turned against the flight so that the rotating earth passes at a right angle.
NODE = np.datetime64("2025-03-05T16:00:23.108", "ns")
PERIOD_S = 5898.43
YAW_DEG = -4.1  # at the equator; times the cosine of the argument of latitude elsewhere
NODE_HOUR = 12.994  # mean local solar time of the ascending node: 13:00 is nominal
INCLINATION_DEG, TILT_DEG = 98.0, 19.863  # north of the sun PACE looks ahead, to stay clear of glint
HALF_SCAN_DEG, N_PIXELS = 56.51, 1272
LINE_S = 0.175475  # from one line to the next
GRANULE_S, FIRST_GRANULE_S = 300.0, 200.0  # granules of 5 minutes, counted from here after the node

EQUATOR_M, POLE_M = 6_378_137.0, 6_356_752.3  # WGS 84
GRAVITY = 3.986004418e14  # m3 s-2
RADIUS_M = (GRAVITY * (PERIOD_S / (2 * np.pi)) ** 2) ** (1 / 3)  # 678 km above the equator

KM_PER_DEGREE = 111.2
# How a place is looked for: lines and pixels to either side, every how many of them, and how near, km, the
# nearest must be. At the side of the swath 32 pixels are 220 km.
SEARCH = ((896, 640, 32, 130.0), (32, 32, 2, 8.0))
WATER_INDEX = 1.34


@dataclass(frozen=True, slots=True)
class Overpass:
    """One pass of the satellite over a place.

    Parameters
    ----------
    orbit : int
        Counted from an arbitrary one; negative before it.
    node : datetime64[ns]
        When the satellite crossed the equator to the north, UTC.
    time : datetime64[ns]
        When it saw the place.
    pixel : int
        Where in the line the place lies, 0 (west) to 1271 (east), within a pixel or two.
    """

    orbit: int
    node: np.datetime64
    time: np.datetime64
    pixel: int

    @property
    def start(self) -> np.datetime64:
        """When the granule of five minutes that holds the place begins; its name says so to the second."""
        since = (self.time - self.node) / np.timedelta64(1, "s")
        n_before = np.floor((since - FIRST_GRANULE_S) / GRANULE_S)
        return self.node + _nanoseconds(FIRST_GRANULE_S + n_before * GRANULE_S)

    def line_times(self) -> TimeArray:
        """Time of every scan line of the granule, shape (1709,)."""
        return self.start + _nanoseconds(np.arange(int(GRANULE_S / LINE_S)) * LINE_S)


def overpasses(
    first: np.datetime64, last: np.datetime64, latitude: float, longitude: float
) -> tuple[Overpass, ...]:
    """Daylight passes over a place, in the order of time.

    Parameters
    ----------
    first, last : datetime64
        First and last day, both whole, UTC.
    latitude, longitude : float
        The place, degrees; at most 50 from the equator.

    Raises
    ------
    SimulationError
        If the place or the days can't be.

    Examples
    --------
    >>> day = np.datetime64("2024-08-04")
    >>> print([str(one.time.astype("datetime64[m]")) for one in overpasses(day, day, 41.7, -83.0)])
    ['2024-08-04T17:51']
    """
    if not (abs(latitude) <= 50 and abs(longitude) <= 180 and first <= last):
        raise SimulationError(
            f"wanted a place up to 50 degrees from the equator and days in order, found latitude "
            f"{latitude:g}, longitude {longitude:g}, {first} to {last}. Latitude is first."
        )
    begin, end = first.astype("datetime64[D]"), last.astype("datetime64[D]") + np.timedelta64(1, "D")
    orbits = [
        int(np.floor((day.astype("datetime64[ns]") - NODE) / _nanoseconds(PERIOD_S))) for day in (begin, end)
    ]
    found = (_overpass(orbit, latitude, longitude) for orbit in range(orbits[0] - 1, orbits[1] + 2))
    return tuple(one for one in found if one is not None and begin <= one.time < end)


def _overpass(orbit: int, latitude: float, longitude: float) -> Overpass | None:
    """When a place is seen on the way north, if it is."""
    node = NODE + _nanoseconds(orbit * PERIOD_S)
    # Orbits that pass at another time of day are on the other side of the earth.
    hours_off = (_mean_solar_hour(node, longitude) - NODE_HOUR + 12) % 24 - 12
    if abs(hours_off) > 0.4 + 1.0 / np.cos(np.deg2rad(latitude)):
        return None
    since, pixel = (latitude - 2) / 360 * PERIOD_S, N_PIXELS // 2  # it looks ahead
    for lines, pixels, step, enough_km in SEARCH:
        times = since + np.arange(-lines, lines + 1, step) * LINE_S
        columns = np.arange(max(pixel - pixels, 0), min(pixel + pixels, N_PIXELS), step)
        lat, lon, *_ = view(node, times, scan_angles()[columns])
        east = ((lon - longitude + 180) % 360 - 180) * np.cos(np.deg2rad(latitude))
        away = np.hypot(lat - latitude, east) * KM_PER_DEGREE
        row, column = np.unravel_index(int(away.argmin()), away.shape)
        if away[row, column] > enough_km:
            return None
        since, pixel = float(times[row]), int(columns[column])
    return Overpass(orbit, node, node + _nanoseconds(since), pixel)


def scan_angles() -> FloatArray:
    """Angle of every pixel from the middle of the line, radians, west (negative) to east, shape (1272,)."""
    return np.deg2rad(np.linspace(-HALF_SCAN_DEG, HALF_SCAN_DEG, N_PIXELS))


def view(
    node: np.datetime64, since: FloatArray, angle: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Places on the ground under scan lines, and the direction of the satellite from there.

    Parameters
    ----------
    node : datetime64
        When the satellite crossed the equator to the north, UTC.
    since : ndarray, shape (n_lines,)
        Seconds after that.
    angle : ndarray, shape (n_pixels,)
        Scan angles, radians.

    Returns
    -------
    latitude, longitude, zenith, azimuth : ndarray, shape (n_lines, n_pixels)
        Degrees; zenith and azimuth of the satellite, azimuth from north over east.
    """
    u = 2 * np.pi * since / PERIOD_S
    inclination = np.deg2rad(INCLINATION_DEG)
    plane = np.deg2rad(15 * (NODE_HOUR - _mean_solar_hour(node, 0.0))) - 2 * np.pi * since / 86_400
    flat = np.stack([np.cos(u), np.cos(inclination) * np.sin(u), np.sin(inclination) * np.sin(u)], axis=-1)
    ahead = np.stack([-np.sin(u), np.cos(inclination) * np.cos(u), np.sin(inclination) * np.cos(u)], axis=-1)
    up, ahead = _turned(flat, plane), _turned(ahead, plane)  # (line, xyz), fixed to the earth
    yaw, tilt = np.deg2rad(YAW_DEG) * np.cos(u)[:, None], np.deg2rad(TILT_DEG)
    ahead = np.cos(yaw) * ahead + np.sin(yaw) * np.cross(ahead, up)
    right = np.cross(ahead, up)
    middle = -np.cos(tilt) * up + np.sin(tilt) * ahead
    turn = angle[None, :, None]
    look = np.cos(turn) * middle[:, None] + np.sin(turn) * right[:, None]  # (line, pixel, xyz)
    ground = _ground(RADIUS_M * up[:, None], look)
    lon = np.arctan2(ground[..., 1], ground[..., 0])
    lat = np.arctan2(ground[..., 2] * (EQUATOR_M / POLE_M) ** 2, np.hypot(ground[..., 0], ground[..., 1]))
    east, north, zenith = _axes(lat, lon)
    back = [-(look * axis).sum(axis=-1) for axis in (east, north, zenith)]
    return (
        np.rad2deg(lat),
        np.rad2deg(lon),
        np.rad2deg(np.arccos(np.clip(back[2], -1, 1))),
        np.rad2deg(np.arctan2(back[0], back[1])) % 360,
    )


def sun_angles(time: TimeArray, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Zenith and azimuth (from north over east) of the sun, degrees, to about 0.02 degrees.

    Parameters
    ----------
    time : ndarray of datetime64
        UTC; broadcasts against the places.
    latitude, longitude : ndarray
        Degrees.

    References
    ----------
    Low-precision formulas for the sun's coordinates, Astronomical Almanac, section C.
    """
    days = (time - np.datetime64("2000-01-01T12:00:00", "ns")) / np.timedelta64(1, "D")
    mean, anomaly = 280.460 + 0.9856474 * days, np.deg2rad(357.528 + 0.9856003 * days)
    ecliptic = np.deg2rad(mean + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.deg2rad(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    sidereal = 280.46061837 + 360.98564736629 * days
    hour, lat = np.deg2rad(sidereal + longitude) - ascension, np.deg2rad(latitude)
    height = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.sin(declination) * np.cos(lat) - np.cos(declination) * np.cos(hour) * np.sin(lat)
    return np.rad2deg(np.arccos(np.clip(height, -1, 1))), np.rad2deg(np.arctan2(east, north)) % 360


def glint(
    sun_zenith: FloatArray, view_zenith: FloatArray, relative_azimuth: FloatArray, wind: float
) -> FloatArray:
    r"""Radiance of sun glint from a surface under wind, for a solar irradiance of 1, sr^-1.

    Parameters
    ----------
    sun_zenith, view_zenith, relative_azimuth : ndarray
        Degrees; at an azimuth of 180 sensor and sun stand on opposite sides.
    wind : float
        m s^-1.

    Notes
    -----
    :math:`\rho\, p(\beta) / (4 \cos\theta_v \cos^4\beta)`, with Fresnel's reflectance and the slopes of
    Cox and Munk (1954), J. Opt. Soc. Am. 44, 838-850, for wind from any side.
    """
    sun, seen, azimuth = (np.deg2rad(angle) for angle in (sun_zenith, view_zenith, relative_azimuth))
    between = np.cos(sun) * np.cos(seen) + np.sin(sun) * np.sin(seen) * np.cos(azimuth)
    onto = np.arccos(np.clip(between, -1, 1)) / 2
    slope = np.clip((np.cos(sun) + np.cos(seen)) / (2 * np.cos(onto)), 1e-3, 1)  # cosine of the facet's tilt
    spread = 0.003 + 0.00512 * wind
    share = np.exp(-(1 / slope**2 - 1) / spread) / (np.pi * spread)
    inside = np.arcsin(np.sin(onto) / WATER_INDEX)
    onto = np.maximum(onto, 1e-4)  # straight down the formula is 0 / 0
    inside = np.maximum(inside, 1e-4 / WATER_INDEX)
    across = (np.sin(onto - inside) / np.sin(onto + inside)) ** 2
    along = (np.tan(onto - inside) / np.tan(onto + inside)) ** 2
    return (across + along) / 2 * share / (4 * np.cos(seen) * slope**4)


def _ground(origin: FloatArray, look: FloatArray) -> FloatArray:
    """Where a line of sight meets the ellipsoid, m; NaN where it passes by."""
    axes = np.array([EQUATOR_M, EQUATOR_M, POLE_M])
    start, way = origin / axes, look / axes
    squared, mixed = (way**2).sum(axis=-1), (way * start).sum(axis=-1)
    root = mixed**2 - squared * ((start**2).sum(axis=-1) - 1)
    far = (-mixed - np.sqrt(np.where(root >= 0, root, np.nan))) / squared
    return origin + far[..., None] * look


def _axes(lat: FloatArray, lon: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Directions east, north and up at places (radians), shape (..., 3) each."""
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)
    east = np.stack([-sin_lon, cos_lon, np.zeros_like(lat)], axis=-1)
    north = np.stack([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat], axis=-1)
    up = np.stack([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat], axis=-1)
    return east, north, up


def _turned(vector: FloatArray, angle: FloatArray) -> FloatArray:
    """Vectors turned about the axis of the earth, shape (n, 3)."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = vector.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)


def _mean_solar_hour(time: np.datetime64, longitude: float) -> float:
    """Mean solar time at a longitude, hours."""
    since_midnight = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    return float(since_midnight + longitude / 15)


def _nanoseconds(seconds: Any) -> Any:
    return np.rint(np.asarray(seconds) * 1e9).astype("timedelta64[ns]")
