"""Real and simulated spectra in one form, and how near the simulated ones come: angles, quartiles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.patches import Patches
from spectm.data.regions import Region
from spectm.errors import PatchError, SimulationError
from spectm.simulation.lake import STATIONS, SimulatedLake
from spectm.simulation.sensor import lake_overpasses, look, observe
from spectm.spectral.indices import INDICES, supported_indices
from spectm.spectral.sensors import named_sensor

__all__ = [
    "FIRST_NM",
    "LEVELS",
    "PERCENTILES",
    "Spectra",
    "angles_to_nearest",
    "drawn",
    "halves_inside",
    "inside",
    "level_table",
    "normalised",
    "quantities",
    "quartile_table",
    "real_spectra",
    "simulated_spectra",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

FIRST_NM = 400.0
MONTHS = range(4, 11)
SLOPE_NM = (400.0, 450.0)
LEVELS_NM = (346.0, 380.0, 400.0, 440.0, 510.0, 555.0, 650.0, 719.0)
PERCENTILES = (5, 25, 50, 75, 95)
LEVELS = (25, 50, 75)
"""Quartiles, per cent."""
AT_ONCE = 500  # spectra whose angles to all others are held at a time
# Stations' windows of three by three pixels; one whose middle lies further off is not seen by a pass.
SIDE, MAX_DEGREES, MARGIN = 1, 0.03, 0.06
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectra:
    """Single spectra of several dates.

    Parameters
    ----------
    Rrs : ndarray, shape (n, n_bands)
        sr^-1, all finite.
    wavelength : ndarray, shape (n_bands,)
        nm.
    time : ndarray of datetime64, shape (n,)
        Overpass, UTC.
    lake : ndarray of int, shape (n,)
        Seed of the simulated lake; -1 for real ones.
    truth : ndarray, shape (n, n_bands), optional
        Rrs without error, sr^-1.
    contents : mapping of str to ndarray, shape (n,)
        What simulated water holds, by the names of `spectm.simulation.sensor.Look`.
    """

    Rrs: FloatArray
    wavelength: FloatArray
    time: npt.NDArray[np.datetime64]
    lake: IntArray
    truth: FloatArray | None
    contents: Mapping[str, FloatArray]

    @property
    def n(self) -> int:
        """Number of spectra."""
        return int(self.time.size)

    @property
    def day(self) -> IntArray:
        """UTC day since 1970, shape (n,)."""
        return self.time.astype("datetime64[D]").astype(np.int64)

    @property
    def date(self) -> IntArray:
        """A number for each lake and UTC day: what a fold may never hold on both sides, shape (n,)."""
        return self.day * 1_000 + self.lake

    @property
    def month(self) -> IntArray:
        """1 to 12, shape (n,)."""
        return self.time.astype("datetime64[M]").astype(np.int64) % 12 + 1

    def at(self, rows: IntArray | BoolArray) -> "Spectra":
        """Some of them."""
        return Spectra(
            Rrs=self.Rrs[rows],
            wavelength=self.wavelength,
            time=self.time[rows],
            lake=self.lake[rows],
            truth=None if self.truth is None else self.truth[rows],
            contents={name: values[rows] for name, values in self.contents.items()},
        )


def real_spectra(pixels: Patches) -> Spectra:
    """Pixels of April to October with all bands finite.

    Raises
    ------
    PatchError
        If there is none.
    """
    lines = pixels.Rrs.transpose(0, 2, 3, 1).reshape(-1, pixels.n_bands).astype(np.float64)
    n_pixels = lines.shape[0] // max(pixels.n_samples, 1)
    time = np.repeat(pixels.time, n_pixels)
    spectra = Spectra(
        Rrs=lines,
        wavelength=pixels.wavelength,
        time=time,
        lake=np.full(time.size, -1),
        truth=None,
        contents={},
    )
    chosen = np.isfinite(lines).all(axis=1) & np.isin(spectra.month, MONTHS)
    if not chosen.any():
        raise PatchError(
            f"wanted spectra of April to October with all bands, found none in {pixels.source}. "
            "Give a file of single pixels such as pace_pixels.nc."
        )
    return spectra.at(np.flatnonzero(chosen))


def simulated_spectra(
    seeds: Sequence[int],
    days: npt.NDArray[np.datetime64],
    *,
    cloudiness: float = 0.6,
    progress: Callable[[int, int], None] = lambda done, all_: None,
) -> Spectra:
    """Station pixels of simulated passes on given days, as files would hold them, and their truth.

    Parameters
    ----------
    seeds : sequence of int
        One lake each.
    days : ndarray of datetime64[D]
        UTC.
    cloudiness : float
        Of the lakes.
    progress : callable
        Is told how many lakes are done, and of how many.

    Raises
    ------
    SimulationError
        If no station is ever seen.
    """
    years = tuple(sorted({int(str(day)[:4]) for day in days.astype("datetime64[D]")}))
    parts: list[Spectra] = []
    for done, seed in enumerate(seeds):
        progress(done, len(seeds))
        lake = SimulatedLake(seed, years, cloudiness=cloudiness)
        passes = (one for day in days for one in lake_overpasses(day, day))
        parts += [part for one in passes if (part := _station_pixels(lake, one)) is not None]
    progress(len(seeds), len(seeds))
    if not parts:
        raise SimulationError(
            f"wanted station pixels of simulated passes, found none on {days.size} days and lakes {seeds}. "
            "Ask for more days, or less cloud."
        )
    return Spectra(
        Rrs=np.concatenate([part.Rrs for part in parts]),
        wavelength=parts[0].wavelength,
        time=np.concatenate([part.time for part in parts]),
        lake=np.concatenate([part.lake for part in parts]),
        truth=np.concatenate([part.truth for part in parts if part.truth is not None]),
        contents={
            name: np.concatenate([part.contents[name] for part in parts]) for name in parts[0].contents
        },
    )


def _station_pixels(lake: SimulatedLake, overpass: Any) -> Spectra | None:
    """Windows around all stations in one pass; None where clouds or the swath's edge leave nothing."""
    places = np.array(list(STATIONS.values()))
    (south, west), (north, east) = places.min(axis=0) - MARGIN, places.max(axis=0) + MARGIN
    crop = Region(name="stations", west=west, south=south, east=east, north=north)
    try:
        seen = look(lake, overpass, crop=crop)
    except SimulationError:
        return None
    wanted = np.zeros(seen.swath.latitude.shape, dtype=bool)
    for latitude, longitude in places:
        east_west = (seen.swath.longitude - longitude) * np.cos(np.deg2rad(latitude))
        away = np.hypot(seen.swath.latitude - latitude, east_west)
        i, j = np.unravel_index(away.argmin(), away.shape)
        if away[i, j] <= MAX_DEGREES:
            wanted[max(i - SIDE, 0) : i + SIDE + 1, max(j - SIDE, 0) : j + SIDE + 1] = True
    chosen = wanted[seen.line, seen.pixel]
    if not chosen.any():
        return None
    granule = observe(lake, overpass, seed=lake.seed, crop=crop, seen=seen)
    n = int(chosen.sum())
    return Spectra(
        Rrs=granule.Rrs[chosen],
        wavelength=named_sensor("oci-aop-v3").wavelength,
        time=np.full(n, overpass.time),
        lake=np.full(n, lake.seed),
        truth=seen.Rrs[chosen],
        contents={name: values[chosen] for name, values in seen.contents.items()},
    )


