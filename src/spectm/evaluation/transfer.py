"""The model on other band lists: as it is, on resampled spectra, and trained anew; its loss of skill."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.context import Context
from spectm.data.labels import Labels
from spectm.data.matchups import TASKS
from spectm.data.patches import Patches
from spectm.errors import ConfigError
from spectm.evaluation.baselines import Estimator, make_baseline
from spectm.evaluation.blends import BlendEstimator
from spectm.evaluation.claims import claims, mean_over_seeds, score_draws
from spectm.evaluation.folds import fold_lines
from spectm.evaluation.frozen import blend_on
from spectm.evaluation.jobs import Job, job_name, keep_identity, run_jobs
from spectm.evaluation.models import BLENDED, Variant
from spectm.evaluation.protocol import blind_pretraining
from spectm.evaluation.results import write_table
from spectm.evaluation.scopes import Scope, trainable_scopes
from spectm.evaluation.study import HEADLINE, Study, headline_study
from spectm.evaluation.task import Task
from spectm.model.spectm import SpecTM
from spectm.spectral.resampling import beyond_reach, held_at_ends, resampling_record, seen_through, within
from spectm.spectral.sensors import Sensor, named_sensor
from spectm.training.blend import Blend, spectral_views
from spectm.training.settings import Settings

__all__ = [
    "LISTS",
    "MOVED",
    "OWN",
    "RETRAINED",
    "TransferConfig",
    "describe_lists",
    "on_list",
    "source_of",
    "transfer",
]

FloatArray = npt.NDArray[np.floating[Any]]

SOURCE = "oci-aop-v3"
LISTS = ("oci-sfrefl-v3", "even-10nm", "sentinel-3-olci", "even-20nm", "sentinel-2-msi")
OWN, MOVED, RETRAINED = "own", "moved", "retrained"
"""Trained and used on the source's bands; the same, used on what another list leaves of them; trained and
used on the other list."""
CONTEXTS: tuple[Context, ...] = ("none", "season")
HOW = (
    "bands wider than the source's: mean over their width; others: linear interpolation at their centre; "
    "back: linear interpolation, beyond its reach the nearest band's value"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferConfig:
    """How much is run.

    Parameters
    ----------
    seeds : int
        Pretrainings of each band list and block of dates.
    workers : int
        Processes; each computes on one thread.
    tasks : tuple of str
        "current", "ahead".
    lists : tuple of str
        Names of sensors; only bands that the source can stand for are used.
    """

    seeds: int = 3
    workers: int = 2
    tasks: tuple[str, ...] = TASKS
    lists: tuple[str, ...] = LISTS

    def __post_init__(self) -> None:
        if min(self.seeds, self.workers) < 1 or not self.lists:
            raise ConfigError(
                f"wanted at least one seed, worker and band list, found {self.seeds} seeds, {self.workers} "
                f"workers and {len(self.lists)} lists."
            )


def transfer(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: TransferConfig,
    out: Path,
    *,
    identity: dict[str, Any],
    progress: bool = True,
) -> pd.DataFrame:
    """Score the model and ridge regression on each band list, leave-date-out, beside the source's bands.

    Parameters
    ----------
    patches, labels, unlabelled, settings
        As `spectm.evaluation.protocol.run_protocol` takes them.
    config : TransferConfig
    out : Path
        Folder; what an interrupted run left there is used. ``docs/formats.md`` describes it.
    identity : dict
        Of the input files: another study is refused the same folder. How spectra were resampled is added.
    progress : bool
        Draw a progress bar.

    Returns
    -------
    DataFrame
        ``transfer.csv``, which it also writes.

    Raises
    ------
    ConfigError
        If the folder holds results of other data or settings.
    SensorError
        If a list has no band that the source can stand for.
    LeakageError
        If anything of a test set would be learned from.
    """
    source = source_of(patches)
    patches = on_list(patches, source, source)  # so that the same pixels count everywhere
    unlabelled = [on_list(one, source, source) for one in unlabelled]
    study = headline_study(patches, labels, unlabelled, settings, config.tasks)
    resampled = {
        name: resampling_record(
            source.wavelength, within(named_sensor(name), source).wavelength, source=source.name, method=HOW
        )
        for name in config.lists
    }
    keep_identity(
        out, {**identity, "settings": asdict(settings), "tasks": config.tasks, "resampling": resampled}
    )
    jobs = dict(_jobs(study, source, config))
    lines = run_jobs(jobs, out, workers=config.workers, doing="moving", progress=progress)
    table = compared(study, lines)
    write_table(table, out / "transfer.csv", simulated=patches.simulated)
    return table


def source_of(patches: Patches) -> Sensor:
    """The sensor of the patches: OCI where they have its bands, else bands as wide as their smallest step."""
    known = named_sensor(SOURCE)
    if np.array_equal(known.wavelength, patches.wavelength):
        return known
    width = np.full(patches.n_bands, np.diff(patches.wavelength).min(initial=np.inf))
    return Sensor(name="own", wavelength=patches.wavelength, width_nm=width, source=patches.source)


def on_list(patches: Patches, source: Sensor, sensor: Sensor) -> Patches:
    """Patches as a sensor of other bands would have them; the same pixels count.

    A pixel that lacks a band of the source has none, so that both are compared on the same pixels.
    """
    whole = np.where(patches.valid[:, None], patches.Rrs, np.nan)
    moved = seen_through(np.moveaxis(whole, 1, -1), source, sensor)
    return _with(patches, moved, sensor.wavelength)


def _back(patches: Patches, target: FloatArray) -> Patches:
    """Patches of few bands as a model of many wants them."""
    moved = held_at_ends(np.moveaxis(patches.Rrs, 1, -1), patches.wavelength, target)
    return _with(patches, moved, target)


def _with(patches: Patches, band_last: FloatArray, wavelength: FloatArray) -> Patches:
    Rrs = np.ascontiguousarray(np.moveaxis(band_last, -1, 1), dtype=np.float32)
    return replace(patches, Rrs=Rrs, wavelength=np.array(wavelength, dtype=np.float64))


@dataclass(slots=True)
class _Moved:
    """A baseline that learns from one table of spectra and is asked about another."""

    inner: Estimator
    spectra: FloatArray  # of all patches

    def fit(self, task: Task, train: npt.NDArray[Any]) -> Self:
        self.inner.fit(task, train)
        return self

    def predict(self, task: Task, rows: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        seen = replace(task, spectra=self.spectra[task.rows["patch"].to_numpy()])
        return self.inner.predict(seen, rows)


Learned = dict[tuple[str, bytes], Blend]
Heads = Mapping[str, Callable[[Context], Callable[[], Estimator]]]


@dataclass
class _MovedBlend(BlendEstimator):
    """A blend that learns from one set of views and is asked about another; what is learned is kept."""

    moved: dict[str, FloatArray] = field(default_factory=dict)
    learned: Learned = field(default_factory=dict)

    def fit(self, task: Task, train: npt.NDArray[Any]) -> Self:
        key = (self.context, train.tobytes())
        if key not in self.learned:
            BlendEstimator.fit(self, task, train)
            self.learned[key] = self.blend_
        self.blend_, self.views = self.learned[key], self.moved
        return self


def _jobs(study: Study, source: Sensor, config: TransferConfig) -> Iterator[tuple[str, Job]]:
    """Seed by seed, so that an interrupted run has all lists of the first ones."""
    blocks = list(trainable_scopes(study, HEADLINE))
    for seed in range(config.seeds):
        for scope in blocks:
            yield job_name(scope.name, OWN, seed), partial(_own_job, study, source, scope, seed, config.lists)
            for name in config.lists:
                job = partial(_retrained_job, study, source, scope, seed, name)
                yield job_name(scope.name, name, seed), job


def _own_job(
    study: Study, source: Sensor, scope: Scope, seed: int, lists: Sequence[str]
) -> list[dict[str, Any]]:
    """One pretraining on the source's bands, used on these and on what each list leaves of them."""
    model, indices = _pretrained(study, scope, seed), study.settings.indices.chosen()
    views = spectral_views(study.patches, model.encoder, indices=indices)
    learned: Learned = {}
    lines = []
    for name in (source.name, *lists):
        seen = study.patches
        if name != source.name:
            fewer = on_list(study.patches, source, within(named_sensor(name), source))
            seen = _back(fewer, source.wavelength)
        moved = views if seen is study.patches else spectral_views(seen, model.encoder, indices=indices)
        about = {"bands": name, "way": OWN if seen is study.patches else MOVED}
        blend = partial(_moved_blend, study, views, moved, learned)
        ridge = partial(_moved_ridge, seen.mean_spectrum())
        lines += _lines(study, scope, seed, about, {"spectm-blend": blend, "ridge": ridge})
    return lines


