"""What is seen of a place in one overpass, or in one period of a cube: a window, or why there is none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm.data.cube import CubeLayout, open_cube
from spectm.data.cutting import check_size, reflectance_layout, valid_wanted
from spectm.data.flags import flag_counts, flag_mask, flag_names
from spectm.data.granule import open_granule, read_variables
from spectm.data.headers import Header
from spectm.data.nearby import Place, km_between, nearest_pixel, variability
from spectm.data.periods import period_of
from spectm.errors import CubeError, PatchError

__all__ = ["REASONS", "Look", "Scene", "WindowConfig", "periods_of", "swath"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

# Why a sample has no overpass, from what is found out first to what is found out last.
NO_TIME, NO_POSITION = "no time", "no position"
NO_GRANULE, OUTSIDE = "no granule within hours", "outside every granule"
TOO_FAR, FLAGGED = "nearest pixel too far", "all pixels flagged"
TOO_FEW, VARIABLE = "too few valid pixels", "too variable"
REASONS = (NO_TIME, NO_POSITION, NO_GRANULE, OUTSIDE, TOO_FAR, FLAGGED, TOO_FEW, VARIABLE)

# A place without a pixel in this distance lies outside: OCI's pixels grow to 5 km at the ends of a scan.
REACH_KM = 10.0
SLAB_BYTES = 64_000_000  # of reflectance that is read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Which pixels around a place count, and how many are wanted.

    Parameters
    ----------
    max_km : float
        Largest distance from the place to the centre of the nearest pixel.
    size : int
        Pixels on a side of the window around that pixel, odd.
    min_valid : float or int
        Valid pixels wanted: a share of the window as a float, or a number as an int.
    max_cv : float, optional
        Largest coefficient of variation, see `variability`; without it any.
    flags : tuple of str
        Presets or names of level-2 flags that leave a pixel out.

    Raises
    ------
    PatchError, FlagError
        If a value can't be used.
    """

    max_km: float = 2.0
    size: int = 3
    min_valid: float | int = 0.5
    max_cv: float | None = None
    flags: tuple[str, ...] = ("bloom",)

    def __post_init__(self) -> None:
        """Refuse what can't be meant before anything is read."""
        check_size(self.size)
        valid_wanted(self.min_valid, self.size)
        flag_names(self.flags)
        if not self.max_km > 0 or (self.max_cv is not None and not self.max_cv > 0):
            raise PatchError(
                f"wanted limits above 0, found {self.max_km} km and a coefficient of variation of "
                f"{self.max_cv}. Try 2 km and 0.15, or leave them out."
            )

    @property
    def n_wanted(self) -> int:
        """Valid pixels wanted."""
        return valid_wanted(self.min_valid, self.size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One place in one granule.

    Parameters
    ----------
    place : Place
        Where was looked.
    granule : str
        Name of the file, or of the cube and the period.
    time : datetime64[s]
        When the nearest pixel was seen, UTC; of a composite, the mean time of what is in the window.
    reason : str
        One of `REASONS`, "" where the window can be used.
    detail : str
        The same in numbers.
    km_apart : float
        From the place to the centre of the nearest pixel; NaN outside.
    n_valid : int
        Pixels of the window with all bands and without a flag that leaves them out.
    cv : float
        See `variability`; NaN where it is not known.
    Rrs : ndarray of float32, shape (wavelength, y, x), optional
        The window if it can be used, lines down and pixels across as in the file, NaN where not valid or
        beyond the edge.
    """

    place: Place
    granule: str
    time: np.datetime64
    reason: str
    detail: str
    km_apart: float = np.nan
    n_valid: int = 0
    cv: float = np.nan
    Rrs: npt.NDArray[np.float32] | None = None


class Scene(Protocol):
    """A granule or a composite: when it was, and what it shows of places."""

    name: str
    start: np.datetime64
    end: np.datetime64

    def look(self, places: Sequence[Place], config: WindowConfig) -> list[Look]:
        """One look for each place."""
        ...


def swath(header: Header) -> Scene:
    """Scene of a level-2 granule.

    Raises
    ------
    PatchError
        If it is a map.
    """
    if header.product != "L2_AOP":
        raise PatchError(
            f"wanted level-2 granules, found {header.product} in {header.path}. Compose maps into a cube "
            "(`spectm compose`) and give that with --cube."
        )
    return _Swath(header)


class _Swath:
    """A level-2 granule."""

    def __init__(self, header: Header) -> None:
        self.name, self.wavelength, self._path = header.path.name, header.wavelength, header.path
        self.start, self.end = header.line_time.min(), header.line_time.max()

    def look(self, places: Sequence[Place], config: WindowConfig) -> list[Look]:
        """One look for each place; the places of all pixels are read, and spectra around these."""
        with open_granule(self._path) as granule:
            where = read_variables(granule, ["lat", "lon"])
            latitude, longitude = where["lat"].values, where["lon"].values
            reach = max(REACH_KM, config.max_km)
            found = [nearest_pixel(latitude, longitude, place, reach) for place in places]
            around = [
                [_around(at, config.size, n) for at, n in zip(pixel, latitude.shape, strict=True)]
                for pixel, _ in filter(None, found)
            ]
            part, corner = _together(granule, around)
            return [
                _outside(self, place) if one is None else self._look(part, corner, place, *one, config)
                for place, one in zip(places, found, strict=True)
            ]

    def _look(
        self,
        part: xr.Dataset,
        corner: tuple[int, int],
        place: Place,
        at: tuple[int, int],
        km: float,
        config: WindowConfig,
    ) -> Look:
        """One place, whose nearest pixel is known; `part` of the granule begins at `corner`."""
        n_lines, n_pixels = part.sizes["line"] + corner[0], part.sizes["pixel"] + corner[1]
        time = part["time"].values[at[0] - corner[0]].astype("datetime64[s]")
        if km > config.max_km:
            return _too_far(self, place, time, km, config)
        down, across = (_around(i, config.size, n) for i, n in zip(at, (n_lines, n_pixels), strict=True))
        lines, pixels = (
            slice(inside.start - first, inside.stop - first)
            for (inside, _), first in zip((down, across), corner, strict=True)
        )
        read = read_variables(part.isel(line=lines, pixel=pixels), ["Rrs", "l2_flags"])
        flagged = flag_mask(read["l2_flags"], config.flags).values
        window = np.full((config.size, config.size, read.sizes["wavelength"]), np.nan, dtype=np.float32)
        window[down[1], across[1]] = np.where(flagged[..., None], np.nan, read["Rrs"].values)
        costs = _costs(read["l2_flags"], config) if flagged.any() else ""
        return _judged(
            Look(place=place, granule=self.name, time=time, reason="", detail=costs, km_apart=km),
            window,
            self.wavelength,
            config,
            all_flagged=bool(flagged.all()),
        )


def _together(
    granule: xr.Dataset, around: Sequence[Sequence[tuple[slice, slice]]]
) -> tuple[xr.Dataset, tuple[int, int]]:
    """The part of a granule that holds all windows, and its first line and pixel.

    It is read at once where it is small, as around the stations of one lake, whose windows lie in the same
    compressed chunks. Else every window is read by itself.
    """
    if not around:
        return granule, (0, 0)
    slab = [
        slice(min(axis.start for axis in axes), max(axis.stop for axis in axes))
        for axes in ([window[i][0] for window in around] for i in (0, 1))
    ]
    part = granule.isel(line=slab[0], pixel=slab[1])
    if part["Rrs"].nbytes <= SLAB_BYTES:
        part = read_variables(part, ["Rrs", "l2_flags"])
    return part, (slab[0].start, slab[1].start)


def periods_of(path: Path) -> tuple[CubeLayout, list[Scene]]:
    """Layout of a cube of Rrs, and its periods as scenes.

    Raises
    ------
    PatchError
        If the cube holds surface reflectance.
    CubeError
        If there is none.
    """
    layout = reflectance_layout(path)
    with open_cube(path) as cube:
        times = cube["time"].values
    return layout, [_Composite(path, layout, i, time) for i, time in enumerate(times)]


class _Composite:
    """A period of a cube."""

    def __init__(self, path: Path, layout: CubeLayout, i: int, time: np.datetime64) -> None:
        self._period = period_of(time, layout.days)
        self._path, self._layout, self._i = path, layout, i
        self.name = f"{path.name} {self._period}"
        self.start, self.end = (day.astype("datetime64[s]") for day in (self._period.start, self._period.end))

    def look(self, places: Sequence[Place], config: WindowConfig) -> list[Look]:
        """One look for each place."""
        try:
            with open_cube(self._path) as cube:
                return [self._look(cube.isel(time=self._i), place, config) for place in places]
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, CubeError):
                raise
            raise CubeError(
                f"could not read {self._period} in {self._path}: {error}. Compose it anew."
            ) from error

    def _look(self, cube: xr.Dataset, place: Place, config: WindowConfig) -> Look:
        grid = self._layout.grid
        row = int(np.abs(grid.latitude - place.latitude).argmin())
        column = int(np.abs((grid.longitude - place.longitude + 180) % 360 - 180).argmin())
        km = float(km_between(grid.latitude[row], grid.longitude[column], place))
        middle = self.start + (self.end - self.start) // 2
        if km > max(REACH_KM, config.max_km):
            return _outside(self, place)
        if km > config.max_km:
            return _too_far(self, place, middle, km, config)
        down, across = (_around(at, config.size, n) for at, n in zip((row, column), grid.shape, strict=True))
        part = cube.isel(lat=down[0], lon=across[0])
        window = np.full((config.size, config.size, len(self._layout.wavelength)), np.nan, dtype=np.float32)
        window[down[1], across[1]] = part["Rrs"].values
        valid = np.isfinite(part["Rrs"].values).all(axis=-1)
        time = middle
        if valid.any():
            age = float(part["age"].values[valid].mean(dtype=np.float64))
            time = self.end - np.timedelta64(round(age * 86_400), "s")
        return _judged(
            Look(place=place, granule=self.name, time=time, reason="", detail="", km_apart=km),
            window,
            np.array(self._layout.wavelength),
            config,
            all_flagged=False,
        )


def _around(at: int, size: int, n: int) -> tuple[slice, slice]:
    """Part of an axis of length n around a position, and its place in a window that may reach beyond."""
    first, last = at - size // 2, at + size // 2 + 1
    inside = slice(max(first, 0), min(last, n))
    return inside, slice(inside.start - first, inside.stop - first)


def _outside(scene: Scene, place: Place) -> Look:
    detail = f"no pixel near {place.latitude:.3f} N, {place.longitude:.3f} E"
    time = (scene.start + (scene.end - scene.start) // 2).astype("datetime64[s]")
    return Look(place=place, granule=scene.name, time=time, reason=OUTSIDE, detail=detail)


def _too_far(scene: Scene, place: Place, time: np.datetime64, km: float, config: WindowConfig) -> Look:
    detail = f"{km:.2f} km, wanted {config.max_km:g}"
    return Look(place=place, granule=scene.name, time=time, reason=TOO_FAR, detail=detail, km_apart=km)


def _judged(
    look: Look, window: FloatArray, wavelength: FloatArray, config: WindowConfig, *, all_flagged: bool
) -> Look:
    """The look with its window (y, x, band), or with the reason why it can't be used."""
    valid: BoolArray = np.logical_and.reduce(np.isfinite(window), axis=-1)
    n_valid, cv = int(valid.sum()), variability(window[valid], wavelength)
    reason, detail = "", ""
    if n_valid < config.n_wanted:
        reason = FLAGGED if all_flagged else TOO_FEW
        costs = f"; {look.detail}" if look.detail else ""
        detail = f"{n_valid} of {valid.size} pixels, wanted {config.n_wanted}{costs}"
    elif config.max_cv is not None and cv > config.max_cv:
        reason, detail = VARIABLE, f"coefficient of variation {cv:.3f}, wanted {config.max_cv:g}"
    window = np.where(valid[..., None], window, np.nan)
    return Look(
        place=look.place,
        granule=look.granule,
        time=look.time,
        reason=reason,
        detail=detail,
        km_apart=look.km_apart,
        n_valid=n_valid,
        cv=cv,
        Rrs=None if reason else np.ascontiguousarray(np.moveaxis(window, -1, 0), dtype=np.float32),
    )


def _costs(l2_flags: xr.DataArray, config: WindowConfig) -> str:
    """Flags that leave pixels of a window out, those that cost most first."""
    counts = flag_counts(l2_flags, None, config.flags)
    counts = counts[counts["excluded_by"] & (counts["pixels"] > 0)]
    counts = counts.sort_values("pixels", ascending=False, kind="stable")
    pairs: Iterator[tuple[Any, Any]] = zip(counts["flag"], counts["pixels"], strict=True)
    return "flagged: " + ", ".join(f"{flag} {pixels}" for flag, pixels in pairs)
