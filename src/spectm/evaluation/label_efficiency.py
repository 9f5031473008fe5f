"""How many labels a model needs: trained on 10 rows, 20, 40, ... and all, drawn many times."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.context import Context
from spectm.data.labels import Labels
from spectm.data.matchups import TASKS
from spectm.data.patches import Patches
from spectm.data.splits import leave_date_out
from spectm.errors import ConfigError
from spectm.evaluation.baselines import BASELINES, Estimator, baseline_contexts, make_baseline
from spectm.evaluation.blends import BLENDS
from spectm.evaluation.folds import fold_lines
from spectm.evaluation.frozen import blend_on, probe_on
from spectm.evaluation.jobs import Job, job_name, keep_identity, run_jobs
from spectm.evaluation.label_curves import ALL, curves, equal_labels
from spectm.evaluation.models import Variant
from spectm.evaluation.protocol import blind_pretraining
from spectm.evaluation.results import write_table
from spectm.evaluation.scopes import Scope, trainable_scopes
from spectm.evaluation.study import HEADLINE, Study, headline_study
from spectm.evaluation.task import Task
from spectm.training.blend import spectral_views
from spectm.training.settings import Settings

__all__ = ["COMPARED", "LabelConfig", "chosen_rows", "label_efficiency", "label_ranks"]

IntArray = npt.NDArray[np.int64]

WAYS = ("dates", "rows")
CONTEXTS: tuple[Context, ...] = ("none", "season")
SPECTM: dict[str, tuple[str, ...]] = {
    "spectm-blend": ("embedding", "bands", "indices"),
    "spectm-blend-embedding": ("embedding",),
    "spectm-probe": (),
}
"""Models on a pretrained encoder: the views of a blend; none for the ridge probe."""
NO_SPECTRUM = ("climatology", "persistence")  # nothing in them is learned from labels of this year
PLAIN = (*(name for name in BASELINES if name not in NO_SPECTRUM), *BLENDS)
COMPARED = (*SPECTM, *PLAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """How much is run.

    Parameters
    ----------
    seeds : int
        Pretrainings of each block of dates; draw d stands on that of seed d modulo `seeds`.
    draws : int
        Choices of training rows of each size.
    smallest : int
        Fewest rows; sizes double from there.
    models : tuple of str
        Of `COMPARED`.
    tasks : tuple of str
        "current", "ahead".
    workers : int
        Processes; each computes on one thread.
    """

    seeds: int = 10
    draws: int = 20
    smallest: int = 10
    models: tuple[str, ...] = COMPARED
    tasks: tuple[str, ...] = TASKS
    workers: int = 2

    def __post_init__(self) -> None:
        if unknown := [name for name in self.models if name not in COMPARED]:
            raise ConfigError(f"--models: {unknown[0]!r} is not one of {', '.join(COMPARED)}")
        if min(self.seeds, self.draws, self.workers) < 1 or self.smallest < 2:
            raise ConfigError(
                f"wanted at least one seed, draw and worker and two rows, found {self.seeds} seeds, "
                f"{self.draws} draws, {self.workers} workers and {self.smallest} rows."
            )


def label_efficiency(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: LabelConfig,
    out: Path,
    *,
    identity: dict[str, Any],
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train every model on parts of each leave-date-out training part, and score it on the dates left out.

    Parameters
    ----------
    patches, labels, unlabelled, settings
        As `spectm.evaluation.protocol.run_protocol` takes them.
    config : LabelConfig
    out : Path
        Folder; what an interrupted run left there is used. ``docs/formats.md`` describes it.
    identity : dict
        Of the input files: another study is refused the same folder.
    progress : bool
        Draw a progress bar.

    Returns
    -------
    tuple of DataFrame
        ``curves.csv`` and ``equal_labels.csv``, which it also writes.

    Raises
    ------
    ConfigError
        If the folder holds results of other data or settings.
    LeakageError
        If anything of a test set would be learned from.
    """
    study = headline_study(patches, labels, unlabelled, settings, config.tasks)
    blocks = list(trainable_scopes(study, HEADLINE))
    drawn = {"seeds": config.seeds, "draws": config.draws, "smallest": config.smallest}
    keep_identity(out, {**identity, "settings": asdict(settings), "tasks": config.tasks, **drawn})
    jobs = dict(_jobs(study, blocks, config))
    lines = run_jobs(jobs, out, workers=config.workers, doing="drawing labels", progress=progress)
    table = curves(study.tasks, lines)
    trained = len(blocks) * min(config.seeds, config.draws)
    table.insert(list(table).index("r2"), "n_pretrainings", table["model"].isin(SPECTM) * trained)
    equal = equal_labels(study.tasks, lines, family=tuple(SPECTM))
    write_table(table, out / "curves.csv", simulated=patches.simulated)
    write_table(equal, out / "equal_labels.csv", simulated=patches.simulated)
    return table, equal


def label_ranks(study: Study, draw: int, by: str) -> Callable[[Task, IntArray], npt.NDArray[np.float64]]:
    """A random order of all labels of a study, the same for every model, fold and task.

    Parameters
    ----------
    study : Study
    draw : int
        Number of the draw.
    by : {"dates", "rows"}
        Whole sampling dates, or single laboratory samples.

    Returns
    -------
    callable
        Takes a task and rows of it, returns their places in the order; rows of one date have one place where
        whole dates are drawn.
    """
    tasks = [*study.tasks.values(), study.current]
    known = np.unique(np.concatenate([_labels_of(task, by) for task in tasks]))
    order = np.random.default_rng([draw, WAYS.index(by)]).permutation(known.size)

    def ranks(task: Task, rows: IntArray) -> npt.NDArray[np.float64]:
        return order[np.searchsorted(known, _labels_of(task, by)[rows])].astype(np.float64)

    return ranks


