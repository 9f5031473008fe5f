"""How often spectra are flagged with an encoder that was pretrained without their dates.

Dates are dealt into sets. For each set a model is pretrained without it and what lies within 60 hours; what
the model makes of the other dates sets the limits, and the set is judged by them, as it is and with something
wrong with it: as a released model judges, with its encoder and the limits that belong to it, but from fewer
dates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.patches import Patches
from spectm.data.splits import excluded_by
from spectm.errors import ApplicabilityError, TrainingError
from spectm.evaluation.audit import audit_spectra
from spectm.evaluation.jobs import Job, Result, job_name
from spectm.evaluation.scopes import Scope, blind_sources
from spectm.evaluation.study import HEADLINE, Study
from spectm.evaluation.sureness_corruptions import corruptions, mild_changes
from spectm.evaluation.sureness_familiar import LAKE, fitted_to, flag_shares, judgements
from spectm.model.spectm import SpecTM
from spectm.training.blend import spectral_views
from spectm.training.forecast import local_days
from spectm.training.forecaster import seen_by
from spectm.training.pretrain import pretrain
from spectm.training.settings import Settings

__all__ = [
    "BLIND",
    "NOT_JUDGED",
    "SPREAD_OUT",
    "TOGETHER",
    "blind_jobs",
    "blind_judgements",
    "blind_shares",
    "dealt",
    "without",
]

BoolArray = npt.NDArray[np.bool_]
StringArray = npt.NDArray[np.str_]

BLIND = "blind"
"""A further table of a job."""
SPREAD_OUT, TOGETHER = "dates spread over the season", "neighbouring dates"
"""What is left out at once."""
NOT_JUDGED = "not judged: "
"""What a reason begins with where a set left too little to learn from."""
ERROR = "error"


def dealt(dates: StringArray, sets: int) -> dict[str, list[StringArray]]:
    """Dates in sets, each date once: every fifth together where there are five sets, or neighbours."""
    names = np.unique(dates)
    sets = min(sets, names.size)  # an empty set would leave nothing out
    return {
        SPREAD_OUT: [names[first::sets] for first in range(sets)],
        TOGETHER: list(np.array_split(names, sets)),
    }


def blind_jobs(study: Study) -> Iterator[tuple[str, Job]]:
    """A pretraining for each set of dates that is left out; none with `flag_sets` 0."""
    sets = study.config.flag_sets
    for left_out, parts in dealt(local_days(study.patches.time), sets).items() if sets else ():
        for number, names in enumerate(parts):
            yield job_name(BLIND, left_out, number), partial(_blind_job, study, left_out, names, number)


def blind_shares(lines: pd.DataFrame) -> pd.DataFrame:
    """Shares that are flagged, of the lines of all `blind_jobs`.

    Returns
    -------
    DataFrame
        ``left_out`` (`SPREAD_OUT` or `TOGETHER`), then as `flag_shares`, of `LAKE` and, of dates spread over
        the season, of each of `corruptions` and `mild_changes`; empty where there are no lines. Where one set
        could not be judged nothing is said of its way to deal, as the others are another season: a line
        without shares has `NOT_JUDGED` and why as its ``reason``.
    """
    parts = []
    for left_out, of_way in lines.groupby("left_out", sort=False) if len(lines) else ():
        if ERROR in of_way and (failed := of_way[ERROR].dropna()).size:
            part = pd.DataFrame({"spectra": [LAKE], "reason": NOT_JUDGED + str(failed.iloc[0])})
            parts.append(part.assign(share=np.nan, share_of_dates=np.nan, n=0, n_dates=0, left_out=left_out))
            continue
        for name, own in of_way.groupby("spectra", sort=False):
            judged = own.drop(columns=["left_out", "spectra", ERROR], errors="ignore")
            judged = judged.dropna(axis="columns", how="all").fillna(False)
            parts.append(flag_shares(str(name), judged).assign(left_out=left_out))
    if not parts:
        return pd.DataFrame()
    joined = pd.concat(parts, ignore_index=True)
    return joined[["left_out", *joined.columns.drop("left_out")]]


def blind_judgements(
    patches: Patches,
    unlabelled: Sequence[Patches],
    names: StringArray,
    settings: Settings,
    *,
    rng: np.random.Generator,
    changed: bool,
) -> pd.DataFrame:
    """How patches of some dates are judged by what was learned without these dates.

    Parameters
    ----------
    patches : Patches
        All of them; those with a gap are not judged.
    unlabelled : sequence of Patches
        More spectra for pretraining.
    names : ndarray of str
        Local days that are left out.
    settings : Settings
        Of pretraining.
    rng : Generator
        Of what goes wrong.
    changed : bool
        Judge spectra that something was made wrong with or a little off, too.

    Returns
    -------
    DataFrame
        ``spectra``, then as `judgements`: `LAKE`, the patches as they are, and each of `corruptions` and
        `mild_changes`, as patches of one pixel.

    Raises
    ------
    ApplicabilityError, TrainingError
        If too little is left to learn from.
    LeakageError
        If anything of what is judged would be learned from.
    """
    days = local_days(patches.time)
    kept, model = blind_to(patches, unlabelled, np.isin(days, names), settings)
    known = fitted_to(patches, made_of(patches, model), kept)
    whole = np.isfinite(patches.mean_spectrum()).all(axis=1)
    tested = patches.select(np.flatnonzero(whole & np.isin(days, names)))
    spectra, wrong = tested.mean_spectrum(), {}
    if changed:
        wrong = corruptions(spectra, patches.wavelength, rng) | mild_changes(spectra)
    judged = {name: replace(tested, Rrs=_one_pixel(Rrs)) for name, Rrs in wrong.items()}
    parts = []
    for name, one in ({LAKE: tested} | judged).items():
        part = judgements(known.flag(**made_of(one, model)), local_days(one.time))
        parts.append(part.assign(spectra=name))
    joined = pd.concat(parts, ignore_index=True)
    return joined[["spectra", *joined.columns.drop("spectra")]]


def without(
    patches: Patches, unlabelled: Sequence[Patches], test: BoolArray
) -> tuple[BoolArray, list[Patches]]:
    """Patches that may be learned from, and all spectra: neither tested nor within 60 hours of what is.

    Raises
    ------
    LeakageError
        If anything of the test would be learned from.
    """
    times = np.concatenate([patches.first[test], patches.last[test]])
    kept = ~excluded_by(patches.first, times, until=patches.last)
    scope = Scope(HEADLINE, "dates", [], test_times=times, test_patches=np.flatnonzero(test))
    sources = blind_sources(patches, unlabelled, scope)
    audit_spectra(sources, patches.select(test), times, HEADLINE, purpose="pretraining and limits of flags")
    return kept, sources


def blind_to(
    patches: Patches, unlabelled: Sequence[Patches], test: BoolArray, settings: Settings
) -> tuple[BoolArray, SpecTM]:
    """Patches that were learned from, and a model pretrained on them."""
    kept, sources = without(patches, unlabelled, test)
    return kept, pretrain(Fabric(accelerator="cpu", devices=1), sources, settings, seed=0).model.eval()


def made_of(patches: Patches, model: SpecTM) -> dict[str, Any]:
    """What a model makes of patches."""
    return seen_by(patches, (model,), (spectral_views(patches, model.encoder),))


def _blind_job(study: Study, left_out: str, names: StringArray, number: int) -> Result:
    try:
        judged = blind_judgements(
            study.patches,
            study.unlabelled,
            names,
            study.settings,
            rng=np.random.default_rng(number),
            # Of neighbours most are strange by the season alone, whatever is wrong with them besides.
            changed=left_out == SPREAD_OUT,
        )
    except (ApplicabilityError, TrainingError) as error:
        judged = pd.DataFrame({ERROR: [str(error)]})
    lines = judged.assign(left_out=left_out).to_dict("records")
    return Result([], {BLIND: [{str(name): value for name, value in line.items()} for line in lines]})


def _one_pixel(spectra: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    return spectra[:, :, None, None].astype(np.float32)
