"""A cube and a model to maps of predictions: period by period, tile by tile, going on after a stop."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from spectm.apps.planning import Job, identities
from spectm.apps.record import map_attributes, write_record
from spectm.apps.store_writer import (
    CHUNK_CELLS,
    MAPS,
    MapLayout,
    create_maps,
    drop_period,
    extend_maps,
    finish_period,
    period_attributes,
)
from spectm.apps.tiles import TileCounts, model_of, predict_tile, task_megabytes
from spectm.data.executors import n_cores, task_executor
from spectm.data.grid import Tile
from spectm.data.periods import Period, periods_between
from spectm.errors import StoreError

__all__ = ["PredictReport", "predict_maps"]

MEMORY_MB = 2000.0
Progress = Callable[[int, int, str], None]


@dataclass(slots=True, kw_only=True)
class PredictReport:
    """What a run did.

    Parameters
    ----------
    written, unchanged : list of Period
        Predicted now; and found in the store, made from the same composites.
    n_estimates, n_flagged : int
        Cells with an estimate in the periods written, and those of them that are flagged.
    """

    written: list[Period] = field(default_factory=list)
    unchanged: list[Period] = field(default_factory=list)
    n_estimates: int = 0
    n_flagged: int = 0


def predict_maps(
    job: Job,
    *,
    workers: int | None = None,
    memory_mb: float = MEMORY_MB,
    cluster: str | None = None,
    side: int = CHUNK_CELLS,
    progress: Progress = lambda done, total, what: None,
) -> PredictReport:
    """Predict every cell of the periods of a job.

    Periods that are whole in the store, made from the same composites, are left as they are. Others are
    written one at a time, and are seen when they are whole.

    Parameters
    ----------
    job : Job
        Of `plan`.
    workers : int, optional
        Threads; as many as there are cores without it. A cluster has its own.
    memory_mb : float
        Megabytes that all tasks of this machine may take together.
    cluster : str, optional
        Address of a dask.distributed scheduler whose workers see the same files.
    side : int
        Cells on a side of a tile: whole chunks, so that no two tasks write one.
    progress : callable
        Given the tiles done, all tiles, and the period of the last one.

    Raises
    ------
    StoreError
        If the memory does not do for one task, or the store can't be written.
    CubeError
        If no scheduler answers, or the cube can't be read.
    """
    n_workers = _affordable(job, workers, memory_mb, side)
    report, path = PredictReport(), job.out / MAPS
    layout = MapLayout(
        grid=job.cells.layout.grid,
        days=job.cells.layout.days,
        horizons=job.source.horizons,
        thresholds=job.source.thresholds,
    )
    with _threads_kept(), task_executor(cluster, n_workers) as (executor, width):
        job.record["maps"] = True
        rows = _rows(job)
        if path.exists():
            extend_maps(path, layout, rows)
        else:
            write_record(job.out, job.record)
            create_maps(path, layout, rows, map_attributes(job.record))
        run = _Run(job, executor, 2 * width, rows, layout.grid.tiles(side, side), report, progress)
        run.all()
    return report


class _Run:
    """Periods on their way through an executor, one after the other."""

    def __init__(
        self,
        job: Job,
        executor: Executor,
        n_waiting: int,
        rows: list[Period],
        tiles: list[Tile],
        report: PredictReport,
        progress: Progress,
    ) -> None:
        self.job, self.executor, self.n_waiting = job, executor, n_waiting
        self.path = (job.out / MAPS).resolve()
        self.rows = {period: row for row, period in enumerate(rows)}
        # The largest first: the last ones to be done then keep nobody waiting.
        self.tiles = sorted(tiles, key=lambda tile: -tile.shape[0] * tile.shape[1])
        self.report, self.progress = report, progress
        self.identities = identities(job.source.cube, job.cells)
        self.done = 0

    def all(self) -> None:
        """Predict what is not there."""
        known, coming = period_attributes(self.path), []
        for i in self.job.chosen:
            if known.get(str(self.job.cells.periods[i].start), {}).get("made_from") == self._made_from(i):
                self.report.unchanged.append(self.job.cells.periods[i])
            else:
                coming.append(i)
        self._recorded()
        total = len(coming) * len(self.tiles)
        self.progress(0, total, "")
        for i in coming:
            self._period(i, total)

    def _period(self, i: int, total: int) -> None:
        period = self.job.cells.periods[i]
        drop_period(self.path, period)
        n_estimates = n_flagged = 0
        for counts in self._tiles(i):
            n_estimates, n_flagged = n_estimates + counts.n_estimates, n_flagged + counts.n_flagged
            self.done += 1
            self.progress(self.done, total, str(period))
        record = {
            "end": str(period.end),
            "n_estimates": n_estimates,
            "n_flagged": n_flagged,
            "made_from": self._made_from(i),
        }
        finish_period(self.path, period, record)
        self._recorded()
        self.report.written.append(period)
        self.report.n_estimates += n_estimates
        self.report.n_flagged += n_flagged

    def _tiles(self, i: int) -> Iterator[TileCounts]:
        """Do the tiles of a period; a few wait in the queue, so that no worker idles."""
        row, earlier = self.rows[self.job.cells.periods[i]], self._earlier(i)
        coming, pending = list(reversed(self.tiles)), set[Future[TileCounts]]()
        while coming or pending:
            while coming and len(pending) < self.n_waiting:
                task = (self.job.source, self.path, row, i, earlier, coming.pop())
                pending.add(self.executor.submit(predict_tile, *task))
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()

    def _earlier(self, i: int) -> list[tuple[int, int | None]]:
        """Periods that count for the i-th, and where the store has what they say."""
        known, found = period_attributes(self.path), []
        for j in self.job.cells.earlier(i):
            start = str(self.job.cells.periods[j].start)
            made_from = known.get(start, {}).get("made_from", {})
            current = made_from.get(start) == self.identities[start]
            found.append((j, self.rows[self.job.cells.periods[j]] if current else None))
        return found

    def _made_from(self, i: int) -> dict[str, str]:
        """The composites that the i-th period rests on, by their first days."""
        starts = [str(self.job.cells.periods[j].start) for j in (*self.job.cells.earlier(i), i)]
        return {start: self.identities[start] for start in starts}

    def _recorded(self) -> None:
        """Let ``run.json`` say what is whole."""
        self.job.record["periods"] = period_attributes(self.path)
        write_record(self.job.out, self.job.record)


def _affordable(job: Job, workers: int | None, memory_mb: float, side: int) -> int:
    """Threads that the memory does for."""
    if (workers is not None and workers < 1) or not memory_mb > 0:
        raise StoreError(
            f"wanted workers of at least 1 and memory above 0 MB, found {workers} and {memory_mb:g}."
        )
    model = model_of(job.source)
    each = task_megabytes(
        len(job.cells.layout.wavelength),
        job.source.size,
        min(side, max(job.cells.layout.grid.shape)),
        len(model.models),
    )
    if memory_mb < each:
        raise StoreError(
            f"wanted memory for one task, about {each:.0f} MB, found {memory_mb:g} MB. Give more, or smaller "
            "windows (--size)."
        )
    return min(workers or n_cores(), int(memory_mb / each))


def _rows(job: Job) -> list[Period]:
    """Periods that the store has room for: from the first of the cube to the last that is asked for."""
    known = job.cells.periods
    return periods_between(known[0].start, known[max(job.chosen)].start, job.cells.layout.days)


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Tasks ask for one thread each; afterwards there are as many as before."""
    n = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(n)