def drawn(spectra: Spectra, like: Spectra, n: int, rng: np.random.Generator) -> Spectra:
    """At most `n` spectra without repeats, with the shares of the months that `like` has."""
    shares = {month: float(np.mean(like.month == month)) for month in np.unique(like.month)}
    counts = {month: int(np.sum(spectra.month == month)) for month in np.unique(spectra.month)}
    weight = np.array([shares.get(month, 0.0) / counts[month] for month in spectra.month])
    n = min(n, int((weight > 0).sum()))
    return spectra.at(np.sort(rng.choice(spectra.n, n, replace=False, p=weight / weight.sum())))


def normalised(Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Shape of spectra: bands from 400 nm over their root mean square, shape (n, n_chosen).

    Not over the mean, which is near zero where much of the blue is negative.
    """
    chosen = Rrs[:, wavelength >= FIRST_NM]
    return chosen / np.sqrt(np.mean(chosen**2, axis=1, keepdims=True))


def angles_to_nearest(
    spectra: FloatArray,
    others: FloatArray,
    *,
    dates: IntArray | None = None,
    other_dates: IntArray | None = None,
) -> FloatArray:
    """Angle from each spectrum to the nearest of others, radians, shape (n,).

    Parameters
    ----------
    spectra, others : ndarray, shape (n, n_bands), (m, n_bands)
        Brightness does not matter.
    dates, other_dates : ndarray of int, shape (n,), (m,), optional
        Where given, spectra of the same date are not looked at. Where there is only one date it is NaN.

    Examples
    --------
    >>> print(angles_to_nearest(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 3.0]])).round(4))
    [0.7854]
    """
    units = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in (spectra, others)]
    nearest = np.empty(len(spectra))
    for start in range(0, len(spectra), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        cosine = units[0][rows] @ units[1].T
        if dates is not None and other_dates is not None:
            cosine = np.where(dates[rows, None] == other_dates[None, :], -np.inf, cosine)
        best = cosine.max(axis=1)
        nearest[rows] = np.where(np.isfinite(best), np.arccos(np.clip(best, -1, 1)), np.nan)
    return nearest


def quantities(Rrs: FloatArray, wavelength: FloatArray) -> dict[str, FloatArray]:
    """Every index that the bands allow, and the slope from 400 to 450 nm (sr^-1 nm^-1), shape (n,) each."""
    supported = [name for name, reason in supported_indices(wavelength).items() if reason is None]
    out = {name: np.asarray(INDICES[name].function(Rrs, wavelength)) for name in supported}
    first, last = (int(np.abs(wavelength - nm).argmin()) for nm in SLOPE_NM)
    out["slope 400-450 nm"] = (Rrs[:, last] - Rrs[:, first]) / (wavelength[last] - wavelength[first])
    return out


def level_table(real: Spectra, simulated: Spectra) -> pd.DataFrame:
    """Levels of single bands: wavelength (nm), and of each kind the share below zero and percentiles (sr^-1).

    Columns real_negative, simulated_negative, real_5, real_25, ..., simulated_95.
    """
    rows = []
    for nm in LEVELS_NM:
        band = int(np.abs(real.wavelength - nm).argmin())
        row: dict[str, float] = {"wavelength": float(real.wavelength[band])}
        for name, one in (("real", real), ("simulated", simulated)):
            values = one.Rrs[:, band]
            row[f"{name}_negative"] = float(np.mean(values < 0))
            row |= {f"{name}_{level}": float(np.percentile(values, level)) for level in PERCENTILES}
        rows.append(row)
    return pd.DataFrame(rows)


def quartile_table(real: Mapping[str, FloatArray], simulated: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Quartiles of each quantity, and whether simulated ones lie within the real interquartile range.

    Returns
    -------
    DataFrame
        quantity; real_25, real_50, real_75; simulated_25, ...; inside_25, inside_50, inside_75 (bool): the
        simulated quartile lies from real_25 to real_75; offset_25, ...: simulated less real quartile,
        over the real interquartile range.
    """
    rows = []
    for name, values in real.items():
        ours, theirs = (np.nanquantile(one, [0.25, 0.5, 0.75]) for one in (simulated[name], values))
        within = (ours >= theirs[0]) & (ours <= theirs[2])
        spread = theirs[2] - theirs[0]
        offset = (ours - theirs) / spread if spread > 0 else np.full(3, np.nan)
        row: dict[str, Any] = {"quantity": name}
        for k, level in enumerate(LEVELS):
            row |= {f"real_{level}": theirs[k], f"simulated_{level}": ours[k]}
            row |= {f"inside_{level}": bool(within[k]), f"offset_{level}": offset[k]}
        rows.append(row)
    return pd.DataFrame(rows)


def inside(table: pd.DataFrame) -> BoolArray:
    """Which quartiles of a `quartile_table` lie within the real range, shape (n_quantities, 3)."""
    return table[[f"inside_{level}" for level in LEVELS]].to_numpy(dtype=bool)


def halves_inside(
    found: Mapping[str, FloatArray], date: IntArray, rng: np.random.Generator, *, draws: int = 200
) -> IntArray:
    """How many quartiles of one half of the dates lie within the interquartile range of the other half.

    What is drawn from the same water cannot be expected to do better: of two samples alike, a lower or upper
    quartile of one lies inside the range of the other half of the time.

    Parameters
    ----------
    found : mapping of str to ndarray, shape (n,)
        Quantities of spectra of one kind.
    date : ndarray of int, shape (n,)
    rng : Generator
    draws : int
        Random halves.

    Returns
    -------
    ndarray of int, shape (draws,)
    """
    dates, counts = np.unique(date), []
    for _ in range(draws):
        half = np.isin(date, rng.permutation(dates)[: dates.size // 2])
        parts = [{name: values[rows] for name, values in found.items()} for rows in (half, ~half)]
        counts.append(int(inside(quartile_table(*parts)).sum()))
    return np.array(counts)
