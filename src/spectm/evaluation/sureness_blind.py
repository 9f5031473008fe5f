"""How often spectra are flagged with an encoder that was pretrained without their dates.

Dates are dealt into sets. For each set a model is pretrained without it and what lies within 60 hours; what
the model makes of the other dates sets the limits, and the set is judged by them, as it is and with something
wrong with it: what a released model does, with its encoder and the limits that belong to it.
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
from spectm.evaluation.jobs import Job, Result, job_name
from spectm.evaluation.study import Study
from spectm.evaluation.sureness_corruptions import corruptions, mild_changes
from spectm.evaluation.sureness_familiar import LAKE, fitted_to, flag_shares, judgements
from spectm.model.spectm import SpecTM
from spectm.training.blend import spectral_views
from spectm.training.forecast import local_days
from spectm.training.forecaster import seen_by
from spectm.training.pretrain import pretrain
from spectm.training.settings import Settings
from spectm.trust.applicability import FEWEST_DATES

__all__ = [
    "BLIND",
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


def dealt(dates: StringArray, sets: int) -> dict[str, list[StringArray]]:
    """Dates in sets, each date once: every fifth together where there are five sets, or neighbours."""
    names = np.unique(dates)
    return {
        SPREAD_OUT: [names[first::sets] for first in range(sets)],
        TOGETHER: list(np.array_split(names, sets)),
    }


def blind_jobs(study: Study) -> Iterator[tuple[str, Job]]:
    """A pretraining for each set of dates that is left out.

    Nothing with `flag_sets` 0, and nothing of a way to deal by which a set leaves too few dates to learn
    from: the other sets alone would be another season.
    """
    sets, days = study.config.flag_sets, local_days(study.patches.time)
    for left_out, parts in dealt(days, sets).items() if sets else ():
        left = (without(study.patches, [], np.isin(days, names))[0] for names in parts)
        if min(_n_dates(study.patches, kept) for kept in left) < FEWEST_DATES:
            continue
        for number, names in enumerate(parts):
            # Of neighbours most are strange by the season alone, whatever is wrong with them besides.
            seed = number if left_out == SPREAD_OUT else None
            job = partial(_blind_job, study, left_out, names, seed=seed)
            yield job_name(BLIND, left_out, number), job


def blind_shares(lines: pd.DataFrame) -> pd.DataFrame:
    """Shares that are flagged, of the lines of all `blind_jobs`.

    Returns
    -------
    DataFrame
        ``left_out`` (`SPREAD_OUT` or `TOGETHER`), then as `flag_shares`, of `LAKE` and, of dates spread over
        the season, of each of `corruptions` and `mild_changes`; empty where there are no lines.
    """
    parts = []
    for keys, own in lines.groupby(["left_out", "spectra"], sort=False) if len(lines) else ():
        left_out, name = map(str, keys)
        judged = own.drop(columns=["left_out", "spectra"]).dropna(axis="columns", how="all")
        parts.append(flag_shares(name, judged.fillna(False)).assign(left_out=left_out))
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
    seed: int | None,
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
    seed : int or None
        Of what goes wrong; None where nothing does.

    Returns
    -------
    DataFrame
        ``spectra``, then as `judgements`: `LAKE`, the patches as they are, and each of `corruptions` and
        `mild_changes`, as patches of one pixel.

    Raises
    ------
    ApplicabilityError, TrainingError
        If too little is left to learn from.
    """
    days = local_days(patches.time)
    kept, model = blind_to(patches, unlabelled, np.isin(days, names), settings)
    known = fitted_to(patches, made_of(patches, model), kept)
    whole = np.isfinite(patches.mean_spectrum()).all(axis=1)
    tested = patches.select(np.flatnonzero(whole & np.isin(days, names)))
    spectra = tested.mean_spectrum()
    wrong = {}
    if seed is not None:
        wrong = corruptions(spectra, patches.wavelength, np.random.default_rng(seed)) | mild_changes(spectra)
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
    """Patches that may be learned from, and all spectra: neither tested nor within 60 hours of what is."""
    times = np.concatenate([patches.first[test], patches.last[test]])
    kept = ~test & ~excluded_by(patches.first, times, until=patches.last)
    sources = [patches.select(kept)]
    return kept, sources + [one.select(~excluded_by(one.first, times, until=one.last)) for one in unlabelled]


def blind_to(
    patches: Patches, unlabelled: Sequence[Patches], test: BoolArray, settings: Settings
) -> tuple[BoolArray, SpecTM]:
    """Patches that were learned from, and a model pretrained on them."""
    kept, sources = without(patches, unlabelled, test)
    return kept, pretrain(Fabric(accelerator="cpu", devices=1), sources, settings, seed=0).model.eval()


def made_of(patches: Patches, model: SpecTM) -> dict[str, Any]:
    """What a model makes of patches."""
    return seen_by(patches, (model,), (spectral_views(patches, model.encoder),))


def _blind_job(study: Study, left_out: str, names: StringArray, *, seed: int | None) -> Result:
    judged = blind_judgements(study.patches, study.unlabelled, names, study.settings, seed=seed)
    columns = [str(name) for name in judged.columns]
    lines = [dict(zip(columns, row, strict=True)) for row in judged.itertuples(index=False)]
    return Result([], {BLIND: [{"left_out": left_out, **line} for line in lines]})


def _n_dates(patches: Patches, kept: BoolArray) -> int:
    """Dates of those patches that have no gap."""
    whole = np.isfinite(patches.mean_spectrum()).all(axis=1)
    return np.unique(local_days(patches.time[kept & whole])).size


def _one_pixel(spectra: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    return spectra[:, :, None, None].astype(np.float32)