def _retrained_job(study: Study, source: Sensor, scope: Scope, seed: int, name: str) -> list[dict[str, Any]]:
    """One pretraining on another list, used on it."""
    sensor = within(named_sensor(name), source)
    fewer = partial(on_list, source=source, sensor=sensor)
    patches = fewer(study.patches)
    other = replace(
        study,
        patches=patches,
        unlabelled=tuple(fewer(one) for one in study.unlabelled),
        tasks={task: _task_on(one, patches) for task, one in study.tasks.items()},
        current=_task_on(study.current, patches),
    )
    model = _pretrained(other, scope, seed)
    views = spectral_views(patches, model.encoder, indices=study.settings.indices.chosen())
    heads: Heads = {
        "spectm-blend": partial(blend_on, other, views, BLENDED),
        "ridge": lambda context: partial(make_baseline, "ridge", context, seed=0),
    }
    return _lines(other, scope, seed, {"bands": name, "way": RETRAINED}, heads)


def _task_on(task: Task, patches: Patches) -> Task:
    """The same rows with the spectra of other bands."""
    spectra = patches.mean_spectrum()[task.rows["patch"].to_numpy()]
    return replace(task, spectra=spectra, wavelength=patches.wavelength)


def _pretrained(study: Study, scope: Scope, seed: int) -> SpecTM:
    fabric = Fabric(accelerator="cpu", devices=1)
    return blind_pretraining(study, scope, seed, Variant(), study.settings, fabric)[0]


