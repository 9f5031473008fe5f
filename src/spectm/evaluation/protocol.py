"""The real-data protocol, assembled: every model, split and context, audited, scored and written down."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from joblib import Parallel, delayed
from lightning_fabric import Fabric
from tqdm import tqdm

from spectm.data.context import CONTEXTS, Context
from spectm.data.labels import Labels, surface_samples
from spectm.data.matchups import TASKS
from spectm.data.memory import Record
from spectm.data.patches import Patches
from spectm.data.splits import (
    Fold,
    date_blocks,
    excluded_by,
    forward,
    leave_date_out,
    leave_station_out,
    random_five,
    row_times,
)
from spectm.errors import ConfigError, TrainingError
from spectm.evaluation.audit import (
    BUFFERED,
    audit_borrowed,
    audit_labels,
    audit_own_last_value,
    audit_spectra,
    pixel_keys,
)
from spectm.evaluation.baselines import BASELINES, Estimator, baseline_contexts, make_baseline
from spectm.evaluation.blends import BLENDS, BlendEstimator, rows_clear_of
from spectm.evaluation.models import ABLATIONS, VARIANTS, Variant, make_variant
from spectm.evaluation.task import Task, build_task
from spectm.model.spectm import SpecTM
from spectm.training.blend import spectral_views
from spectm.training.pretrain import PretrainingData, pretrain, pretraining_data, untrained
from spectm.training.settings import Settings

__all__ = [
    "MODELS",
    "SPLITS",
    "EvaluationConfig",
    "Scope",
    "Study",
    "blind_pretraining",
    "fold_lines",
    "prepared",
    "run_protocol",
    "scopes",
    "split_folds",
    "trainable_scopes",
    "training_rows",
]

SPLITS = ("leave-date-out", "leave-date-out-strict", "random-5", "leave-station-out", "forward")
MODELS = (*BASELINES, *BLENDS, *VARIANTS)

# There for comparison; an own seed of each would cost more than the splits that claims rest on.
FIRST_SEED_ONLY = ("leave-date-out-strict", "random-5")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """What is compared.

    Parameters
    ----------
    tasks, splits, models, contexts : tuple of str
        Which of `TASKS`, `SPLITS`, `MODELS` and `CONTEXTS`.
    seeds, ablation_seeds : int
        Seeds 0, 1, ... of ``spectm`` and ``spectm-probe``, and of the models that differ from them in one
        thing, which run leave-date-out without context. ``leave-date-out-strict`` and ``random-5`` are there
        for comparison: in them SpecTM runs with the first seed, and in ``random-5`` without context.
    guards_nm : tuple of float
        Guards beside the windows for which the reconstruction of hidden bands is scored, nm.
    shuffles : int
        Shuffles of ``random-5``.
    workers : int
        Processes; each computes on one thread.
    """

    tasks: tuple[str, ...] = TASKS
    splits: tuple[str, ...] = SPLITS
    models: tuple[str, ...] = MODELS
    contexts: tuple[Context, ...] = CONTEXTS
    seeds: int = 3
    ablation_seeds: int = 1
    shuffles: int = 10
    guards_nm: tuple[float, ...] = (0.0, 5.0)
    workers: int = 2

    def __post_init__(self) -> None:
        known = {"tasks": TASKS, "splits": SPLITS, "models": MODELS, "contexts": CONTEXTS}
        for name, choices in known.items():
            unknown = [value for value in getattr(self, name) if value not in choices]
            if unknown:
                raise ConfigError(f"evaluation.{name}: {unknown[0]!r} is not one of {', '.join(choices)}")
        if min(self.seeds, self.ablation_seeds, self.shuffles, self.workers) < 1:
            raise ConfigError("evaluation wants seeds, ablation_seeds, shuffles and workers of at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Folds that share one pretraining, which is blind to all of them.

    Parameters
    ----------
    split, name : str
        ``leave-date-out`` and ``forward`` share by block of dates, ``leave-station-out`` by station,
        ``random-5`` by shuffle, or where that leaves nothing to learn from by fold of a shuffle.
    folds : list of (str, Fold)
        Task and fold.
    test_times : ndarray of datetime64
        Samples and overpasses of all test rows, UTC.
    test_patches : ndarray of int
        Patches of all test rows.
    """

    split: str
    name: str
    folds: list[tuple[str, Fold]]
    test_times: npt.NDArray[np.datetime64]
    test_patches: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What every job is given: as `prepared` makes it.

    Parameters
    ----------
    tasks : dict of Task
        By name.
    patches, unlabelled, settings, config
        As `run_protocol` takes them.
    current : Task
        What blends learn from, also where it is not asked for.
    record : Record or None
        The laboratory's earlier years; None where no model wants them.
    """

    tasks: dict[str, Task]
    patches: Patches
    unlabelled: tuple[Patches, ...]
    settings: Settings
    config: EvaluationConfig
    current: Task
    record: Record | None


@dataclass(slots=True)
class _Results:
    """What a job gives back."""

    predictions: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)


def run_protocol(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: EvaluationConfig,
    *,
    progress: bool = True,
) -> tuple[dict[str, Task], pd.DataFrame, pd.DataFrame]:
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
    progress : bool
        Draw a progress bar.

    Returns
    -------
    tuple
        Tasks by name; predictions, one line per task, split, model, context, seed, fold and row (``row``,
        ``mean`` and ``spread`` in log10); pretraining curves.

    Raises
    ------
    LeakageError
        If anything of a test set would be learned from.
    TrainingError
        Before anything is computed, if a split leaves no spectrum to pretrain on.
    """
    study = prepared(patches, labels, unlabelled, settings, config)
    jobs = list(_jobs(study))
    results = Parallel(n_jobs=config.workers, return_as="generator_unordered")(
        delayed(_on_one_thread)(job, study, *arguments) for job, arguments in jobs
    )
    bar = tqdm(results, total=len(jobs), desc="evaluating", unit="job", disable=not progress, mininterval=5.0)
    finished: list[_Results] = list(bar)
    predictions = pd.DataFrame([line for result in finished for line in result.predictions])
    order = ["task", "split", "model", "context", "seed", "repeat", "row"]
    curves = pd.DataFrame([line for result in finished for line in result.curves])
    if not curves.empty:  # jobs end in any order
        curves = curves.sort_values(["split", "scope", "model", "seed", "step"], ignore_index=True)
    return study.tasks, predictions.sort_values(order, ignore_index=True), curves


