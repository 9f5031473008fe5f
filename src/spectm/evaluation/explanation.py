"""Why an estimate for one place and day is what it is: calendar, bands, windows, and what was seen before."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import DETECTION_LIMIT
from spectm.data.patches import Patches
from spectm.evaluation.attributed import (
    Attributions,
    attribute,
    calendar_share,
    layout_of,
    spread_over,
)
from spectm.evaluation.hidden_windows import Occlusion, fill_in, filled_estimate, occluded
from spectm.spectral.windows import Window
from spectm.training.forecast import forecast, local_days, places, usual_at
from spectm.training.forecaster import Forecaster
from spectm.trust.applicability import Flags
from spectm.trust.estimate import Estimate

__all__ = ["Explanation", "Part", "explain"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

LEAST_CHANGE = 5e-4  # log10; less is rounding, and no part of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step from the laboratory's average to the estimate.

    Parameters
    ----------
    name : str
    change : float
        log10: what it adds.
    spread : float
        Standard deviation over the ensemble, log10; NaN where members can't differ, or there is one.
    about : str
        What it means.
    """

    name: str
    change: float
    spread: float
    about: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """All that the page of one place and day shows.

    Parameters
    ----------
    place, day, target_day : str
        Of the spectrum; local days, the latter of the estimate.
    time : datetime64
        Overpass, UTC.
    latitude, longitude : float
        Degrees; NaN where unknown.
    lead_days : float
        From the overpass to the estimate.
    windows : tuple of Window
        That the models hide in pretraining.
    window : ndarray of int, shape (n_bands,)
        Which each band lies in, -1 for none.
    attributions : Attributions
        Of one patch.
    start : float
        Average of the laboratory's earlier years, log10: where `parts` start.
    parts : tuple of Part
        They add up, from `start`, to the estimate, within 0.001.
    n_of_overpass : int
        How many of the parts are of this overpass; the others are of earlier ones and of the days ahead.
    occluded : tuple of Occlusion
        One for each window, and one for all of them.
    filled : ndarray, shape (n_models, n_bands)
        Spectrum with its windows filled in, by each model, sr^-1; no rows of models that can't.
    filled_estimate : tuple of float
        Mean and spread over the ensemble of the overpass's estimate for it, log10; NaN of models that can't.
    estimate : Estimate or None
        Calibrated, of one place; None of a model without calibration.
    mean, spread : float
        Of the estimate, log10, before calibration.
    flags : Flags or None
        None with `estimate`.
    n_members : int
        Of the ensemble.
    """

    place: str
    day: str
    target_day: str
    time: np.datetime64
    latitude: float
    longitude: float
    lead_days: float
    windows: tuple[Window, ...]
    window: IntArray
    attributions: Attributions
    start: float
    parts: tuple[Part, ...]
    n_of_overpass: int
    occluded: tuple[Occlusion, ...]
    filled: FloatArray
    filled_estimate: tuple[float, float]
    estimate: Estimate | None
    mean: float
    spread: float
    flags: Flags | None
    n_members: int


def explain(model: Forecaster, patches: Patches, row: int, *, lead_days: float = 0.0) -> Explanation:
    """Take one estimate apart.

    Parameters
    ----------
    model : Forecaster
    patches : Patches
        With the patch in question and, where there are, those of the same place in the ten days before.
    row : int
        The patch in question: see `spectm.evaluation.located.find_patch`.
    lead_days : float
        From the overpass to the day asked about.

    Raises
    ------
    CheckpointError
        If the patches have other bands.
    AttributionError
        If a gradient is not finite.
    """
    here = np.flatnonzero(places(patches) == places(patches)[row])
    same, own = patches.select(here), int(np.flatnonzero(here == row)[0])
    one = patches.select(np.array([row]))
    found = attribute(model, one)
    usual = usual_at(model.record.climatology, one.time, one.station)
    start = float(model.record.climatology.log10_value.mean())
    layout = layout_of(model)
    windows = model.settings.windows.window_set().windows
    of_overpass = _parts_of_overpass(model, found, windows, layout.window, start, float(usual[0]))
    known = model.estimate(same)
    (now, _), (mean, spread) = (_answer(model, same, known, own, lead) for lead in (0.0, lead_days))
    overpass = start + sum(part.change for part in of_overpass)
    after = _parts_after(overpass, now, mean, lead_days, n_seen=same.n_samples)
    filled = fill_in(model, one)[:, 0]
    without = occluded(model, one, found, filled, windows, layout.window)
    outlook = model.outlook(same, (lead_days,)) if model.calibration else None
    return Explanation(
        place=str(places(one)[0]),
        day=str(local_days(one.time)[0]),
        target_day=str(local_days(_later(one.time, lead_days))[0]),
        time=one.time[0],
        latitude=float(one.latitude[0]),
        longitude=float(one.longitude[0]),
        lead_days=lead_days,
        windows=windows,
        window=layout.window,
        attributions=found,
        start=start,
        parts=(*of_overpass, *after),
        n_of_overpass=len(of_overpass),
        occluded=without,
        filled=filled,
        filled_estimate=filled_estimate(model, found, one, filled, float(usual[0])),
        estimate=None if outlook is None else _estimate_at(outlook.estimates[0], own),
        mean=mean,
        spread=spread,
        flags=None if outlook is None else _flags_at(outlook.flags, own),
        n_members=len(model.blends),
    )


