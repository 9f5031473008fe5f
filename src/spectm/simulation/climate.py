"""How much of everything there usually is, where and when: numbers fitted to GLERL's record of 2012-2024.

`docs/simulation.md` lists what was fitted. Nothing here is a spectrum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

__all__ = [
    "CROWDING",
    "HABITS",
    "MINERAL_FLOOR",
    "PROPERTIES",
    "Crowding",
    "Habit",
    "Property",
    "crowded",
    "cyano_chlorophyll",
    "microcystin",
    "suspended_solids",
    "turbidity",
]

FloatArray = npt.NDArray[np.floating[Any]]

# Days of the year at which `Habit.course` is given: 15 February, the middles of April to October, 5 December.
COURSE_DAYS = np.array([45.0, 105.0, 135.0, 166.0, 196.0, 227.0, 258.0, 288.0, 339.0])

# Chlorophyll-a of cyanobacteria as a power of their phycocyanin: dense blooms hold more of it for each mg.
PIGMENT_PIVOT, PIGMENT_POWER = 17.0, 0.7  # mg m^-3

# Microcystin as a power of phycocyanin: the denser, the less of it is toxic.
TOXIN_POWER = 0.78

# Volatile suspended solids, mg/L, that go with 1 ug/L of chlorophyll-a, and the power by which they grow
# with it (GLERL's surface samples of 2012-2019); mg/L of suspended solids for each NTU.
DRY_WEIGHT, DRY_WEIGHT_POWER, SOLIDS_PER_NTU = 0.37, 0.74, 1.1


LEAST = 0.01  # of a pivot: below, a property stays as it is there

# Height of summer, days after the start of the year, and how fast it comes and goes, days.
SUMMER_DAY, SUMMER_DAYS = 221.0, 38.0


@dataclass(frozen=True, kw_only=True)
class Habit:
    """What log10 of a quantity depends on. Spreads are standard deviations, dex.

    Parameters
    ----------
    course : tuple of float
        log10 far from rivers and shore, at `COURSE_DAYS`.
    rivers, detroit, shallow : float
        What is added at the mouth of a rich river (Maumee, Raisin, Sandusky), of the Detroit River, and at
        the shore, where waves stir the bottom; it fades with distance.
    year, date, local : float
        Spread from year to year, from week to week all over the lake, and from place to place.
    memory : float
        Days that lake-wide deviations last.
    scale_km : float
        Size of local ones: see `spectm.simulation.fields.RandomField`.
    """

    course: tuple[float, ...]
    rivers: float = 0.0
    detroit: float = 0.0
    shallow: float = 0.0
    year: float
    date: float
    local: float
    memory: float = 9.0
    scale_km: float = 9.0

    @cached_property
    def _curve(self) -> PchipInterpolator:
        return PchipInterpolator(COURSE_DAYS, self.course)

    def usual(self, day: npt.ArrayLike) -> FloatArray:
        """log10 far from rivers and shore on a day of the year, shape (...); winter is as its edges."""
        return self._curve(np.clip(day, COURSE_DAYS[0], COURSE_DAYS[-1]))


HABITS: dict[str, Habit] = {
    # mg m^-3
    "phycocyanin": Habit(
        course=(-1.2, -0.95, -0.85, -0.75, 0.15, 0.74, 0.5, -0.6, -1.2),
        rivers=0.95,
        detroit=-0.6,
        shallow=0.2,
        year=0.22,
        date=0.42,
        local=0.38,
    ),
    # mg m^-3, of eukaryotic algae
    "chlorophyll": Habit(
        course=(0.3, 0.33, 0.38, 0.48, 0.57, 0.88, 0.71, 0.31, 0.3),
        rivers=0.92,
        detroit=-0.7,
        shallow=0.16,
        year=0.12,
        date=0.22,
        local=0.26,
    ),
    # g m^-3, what is left of suspended solids without the volatile; stirred up by wind
    "minerals": Habit(
        course=(1.28, 1.2, 1.04, 0.85, 0.42, 0.68, 0.82, 0.93, 1.15),
        rivers=0.8,
        detroit=-2.2,
        shallow=0.27,
        year=0.1,
        date=0.17,
        local=0.25,
        memory=4.0,
    ),
    # m^-1 at 440 nm: that at 400 nm by 0.31 less, for a slope of 0.0176 nm^-1
    "cdom_440": Habit(
        course=(-0.85, -0.8, -0.45, -0.6, -0.66, -0.72, -0.8, -0.94, -0.9),
        rivers=1.03,
        detroit=-0.59,
        shallow=0.38,
        year=0.12,
        date=0.13,
        local=0.14,
        memory=14.0,
        scale_km=14.0,
    ),
    # ug of microcystin in each ug of phycocyanin, at `PIGMENT_PIVOT`
    "toxin": Habit(
        course=(-2.6, -2.4, -2.2, -1.65, -1.12, -0.8, -1.42, -1.62, -2.2),
        year=0.3,
        date=0.18,
        local=0.28,
        memory=14.0,
        scale_km=14.0,
    ),
}


def warmth(day: float) -> float:
    """How much of summer there is on a day of the year: 1 at its height in August, 0 in winter."""
    return float(np.exp(-(((day - SUMMER_DAY) / SUMMER_DAYS) ** 2) / 2))


@dataclass(frozen=True, kw_only=True)
class Property:
    """An optical property of one unit of something: its middle value, and how it varies over the lake.

    `spread` is in dex where `relative`, otherwise in the property's own unit, and so is `summer`: how much
    more it is at the height of summer than in winter; `middle` lies halfway. Values beyond `low` and `high`
    are not taken.
    """

    middle: float
    spread: float
    low: float
    high: float
    relative: bool = True
    summer: float = 0.0

    def values(self, day: float, deviation: FloatArray) -> FloatArray:
        """The property on a day of the year where a standard normal deviate is known, shape (...)."""
        change = self.spread * deviation + self.summer * (warmth(day) - 0.5)
        values = self.middle * 10**change if self.relative else self.middle + change
        return np.clip(values, self.low, self.high)


#: Fields of `spectm.spectral.optics.Water` that vary over the lake. Ranges are those of docs/optics.md, where
#: it names any, but those of the exponent (1.5 there), of the slope of CDOM (0.019) and of backscattering by
#: cyanobacteria, which begins at 0.0039. Middles and spreads were fitted to quantiles of real spectra of odd
#: days (docs/simulation.md); those that crowding changes are meant at its pivots. Minerals absorb and scatter
#: less for each gram in summer: storms and high rivers bring fine clay, calm water holds flocs and shells.
PROPERTIES: dict[str, Property] = {
    "cdom_slope": Property(middle=0.0203, spread=0.001, low=0.014, high=0.023, relative=False),
    "mineral_slope": Property(middle=0.0099, spread=0.0008, low=0.0075, high=0.013, relative=False),
    "mineral_absorption_440": Property(middle=0.0409, spread=0.022, low=0.02, high=0.08, summer=-0.7),
    "mineral_backscattering_555": Property(middle=0.0113, spread=0.015, low=0.0045, high=0.03, summer=-0.7),
    "algal_absorption_factor": Property(middle=0.545, spread=0.023, low=0.4, high=2.0),
    "algal_backscattering_555": Property(middle=0.00123, spread=0.051, low=0.0004, high=0.003),
    "cyano_backscattering_510": Property(middle=0.00269, spread=0.056, low=0.0012, high=0.0085),
    "phycocyanin_absorption_620": Property(middle=0.013, spread=0.024, low=0.005, high=0.018),
    "particle_exponent": Property(middle=1.46, spread=0.34, low=0.3, high=2.5, relative=False),
    "fluorescence_yield": Property(middle=0.0088, spread=0.137, low=0.002, high=0.03),
    "cyano_phycoerythrin_571": Property(middle=0.00202, spread=0.143, low=0.0005, high=0.012),
    "cyano_absorption_675": Property(middle=0.0209, spread=0.044, low=0.006, high=0.06),
}

#: Share of absorption by minerals that does not fall with wavelength, the same everywhere.
MINERAL_FLOOR = 0.25


@dataclass(frozen=True, kw_only=True)
class Crowding:
    """How an optical property of a unit of something changes with how much of it there is.

    The property is that of `PROPERTIES` at `pivot`, in the unit of `field`; twice as much multiplies it by
    2 to the minus `power`: colonies and packed cells do less for each mg.
    """

    field: str
    pivot: float
    power: float


#: By name of the property. Of minerals and of algae, whose packaging docs/optics.md has, there is none.
CROWDING: dict[str, Crowding] = {
    "cyano_backscattering_510": Crowding(field="cyano_chlorophyll", pivot=10.0, power=0.539),
    "cyano_absorption_675": Crowding(field="cyano_chlorophyll", pivot=10.0, power=0.475),
    "cyano_phycoerythrin_571": Crowding(field="cyano_chlorophyll", pivot=10.0, power=0.481),
    "phycocyanin_absorption_620": Crowding(field="phycocyanin", pivot=5.0, power=0.571),
}


def crowded(properties: Mapping[str, FloatArray], held: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Properties as they are where the water holds so much; `held` has the fields of `CROWDING`."""
    out = dict(properties)
    for name, one in CROWDING.items():
        out[name] = properties[name] * np.maximum(held[one.field] / one.pivot, LEAST) ** -one.power
    return out