def prepared(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: EvaluationConfig,
) -> Study:
    """Tasks and references of a comparison; the arguments are those of `run_protocol`.

    Raises
    ------
    LeakageError
        If a target is its own last laboratory value.
    """
    tasks = {name: build_task(name, patches, labels) for name in config.tasks}
    for task in tasks.values():
        audit_own_last_value(task)
    blended = any(is_blend(name) for name in config.models)
    current = tasks.get("current") or build_task("current", patches, labels)
    record = earlier_years(patches, labels) if blended else None
    return Study(tasks, patches, tuple(unlabelled), settings, config, current, record)


def is_blend(name: str) -> bool:
    """Whether a model learns departures from the climatology, and carries them."""
    return name in BLENDS or (name in VARIANTS and VARIANTS[name].head == "blend")


def earlier_years(patches: Patches, labels: Labels) -> Record:
    """What the laboratory found in the years before the first patch."""
    first_year = int(str(patches.time.min())[:4])
    return Record.fit(surface_samples(labels), last_year=first_year - 1)


def split_folds(task: Task, split: str, shuffles: int) -> list[Fold]:
    """All folds of a split of one task."""
    if split == "random-5":
        return [fold for repeat in range(shuffles) for fold in random_five(task.rows, seed=repeat)]
    divide: dict[str, Callable[[pd.DataFrame], list[Fold]]] = {
        "leave-date-out": leave_date_out,
        "leave-date-out-strict": partial(leave_date_out, strict=True),
        "leave-station-out": leave_station_out,
        "forward": forward,
    }
    return divide[split](task.rows)


def scopes(tasks: dict[str, Task], split: str, config: EvaluationConfig) -> list[Scope]:
    """Folds of all tasks, gathered by the pretraining that they can share.

    The two leave-date-out splits differ in training rows alone, so that one pretraining serves both.
    """
    splits = [split]
    if split == "leave-date-out" and "leave-date-out-strict" in config.splits:
        splits.append("leave-date-out-strict")
    pairs = [
        (name, fold)
        for name, task in tasks.items()
        for each in splits
        for fold in split_folds(task, each, config.shuffles)
    ]
    if split in BUFFERED:
        dates = sorted({date for task in tasks.values() for date in task.dates})
        block = dict(zip(dates, date_blocks(dates), strict=True))
        key_of = [f"block {block[fold.name]}" for _, fold in pairs]
    else:
        key_of = [f"shuffle {fold.repeat}" if split == "random-5" else fold.name for _, fold in pairs]
    gathered: dict[str, list[tuple[str, Fold]]] = {}
    for key, pair in zip(key_of, pairs, strict=True):
        gathered.setdefault(key, []).append(pair)
    return [_scope(tasks, split, key, folds) for key, folds in gathered.items()]


