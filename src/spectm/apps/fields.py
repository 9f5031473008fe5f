"""What a prediction is kept as: the numbers of every horizon, and reasons as bits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.trust.applicability import REASONS, Flags
from spectm.trust.estimate import LEVELS, Estimate

__all__ = [
    "NO_SPECTRUM",
    "REASON_BITS",
    "as_kept",
    "fields_of",
    "reason_bits",
    "reasons_of",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

REASON_BITS = {name: 1 << number for number, name in enumerate(REASONS)}
"""The bit of every reason, by its name; an older store is read by the names that it gives itself."""

NO_SPECTRUM = 255
"""Value of ``flagged`` where nothing was seen."""


def as_kept(estimate: Estimate) -> Estimate:
    """The same estimate, of mean and spread as they are kept: in single precision.

    Probabilities step with the dates calibrated on, so that a mean rounded afterwards could contradict them.
    """
    mean, spread = (
        values.astype(np.float32).astype(np.float64) for values in (estimate.mean, estimate.spread)
    )
    return replace(estimate, mean=mean, spread=spread)


def fields_of(
    estimates: Sequence[Estimate], flags: Flags, thresholds: Sequence[float]
) -> dict[str, npt.NDArray[Any]]:
    """Variables of a store for some places at one time.

    Parameters
    ----------
    estimates : sequence of Estimate
        One for each horizon, of n places.
    flags : Flags
        Of the same places.
    thresholds : sequence of float
        ug/L.

    Returns
    -------
    dict of ndarray
        By name: ``microcystin``, ``below_detection``, ``log10_mean`` and ``log10_spread`` (horizon, n),
        ``interval_low`` and ``interval_high`` (horizon, level, n), ``exceedance`` (horizon, threshold, n),
        ``applicability`` and ``flagged`` (n,).
    """
    kept = [as_kept(one) for one in estimates]
    seen = np.isfinite(kept[0].mean)
    n = seen.size
    ends = np.array([[one.interval(level) for level in LEVELS] for one in kept])  # (horizon, level, end, n)
    above = [[one.exceedance(value) for value in thresholds] for one in kept]
    floats = {
        "microcystin": np.array([one.median for one in kept]),
        "interval_low": ends[:, :, 0],
        "interval_high": ends[:, :, 1],
        "exceedance": np.array(above).reshape(len(kept), len(thresholds), n),
        "below_detection": np.array([one.below_detection for one in kept]),
        "log10_mean": np.array([one.mean for one in kept]),
        "log10_spread": np.array([one.spread for one in kept]),
    }
    return {
        **{name: values.astype(np.float32) for name, values in floats.items()},
        "applicability": np.where(seen, reason_bits(flags.reasons, n), 0).astype(np.uint32),
        "flagged": np.where(seen, flags.flagged, NO_SPECTRUM).astype(np.uint8),
    }


def reason_bits(reasons: Mapping[str, BoolArray], n: int) -> npt.NDArray[np.uint32]:
    """Reasons of n spectra as one number each, shape (n,)."""
    bits = np.zeros(n, dtype=np.uint32)
    for name, found in reasons.items():
        bits |= np.where(found, np.uint32(REASON_BITS[name]), np.uint32(0))
    return bits


def reasons_of(bits: int, known: Mapping[str, int] = REASON_BITS) -> tuple[str, ...]:
    """Names of the reasons in a number.

    Examples
    --------
    >>> reasons_of(REASON_BITS["season"] | REASON_BITS["too dark"])
    ('season', 'too dark')
    """
    return tuple(name for name, bit in known.items() if int(bits) & bit)
