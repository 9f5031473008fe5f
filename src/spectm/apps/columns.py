"""Names of what an estimate is given as: the same in tables, stores and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.training.forecaster import Outlook
from spectm.trust.applicability import Flags
from spectm.trust.estimate import LEVELS, Estimate
from spectm.trust.thresholds import Profile, profile, read_profile

__all__ = [
    "ABOUT",
    "USUAL_THRESHOLD",
    "above_name",
    "estimate_columns",
    "find_profile",
    "flag_columns",
    "outlook_columns",
    "thresholds_of",
]

FloatArray = npt.NDArray[np.floating[Any]]

ABOUT = (
    "particulate microcystin in raw surface water, ug/L; dissolved toxin is not included, "
    "other toxins are not counted, and nothing is said of finished water"
)
"""Goes with every table."""

USUAL_THRESHOLD = 8.0
"""ug/L, where none is asked for: recreation, US EPA 2019."""

PREFIXES = {0.0: ""}  # now; any other lead is "ahead_"


def find_profile(name: str) -> Profile:
    """A threshold profile by its name, or from a file where the name is a path to one.

    Raises
    ------
    ThresholdError
        If there is none.
    """
    return read_profile(Path(name)) if Path(name).suffix == ".toml" else profile(name)


def thresholds_of(profiles: Sequence[Profile]) -> tuple[float, ...]:
    """Values of some profiles, each once, increasing, ug/L."""
    return tuple(sorted({one.value for each in profiles for one in each.thresholds}))


def above_name(threshold: float) -> str:
    """Column of the probability to lie above a threshold (ug/L).

    Examples
    --------
    >>> above_name(1.6)
    'above_1.6_probability'
    """
    return f"above_{threshold:g}_probability"


def estimate_columns(
    estimate: Estimate,
    thresholds: Sequence[float],
    *,
    prefix: str = "",
    name: str = "microcystin",
    unit: str = "_ug_per_l",
) -> dict[str, FloatArray]:
    """Estimate, intervals and probabilities of one horizon by the names of their columns, shape (n,) each.

    `name` is that of the estimate, `unit` what names of quantities end in.
    """
    columns = {f"{name}{unit}": estimate.median}
    for level in LEVELS:
        low, high = estimate.interval(level)
        columns |= {f"low{100 * level:.0f}{unit}": low, f"high{100 * level:.0f}{unit}": high}
    columns["below_detection_probability"] = estimate.below_detection
    columns |= {above_name(one): estimate.exceedance(one) for one in thresholds}
    return {prefix + column: values for column, values in columns.items()}


def outlook_columns(outlook: Outlook, thresholds: Sequence[float]) -> dict[str, npt.NDArray[Any]]:
    """Columns of every horizon, then whether the spectrum is unfamiliar, and why."""
    columns: dict[str, npt.NDArray[Any]] = {}
    for lead, estimate in zip(outlook.lead_days, outlook.estimates, strict=True):
        columns |= estimate_columns(estimate, thresholds, prefix=PREFIXES.get(lead, "ahead_"))
    return columns | flag_columns(outlook.flags, np.isfinite(outlook.estimates[0].mean))


def flag_columns(flags: Flags, seen: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """Whether each spectrum is unfamiliar, and why, as text; empty where nothing was seen."""
    return {
        "flagged": np.where(seen, np.where(flags.flagged, "yes", "no"), ""),
        "reasons": np.where(seen, np.array(flags.texts(), dtype=object), ""),
    }