def _scope(tasks: dict[str, Task], split: str, name: str, folds: list[tuple[str, Fold]]) -> Scope:
    tested = pd.concat([tasks[task].rows.iloc[fold.test] for task, fold in folds])
    return Scope(split, name, folds, row_times(tested), np.unique(tested["patch"].to_numpy(dtype=np.int64)))


def blind_sources(patches: Patches, unlabelled: Sequence[Patches], scope: Scope) -> list[Patches]:
    """Everything that a scope's pretraining may see: nothing that is tested, or too near to it in time.

    Where whole dates are left out, 60 hours around every test time go; in ``forward`` also all that is later.
    Where they are not (``leave-station-out``, ``random-5``), the station's patches and every patch or pixel
    that holds a tested pixel go: the regridding gives neighbouring stations the same one.
    """
    sources = []
    tested = set().union(*pixel_keys(patches.select(scope.test_patches)))
    for source in (patches, *unlabelled):
        keep = np.array([keys.isdisjoint(tested) for keys in pixel_keys(source)], dtype=bool)
        if scope.split in BUFFERED:
            keep &= ~excluded_by(source.first, scope.test_times, until=source.last)
        if scope.split == "forward":
            keep &= source.last < scope.test_times.min()
        if scope.split == "leave-station-out":
            keep &= source.station != scope.name
        sources.append(source.select(keep))
    return sources


def training_rows(task: Task, fold: Fold, context: Context) -> npt.NDArray[np.int64]:
    """The fold's training rows, without those whose last laboratory value is a test label."""
    if context != "season+lab":
        return fold.train
    if fold.split in BUFFERED:
        return task.without_inputs_from(fold.train, fold.test).astype(np.int64)
    tested = task.rows["sample_id"].to_numpy()[fold.test]
    used = task.last["last_sample_id"].to_numpy()[fold.train]
    return fold.train[~np.isin(used, tested)]


def _jobs(study: Study) -> Iterator[tuple[Callable[..., _Results], tuple[Any, ...]]]:
    """The long jobs first, so that no worker is left with one at the end."""
    config = study.config
    family = [name for name in config.models if name in VARIANTS]
    everywhere = [name for name in family if name not in ABLATIONS]
    for split in config.splits:
        if split == "leave-date-out-strict" and "leave-date-out" in config.splits:
            continue  # its folds have joined those of leave-date-out
        wanted = family if split == "leave-date-out" else everywhere
        for scope in trainable_scopes(study, split) if wanted else ():
            for seed in range(1 if split in FIRST_SEED_ONLY else config.seeds):
                names = wanted if seed < config.ablation_seeds else everywhere
                for group in _by_pretraining(names, study.settings):
                    yield _spectm_job, (scope, seed, group)
    for split in config.splits:
        for task in config.tasks:
            for model in (name for name in config.models if name in BASELINES):
                yield _baseline_job, (split, task, model)
            for model in (name for name in config.models if name in BLENDS):
                yield _blend_job, (split, task, model)


def trainable_scopes(study: Study, split: str) -> Iterator[Scope]:
    """Scopes of a split, each with something to pretrain on.

    A shuffle of ``random-5`` tests every labelled row, so that its scope leaves nothing where there are no
    unlabelled spectra; its five folds then get a pretraining each.
    """
    for scope in scopes(study.tasks, split, study.config):
        if _can_learn(study, scope):
            yield scope
            continue
        parts: dict[str, list[tuple[str, Fold]]] = {}
        for task, fold in scope.folds if split == "random-5" else []:
            parts.setdefault(f"{scope.name}, fold {fold.name}", []).append((task, fold))
        smaller = [_scope(study.tasks, split, name, folds) for name, folds in parts.items()]
        if not smaller or not all(_can_learn(study, part) for part in smaller):
            raise TrainingError(
                f"{split}, {scope.name}: no valid pixel is left to pretrain on, once all that is tested, or "
                f"too near to it, is left out of {study.patches.n_samples} patches and "
                f"{sum(source.n_samples for source in study.unlabelled)} unlabelled spectra. Give more "
                "spectra (--unlabelled FILE), leave this split out of evaluation.splits, or the models of "
                "SpecTM out of --models. Nothing was computed"
            )
        yield from smaller


def _can_learn(study: Study, scope: Scope) -> bool:
    return any(source.valid.any() for source in blind_sources(study.patches, study.unlabelled, scope))


def _contexts(study: Study, name: str, fold: Fold, seed: int) -> tuple[Context, ...]:
    """Contexts in which a model of the family runs on a fold; none where it does not."""
    if name in ABLATIONS:
        return ("none",) if fold.split == "leave-date-out" else ()
    if fold.split in FIRST_SEED_ONLY and seed > 0:
        return ()
    return ("none",) if fold.split == "random-5" else study.config.contexts


