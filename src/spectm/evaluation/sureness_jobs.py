"""Calibrated distributions and flags of every held-out date, as jobs beside those of the scores."""

from collections.abc import Iterator
from functools import partial

from lightning_fabric import Fabric

from spectm.data.context import Context
from spectm.evaluation.baselines import make_baseline
from spectm.evaluation.blends import BLENDS
from spectm.evaluation.frozen import blend_on
from spectm.evaluation.jobs import Job, Lines, Result, job_name
from spectm.evaluation.models import VARIANTS, make_variant
from spectm.evaluation.scopes import Scope, split_folds
from spectm.evaluation.study import HEADLINE, Study
from spectm.evaluation.sureness import Fitted, distribution_lines
from spectm.evaluation.sureness_blind import blind_jobs
from spectm.evaluation.sureness_familiar import flag_lines
from spectm.model.spectm import SpecTM
from spectm.training.blend import spectral_views
from spectm.training.forecaster import seen_by
from spectm.training.settings import Settings

__all__ = ["DISTRIBUTIONS", "FLAGS", "family_sureness", "sureness_jobs"]

DISTRIBUTIONS, FLAGS = "distributions", "flags"
"""Further tables of a job."""
SEASON: Context = "season"
BANDS, ENCODER = "bands", "encoder"


def sureness_jobs(study: Study) -> Iterator[tuple[str, Job]]:
    """Flags with an encoder that is blind to the dates; intervals and flags without one, task by task."""
    if not _wanted(study):
        return
    if any(model in VARIANTS for model in _wanted(study)):
        yield from blind_jobs(study)
    for task in study.tasks:
        yield job_name("sureness", task, FLAGS), partial(_flag_job, study, task)
        for model in _wanted(study):
            if model not in VARIANTS:
                yield job_name("sureness", task, model), partial(_distribution_job, study, task, model)


def family_sureness(
    study: Study, scope: Scope, pretrained: SpecTM, names: list[str], settings: Settings
) -> dict[str, Lines]:
    """The same for models on the first seed's pretraining of a block of dates, by name of the table.

    Parameters
    ----------
    study, scope
        Where the folds of other splits are left alone.
    pretrained : SpecTM
        Blind to all that the scope tests.
    names : list of str
        Models that stand on it.
    settings : Settings
        Of these models.
    """
    wanted = [name for name in names if name in _wanted(study)]
    folds = [(task, fold) for task, fold in scope.folds if fold.split == HEADLINE]
    if not wanted or not folds:
        return {}
    views = spectral_views(study.patches, pretrained.encoder, indices=study.settings.indices.chosen())
    seen = seen_by(study.patches, (pretrained,), (views,))
    flags = [
        line
        for task, fold in folds
        for line in flag_lines(study.tasks[task], fold, study.patches, seen, ENCODER)
    ]
    fabric, lines = Fabric(accelerator="cpu", devices=1), []
    for name in wanted:
        make = partial(make_variant, name, fabric, pretrained, study.patches, SEASON, settings, 0)
        fitted: dict[str, Fitted] = {task: {} for task in study.tasks}
        for task, fold in folds:
            lines += distribution_lines(
                study.tasks[task],
                fold,
                name,
                SEASON,
                partial(make, study.record, views),
                current=study.current,
                fitted=fitted[task],
            )
    return {DISTRIBUTIONS: lines, FLAGS: flags}


def _wanted(study: Study) -> list[str]:
    """Models that get intervals: whole dates must be left out, and the season known."""
    config = study.config
    if HEADLINE not in config.splits or SEASON not in config.contexts:
        return []
    return [name for name in config.intervals if name in config.models]


def _flag_job(study: Study, name: str) -> Result:
    task, seen = study.tasks[name], seen_by(study.patches, (), ())
    folds = split_folds(task, HEADLINE, 1)
    return Result(
        [], {FLAGS: [line for fold in folds for line in flag_lines(task, fold, study.patches, seen, BANDS)]}
    )


def _distribution_job(study: Study, name: str, model: str) -> Result:
    task, fitted, lines = study.tasks[name], Fitted(), []
    if model in BLENDS:
        make = blend_on(
            study,
            spectral_views(study.patches, indices=study.settings.indices.chosen()),
            BLENDS[model],
            SEASON,
        )
    else:
        make = partial(make_baseline, model, SEASON, seed=0)
    for fold in split_folds(task, HEADLINE, 1):
        lines += distribution_lines(task, fold, model, SEASON, make, current=study.current, fitted=fitted)
    return Result([], {DISTRIBUTIONS: lines})
