"""A simulated western Lake Erie: what its water holds at any time, and what cloud lies over it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import SimulationError
from spectm.simulation.climate import (
    HABITS,
    MINERAL_FLOOR,
    PROPERTIES,
    crowded,
    cyano_chlorophyll,
    microcystin,
)
from spectm.simulation.clouds import Sky
from spectm.simulation.fields import RandomField, Series, Wind
from spectm.simulation.mixes import USUAL_MIX, Mix, named_mix
from spectm.simulation.shoreline import (
    BOX,
    ISLANDS,
    RIVERS,
    SHORELINE,
    STATIONS,
    chart,
    is_land,
    kilometres,
)
from spectm.spectral.optics import Water

__all__ = ["ISLANDS", "RIVERS", "SHORELINE", "STATIONS", "LakeState", "SimulatedLake"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

FIELDS = (
    *("chlorophyll", "cyano_chlorophyll", "phycocyanin", "cdom_440", "minerals"),
    *("scum_fraction", "microcystin"),
)

# How rich each river is in nutrients, sediment and dissolved matter, relative to the Maumee. The Detroit
# River brings clear water and counts apart.
RICHNESS = {"Maumee": 1.0, "Raisin": 0.6, "Sandusky": 0.9}
SHALLOW_KM = 4.0  # from the shore, over which the bottom gets out of the waves' reach
# The bloom starts in the bay; open water follows by so many days. East of the islands it thins out.
BLOOM_LAG, FADE_FROM_KM, FADE = 8.0, 40.0, 0.006  # dex a km
ONSET_SPREAD = 6.0  # days, from year to year
# Water is pulled about by eddies of this size, km, and plumes lean with the wind of the last days.
EDDY_KM, LEANING_DAYS, LEANING_KM = 3.0, 3.0, (-8.0, 8.0)
MAX_PHYCOCYANIN = 1500.0  # mg m^-3; beyond, it is scum, and a boat steers round it
# Cyanobacteria float up in calm air. Chlorophyll at which half the possible scum is there, mg m^-3, and the
# width of that step, dex; the wind that tears it, and the width of that step, m/s; the most that it covers.
SCUM_CHLOROPHYLL, SCUM_DEX, SCUM_WIND, SCUM_WIND_RANGE, MOST_SCUM = 70.0, 0.12, 2.5, 0.6, 0.4
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True, eq=False)
class LakeState:
    """The lake at one moment.

    Attributes
    ----------
    time : datetime64
        UTC.
    latitude, longitude : ndarray, shape (n_rows,), (n_cols,)
        Middles of the cells, degrees; latitude falls.
    land : ndarray of bool, shape (n_rows, n_cols)
        True on land. Fields are NaN there, cloud is not.
    chlorophyll, cyano_chlorophyll, phycocyanin : ndarray, shape (n_rows, n_cols)
        Chlorophyll-a of eukaryotic algae and of cyanobacteria, phycocyanin; mg m^-3.
    cdom_440 : ndarray, shape (n_rows, n_cols)
        Absorption by coloured dissolved organic matter at 440 nm, m^-1.
    minerals : ndarray, shape (n_rows, n_cols)
        Non-algal particles, g m^-3.
    scum_fraction : ndarray, shape (n_rows, n_cols)
        Share of the surface under scum, 0 to 1.
    microcystin : ndarray, shape (n_rows, n_cols)
        Particulate, ug/L.
    cloud : ndarray, shape (n_rows, n_cols)
        0 clear to 1 overcast.
    properties : mapping of str to ndarray, shape (n_rows, n_cols)
        Optical properties of a unit of each part, as fields of `spectm.spectral.optics.Water`.
    """

    time: np.datetime64
    latitude: FloatArray
    longitude: FloatArray
    land: BoolArray
    chlorophyll: FloatArray
    cyano_chlorophyll: FloatArray
    phycocyanin: FloatArray
    cdom_440: FloatArray
    minerals: FloatArray
    scum_fraction: FloatArray
    microcystin: FloatArray
    cloud: FloatArray
    properties: Mapping[str, FloatArray]

    def water(self) -> Water:
        """What the forward model needs, fields of shape (n_rows, n_cols), NaN on land."""
        return Water(
            chlorophyll=self.chlorophyll,
            cyano_chlorophyll=self.cyano_chlorophyll,
            phycocyanin=self.phycocyanin,
            cdom_440=self.cdom_440,
            minerals=self.minerals,
            scum_fraction=self.scum_fraction,
            mineral_absorption_floor=MINERAL_FLOOR,
            **self.properties,
        )


class SimulatedLake:
    """Western Lake Erie in some years, the same for the same seed at whatever order times are asked for.

    Parameters
    ----------
    seed : int
        0 or more. Another seed is another lake: other years, winds, blooms and skies on the same map.
    years : tuple of int
        Years that can be asked for. A year does not depend on which others are simulated.
    resolution : float
        Size of a cell, degrees. It changes the grid, not the lake.
    cloudiness : float
        Share of cloud in the long run, 0 to 1.
    optics : str
        What its water is like: one of `spectm.simulation.mixes.MIXES`.

    Raises
    ------
    SimulationError
        If a setting can't be.

    Examples
    --------
    >>> lake = SimulatedLake(seed=1)
    >>> state = lake.state(np.datetime64("2024-08-12T18:00"))
    >>> state.phycocyanin.shape
    (60, 92)
    """

    def __init__(
        self,
        seed: int,
        years: tuple[int, ...] = (2023, 2024),
        *,
        resolution: float = 0.0125,
        cloudiness: float = 0.6,
        optics: str = USUAL_MIX,
    ) -> None:
        if seed < 0 or not years or min(years) < 1900 or max(years) > 2200:
            raise SimulationError(
                f"wanted a seed of 0 or more and years from 1900 to 2200, found seed {seed}, years {years}"
            )
        if not 0.001 <= resolution <= 0.1 or not 0 <= cloudiness <= 1:
            raise SimulationError(
                "wanted a resolution from 0.001 to 0.1 degrees and a cloudiness from 0 to 1, found "
                f"{resolution:g} and {cloudiness:g}"
            )
        self.seed, self.years = seed, tuple(sorted(set(years)))
        west, south, east, north = BOX
        self.latitude = north - resolution * (np.arange(round((north - south) / resolution)) + 0.5)
        self.longitude = west + resolution * (np.arange(round((east - west) / resolution)) + 0.5)
        latitude, longitude = np.meshgrid(self.latitude, self.longitude, indexing="ij")
        self.land = is_land(latitude, longitude)
        self._x, self._y = kilometres(latitude, longitude)
        mix = named_mix(optics)
        self._seasons = {year: _Season(seed, year, cloudiness, mix) for year in self.years}

    def state(self, time: np.datetime64) -> LakeState:
        """The lake at a moment of its years, UTC.

        Raises
        ------
        SimulationError
            If the moment lies in another year.
        """
        season, day = self._season(time)
        values = season.water(day, self._x, self._y)
        values = {name: np.where(self.land, np.nan, value) for name, value in values.items()}
        return LakeState(
            time=time,
            latitude=self.latitude,
            longitude=self.longitude,
            land=self.land,
            cloud=season.sky.at(day, self._x, self._y),
            properties={name: values[name] for name in PROPERTIES},
            **{name: values[name] for name in FIELDS},
        )

    def sample(
        self, time: np.datetime64, latitude: npt.ArrayLike, longitude: npt.ArrayLike
    ) -> dict[str, FloatArray]:
        """What the water holds at single places, shape (...): the fields of `LakeState` by name.

        Places on land get what the nearest water would hold.

        Raises
        ------
        SimulationError
            If the moment lies in another year.
        """
        return self._at_places(_Season.fields, time, latitude, longitude)

    def optics(
        self, time: np.datetime64, latitude: npt.ArrayLike, longitude: npt.ArrayLike
    ) -> dict[str, FloatArray]:
        """Optical properties of a unit of each part at single places, shape (...), as fields of `Water`.

        Raises
        ------
        SimulationError
            If the moment lies in another year.
        """
        values = self._at_places(_Season.water, time, latitude, longitude)
        return {name: values[name] for name in PROPERTIES}

    def wind_speed(self, time: np.datetime64) -> float:
        """Speed of the wind over the lake, m/s.

        Raises
        ------
        SimulationError
            If the moment lies in another year.
        """
        season, day = self._season(time)
        return float(np.hypot(*season.wind.at(day)))

    def _at_places(
        self,
        ask: Callable[["_Season", float, FloatArray, FloatArray], dict[str, FloatArray]],
        time: np.datetime64,
        latitude: npt.ArrayLike,
        longitude: npt.ArrayLike,
    ) -> dict[str, FloatArray]:
        """What a method of the season says of single places, in the shape that they come in."""
        season, day = self._season(time)
        x, y = np.broadcast_arrays(*kilometres(latitude, longitude))
        values = ask(season, day, x.ravel(), y.ravel())
        return {name: value.reshape(x.shape) for name, value in values.items()}

    def _season(self, time: np.datetime64) -> tuple["_Season", float]:
        """The year that a moment lies in, and the days since its start."""
        start = time.astype("datetime64[Y]")
        year = int(start.astype(int)) + 1970
        if year not in self._seasons:
            raise SimulationError(
                f"{time} is in none of the simulated years ({', '.join(map(str, self.years))}). "
                "Ask for another time, or simulate that year too."
            )
        return self._seasons[year], float((time - start) / DAY)


class _Season:
    """One year of the lake: all its chance, drawn once."""

    def __init__(self, seed: int, year: int, cloudiness: float, mix: Mix) -> None:
        self._mix = mix

        # Each thing has a stream of its own: what is added later leaves the others as they are.
        def stream(number: int) -> np.random.Generator:
            return np.random.default_rng((seed, year, number))

        self.wind = Wind(stream(0))
        self.sky = Sky((seed, year, 1), cloudiness)
        self._discharge = Series(stream(2), memory=8.0)
        self._edges = RandomField(stream(3), scale_km=7.0, memory=4.0)
        self._eddies = tuple(RandomField(stream(number), scale_km=6.0, memory=4.0) for number in (4, 5))
        self._pigment = RandomField(stream(6), scale_km=15.0, memory=10.0)
        self._late = float(np.clip(stream(7).normal(), -2, 2)) * ONSET_SPREAD  # days
        self._years, self._dates, self._places = {}, {}, {}
        for number, (name, habit) in enumerate(HABITS.items(), start=10):
            rng = stream(number)
            self._years[name] = float(np.clip(rng.normal(), -2, 2)) * habit.year
            self._dates[name] = Series(rng, habit.memory)
            self._places[name] = RandomField(rng, habit.scale_km, memory=6.0)
        self._properties = {
            name: RandomField(stream(number), scale_km=20.0, memory=12.0)
            for number, name in enumerate(PROPERTIES, start=30)
        }

    def fields(self, day: float, x: FloatArray, y: FloatArray) -> dict[str, FloatArray]:
        """`FIELDS` at a time and at places in km, shape (...), regardless of land."""
        east, north = self._moved(day, x, y)
        rich, detroit, shallow, far = self._influences(day, x, y, (east, north))
        logs = {}
        for name, habit in HABITS.items():
            late = self._late + BLOOM_LAG * (1 - rich) if name in ("phycocyanin", "toxin") else 0.0
            logs[name] = (
                habit.usual(day - late)
                + habit.rivers * rich
                + habit.detroit * detroit
                + habit.shallow * shallow
                + self._mix.shifts.get(name, 0.0)
                + self._years[name]
                + habit.date * self._dates[name].at(day)
                + habit.local * self._places[name].at(day, east, north)
            )
        logs["phycocyanin"] -= FADE * np.maximum(far - FADE_FROM_KM, 0) * (1 - np.minimum(rich, 1))
        logs["minerals"] += 0.3 * np.log10(self.wind.stirring(day) + 0.2) * (0.5 + shallow)
        values = {name: 10 ** logs[name] for name in ("chlorophyll", "minerals", "cdom_440")}
        phycocyanin = np.minimum(10 ** logs["phycocyanin"], MAX_PHYCOCYANIN)
        cyano = (
            self._mix.cyano_chlorophyll
            * cyano_chlorophyll(phycocyanin)
            * 10 ** (0.1 * self._pigment.at(day, east, north))
        )
        return values | {
            "phycocyanin": phycocyanin,
            "cyano_chlorophyll": cyano,
            "microcystin": microcystin(phycocyanin, 10 ** logs["toxin"]),
            "scum_fraction": self._scum(day, cyano),
        }

    def water(self, day: float, x: FloatArray, y: FloatArray) -> dict[str, FloatArray]:
        """`FIELDS` and `PROPERTIES`, crowded as the water is, shape (...), regardless of land."""
        values = self.fields(day, x, y)
        return values | crowded(self.properties(day, x, y), values)

    def properties(self, day: float, x: FloatArray, y: FloatArray) -> dict[str, FloatArray]:
        """`PROPERTIES` at a time and at places in km, shape (...), regardless of land."""
        place, known = self._moved(day, x, y), self._mix.properties
        return {name: known[name].values(day, f.at(day, *place)) for name, f in self._properties.items()}

    def _moved(self, day: float, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where the water at a place would be, had it neither drifted nor turned in eddies, km."""
        drift_east, drift_north = self.wind.drift(day)
        east, north = x - drift_east, y - drift_north
        turned = [EDDY_KM * eddy.at(day, east, north) for eddy in self._eddies]
        return east + turned[0], north + turned[1]

    def _influences(
        self, day: float, x: FloatArray, y: FloatArray, moved: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """How much of rich rivers, Detroit River, shore there is, 0 to 1; way from the Maumee, km."""
        drifted = np.subtract(self.wind.drift(day), self.wind.drift(day - LEANING_DAYS))
        lean = np.clip(drifted, *LEANING_KM) / 2
        frayed = 10 ** (0.12 * self._edges.at(day, *moved))
        flow = 10 ** (0.1 * float(self._discharge.at(day)))
        way = {
            name: chart().distance(name, x - lean[0], y - lean[1]) * frayed / RIVERS[name][2]
            for name in RIVERS
        }
        rich = np.sum([share * np.exp(-way[name] / flow) for name, share in RICHNESS.items()], axis=0)
        shallow = np.exp(-chart().distance("shore", x, y) / SHALLOW_KM)
        return rich, np.exp(-way["Detroit"]), shallow, chart().distance("Maumee", x, y)

    def _scum(self, day: float, cyano: FloatArray) -> FloatArray:
        """Share of the surface under scum."""
        calm = 1 / (1 + np.exp((np.hypot(*self.wind.at(day)) - SCUM_WIND) / SCUM_WIND_RANGE))
        dense = 1 / (1 + np.exp((np.log10(SCUM_CHLOROPHYLL) - np.log10(cyano)) / SCUM_DEX))
        return MOST_SCUM * calm * dense