def _by_pretraining(names: Sequence[str], settings: Settings) -> list[list[str]]:
    """Models gathered by the pretraining that they stand on."""
    gathered: dict[str, list[str]] = {}
    for name in names:
        variant = VARIANTS[name]
        gathered.setdefault(f"{variant.pretrained} {variant.change(settings)}", []).append(name)
    return list(gathered.values())


def _on_one_thread(job: Callable[..., _Results], study: Study, *arguments: Any) -> _Results:
    torch.set_num_threads(1)
    return job(study, *arguments)


def _baseline_job(study: Study, split: str, task_name: str, model: str) -> _Results:
    """One baseline on all folds and contexts of a split."""
    task, results = study.tasks[task_name], _Results()
    for context in baseline_contexts(model):
        if context not in study.config.contexts and len(baseline_contexts(model)) > 1:
            continue
        for fold in split_folds(task, split, study.config.shuffles):
            estimator = make_baseline(model, context, seed=0)
            results.predictions += fold_lines(task, fold, model, context, 0, estimator)
    return results


def _blend_job(study: Study, split: str, task_name: str, model: str) -> _Results:
    """One blend without an encoder, on all folds and contexts of a split."""
    assert study.record is not None
    task, results = study.tasks[task_name], _Results()
    views = spectral_views(study.patches)
    names = tuple(name for name in BLENDS[model] if name in views)
    for context in study.config.contexts:
        for fold in split_folds(task, split, study.config.shuffles):
            estimator = BlendEstimator(study.patches, views, names, context, study.record)
            results.predictions += fold_lines(task, fold, model, context, 0, estimator, study.current)
    return results


def _spectm_job(study: Study, scope: Scope, seed: int, names: list[str]) -> _Results:
    """One pretraining, and every model and fold that stands on it."""
    variant, results = VARIANTS[names[0]], _Results()
    fabric = Fabric(accelerator="cpu", devices=1)
    settings = variant.change(study.settings)
    pretrained, curve = blind_pretraining(study, scope, seed, variant, settings, fabric)
    results.curves += [
        {"scope": scope.name, "split": scope.split, "model": names[0], "seed": seed, **c} for c in curve
    ]
    blended = any(is_blend(name) for name in names)
    views = spectral_views(study.patches, pretrained.encoder) if blended else None
    for name in names:
        for task_name, fold in scope.folds:
            for context in _contexts(study, name, fold, seed):
                task = study.tasks[task_name]
                model = make_variant(
                    name, fabric, pretrained, study.patches, context, settings, seed, study.record, views
                )
                results.predictions += fold_lines(task, fold, name, context, seed, model, study.current)
    return results


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
    sources = blind_sources(study.patches, study.unlabelled, scope)
    test = study.patches.select(scope.test_patches)
    audit_spectra(sources, test, scope.test_times, scope.split, purpose="pretraining and normalisation")
    if not variant.pretrained:
        data: PretrainingData = pretraining_data(sources)
        return untrained(data, settings, seed=seed), []
    trained = pretrain(fabric, sources, settings, seed=seed)
    return trained.model, trained.state.history


def fold_lines(
    task: Task,
    fold: Fold,
    model: str,
    context: Context,
    seed: int,
    estimator: Estimator,
    current: Task | None = None,
    choose: Callable[[Task, npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None = None,
) -> list[dict[str, Any]]:
    """Audit, fit and predict one fold; one line per test row.

    A blend learns from rows of the task `current` whatever it is tested on. `choose` may leave out some of
    the rows that may be learned from.
    """
    blend = isinstance(estimator, BlendEstimator)
    borrowed = blend and current is not None and task is not current
    source = current if borrowed and current is not None else task
    if borrowed:
        train = rows_clear_of(source, task, fold)
    else:
        train = fold.train if blend else training_rows(task, fold, context)
    train = train if choose is None else choose(source, train)
    if borrowed:
        audit_borrowed(source, train, task, fold)
    else:
        audit_labels(task, fold, train, "season" if blend else context)
    mean, spread = estimator.fit(source, train).predict(task, fold.test)
    constant = {"task": task.name, "split": fold.split, "model": model, "context": context, "seed": seed}
    constant |= {"repeat": fold.repeat, "fold": fold.name}
    rows = zip(fold.test.tolist(), mean.tolist(), spread.tolist(), strict=True)
    return [{**constant, "row": row, "mean": m, "spread": s} for row, m, s in rows]
