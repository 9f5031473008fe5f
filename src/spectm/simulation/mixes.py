"""Named optical mixes of the simulated lake: how another lake's water differs from western Lake Erie's."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from spectm.errors import SimulationError
from spectm.simulation.climate import PROPERTIES, Property

__all__ = ["MIXES", "USUAL_MIX", "Mix", "named_mix"]

USUAL_MIX = "erie"


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What is different; all else, from map and weather to toxin per phycocyanin, is as in Lake Erie.

    Parameters
    ----------
    description : str
    shifts : mapping of str to float
        By name of a habit of `spectm.simulation.climate`: what is added to log10 of it everywhere.
    middles : mapping of str to float
        By name of an optical property: another middle value.
    cyano_chlorophyll : float
        Chlorophyll-a of cyanobacteria for each mg of phycocyanin, relative to Lake Erie.
    """

    description: str
    shifts: Mapping[str, float] = field(default_factory=dict)
    middles: Mapping[str, float] = field(default_factory=dict)
    cyano_chlorophyll: float = 1.0

    @property
    def properties(self) -> dict[str, Property]:
        """All optical properties, those named in `middles` with another middle."""
        return {
            name: replace(one, middle=self.middles.get(name, one.middle)) for name, one in PROPERTIES.items()
        }


#: Values of `middles` lie within the ranges of `PROPERTIES`; all of these are our choice, and no lake's.
MIXES: dict[str, Mix] = {
    USUAL_MIX: Mix(description="western Lake Erie, as fitted"),
    "humic": Mix(
        description=(
            "brown water: three times the dissolved matter, of a flatter slope; fewer mineral particles that "
            "absorb more and scatter less; cyanobacteria with 1.6 times the chlorophyll-a for each mg of "
            "phycocyanin"
        ),
        shifts={"cdom_440": 0.48, "minerals": -0.15},
        middles={
            "cdom_slope": 0.016,
            "mineral_slope": 0.0115,
            "mineral_absorption_440": 0.06,
            "mineral_backscattering_555": 0.0095,
        },
        cyano_chlorophyll=1.6,
    ),
}


def named_mix(name: str) -> Mix:
    """A mix by its name.

    Raises
    ------
    SimulationError
        If there is none; the message suggests the nearest.

    Examples
    --------
    >>> named_mix("humic").properties["cdom_slope"].middle
    0.016
    """
    if name not in MIXES:
        near = difflib.get_close_matches(name, MIXES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SimulationError(f"no optical mix named {name!r}; {hint}Known: {', '.join(MIXES)}.")
    return MIXES[name]