def _labels_of(task: Task, by: str) -> npt.NDArray[Any]:
    return task.dates if by == "dates" else task.rows["sample_id"].to_numpy(dtype=np.int64)


def chosen_rows(rank: npt.NDArray[np.float64], dates: npt.NDArray[np.str_], size: int) -> IntArray:
    """The first rows of an order: `size` of them, or what makes two dates and divides none.

    Parameters
    ----------
    rank : ndarray, shape (n,)
        Place of each row; rows of one rank are taken together.
    dates : ndarray of str, shape (n,)
        Sampling dates: nothing can be learned from one alone, as settings are chosen by leaving dates out.
    size : int
        Wanted rows.

    Returns
    -------
    ndarray of int
        Positions, increasing; all where there are fewer.

    Examples
    --------
    >>> dates = np.array(["a", "a", "b", "b", "c"])
    >>> print(chosen_rows(np.array([4.0, 0, 1, 2, 3]), dates, 3))
    [1 2 3]
    >>> print(chosen_rows(np.array([2.0, 2, 0, 0, 1]), dates, 1))
    [2 3 4]
    """
    order = np.argsort(rank, kind="stable")
    other = np.flatnonzero(dates[order] != dates[order[0]])
    needed = max(size, int(other[0]) + 1 if other.size else order.size)
    last = rank[order[min(needed, order.size) - 1]]
    return np.flatnonzero(rank <= last)


def sizes(task: Task, smallest: int) -> list[int]:
    """Numbers of rows below the smallest training part of a task, doubling."""
    least = min(fold.train.size for fold in leave_date_out(task.rows))
    found = []
    while smallest < least:
        found.append(smallest)
        smallest *= 2
    return found


def _jobs(study: Study, blocks: Sequence[Scope], config: LabelConfig) -> Iterator[tuple[str, Job]]:
    """Draw by draw. A job of SpecTM has all draws and models that stand on one pretraining."""
    plain = [name for name in config.models if name not in SPECTM]
    for draw in range(config.draws):
        for scope in blocks:
            if draw < config.seeds and len(plain) < len(config.models):
                yield job_name(scope.name, "spectm", draw), partial(_spectm_job, study, scope, draw, config)
            for name in plain:
                job = partial(_plain_job, study, scope, name, draw, config)
                yield job_name(scope.name, name, draw), job


def _spectm_job(study: Study, scope: Scope, seed: int, config: LabelConfig) -> list[dict[str, Any]]:
    """One pretraining, and all that is learned on it."""
    fabric = Fabric(accelerator="cpu", devices=1)
    model, _ = blind_pretraining(study, scope, seed, Variant(), study.settings, fabric)
    views = spectral_views(study.patches, model.encoder, indices=study.settings.indices.chosen())
    lines = []
    for draw in range(seed, config.draws, config.seeds):
        for name, used in SPECTM.items():
            for context in CONTEXTS:
                make = (
                    blend_on(study, views, used, context) if used else probe_on(views["embedding"], context)
                )
                lines += _drawn(study, scope, name, context, draw, config, make, whole=draw == seed)
    return lines


def _plain_job(study: Study, scope: Scope, name: str, draw: int, config: LabelConfig) -> list[dict[str, Any]]:
    """One baseline, trained on one draw of each size; all rows are drawn once."""
    lines = []
    views = spectral_views(study.patches, indices=study.settings.indices.chosen()) if name in BLENDS else {}
    for context in CONTEXTS if name in BLENDS else baseline_contexts(name):
        if context in CONTEXTS:
            make: Callable[[], Estimator] = (
                blend_on(study, views, BLENDS[name], context)
                if name in BLENDS
                else partial(make_baseline, name, context, seed=draw, spread=False)
            )
            lines += _drawn(study, scope, name, context, draw, config, make, whole=draw == 0)
    return lines


def _drawn(
    study: Study,
    scope: Scope,
    name: str,
    context: Context,
    draw: int,
    config: LabelConfig,
    make: Callable[[], Estimator],
    *,
    whole: bool,
) -> list[dict[str, Any]]:
    """Every fold of a scope, learned from one draw of each size; and from all where `whole`."""
    lines = []
    for task_name, fold in scope.folds:
        task = study.tasks[task_name]
        wanted = [(by, size) for by in WAYS for size in sizes(task, config.smallest)]
        for by, size in [*wanted, *([(ALL, 0)] if whole else [])]:
            taken: list[int] = []
            choose = partial(_choose, study, draw, by, size, taken)
            given = (task, fold, name, context, draw, make)
            found = fold_lines(*given, current=study.current, choose=choose)
            constant = {"task": task_name, "model": name, "context": context, "by": by, "draw": draw}
            constant |= {"size": str(size) if size else ALL, "labels": taken[0]}
            lines += [{**constant, "row": line["row"], "mean": line["mean"]} for line in found]
    return lines


def _choose(
    study: Study, draw: int, by: str, size: int, taken: list[int], source: Task, train: IntArray
) -> IntArray:
    """Rows to learn from; how many goes to `taken`."""
    if by in WAYS:
        rank = label_ranks(study, draw, by)(source, train)
        train = train[chosen_rows(rank, source.dates[train], size)]
    taken.append(train.size)
    return train
