"""The real-data protocol, assembled: every model, split and context, as jobs that can be stopped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from lightning_fabric import Fabric

import spectm
from spectm.data.context import Context
from spectm.data.labels import Labels
from spectm.data.patches import Patches
from spectm.data.splits import Fold
from spectm.evaluation.audit import audit_spectra
from spectm.evaluation.baselines import BASELINES, baseline_contexts, make_baseline
from spectm.evaluation.blends import BLENDS
from spectm.evaluation.folds import Known, fold_lines
from spectm.evaluation.frozen import blend_on
from spectm.evaluation.jobs import Job, Lines, Result, further_lines, job_name, keep_identity, run_jobs
from spectm.evaluation.models import ABLATIONS, VARIANTS, Variant, frozen_views, make_variant
from spectm.evaluation.reconstruction import HeldOut, as_lines, from_lines, masked, nearest_block, reconstruct
from spectm.evaluation.scopes import Scope, blind_sources, split_folds, trainable_scopes
from spectm.evaluation.study import HEADLINE, STRICT, EvaluationConfig, Study, earlier_years, prepared
from spectm.evaluation.sureness_blind import BLIND
from spectm.evaluation.sureness_jobs import DISTRIBUTIONS, FLAGS, family_sureness, sureness_jobs
from spectm.evaluation.task import Task
from spectm.model.spectm import SpecTM
from spectm.training.blend import spectral_views
from spectm.training.pretrain import pretrain, untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.settings import Settings

__all__ = ["Outcome", "blind_pretraining", "earlier_years", "run_protocol"]

# There for comparison; an own seed of each would cost more than the splits that claims rest on.
FIRST_SEED_ONLY = (STRICT, "random-5")
RECONSTRUCTION, CURVES = "reconstruction", "curves"
ORDER = ["task", "split", "model", "context", "seed", "repeat", "row"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the protocol gives.

    Parameters
    ----------
    tasks : dict of Task
        By name.
    predictions : DataFrame
        One line per task, split, model, context, seed, fold and row (``row``, ``mean`` and ``spread`` in
        log10).
    curves : DataFrame
        Of every pretraining, one line per step; empty where there was none.
    held_out : list of HeldOut
        Hidden bands of every block of dates, for each guard; empty without the model ``spectm`` or the
        headline split. Seed 0; a patch is scored once.
    distributions, flags : DataFrame
        Calibrated distributions of held-out dates, and whether their spectra look familiar, as
        `spectm.evaluation.sureness` and `spectm.evaluation.sureness_familiar` give them; empty where none
        was asked for.
    blind : DataFrame
        How dates are judged with an encoder that has not seen them, as
        `spectm.evaluation.sureness_blind.blind_jobs` give it; likewise.
    """

    tasks: dict[str, Task]
    predictions: pd.DataFrame
    curves: pd.DataFrame
    held_out: list[HeldOut]
    distributions: pd.DataFrame = field(default_factory=pd.DataFrame)
    flags: pd.DataFrame = field(default_factory=pd.DataFrame)
    blind: pd.DataFrame = field(default_factory=pd.DataFrame)


