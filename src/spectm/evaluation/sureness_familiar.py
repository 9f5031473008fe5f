"""Whether held-out spectra are flagged as often as promised, and what is no lake is always flagged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import day_of_year
from spectm.data.patches import Patches
from spectm.data.splits import Fold, excluded_by, row_times
from spectm.errors import ApplicabilityError
from spectm.evaluation.sureness_corruptions import corruptions, mild_changes
from spectm.evaluation.task import Task
from spectm.training.forecast import local_days
from spectm.trust.applicability import NEW_PLACE, REASONS, Applicability, Flags

__all__ = [
    "ANY",
    "LAKE",
    "LOOK",
    "NOT_LOOK",
    "fitted_to",
    "flag_lines",
    "flag_shares",
    "held_out_shares",
    "judgements",
    "strangeness",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
Seen = Mapping[str, Any]

LAKE = "the lake, held out"
ANY, LOOK = "flagged", "flagged by its look"
NOT_LOOK = ("missing bands", "season", NEW_PLACE)
"""Reasons that say nothing of what a spectrum looks like."""
N_FOLDS = 10
SEED = 0


def flag_lines(task: Task, fold: Fold, patches: Patches, seen: Seen, seer: str) -> list[dict[str, Any]]:
    """Whether the test rows of a fold look familiar to what was fitted to the training part alone.

    Parameters
    ----------
    task, fold
        What is tested.
    patches : Patches
        That the rows point into. Those within 60 hours of a test sample or overpass are left out.
    seen : mapping
        Of all patches: arguments of `Applicability.flag` by name.
    seer : str
        Named in the lines: "bands", or "encoder" where an embedding is among what is seen.

    Returns
    -------
    list of dict
        One line per test row: ``flagged``, ``reasons``, ``strangeness``. None where fewer than five dates
        are left to learn from.
    """
    tested = task.rows.iloc[fold.test]
    patch = tested["patch"].to_numpy()
    kept = ~excluded_by(patches.first, row_times(tested), until=patches.last)
    kept[patch] = False
    try:
        known = fitted_to(patches, seen, kept)
    except ApplicabilityError:
        return []
    flags = known.flag(**{name: values[patch] for name, values in seen.items()})
    columns = zip(fold.test, flags.flagged, flags.texts(), strangeness(flags), strict=True)
    about = {"task": task.name, "split": fold.split, "fold": fold.name, "seer": seer}
    return [
        {**about, "row": int(row), "flagged": bool(flag), "reasons": text, "strangeness": float(far)}
        for row, flag, text, far in columns
    ]


def strangeness(flags: Flags) -> FloatArray:
    """How far from familiar each spectrum is, shape (n,): above 1 it is flagged, infinite by a rule."""
    measured = [flags.distance[name] for name in flags.distance if name != NEW_PLACE]
    furthest = np.nanmax(np.vstack([np.zeros(flags.flagged.size), *measured]), axis=0)
    rules = [flags.reasons[name] for name in flags.reasons if name not in flags.distance]
    return np.where(np.any([np.zeros_like(flags.flagged), *rules], axis=0), np.inf, furthest)


def held_out_shares(patches: Patches, *, seed: int = SEED) -> pd.DataFrame:
    """What is flagged of the lake itself, and of spectra of it that something is wrong with.

    Dates are held out in ten folds, every tenth together; what lies within 60 hours of them is not learned
    from either. No label and no encoder has a part in it.

    Parameters
    ----------
    patches : Patches
    seed : int
        Of what goes wrong.

    Returns
    -------
    DataFrame
        As `flag_shares`, of `LAKE` and of each of `corruptions` and `mild_changes`; empty where there are too
        few dates.
    """
    spectra = patches.mean_spectrum()
    whole = np.flatnonzero(np.isfinite(spectra).all(axis=1))
    days, spectra = local_days(patches.time[whole]), spectra[whole]
    day = day_of_year(pd.Series(days))
    wrong = corruptions(spectra, patches.wavelength, np.random.default_rng(seed))
    wrong = {LAKE: spectra, **wrong, **mild_changes(spectra)}
    names, place = np.unique(days, return_inverse=True)
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in wrong}
    for number in range(min(N_FOLDS, names.size)):
        test = place % N_FOLDS == number
        first, last = patches.first[whole], patches.last[whole]
        times = np.concatenate([first[test], last[test]])
        kept = ~test & ~excluded_by(first, times, until=last)
        try:
            known = Applicability.fit(spectra[kept], patches.wavelength, days[kept], day[kept])
        except ApplicabilityError:
            return pd.DataFrame()
        for name, Rrs in wrong.items():
            found[name].append(judgements(known.flag(Rrs[test], day[test]), days[test]))
    return pd.concat([flag_shares(name, pd.concat(parts)) for name, parts in found.items()])


def flag_shares(name: str, judged: pd.DataFrame) -> pd.DataFrame:
    """Shares of some spectra that are flagged, in all and by reason.

    Parameters
    ----------
    name : str
        What they are.
    judged : DataFrame
        ``date`` and, for each spectrum, which of `ANY`, `LOOK` and `REASONS` hold.

    Returns
    -------
    DataFrame
        ``spectra``, ``reason`` (those that occur), ``share`` of spectra, ``share_of_dates`` (the mean over
        dates), ``n``, ``n_dates``.
    """
    reasons = judged.drop(columns="date").astype(bool)
    shown = [reason for reason in reasons if reason in (ANY, LOOK) or reasons[reason].any()]
    by_date = reasons.groupby(judged["date"].to_numpy()).mean()
    return pd.DataFrame(
        {
            "spectra": name,
            "reason": shown,
            "share": [float(reasons[reason].mean()) for reason in shown],
            "share_of_dates": [float(by_date[reason].mean()) for reason in shown],
            "n": len(judged),
            "n_dates": len(by_date),
        }
    )


def judged_by_look(flags: Flags) -> BoolArray:
    """Spectra that any reason but gaps, season and place speaks against, shape (n,)."""
    looks = [found for name, found in flags.reasons.items() if name not in NOT_LOOK]
    return np.any([np.zeros_like(flags.flagged), *looks], axis=0)


def judgements(flags: Flags, dates: npt.NDArray[np.str_]) -> pd.DataFrame:
    """What `flag_shares` counts: the date of each spectrum, and which reasons hold."""
    columns = {"date": dates, ANY: flags.flagged, LOOK: judged_by_look(flags)}
    return pd.DataFrame(columns | {name: flags.reasons[name] for name in REASONS if name in flags.reasons})


def fitted_to(patches: Patches, seen: Seen, kept: BoolArray) -> Applicability:
    """What is familiar to whoever learned from the patches that are kept; arguments as of `flag_lines`."""
    return Applicability.fit(
        wavelength=patches.wavelength,
        dates=local_days(patches.time)[kept],
        **{name: values[kept] for name, values in seen.items()},
    )