def _lines(
    study: Study,
    scope: Scope,
    seed: int,
    about: dict[str, str],
    heads: Heads,
) -> list[dict[str, Any]]:
    """Every fold of a scope, model and context; ridge regression knows no seed and runs with the first."""
    lines = []
    for model in heads if seed == 0 else ("spectm-blend",):
        for context in CONTEXTS:
            for task, fold in scope.folds:
                given = (study.tasks[task], fold, model, context, seed, heads[model](context))
                lines += fold_lines(*given, current=study.current)
    kept = ("task", "model", "context", "seed", "row", "mean")
    return [{**about, **{key: line[key] for key in kept}} for line in lines]


def _moved_blend(
    study: Study,
    views: dict[str, FloatArray],
    moved: dict[str, FloatArray],
    learned: Learned,
    context: Context,
) -> Callable[[], Estimator]:
    assert study.record is not None
    given = (study.patches, views, BLENDED, context, study.record)
    return lambda: _MovedBlend(*given, moved=moved, learned=learned)


def _moved_ridge(spectra: FloatArray, context: Context) -> Callable[[], Estimator]:
    return lambda: _Moved(make_baseline("ridge", context, seed=0), spectra)


def compared(study: Study, lines: pd.DataFrame) -> pd.DataFrame:
    """Every list and way beside the model on the source's bands.

    Parameters
    ----------
    study : Study
        Tasks.
    lines : DataFrame
        bands, way, task, model, context, seed, row, mean: each row once for every other column.

    Returns
    -------
    DataFrame
        task, context, model, bands, way, n_seeds, r2 (mean over seeds) and r2_low, r2_high; for all but the
        source, ``difference`` (R2 minus that of the same model and seed on the source's bands; below zero is
        a loss) and what may be claimed of it (`spectm.evaluation.claims.Claim`). The correction is for the
        lists and ways of one task, context and model.
    """
    parts = []
    for (task, context, model), group in lines.groupby(["task", "context", "model"], sort=False):
        of_task = study.tasks[str(task)]
        observed = of_task.observations(np.arange(len(of_task.rows)))
        draws = {
            (str(bands), str(way)): score_draws(observed, _by_seed(own))
            for (bands, way), own in group.groupby(["bands", "way"], sort=False)
        }
        reference = next(own for (_, way), own in draws.items() if way == OWN)
        others = [key for key in draws if key[1] != OWN]
        found = claims([mean_over_seeds(draws[key] - reference) for key in others])
        said = {key: claim.columns for key, claim in zip(others, found, strict=True)}
        for key, own in draws.items():
            pooled = mean_over_seeds(own)
            low, high = np.nanpercentile(pooled[1:], [2.5, 97.5])
            line = {"task": task, "context": context, "model": model, "bands": key[0], "way": key[1]}
            line |= {"n_seeds": len(own), "r2": pooled[0], "r2_low": low, "r2_high": high}
            parts.append(line | said.get(key, {}))
    return pd.DataFrame(parts)


def _by_seed(lines: pd.DataFrame) -> FloatArray:
    """Means, shape (n_seeds, n_rows)."""
    return lines.pivot(index="seed", columns="row", values="mean").to_numpy(dtype=np.float64)


def describe_lists(source: Sensor, lists: Sequence[str], settings: Settings) -> pd.DataFrame:
    """What of each band list takes part.

    Returns
    -------
    DataFrame
        bands, n_listed, n_used, one column for each window (bands used in it), ``beyond`` (bands of
        the source further out than can be interpolated to) and ``beyond_to_nm`` (the longest of them, NaN
        where there is none).
    """
    windows, rows = settings.windows.window_set(), []
    for name in (source.name, *lists):
        listed = source if name == source.name else named_sensor(name)
        used = within(listed, source)
        inside = windows.band_windows(used.wavelength)
        beyond = beyond_reach(used.wavelength, source.wavelength)
        row = {"bands": name, "n_listed": listed.n_bands, "n_used": used.n_bands}
        row |= {
            f"{one.low_nm:g}-{one.high_nm:g} nm": int((inside == i).sum())
            for i, one in enumerate(windows.windows)
        }
        row |= {"beyond": int(beyond.sum()), "beyond_to_nm": source.wavelength[beyond].max(initial=-np.inf)}
        rows.append(row)
    return pd.DataFrame(rows).replace(-np.inf, np.nan)