def cyano_chlorophyll(phycocyanin: FloatArray) -> FloatArray:
    """Chlorophyll-a of cyanobacteria that usually goes with their phycocyanin, both mg m^-3."""
    return PIGMENT_PIVOT * (phycocyanin / PIGMENT_PIVOT) ** PIGMENT_POWER


def microcystin(phycocyanin: FloatArray, toxin: FloatArray) -> FloatArray:
    """Particulate microcystin, ug/L, that usually goes with phycocyanin (mg m^-3); `toxin` as in `HABITS`."""
    return toxin * PIGMENT_PIVOT * (phycocyanin / PIGMENT_PIVOT) ** TOXIN_POWER


def suspended_solids(minerals: npt.ArrayLike, all_chlorophyll: npt.ArrayLike) -> FloatArray:
    """Dry weight of minerals (g m^-3) and of all algae together (their chlorophyll-a, mg m^-3), mg/L."""
    return np.asarray(minerals) + DRY_WEIGHT * np.asarray(all_chlorophyll) ** DRY_WEIGHT_POWER


def turbidity(minerals: npt.ArrayLike, all_chlorophyll: npt.ArrayLike) -> FloatArray:
    """Turbidity that usually goes with the suspended solids, NTU."""
    return suspended_solids(minerals, all_chlorophyll) / SOLIDS_PER_NTU
