"""Diagnostic windows in nm, named by domain, and which bands of a sensor they hold."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectm.errors import SensorError
from spectm.spectral.sensors import DECIMALS_NM

__all__ = ["Window", "WindowSet", "guard_bands", "named_windows", "window_set_names"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A range of wavelengths that carries one piece of physics; both limits belong to it.

    Parameters
    ----------
    name : str
    low_nm, high_nm : float
        Limits, nm.
    source : str
        Paper that describes the feature.

    Raises
    ------
    SensorError
        If the limits are not 0 < low <= high, both finite.
    """

    name: str
    low_nm: float
    high_nm: float
    source: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.low_nm <= self.high_nm < np.inf:
            raise SensorError(
                f"window {self.name!r} runs from {self.low_nm:g} to {self.high_nm:g} nm; "
                "expected two wavelengths in nm, the shorter one first"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSet:
    """The windows of one domain, and by how much their edges are widened.

    Parameters
    ----------
    name : str
    windows : tuple of Window
        In increasing order; they may not overlap.
    half_width_nm : float
        A band counts as inside up to this far beyond an edge, nm: half a band's width holds every band that
        reaches into the window. 0, the default, asks for the band centre itself.
    description, source : str

    Raises
    ------
    SensorError
        If there is no window, two overlap or are out of order, or `half_width_nm` is negative.
    """

    name: str
    windows: tuple[Window, ...]
    half_width_nm: float = 0.0
    description: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.windows:
            raise SensorError(f"window set {self.name!r} holds no window; give at least one")
        if not 0 <= self.half_width_nm < np.inf:
            raise SensorError(
                f"window set {self.name!r}: half_width_nm must be 0 or more, found {self.half_width_nm:g}"
            )
        for before, after in zip(self.windows, self.windows[1:], strict=False):
            if after.low_nm <= before.high_nm:
                raise SensorError(
                    f"window set {self.name!r}: {after.low_nm:g}-{after.high_nm:g} nm comes after "
                    f"{before.low_nm:g}-{before.high_nm:g} nm; sort the windows and join those that overlap"
                )

    @classmethod
    def from_limits(
        cls, name: str, limits_nm: Iterable[tuple[float, float]], *, half_width_nm: float = 0.0
    ) -> Self:
        """Window set of your own, from pairs of limits in nm.

        Examples
        --------
        >>> WindowSet.from_limits("mine", [(615, 640), (660, 680)]).windows[1].low_nm
        660.0
        """
        windows = tuple(
            Window(name=f"{low:g}-{high:g} nm", low_nm=float(low), high_nm=float(high))
            for low, high in limits_nm
        )
        return cls(name=name, windows=windows, half_width_nm=half_width_nm)

    def distance_nm(self, wavelength: FloatArray) -> FloatArray:
        """Distance of each band from each unwidened window, nm, 0 inside; shape (n_windows, n_bands)."""
        centre = np.asarray(wavelength, dtype=np.float64)[None, :]  # (1, n_bands)
        low = np.array([window.low_nm for window in self.windows])[:, None]  # (n_windows, 1)
        high = np.array([window.high_nm for window in self.windows])[:, None]
        return np.maximum(np.maximum(low - centre, centre - high), 0.0).round(DECIMALS_NM)

    def bands(self, wavelength: FloatArray) -> BoolArray:
        """Which bands lie in any window.

        Parameters
        ----------
        wavelength : ndarray, shape (n_bands,)
            Band centres, nm, in any order.

        Returns
        -------
        ndarray of bool, shape (n_bands,)
            True inside a window widened by `half_width_nm`.
        """
        return self.distance_nm(wavelength).min(axis=0) <= self.half_width_nm

    def band_windows(self, wavelength: FloatArray) -> IntArray:
        """Which window each band lies in.

        Parameters
        ----------
        wavelength : ndarray, shape (n_bands,)
            Band centres, nm, in any order.

        Returns
        -------
        ndarray of int, shape (n_bands,)
            Position in `windows`, -1 for a band in none. Where two widened windows overlap, the nearer one
            (unwidened) has the band, and of two equally near ones the first.
        """
        nearest = self.distance_nm(wavelength).argmin(axis=0)
        return np.where(self.bands(wavelength), nearest, -1)


def guard_bands(window_set: WindowSet, wavelength: FloatArray, guard_nm: float) -> BoolArray:
    """Which bands are in no window but close to one.

    Parameters
    ----------
    window_set : WindowSet
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, in any order.
    guard_nm : float
        How far beyond the edge of a window, widened by its half width, a band still counts, nm.

    Returns
    -------
    ndarray of bool, shape (n_bands,)

    Raises
    ------
    SensorError
        If `guard_nm` is negative or not finite.

    Examples
    --------
    >>> mine = WindowSet.from_limits("mine", [(615, 640)])
    >>> guard_bands(mine, np.array([608.0, 612.0, 620.0, 645.0, 646.0]), guard_nm=5)
    array([False,  True, False,  True, False])
    """
    if not 0 <= guard_nm < np.inf:
        raise SensorError(f"guard_nm must be 0 or more, found {guard_nm:g}")
    distance = window_set.distance_nm(wavelength).min(axis=0)
    reach = round(window_set.half_width_nm + guard_nm, DECIMALS_NM)  # 0.7 + 0.1 falls short of 0.8 in binary
    return (distance > window_set.half_width_nm) & (distance <= reach)


_SPECTM = "Imtiaz, Nasr Azadani and Alamdari (2026), SpecTM, arXiv 2603.22097"

_CYANOBACTERIA = WindowSet(
    name="cyanobacteria",
    description="Pigments of cyanobacteria in water; the targeted mask of the paper.",
    source=_SPECTM,
    windows=(
        Window(name="phycocyanin absorption", low_nm=615, high_nm=640, source=_SPECTM),
        Window(name="chlorophyll-a red absorption", low_nm=660, high_nm=680, source=_SPECTM),
        Window(name="red / near-infrared rise", low_nm=695, high_nm=720, source=_SPECTM),
    ),
)

_HORLER = (
    "Horler, Dockray and Barber (1983), The red edge of plant leaf reflectance, "
    "Int. J. Remote Sens. 4, 273-288"
)

# Papers draw the limits of a broad feature differently. The features below are theirs, the exact limits ours.
_RED_EDGE = WindowSet(
    name="vegetation-red-edge",
    description="Chlorophyll absorption of green leaves and the steep rise to the near infrared beside it.",
    source=_HORLER,
    windows=(
        Window(name="chlorophyll red absorption", low_nm=665, high_nm=685, source=_HORLER),
        Window(name="red edge", low_nm=690, high_nm=740, source=_HORLER),
    ),
)

_HUNT = (
    "Hunt (1977), Spectral signatures of particulate minerals in the visible and near infrared, "
    "Geophysics 42, 501-513"
)
_NOLIN = (
    "Nolin and Dozier (2000), A hyperspectral method for remotely sensing the grain size of snow, "
    "Remote Sens. Environ. 74, 207-216"
)
_HALL = (
    "Hall, Riggs and Salomonson (1995), Development of methods for mapping global snow cover using moderate "
    "resolution imaging spectroradiometer data, Remote Sens. Environ. 54, 127-140"
)
_CLARK = (
    "Clark, King, Klejwa, Swayze and Vergo (1990), High spectral resolution reflectance spectroscopy of "
    "minerals, J. Geophys. Res. 95, 12653-12680"
)

_SNOW_MINERALS = WindowSet(
    name="snow-minerals",
    description="Absorption by ice (grain size, snow against cloud) and by iron and hydroxyl in minerals.",
    source="one paper for each window",
    windows=(
        Window(name="ferric iron absorption", low_nm=850, high_nm=920, source=_HUNT),
        Window(name="ice absorption at 1030 nm", low_nm=980, high_nm=1080, source=_NOLIN),
        Window(name="ice absorption at 1650 nm", low_nm=1550, high_nm=1750, source=_HALL),
        Window(name="Al-OH absorption at 2200 nm", low_nm=2180, high_nm=2220, source=_CLARK),
    ),
)

_NAMED = {window_set.name: window_set for window_set in (_CYANOBACTERIA, _RED_EDGE, _SNOW_MINERALS)}


def window_set_names() -> tuple[str, ...]:
    """Names that `named_windows` knows."""
    return tuple(_NAMED)


def named_windows(name: str, *, half_width_nm: float = 0.0) -> WindowSet:
    """Window set that ships with the package.

    Parameters
    ----------
    name : str
        One of `window_set_names()`: "cyanobacteria", "vegetation-red-edge", "snow-minerals".
    half_width_nm : float
        By how much the windows are widened on each side, nm. The paper's 28 of 122 bands follow at 4 nm.

    Returns
    -------
    WindowSet

    Raises
    ------
    SensorError
        If the name is unknown or `half_width_nm` is negative.

    Examples
    --------
    >>> [(window.low_nm, window.high_nm) for window in named_windows("cyanobacteria").windows]
    [(615, 640), (660, 680), (695, 720)]
    """
    if name not in _NAMED:
        near = get_close_matches(name, _NAMED, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SensorError(
            f"no window set named {name!r}; {hint}Known: {', '.join(_NAMED)}. "
            "For another one, give pairs of limits in nm"
        )
    return replace(_NAMED[name], half_width_nm=half_width_nm)
