"""Which folds share a pretraining, and what it may see: nothing that any of them tests, or too near to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

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
from spectm.errors import TrainingError
from spectm.evaluation.audit import BUFFERED, pixel_keys
from spectm.evaluation.study import HEADLINE, STRICT, EvaluationConfig, Study
from spectm.evaluation.task import Task

__all__ = ["Scope", "blind_sources", "scopes", "split_folds", "trainable_scopes"]


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


def split_folds(task: Task, split: str, shuffles: int) -> list[Fold]:
    """All folds of a split of one task."""
    if split == "random-5":
        return [fold for repeat in range(shuffles) for fold in random_five(task.rows, seed=repeat)]
    divide: dict[str, Callable[[pd.DataFrame], list[Fold]]] = {
        HEADLINE: leave_date_out,
        STRICT: partial(leave_date_out, strict=True),
        "leave-station-out": leave_station_out,
        "forward": forward,
    }
    return divide[split](task.rows)


def scopes(tasks: dict[str, Task], split: str, config: EvaluationConfig) -> list[Scope]:
    """Folds of all tasks, gathered by the pretraining that they can share.

    The two leave-date-out splits differ in training rows alone, so that one pretraining serves both.
    """
    splits = [split]
    if split == HEADLINE and STRICT in config.splits:
        splits.append(STRICT)
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
