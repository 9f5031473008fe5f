"""How many own samples a released model wants before it, and ridge regression on them alone, serve best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.labels import Labels
from spectm.data.patches import Patches
from spectm.data.splits import excluded_by, row_times
from spectm.errors import ConfigError, TrainingError
from spectm.evaluation.claims import claims, mean_over_seeds, score_draws
from spectm.evaluation.jobs import Job, job_name, keep_identity, run_jobs
from spectm.evaluation.results import write_table
from spectm.evaluation.task import Task, build_task
from spectm.training.blend import Blend, views_of_encoders
from spectm.training.checkpoint import check_bands
from spectm.training.forecast import usual_at
from spectm.training.forecaster import Forecaster
from spectm.training.ridge import GroupedRidge
from spectm.training.tuned import tuned_blend

__all__ = ["ALONE", "DATES", "RIDGE", "START", "TUNED", "YEAR", "OwnLakeConfig", "compared_draws", "own_lake"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

START, TUNED, RIDGE, ALONE = "start", "tuned", "ridge", "blend-alone"
"""The released model unchanged; moved to own samples; ridge regression on the reflectance of these alone; the
blend on them alone, on the same encoders, as it would be without a start."""
DATES, YEAR = "other-dates", "next-year"
"""Learned from every other sampling date and tested on those between; learned from all years but one, and
tested on that."""
SHORTEST_NM = 400.0  # as the baseline of the protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLakeConfig:
    """How much is run.

    Parameters
    ----------
    draws : int
        Orders in which sampling dates are drawn, the same for every model.
    dates : tuple of int
        Numbers of dates learned from, as far as there are so many; all that there are comes last.
    test_year : int, optional
        The year that is tested, the last one without it; earlier ones are learned from.
    workers : int
        Processes; each computes on one thread.
    """

    draws: int = 20
    dates: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16)
    test_year: int | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        if min(self.draws, self.workers) < 1 or not self.dates or min(self.dates) < 2:
            raise ConfigError(
                f"wanted at least one draw and worker and two dates, found {self.draws} draws, "
                f"{self.workers} workers and the dates {self.dates}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Lake:
    """What every draw is given."""

    task: Task
    parts: Mapping[str, tuple[IntArray, IntArray]]  # rows to learn from and to test, by split
    start: Forecaster
    views: list[dict[str, FloatArray]]
    usual: FloatArray  # of each row


def own_lake(
    start: Forecaster,
    patches: Patches,
    labels: Labels,
    config: OwnLakeConfig,
    out: Path,
    *,
    identity: Mapping[str, Any],
    progress: bool = True,
) -> pd.DataFrame:
    """Tune a model with samples of few dates, many times, and test it on other dates and in another year.

    Parameters
    ----------
    start : Forecaster
        As `spectm.training.released.load` gives it.
    patches : Patches
        Of stations, with the bands of `start`, of two years or more.
    labels : Labels
        The laboratory record of these.
    config : OwnLakeConfig
    out : Path
        Folder; what an interrupted run left there is used. ``docs/formats.md`` describes it.
    identity : mapping
        Of the input files and the model: another study is refused the same folder.
    progress : bool
        Draw a progress bar.

    Returns
    -------
    DataFrame
        ``own_lake.csv``, which it also writes: columns of `compared_draws`, and ``split``, ``tested``
        (years), ``n_test`` (samples) and ``n_test_dates``.

    Raises
    ------
    CheckpointError
        If the patches have other bands.
    TrainingError
        If there are no samples to learn from, or none to test with.
    """
    check_bands(start.meta, patches.wavelength, where=patches.source)
    lake = _lake(start, patches, labels, config)
    settings = {"draws": config.draws, "dates": config.dates, "test_year": config.test_year}
    keep_identity(out, {**identity, "settings": settings})
    jobs = dict(_jobs(lake, config))
    lines = run_jobs(jobs, out, workers=config.workers, doing="tuning", progress=progress)
    table = pd.concat(
        [
            compared_draws(lake.task, test, lines[lines["split"] == split]).assign(
                split=split,
                tested=" ".join(sorted({date[:4] for date in lake.task.dates[test]})),
                n_test=test.size,
                n_test_dates=np.unique(lake.task.dates[test]).size,
            )
            for split, (_, test) in lake.parts.items()
        ],
        ignore_index=True,
    )
    write_table(table, out / "own_lake.csv", simulated=patches.simulated)
    return table


def _lake(start: Forecaster, patches: Patches, labels: Labels, config: OwnLakeConfig) -> _Lake:
    """Rows with a spectrum, of which years, and what the models read of them."""
    task = build_task("current", patches, labels, climatology=start.record.climatology)
    parts = {DATES: _other_dates(task), YEAR: _next_year(task, config.test_year)}
    patch = task.rows["patch"].to_numpy()
    seen = views_of_encoders(patches, start.encoders or (None,), indices=start.settings.indices.chosen())
    views = [{name: view[patch] for name, view in of_model.items()} for of_model in seen]
    usual = usual_at(start.record.climatology, patches.time, patches.station)[patch]
    return _Lake(task, parts, start, views, usual)


def _other_dates(task: Task) -> tuple[IntArray, IntArray]:
    """Rows of every other date, and those between that lie clear of them."""
    known = np.unique(task.dates)
    train, test = (np.flatnonzero(np.isin(task.dates, known[first::2])) for first in (0, 1))
    near = excluded_by(row_times(task.rows.iloc[train]), row_times(task.rows.iloc[test]))
    return train[~near.reshape(2, -1).any(axis=0)], test


def _next_year(task: Task, wanted: int | None) -> tuple[IntArray, IntArray]:
    """Rows of earlier years, and of one year."""
    years = np.array([date[:4] for date in task.dates], dtype=np.int64)
    tested = int(years.max(initial=0)) if wanted is None else wanted
    train, test = np.flatnonzero(years < tested), np.flatnonzero(years == tested)
    if np.unique(task.dates[train]).size < 2 or test.size == 0:
        raise TrainingError(
            f"wanted samples of {tested} to test with and of two dates before it to learn from, found "
            f"{test.size} and {train.size} that pair with a patch. Give patches and labels of two years."
        )
    return train, test


def _jobs(lake: _Lake, config: OwnLakeConfig) -> Iterator[tuple[str, Job]]:
    for draw in range(config.draws):
        for split, (train, test) in lake.parts.items():
            yield job_name(split, draw), partial(_job, lake, split, train, test, config.dates, draw)


def _job(
    lake: _Lake, split: str, train: IntArray, test: IntArray, sizes: tuple[int, ...], draw: int
) -> list[dict[str, Any]]:
    """One order of dates: every size takes the first of them, and each model learns from the same rows."""
    dates = lake.task.dates[train]
    order = np.random.default_rng([draw, 9]).permutation(np.unique(dates))
    lines = []
    for size in (*(size for size in sorted(set(sizes)) if size < order.size), order.size):
        rows = train[np.isin(dates, order[:size])]
        found = {START: _blended(lake, lake.start.blends, test), **_learned(lake, rows, test)}
        for model, mean in found.items():
            about = {"split": split, "model": model, "draw": draw, "dates": size, "samples": rows.size}
            pairs = zip(test.tolist(), mean.tolist(), strict=True)
            lines += [{**about, "row": row, "mean": value} for row, value in pairs]
    return lines


def _learned(lake: _Lake, rows: IntArray, test: IntArray) -> dict[str, FloatArray]:
    """Estimates of the test rows, log10, by what learns from some rows."""
    y, dates, usual = lake.task.y[rows], lake.task.dates[rows], lake.usual[rows]
    tuned, alone = [], []
    for blend, views in zip(lake.start.blends, lake.views, strict=True):
        own = {name: views[name][rows] for name in blend.views}
        tuned.append(tuned_blend(blend, own, y, usual, dates)[0])
        alone.append(Blend(blend.views, seasonal=False).fit(own, y, usual, dates))
    kept = lake.task.wavelength >= SHORTEST_NM
    ridge = GroupedRidge().fit(lake.task.spectra[rows][:, kept], y, dates)
    return {
        TUNED: _blended(lake, tuned, test),
        RIDGE: ridge.predict(lake.task.spectra[test][:, kept]),
        ALONE: _blended(lake, alone, test),
    }


def _blended(lake: _Lake, blends: Sequence[Blend], rows: IntArray) -> FloatArray:
    """Mean over an ensemble, of some rows."""
    each = [
        blend.predict({name: views[name][rows] for name in blend.views}, lake.usual[rows])
        for blend, views in zip(blends, lake.views, strict=True)
    ]
    return np.asarray(np.mean(each, axis=0))


def compared_draws(task: Task, test: IntArray, lines: pd.DataFrame) -> pd.DataFrame:
    """Every model by number of dates, and the tuned one against the others.

    Parameters
    ----------
    task : Task
    test : ndarray of int
        Rows that were predicted.
    lines : DataFrame
        model, draw, dates, samples, row, mean: each test row once for every model, draw and number of dates.

    Returns
    -------
    DataFrame
        dates, model, samples (mean over draws), n_draws, r2 (mean over draws) with r2_low and r2_high, where
        dates and draws are drawn together; for all but the tuned model ``difference`` (R2 of the tuned model
        minus that of the other with the same draw; above zero the tuned one is better) and what may be
        claimed of it. The correction is for the numbers of dates against one model.
    """
    observed = task.observations(test)
    draws: dict[tuple[int, str], FloatArray] = {}
    about = {}
    for _, own in lines.groupby(["dates", "model"], sort=False):
        key = (int(own["dates"].iloc[0]), str(own["model"].iloc[0]))
        means = own.pivot(index="draw", columns="row", values="mean")[test.tolist()].to_numpy(np.float64)
        draws[key] = score_draws(observed, means)
        about[key] = {"samples": own["samples"].mean(), "n_draws": len(means)}
    said: dict[tuple[int, str], dict[str, float]] = {}
    for other in (START, RIDGE, ALONE):
        keys = [key for key in draws if key[1] == other]
        found = claims([mean_over_seeds(draws[size, TUNED] - draws[size, other]) for size, _ in keys])
        said |= {key: claim.columns for key, claim in zip(keys, found, strict=True)}
    parts = []
    for (size, model), scores in draws.items():
        pooled = mean_over_seeds(scores)
        low, high = np.nanpercentile(pooled[1:], [2.5, 97.5])
        line = {"dates": size, "model": model, **about[size, model]}
        line |= {"r2": pooled[0], "r2_low": low, "r2_high": high}
        parts.append(line | said.get((size, model), {}))
    return pd.DataFrame(parts)