def _parts_of_overpass(
    model: Forecaster,
    found: Attributions,
    windows: tuple[Window, ...],
    window: IntArray,
    start: float,
    usual: float,
) -> tuple[Part, ...]:
    """From the laboratory's average to the estimate of the overpass by itself."""
    share = np.array([calendar_share(blend) for blend in model.blends])
    reference = np.array([one.reference[0] for one in found.members]) + share * usual
    estimate = np.array([one.estimate[0] for one in found.members]) + share * usual
    each = found.each[:, 0]  # (member, band)
    parts = [
        Part(
            name="the calendar", change=usual - start, spread=np.nan, about="what is usual here on this day"
        ),
        _part("an ordinary spectrum", reference - usual, "of the same brightness, on this day"),
    ]
    for number, one in enumerate(windows):
        about = f"{one.low_nm:g} to {one.high_nm:g} nm"
        parts.append(_part(one.name, each[:, window == number].sum(axis=1), about))
    parts.append(_part("bands outside the windows", each[:, window < 0].sum(axis=1), "all others"))
    gap = estimate - reference - each.sum(axis=1)
    if abs(gap.mean()) > LEAST_CHANGE:
        parts.append(_part("not attributed", gap, "what the integral leaves over"))
    limits = np.array([np.log10(blend.limit) for blend in model.blends])
    raised = np.maximum(estimate, limits) - estimate
    if (raised > 0).any():
        parts.append(_part("the detection limit", raised, "nothing lower is answered"))
    return tuple(parts)


def _part(name: str, change: FloatArray, about: str) -> Part:
    spread = float(spread_over(change[:, None])[0])
    return Part(name=name, change=float(change.mean()), spread=spread, about=about)


def _parts_after(
    overpass: float, now: float, answer: float, lead_days: float, *, n_seen: int
) -> tuple[Part, ...]:
    """From the estimate of the overpass to the answer: earlier overpasses, and days ahead."""
    parts = []
    if n_seen > 1 and abs(now - overpass) > LEAST_CHANGE:
        about = "other overpasses of the ten days before"
        parts.append(Part(name="seen before", change=now - overpass, spread=np.nan, about=about))
    if lead_days > 0:
        about = "the calendar's own change, and what is left of the departure"
        parts.append(Part(name=f"{lead_days:g} days ahead", change=answer - now, spread=np.nan, about=about))
    return tuple(parts)


def _answer(
    model: Forecaster, same: Patches, known: tuple[FloatArray, float], own: int, lead_days: float
) -> tuple[float, float]:
    """Mean and spread of the forecast for one patch of a place whose overpasses are estimated, log10."""
    one = same.select(np.array([own]))
    days = local_days(_later(one.time, lead_days))
    targets = pd.DataFrame({"station": one.station, "place": places(same)[[own]], "date": days})
    targets["overpass_time"], targets["lead_days"] = one.time, lead_days
    mean, spread = forecast(same, *known, model.record, targets)
    return float(mean[0]), float(spread[0])


def _estimate_at(estimate: Estimate, row: int) -> Estimate:
    return Estimate(
        mean=estimate.mean[[row]],
        spread=estimate.spread[[row]],
        calibration=estimate.calibration,
        least=DETECTION_LIMIT,
    )


def _flags_at(flags: Flags, row: int) -> Flags:
    return Flags(
        flagged=flags.flagged[[row]],
        reasons={name: found[[row]] for name, found in flags.reasons.items()},
        distance={name: found[[row]] for name, found in flags.distance.items()},
    )


def _later(time: npt.NDArray[np.datetime64], days: float) -> npt.NDArray[np.datetime64]:
    return time + np.timedelta64(round(days * 86400), "s")
