"""How quantities look on a map: colours that print in grey and suit every eye, scales that stay the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spectm.apps.moment import Moment
from spectm.data.context import DETECTION_LIMIT
from spectm.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap, Normalize

__all__ = ["INK", "LAND", "LOOKS", "RED", "UNSEEN", "Look", "look_of"]

FloatArray = npt.NDArray[np.floating[Any]]

LAND, UNSEEN, INK, RED = "#e9e5dc", "#b9c0c6", "#1b1b1b", "#b34700"
N_COLOURS = 256
LEVEL = 0.9  # of the interval whose width is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Colours and scale of one quantity: light is little, dark is much.

    Parameters
    ----------
    title : str
        What is drawn; may name a threshold as ``{threshold:g}``.
    label : str
        Of the colour bar.
    colours : str
        matplotlib's name of a scale that is perceptually uniform, or even in lightness.
    ends : tuple of float
        Share of that scale that is used: its palest part would look like land, its darkest hide hatching.
    low, high : float
        Values at the ends; the same on every map, so that two weeks can be laid side by side.
    ticks : tuple of float
    logarithmic : bool
    extend : {"neither", "max", "both"}
        Where values may lie beyond.
    """

    title: str
    label: str
    colours: str
    ends: tuple[float, float]
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool
    extend: str

    @property
    def colour_map(self) -> "ListedColormap":
        """Matplotlib's object."""
        import matplotlib as mpl
        from matplotlib.colors import ListedColormap

        return ListedColormap(mpl.colormaps[self.colours](np.linspace(*self.ends, N_COLOURS)))

    @property
    def scale(self) -> "Normalize":
        """Matplotlib's object."""
        from matplotlib.colors import LogNorm, Normalize

        return (LogNorm if self.logarithmic else Normalize)(self.low, self.high)

    def values(self, moment: Moment, threshold: float) -> FloatArray:
        """What is drawn of a period, shape (n_rows, n_columns)."""
        if self is LOOKS["estimate"]:
            return moment.microcystin
        if self is LOOKS["exceedance"]:
            return moment.exceedance(threshold)
        low, high = moment.estimate.interval(LEVEL)
        return high / low

    def stops(self, n: int = 11) -> list[tuple[float, str]]:
        """Values and their colours as #rrggbb, at equal steps of the scale."""
        from matplotlib.colors import to_hex

        share = np.linspace(0, 1, n)
        values = (
            np.geomspace(self.low, self.high, n) if self.logarithmic else np.linspace(self.low, self.high, n)
        )
        return [
            (float(value), to_hex(self.colour_map(float(at))))
            for value, at in zip(values, share, strict=True)
        ]


LOOKS = {
    "estimate": Look(
        title="Estimated microcystin",
        label="particulate microcystin, µg/L",
        colours="viridis_r",
        ends=(0.0, 0.96),
        low=DETECTION_LIMIT,
        high=30.0,
        ticks=(0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
        logarithmic=True,
        extend="both",
    ),
    "interval": Look(
        title="Width of the 90 % interval",
        label="upper end divided by lower end (a factor)",
        colours="RdPu",
        ends=(0.1, 1.0),
        low=1.0,
        high=100.0,
        ticks=(1.0, 3.0, 10.0, 30.0, 100.0),
        logarithmic=True,
        extend="max",
    ),
    "exceedance": Look(
        title="Probability of more than {threshold:g} µg/L",
        label="probability of more than {threshold:g} µg/L",
        colours="YlOrBr",
        ends=(0.1, 0.97),
        low=0.0,
        high=1.0,
        ticks=(0.0, 0.25, 0.5, 0.75, 1.0),
        logarithmic=False,
        extend="neither",
    ),
}
"""What a map may show, by the name it is asked for."""


def look_of(what: str) -> Look:
    """Look of a quantity.

    Raises
    ------
    OutputError
        If there is none of that name.
    """
    if what not in LOOKS:
        raise OutputError(f"wanted a map of {', '.join(LOOKS)}; found {what!r}. Give one of these.")
    return LOOKS[what]
