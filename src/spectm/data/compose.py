"""Granules into a cube, period by period: what there is to do, and who does it.

Tiles of periods are the tasks. They run in threads, or on any dask.distributed cluster whose workers see the
same files; each writes its part of the store, so that nothing large travels.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spectm.data.catalog.records import scene
from spectm.data.composite import CompositeConfig, Losses, compose_tile
from spectm.data.cube import (
    CHUNK_CELLS,
    CubeLayout,
    cube_layout,
    drop_period,
    finish_period,
    period_records,
    prepare_cube,
    write_tile,
)
from spectm.data.executors import n_cores, task_executor
from spectm.data.flags import flag_names
from spectm.data.granule import open_granule
from spectm.data.grid import Grid, Tile, grid_of_centres
from spectm.data.headers import Header
from spectm.data.origin import is_simulated, same_origin
from spectm.data.periods import Period, period_of, periods_between
from spectm.data.regions import Region
from spectm.data.stock import Inputs, any_in_region, check_flags, granule_files, take_stock
from spectm.errors import CubeError

__all__ = ["ComposeReport", "Inputs", "compose", "granule_files", "take_stock"]

RESOLUTION = 0.0125  # degrees: a little more than the 1.2 km of a pixel at nadir
Progress = Callable[[int, int, str], None]


@dataclass(slots=True, kw_only=True)
class ComposeReport:
    """What a run did.

    Parameters
    ----------
    written, unchanged : list of Period
        Composed now; and found in the cube, made from the same granules.
    superseded, bad : dict of str to str
        As in `Inputs`, together with granules whose damage came to light later.
    stand_ins : dict of str to str
        Such a granule -> the twin used in its place: near-real-time, or of an earlier version.
    kept : dict of str to str
        Period that was made from granules which are not given now, and how many: it was left as it is.
    """

    written: list[Period] = field(default_factory=list)
    unchanged: list[Period] = field(default_factory=list)
    superseded: dict[str, str] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Job:
    """A period in the making."""

    row: int
    period: Period
    headers: list[Header]
    left: set[Tile] = field(default_factory=set)
    losses: Losses = field(default_factory=Losses)
    bad: dict[str, str] = field(default_factory=dict)


def compose(
    paths: Sequence[Path],
    out: Path,
    region: Region,
    *,
    resolution: float | None = None,
    days: int = 8,
    first: np.datetime64 | None = None,
    last: np.datetime64 | None = None,
    config: CompositeConfig | None = None,
    memory_mb: float = 2000.0,
    workers: int | None = None,
    cluster: str | None = None,
    recompose: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> ComposeReport:
    """Make a cube from granules, or add to one.

    Parameters
    ----------
    paths : sequence of Path
        Files of one product; see `granule_files`.
    out : Path
        Folder of the cube. Periods that it already holds, made from the same granules, are left as they are;
        others are composed anew.
    region : Region
        What the grid covers.
    resolution : float, optional
        Side of a cell, degrees. Without it a map keeps its own cells, and swaths get 0.0125.
    days : int
        Length of a period; NASA's have 8.
    first, last : datetime64, optional
        Days to cover; those of the granules without them. A period without granules is there and empty.
    config : CompositeConfig, optional
        Flags and statistic.
    memory_mb : float
        Megabytes that all tasks of this machine may take together; on a cluster, that each task may take.
    workers : int, optional
        Threads; as many as there are cores without it. A cluster has its own.
    cluster : str, optional
        Address of a dask.distributed scheduler.
    recompose : bool
        Compose a period anew also where granules that it was made from are not given any more.
    progress : callable
        Given the tiles done, all tiles, and the period of the last one.

    Raises
    ------
    CubeError
        If there is no usable granule, a new cube would have none of the days or none with a pixel in the
        region, no scheduler answers, or the cube at `out` was made otherwise.
    FlagError
        If the granules do not know a flag.
    OriginError
        If some granules, or the cube, are simulated and others are not.
    """
    config = config or CompositeConfig()
    if (workers is not None and workers < 1) or not memory_mb > 0:
        raise CubeError(
            f"wanted workers of at least 1 and memory above 0 MB, found {workers} and {memory_mb:g}."
        )
    known = cube_layout(out) if out.exists() else None
    inputs = _within_periods(take_stock(paths, known.wavelength if known else None), days)
    if not inputs.headers:
        first_bad = next(iter(inputs.bad.values()), "no file was given.")
        raise CubeError(f"wanted granules to compose, found none that can be used. First: {first_bad}")
    sample = inputs.headers[0]
    layout = CubeLayout(
        product=sample.product,
        wavelength=tuple(sample.wavelength.tolist()),
        grid=_grid(sample, region, resolution),
        days=days,
        flags=flag_names(config.flags) if sample.product.startswith("L2") else (),
        statistic=config.statistic,
        simulated=same_origin((header.path.name, is_simulated(header.attrs)) for header in inputs.headers),
    )
    if config.statistic == "weighted" and sample.product != "L2_AOP":
        raise CubeError(
            f"wanted uncertainties as weights, found none in {sample.product} maps. Take the mean or median."
        )
    if layout.flags:
        check_flags(inputs.headers, layout.flags)
    starts = [header.start for header in inputs.headers]
    covered = (first if first is not None else starts[0], last if last is not None else starts[-1])
    asked = periods_between(*covered, days)
    if known is None:
        _check_not_empty(inputs, asked, layout.grid, region.name)
    report = ComposeReport(superseded=dict(inputs.superseded), bad=dict(inputs.bad))
    n_workers = workers or n_cores()
    with task_executor(cluster, n_workers) as (
        executor,
        width,
    ):  # before anything is written: it may not be there
        rows = prepare_cube(out, layout, asked)
        jobs = _jobs(out, rows, _by_period(inputs, asked, days), inputs, recompose, report)
        budget = memory_mb if cluster else memory_mb / n_workers
        config, side = _tiling(layout, budget, max((len(job.headers) for job in jobs), default=0), config)
        run = _Run(executor, 2 * width, out, layout, config, side, inputs.spares, report, progress)
        run.all(jobs)
    report.written.sort()
    return report


def _check_not_empty(inputs: Inputs, asked: Sequence[Period], grid: Grid, where: str) -> None:
    """Refuse a cube that nothing could ever be in; a period that is merely cloudy is another matter."""
    first, end = asked[0].start, asked[-1].end
    headers = [header for header in inputs.headers if first <= header.start < end]
    if not headers:
        found = " to ".join(str(inputs.headers[i].start)[:10] for i in (0, -1))
        raise CubeError(
            f"wanted granules of {Period(first, end)}, found granules of {found} only. Choose other days, or "
            "fetch granules of these."
        )
    if not any_in_region(headers, grid.region_of(grid.whole)):
        raise CubeError(
            f"wanted granules with pixels in {where}, found none in any of {len(headers)}; the first is "
            f"{headers[0].path}. Is the region right (west, south, east, north)? Else fetch granules of it."
        )


def _jobs(
    out: Path,
    rows: Sequence[Period],
    by_period: Mapping[Period, list[Header]],
    inputs: Inputs,
    recompose: bool,
    report: ComposeReport,
) -> list["_Job"]:
    """Periods to be composed; the report tells of the others."""
    jobs, records = [], period_records(out)
    for period, files in by_period.items():
        if records.get(str(period.start), {}).get("granules") == _sizes(files):
            report.unchanged.append(period)
        elif gone := _gone(records.get(str(period.start), {}), inputs) if not recompose else 0:
            report.kept[str(period)] = (
                f"wanted all granules that this period was made from, found {gone} of them missing. "
                "Give them, or --recompose to do without."
            )
        else:
            jobs.append(_Job(rows.index(period), period, files))
    return jobs


def _by_period(inputs: Inputs, asked: Sequence[Period], days: int) -> dict[Period, list[Header]]:
    """Granules of each period, none for some."""
    by_period: dict[Period, list[Header]] = {period: [] for period in asked}
    for header in inputs.headers:
        by_period.get(period_of(header.start, days), []).append(header)
    return by_period


def _gone(record: Mapping[str, Any], inputs: Inputs) -> int:
    """How many scenes of a finished period are not given now, in any version."""
    given = {scene(header.path.name) for header in inputs.headers}
    return len({scene(name) for name, _ in record.get("granules", [])} - given)


def _within_periods(inputs: Inputs, days: int) -> Inputs:
    """Inputs without the maps that cover more than the period they begin in: their values belong to none."""
    bad = dict(inputs.bad)
    for header in inputs.headers:
        period = period_of(header.start, days)
        # Maps end with the last orbit, hours into the next day.
        if header.end > period.end + np.timedelta64(1, "D"):
            bad[header.path.name] = (
                f"wanted a file within the period {period}, found one that ends "
                f"{header.end.astype('datetime64[s]')} in {header.path}. "
                f"Choose maps of {days} days or less, or other --days."
            )
    kept = tuple(header for header in inputs.headers if header.path.name not in bad)
    return replace(inputs, headers=kept, bad=bad)


class _Run:
    """Jobs on their way through an executor, a few periods at a time."""

    def __init__(
        self,
        executor: Executor,
        n_waiting: int,
        out: Path,
        layout: CubeLayout,
        config: CompositeConfig,
        side: int,
        spares: Mapping[str, Header],
        report: ComposeReport,
        progress: Progress,
    ) -> None:
        self.n_waiting = n_waiting  # tasks in the queue: no worker idles, and no period is open long
        self.executor, self.out, self.layout, self.config = executor, out.resolve(), layout, config
        self.tiles, self.spares = layout.grid.tiles(side, side), spares
        self.report, self.progress = report, progress
        self.pending: dict[Future[tuple[Losses, dict[str, str]]], tuple[_Job, Tile]] = {}
        self.done = 0

    def all(self, jobs: Sequence[_Job]) -> None:
        """Run every job to its end."""
        total, coming = len(jobs) * len(self.tiles), list(reversed(jobs))
        self.progress(0, total, "")
        while coming or self.pending:
            while coming and len(self.pending) < self.n_waiting:
                drop_period(self.out, coming[-1].period)
                self._start(coming.pop())
            finished, _ = wait(self.pending, return_when=FIRST_COMPLETED)
            for future in finished:
                job, tile = self.pending.pop(future)
                losses, bad = future.result()
                job.losses.add(losses)
                job.bad |= bad
                job.left.discard(tile)
                self.done += 1
                if not job.left:
                    self._close(job)
                self.progress(min(self.done, total), total, str(job.period))
        used = self.report.stand_ins.items()
        self.report.stand_ins = {name: twin for name, twin in used if twin not in self.report.bad}

    def _start(self, job: _Job) -> None:
        job.left = set(self.tiles)
        for tile in self.tiles:
            place = self.layout.grid.region_of(tile)
            paths = [header.path for header in job.headers if header.box is None or header.box.meets(place)]
            where = (self.out, job.row, paths, self.layout, tile, job.period.end, self.config)
            self.pending[self.executor.submit(_write_tile, *where)] = job, tile

    def _close(self, job: _Job) -> None:
        """Record a period, or do it again without the damaged granules that have entered some of its tiles.

        Where there is a twin of one, the scene is not lost: the period is done again with the twin.
        """
        self.report.bad |= job.bad
        usable = [header for header in job.headers if header.path.name not in job.bad]
        stand_ins = {name: self.spares[name] for name in job.bad if name in self.spares}
        if stand_ins or (job.bad and len(self.tiles) > 1):
            for name, twin in stand_ins.items():
                self.report.stand_ins[name] = twin.path.name
                self.report.superseded.pop(twin.path.name, None)
            usable = sorted(
                [*usable, *stand_ins.values()], key=lambda header: (header.start, header.path.name)
            )
            self.done -= len(self.tiles)
            self._start(_Job(job.row, job.period, usable))
            return
        record = {
            "granules": _sizes(usable),
            "pixels": {
                "seen": job.losses.seen,
                "used": job.losses.used,
                "incomplete": job.losses.incomplete,
            },
            "flagged": job.losses.flagged,
            "alone": job.losses.alone,
        }
        finish_period(self.out, job.period, record)
        self.report.written.append(job.period)


def _write_tile(
    out: Path,
    row: int,
    paths: Sequence[Path],
    layout: CubeLayout,
    tile: Tile,
    end: np.datetime64,
    config: CompositeConfig,
) -> tuple[Losses, dict[str, str]]:
    """One task: compose a tile, put it into the store, and report."""
    made = compose_tile(paths, layout.grid, tile, len(layout.wavelength), end, config)
    write_tile(out, row, tile, made)
    return made.losses, made.bad


def _tiling(
    layout: CubeLayout, budget_mb: float, n_granules: int, config: CompositeConfig
) -> tuple[CompositeConfig, int]:
    """Side of a tile, cells, and the slab, such that a task stays within its memory.

    Half of the memory is for the tile, a quarter for a slab and its sums. A cell holds sums, squares and
    their results for every band; for the median also the pixels of all granules, about one a granule where
    cells are as large as pixels.
    """
    n_bands, n_pixels = len(layout.wavelength), max(1.0, (layout.grid.resolution / 0.011) ** 2) * n_granules
    bytes_per_cell = n_bands * (8.0 * 8 + (12.0 * n_pixels if config.statistic == "median" else 0.0))
    cells = budget_mb * 1e6 / 2 / bytes_per_cell
    side = max(1, int(np.sqrt(cells) / CHUNK_CELLS)) * CHUNK_CELLS  # whole chunks: no two tasks write one
    slab_mb = min(config.slab_mb, budget_mb / 4)
    return CompositeConfig(flags=config.flags, statistic=config.statistic, slab_mb=slab_mb), side


def _grid(sample: Header, region: Region, resolution: float | None) -> Grid:
    """Cells that were asked for, or those of the map itself."""
    if resolution is not None or sample.product == "L2_AOP":
        return Grid.over(region, RESOLUTION if resolution is None else resolution)
    with open_granule(sample.path, region=region) as granule:
        return grid_of_centres(granule["lat"].values, granule["lon"].values)


def _sizes(headers: Sequence[Header]) -> list[list[Any]]:
    """Name and size of each granule: what tells whether a period is up to date."""
    return [[header.path.name, header.path.stat().st_size] for header in headers]