def run_protocol(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: EvaluationConfig,
    *,
    out: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Outcome:
    """Fit and predict everything that the configuration asks for.

    Parameters
    ----------
    patches : Patches
        Station patches: labelled rows are made of them, and pretraining sees what the folds allow.
    labels : Labels
        The laboratory record.
    unlabelled : sequence of Patches
        More spectra for pretraining.
    settings : Settings
        Of the SpecTM family.
    config : EvaluationConfig
        What is compared.
    out : Path, optional
        Folder for the results of jobs; those that are there are not computed again. Without it nothing is
        kept.
    identity : mapping, optional
        Of the input files; settings and version are added. Results of anything else are refused.
    progress : bool
        Draw a progress bar.

    Raises
    ------
    ConfigError
        If the folder holds unfinished results of other data or settings.
    LeakageError
        If anything of a test set would be learned from.
    TrainingError
        Before anything is computed, if a split leaves no spectrum to pretrain on.
    """
    if out is None:
        with TemporaryDirectory() as folder:
            return run_protocol(
                patches, labels, unlabelled, settings, config, out=Path(folder), progress=progress
            )
    study = prepared(patches, labels, unlabelled, settings, config)
    jobs = dict(_jobs(study))
    keep_identity(out, {**(identity or {}), **_identity(study)})
    predictions = run_jobs(jobs, out, workers=config.workers, doing="evaluating", progress=progress)
    curves = further_lines(jobs, out, CURVES)
    if not curves.empty:
        curves = curves.sort_values(["split", "scope", "model", "seed", "step"], ignore_index=True)
    found = further_lines(jobs, out, RECONSTRUCTION)
    return Outcome(
        tasks=study.tasks,
        predictions=predictions.sort_values(ORDER, ignore_index=True),
        curves=curves,
        held_out=[] if found.empty else from_lines(found, settings, patches.wavelength),
        distributions=further_lines(jobs, out, DISTRIBUTIONS),
        flags=further_lines(jobs, out, FLAGS),
        blind=further_lines(jobs, out, BLIND),
    )


def _identity(study: Study) -> dict[str, Any]:
    """What results rest on beside the files; how many processes compute makes no difference."""
    compared = asdict(study.config)
    del compared["workers"]
    settings = {**asdict(study.settings), "evaluation": compared}
    return {"spectm_version": spectm.__version__, "settings": settings}


def _jobs(study: Study) -> Iterator[tuple[str, Job]]:
    """The long jobs first, so that no worker is left with one at the end."""
    config = study.config
    yield from _family_jobs(study)
    yield from sureness_jobs(study)
    for splits in _together(config.splits):
        for task in config.tasks:
            for model in (name for name in config.models if name in BASELINES):
                name = job_name(splits[0], task, model)
                yield name, partial(_baseline_job, study, splits, task, model)
            for model in (name for name in config.models if name in BLENDS):
                yield job_name(splits[0], task, model), partial(_blend_job, study, splits, task, model)


def _together(splits: Sequence[str]) -> list[tuple[str, ...]]:
    """Splits by job: the two leave-date-out ones share pretrainings, and many of their folds are equal."""
    if HEADLINE not in splits or STRICT not in splits:
        return [(split,) for split in splits]
    return [(split, STRICT) if split == HEADLINE else (split,) for split in splits if split != STRICT]


def _family_jobs(study: Study) -> Iterator[tuple[str, Job]]:
    """Scope by scope and seed by seed, the models that stand on one pretraining together."""
    config = study.config
    family = [name for name in config.models if name in VARIANTS]
    everywhere = [name for name in family if name not in ABLATIONS]
    for split in [splits[0] for splits in _together(config.splits)]:
        wanted = family if split == HEADLINE else everywhere
        found = list(trainable_scopes(study, split)) if wanted else []
        fills = split == HEADLINE and "spectm" in family
        parts = _block_patches(study.patches, found) if fills else [None] * len(found)
        for scope, part in zip(found, parts, strict=True):
            for seed in range(1 if split in FIRST_SEED_ONLY else config.seeds):
                names = wanted if seed < config.ablation_seeds else everywhere
                for group in _by_pretraining(names, study.settings):
                    held_out = part if seed == 0 and "spectm" in group else None
                    yield (
                        job_name(split, scope.name, group[0], seed),
                        partial(_spectm_job, study, scope, seed, group, held_out),
                    )
            if part is not None:
                yield from _reconstruction_jobs(study, scope, part)


def _reconstruction_jobs(study: Study, scope: Scope, held_out: Patches) -> Iterator[tuple[str, Job]]:
    """Hidden bands with those guards that need a pretraining of their own."""
    for guard in study.config.guards_nm:
        if masked(study.settings, guard) != study.settings:
            name = job_name(RECONSTRUCTION, f"{guard:g}", scope.name)
            yield name, partial(_reconstruction_job, study, scope, guard, held_out)


def _block_patches(patches: Patches, blocks: Sequence[Scope]) -> list[Patches | None]:
    """The patches whose hidden bands are filled in for each block of dates."""
    block = nearest_block(patches.time, [scope.test_times for scope in blocks])
    return [patches.select(block == number) for number in range(len(blocks))]


def _contexts(study: Study, name: str, fold: Fold, seed: int) -> tuple[Context, ...]:
    """Contexts in which a model of the family runs on a fold; none where it does not."""
    if name in ABLATIONS:
        return ("none",) if fold.split == HEADLINE else ()
    if fold.split in FIRST_SEED_ONLY and seed > 0:
        return ()
    if fold.split == "random-5" and VARIANTS[name].head == "finetune":
        return ("none",)  # fifty fine-tunings of each task more for every other context
    return study.config.contexts


def _by_pretraining(names: Sequence[str], settings: Settings) -> list[list[str]]:
    """Models gathered by the pretraining that they stand on."""
    gathered: dict[str, list[str]] = {}
    for name in names:
        variant = VARIANTS[name]
        gathered.setdefault(f"{variant.pretrained} {variant.change(settings)}", []).append(name)
    return list(gathered.values())


def _baseline_job(study: Study, splits: Sequence[str], task_name: str, model: str) -> Lines:
    """One baseline on all folds and contexts of some splits."""
    task, lines = study.tasks[task_name], []
    for context in baseline_contexts(model):
        if context not in study.config.contexts and len(baseline_contexts(model)) > 1:
            continue
        known: Known = {}
        for fold in (fold for split in splits for fold in split_folds(task, split, study.config.shuffles)):
            make = partial(make_baseline, model, context, seed=0)
            lines += fold_lines(task, fold, model, context, 0, make, known=known)
    return lines


def _blend_job(study: Study, splits: Sequence[str], task_name: str, model: str) -> Lines:
    """One blend without an encoder, on all folds and contexts of some splits."""
    task, lines = study.tasks[task_name], []
    views = spectral_views(study.patches, indices=study.settings.indices.chosen())
    for context in study.config.contexts:
        known: Known = {}
        make = blend_on(study, views, BLENDS[model], context)
        for fold in (fold for split in splits for fold in split_folds(task, split, study.config.shuffles)):
            lines += fold_lines(task, fold, model, context, 0, make, current=study.current, known=known)
    return lines


def _spectm_job(study: Study, scope: Scope, seed: int, names: list[str], held_out: Patches | None) -> Result:
    """One pretraining, and every model and fold that stands on it; hidden bands of `held_out`."""
    variant, lines = VARIANTS[names[0]], []
    fabric = Fabric(accelerator="cpu", devices=1)
    settings = variant.change(study.settings)
    pretrained, curve = blind_pretraining(study, scope, seed, variant, settings, fabric)
    about = {"scope": scope.name, "split": scope.split, "model": names[0], "seed": seed}
    further = {CURVES: [{**about, **step} for step in curve]} if curve else {}
    if held_out is not None:
        further[RECONSTRUCTION] = [
            line
            for guard in study.config.guards_nm
            if masked(study.settings, guard) == study.settings
            for line in _filled_in(study, scope, guard, held_out, pretrained)
        ]
    if seed == 0:
        further |= family_sureness(study, scope, pretrained, names, settings)
    views = frozen_views(names, pretrained, study.patches, indices=study.settings.indices.chosen())
    known: dict[tuple[str, str], Known] = {}
    for name in names:
        for task_name, fold in scope.folds:
            for context in _contexts(study, name, fold, seed):
                make = partial(make_variant, name, fabric, pretrained, study.patches, context, settings, seed)
                lines += fold_lines(
                    study.tasks[task_name],
                    fold,
                    name,
                    context,
                    seed,
                    partial(make, study.record, views),
                    current=study.current,
                    known=known.setdefault((name, context), {}),
                )
    return Result(lines, further)


def _reconstruction_job(study: Study, scope: Scope, guard_nm: float, held_out: Patches) -> Result:
    """Hidden bands of patches that a new pretraining has not seen."""
    return Result([], {RECONSTRUCTION: _filled_in(study, scope, guard_nm, held_out, None)})


def _filled_in(
    study: Study, scope: Scope, guard_nm: float, held_out: Patches, pretrained: SpecTM | None
) -> Lines:
    sources = blind_sources(study.patches, study.unlabelled, scope)
    fabric = Fabric(accelerator="cpu", devices=1)
    found = reconstruct(
        fabric,
        sources,
        held_out,
        scope.test_times,
        study.settings,
        guard_nm=guard_nm,
        seed=0,
        pretrained=pretrained,
    )
    return as_lines(found)


def blind_pretraining(
    study: Study, scope: Scope, seed: int, variant: Variant, settings: Settings, fabric: Fabric
) -> tuple[SpecTM, list[dict[str, float]]]:
    """The model that a scope's folds start from, and its training curve.

    `settings` are those that the variant has changed.

    Raises
    ------
    LeakageError
        If anything of a test set would be learned from.
    """
    sources: list[Patches] = []
    if "study" in variant.learns_from:
        sources += blind_sources(study.patches, study.unlabelled, scope)
        test = study.patches.select(scope.test_patches)
        audit_spectra(sources, test, scope.test_times, scope.split, purpose="pretraining and normalisation")
    if "simulated" in variant.learns_from:
        sources += study.simulated  # whole, also at test times: of another lake nothing is tested
    if not variant.pretrained:
        return untrained(pretraining_data(sources), settings, seed=seed), []
    trained = pretrain(fabric, sources, settings, seed=seed)
    return trained.model, trained.state.history
