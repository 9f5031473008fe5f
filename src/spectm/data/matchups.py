"""Patches and laboratory samples, paired into the rows of one task.

Two tasks: *current*, the sample taken around the overpass, and *ahead*, the sample about eight days after it.
Both give one row per laboratory sample. Paired are surface samples in which the target was measured (a value
below detection is a measurement) with patches of the same station that hold a valid pixel.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.labels import Labels, surface_samples
from spectm.data.origin import same_origin
from spectm.data.patches import Patches
from spectm.errors import PatchError

__all__ = ["TASKS", "ahead_matchups", "current_matchups", "matchups"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

TASKS = ("current", "ahead")

# Bailey and Werdell (2006), doi:10.1016/j.rse.2006.01.015, use 3 h at sea; GLERL samples weekly, and 3 h
# would leave 27 of 123 pairs.
MAX_HOURS = 48.5
# Eight days are the composite period of the level-3 products; three days of tolerance fit the overpasses.
LEAD_DAYS = 8.0
TOLERANCE_DAYS = 3.0

_BESIDE = ("chlorophyll", "phycocyanin", "turbidity")  # of the same sample, to compare with


def matchups(task: str, patches: Patches, labels: Labels, *, target: str = "microcystin") -> pd.DataFrame:
    """Rows of the task of that name; see `current_matchups` and `ahead_matchups`.

    Raises
    ------
    PatchError
        If there is no such task.
    """
    if task == "current":
        return current_matchups(patches, labels, target=target)
    if task == "ahead":
        return ahead_matchups(patches, labels, target=target)
    raise PatchError(f"wanted one of the tasks {', '.join(TASKS)}, found {task!r}. Check the spelling.")


def current_matchups(patches: Patches, labels: Labels, *, target: str = "microcystin") -> pd.DataFrame:
    """Pair each sample with the overpass around it.

    A patch takes the sample nearest in time at its station, if that is within 48.5 hours; then a sample
    keeps, of the patches that took it, the one nearest in time. (In Lake Erie 2024 samples lie so far apart
    that going from the sample straight to its nearest overpass gives the same rows.)

    Parameters
    ----------
    patches : Patches
        Patches with station names.
    labels : Labels
        A laboratory record.
    target : str
        The quantity of `labels.table` to estimate.

    Returns
    -------
    DataFrame
        One row per sample, by sample time and station, with the columns ``patch`` (position in `patches`),
        ``station``, ``date`` (local sampling date), ``sample_time`` and ``overpass_time`` (UTC),
        ``hours_apart`` (sample minus overpass), ``observed`` (in the target's unit; the limit where below
        detection), ``below_detection``, ``chlorophyll``, ``phycocyanin``, ``turbidity`` (of the same sample)
        and ``sample_id`` (index in `labels.table`).

    Raises
    ------
    PatchError
        If no patch lies at a station of the record.
    OriginError
        If the patches are simulated and the record is not, or the reverse.
    """
    samples = _measured(labels, target)
    apart = np.abs(_hours_apart(patches, samples, labels.simulated))
    miss = np.where(apart <= MAX_HOURS, apart, np.inf)
    taken = np.zeros(miss.shape, dtype=np.bool_)
    np.put_along_axis(taken, miss.argmin(axis=1)[:, None], values=True, axis=1)
    return _rows(np.where(taken, miss, np.inf), patches, samples, target)


def ahead_matchups(patches: Patches, labels: Labels, *, target: str = "microcystin") -> pd.DataFrame:
    """Pair each sample with the overpass nearest to eight days before it, 5 to 11 days before.

    Parameters, columns and errors are those of `current_matchups`; one patch may serve several samples.
    """
    samples = _measured(labels, target)
    lead_days = _hours_apart(patches, samples, labels.simulated) / 24
    miss = np.abs(lead_days - LEAD_DAYS)
    return _rows(np.where(miss <= TOLERANCE_DAYS, miss, np.inf), patches, samples, target)


def _measured(labels: Labels, target: str) -> pd.DataFrame:
    """Surface samples in which the target was measured, by time and station."""
    samples = surface_samples(labels)
    return samples[samples[target].notna()].sort_values(["time", "station"], kind="stable")


def _hours_apart(patches: Patches, samples: pd.DataFrame, simulated: bool) -> FloatArray:
    """Sample minus overpass in hours, shape (patch, sample); NaN where the two can't be paired."""
    same_origin([(patches.source, patches.simulated), ("the laboratory's record", simulated)])
    here = patches.station[:, None] == samples["station"].to_numpy(dtype=str)[None, :]
    if not here.any():
        raise PatchError(
            f"wanted patches at the stations of the record, {_some(samples['station'])}; found patches at "
            f"{_some(pd.Series(patches.station))} in {patches.source}. Do both use the same names?"
        )
    usable = np.any(patches.valid, axis=(1, 2), keepdims=True)[..., 0]  # (patch, 1)
    times = samples["time"].to_numpy(dtype="datetime64[ns]")
    apart = (times[None, :] - patches.time[:, None]) / np.timedelta64(1, "h")
    return np.where(here & usable, apart, np.nan)


def _some(names: "pd.Series[str]") -> str:
    """Up to five different names, in words."""
    known = sorted({name for name in names if name})
    return ", ".join(known[:5]) + (", ..." if len(known) > 5 else "") if known else "no named station"


def _rows(miss: FloatArray, patches: Patches, samples: pd.DataFrame, target: str) -> pd.DataFrame:
    """Table of each sample with the patch that misses least; inf is no pair, the earlier patch wins a tie."""
    by_time = np.argsort(patches.time, kind="stable")
    patch = by_time[miss[by_time].argmin(axis=0)]
    paired = np.flatnonzero(np.isfinite(miss.min(axis=0)))
    sample, patch = samples.iloc[paired], patch[paired]
    overpass_time = pd.DatetimeIndex(patches.time[patch], tz="UTC")
    rows = {
        "patch": patch,
        "station": sample["station"].array,
        "date": sample["date"].array,
        "sample_time": pd.DatetimeIndex(sample["time"]),
        "overpass_time": overpass_time,
        "hours_apart": (pd.DatetimeIndex(sample["time"]) - overpass_time) / pd.Timedelta(hours=1),
        "observed": sample[target].to_numpy(dtype=np.float64),
        "below_detection": sample[f"{target}_below_detection"].to_numpy(dtype=np.bool_),
        **{name: sample[name].to_numpy(dtype=np.float64) for name in _BESIDE},
        "sample_id": sample.index.to_numpy(),
    }
    return pd.DataFrame(rows)
