"""A trained model moved to another lake: ridge regressions learn what its estimates leave of own samples."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.patches import Patches
from spectm.data.splits import row_times
from spectm.errors import CheckpointError, TrainingError
from spectm.training.blend import LEAST_SPREAD, Blend, Member, views_of_encoders
from spectm.training.checkpoint import check_bands
from spectm.training.forecast import local_days, usual_at
from spectm.training.forecaster import Forecaster, sample_key, seen_by
from spectm.training.ridge import GroupedRidge, Standardiser
from spectm.trust.applicability import Applicability

__all__ = ["best_share", "tuned_blend", "tuned_forecaster"]

FloatArray = npt.NDArray[np.floating[Any]]
StringArray = npt.NDArray[np.str_]
Views = Mapping[str, FloatArray]


def tuned_blend(
    start: Blend, views: Views, y: FloatArray, climatology: FloatArray, dates: StringArray
) -> tuple[Blend, float]:
    """A blend whose estimates are those of another one and a share of what was learned beside them.

    Parameters
    ----------
    start : Blend
        Trained.
    views : mapping of str to ndarray, shape (n, n_columns)
        Of own samples, as `start` reads them.
    y, climatology : ndarray, shape (n,)
        Target, and what the climatology of `start` says of these days, log10.
    dates : ndarray of str, shape (n,)
        Sampling dates.

    Returns
    -------
    tuple
        The blend, which looks like any other; and the share, 0 to 1: what would have served best dates that
        were not learned from. With samples of a single date it is 0, and the blend is `start`.

    Raises
    ------
    TrainingError
        If there are no rows, or a row has no spectrum or label.

    Notes
    -----
    One ridge regression a view learns the residuals of `start`, from columns tamed as its members tame them.
    All being linear from there on, its coefficients are added to those of the member of that view that does
    not depart from the climatology.
    """
    _check_rows(views, y)
    members = [member.predict(views[member.view], climatology) for member in start.members_]
    base = np.mean(members, axis=0)
    last = {member.view: place for place, member in enumerate(start.members_) if not member.departs}
    learned = {
        place: GroupedRidge().fit(start.members_[place].tamed(views[view]), y - base, dates)
        for view, place in last.items()
    }
    change = np.mean([ridge.out_of_fold_ for ridge in learned.values()], axis=0)
    share = best_share(y - base, change) if np.unique(dates).size > 1 else 0.0
    weight = share * len(start.members_) / len(learned)  # of a member in the mean over all
    found = Blend(start.views, seasonal=start.seasonal, limit=start.limit)
    found.members_ = [
        _added(member, learned[place], weight) if place in learned else member
        for place, member in enumerate(start.members_)
    ]
    left = y - np.maximum(base + share * change, np.log10(start.limit))
    found.spread_ = max(float(np.sqrt(np.mean(left**2))), LEAST_SPREAD)
    return found, share


def best_share(wanted: FloatArray, change: FloatArray) -> float:
    """How much of a change serves best, from 0 to 1, by least squares.

    Examples
    --------
    >>> best_share(np.array([1.0, -1.0]), np.array([2.0, -2.0]))
    0.5
    >>> best_share(np.array([1.0, 1.0]), np.array([-1.0, -1.0]))
    0.0
    """
    square = float(change @ change)
    return float(np.clip(change @ wanted / square, 0.0, 1.0)) if square > 0 else 0.0


def _check_rows(views: Views, y: FloatArray) -> None:
    missing = sum(int((~np.isfinite(view)).all(axis=1).sum()) for view in views.values())
    if y.size == 0 or missing or not np.isfinite(y).all():
        raise TrainingError(
            f"wanted labelled rows with a spectrum to tune a model with, found {y.size} rows, {missing} of "
            f"their views empty and {int((~np.isfinite(y)).sum())} labels that are not finite."
        )


def _added(member: Member, ridge: GroupedRidge, weight: float) -> Member:
    """A member and a weighted regression of the same tamed columns, as one member."""
    slope = weight * _slopes(ridge) + _slopes(member.ridge_)
    intercept = weight * _at_zero(ridge) + _at_zero(member.ridge_)
    plain = Standardiser()
    plain.mean_, plain.scale_ = np.zeros_like(slope), np.ones_like(slope)
    joined = GroupedRidge()
    joined.scaler_, joined.coefficients_, joined.intercept_ = plain, slope, intercept
    joined.penalty_ = member.ridge_.penalty_
    found = Member(member.view, member.departs)
    found.low_, found.typical_, found.high_ = member.low_, member.typical_, member.high_
    found.ridge_ = joined
    return found


def _slopes(ridge: GroupedRidge) -> FloatArray:
    """Coefficients of the columns themselves."""
    return np.asarray(ridge.coefficients_ / ridge.scaler_.scale_)


def _at_zero(ridge: GroupedRidge) -> float:
    return float(ridge.intercept_ - _slopes(ridge) @ ridge.scaler_.mean_)


def tuned_forecaster(
    start: Forecaster, patches: Patches, rows: pd.DataFrame, y: FloatArray, provenance: Mapping[str, Any]
) -> Forecaster:
    """A trained model moved to where some own samples come from.

    Parameters
    ----------
    start : Forecaster
        Its encoders, climatology and memory are kept.
    patches : Patches
        That the rows point into, with the bands of `start`; all of them say what looks familiar.
    rows : DataFrame
        Columns ``patch``, ``station``, ``date``, ``sample_time`` and ``overpass_time``.
    y : ndarray, shape (n,)
        Target, log10; the limit where below detection.
    provenance : mapping
        Plain JSON values; ``shares`` is added: how much of what was learned is used, by blend.

    Returns
    -------
    Forecaster
        Without calibration. It counts the samples of `start` among those that it learned from.

    Raises
    ------
    CheckpointError
        If the patches have other bands.
    TrainingError
        If a row has no spectrum.
    """
    check_bands(start.meta, patches.wavelength, where=patches.source)
    views = views_of_encoders(patches, start.encoders or (None,), indices=start.settings.indices.chosen())
    if len(views) != len(start.blends):
        raise CheckpointError(f"wanted a blend for each of {len(views)} encoders, found {len(start.blends)}.")
    usual = usual_at(start.record.climatology, patches.time, patches.station)
    dates, patch = rows["date"].to_numpy(dtype=np.str_), rows["patch"].to_numpy()
    found = [
        tuned_blend(blend, {name: view[patch] for name, view in seen.items()}, y, usual[patch], dates)
        for blend, seen in zip(start.blends, views, strict=True)
    ]
    samples = {sample_key(*row) for row in zip(rows["station"], rows["date"], strict=True)}
    times = np.unique(row_times(rows)).astype("datetime64[s]").astype(str).tolist()
    meta = {
        "wavelength_nm": start.meta["wavelength_nm"],
        "units": start.meta["units"],
        "provenance": {**provenance, "shares": [share for _, share in found]},
        "samples": sorted(samples | set(start.meta["samples"])),
        "times": sorted({*times, *start.meta["times"]}),
    }
    applicability = Applicability.fit(
        wavelength=patches.wavelength, dates=local_days(patches.time), **seen_by(patches, start.models, views)
    )
    blends = tuple(blend for blend, _ in found)
    return replace(start, blends=blends, meta=meta, applicability=applicability, calibration={})
