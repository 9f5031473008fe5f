"""Granules into a cube, period by period: what there is to do, and who does it.

Tiles of periods are the tasks. They run in threads, or on any dask.distributed cluster whose workers see the
same files; each writes its part of the store, so that nothing large travels.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from spectm.data.flags import flag_mask, flag_names, flags_of
from spectm.data.granule import open_granule
from spectm.data.grid import Grid, Tile, grid_of_centres
from spectm.data.headers import Header, read_header
from spectm.data.periods import Period, period_of, periods_between
from spectm.data.regions import Region
from spectm.errors import CubeError, GranuleError

__all__ = ["ComposeReport", "Inputs", "compose", "granule_files", "take_stock"]

RESOLUTION = 0.0125  # degrees: a little more than the 1.2 km of a pixel at nadir
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Granules to be used, and why others are not.

    Parameters
    ----------
    headers : tuple of Header
        One for each granule, in the order of time.
    superseded : dict of str to str
        Twin that is left out -> the one used instead: final before near-real-time, later before earlier
        versions.
    bad : dict of str to str
        File -> what is wrong with it.
    """

    headers: tuple[Header, ...]
    superseded: dict[str, str]
    bad: dict[str, str]


@dataclass(slots=True, kw_only=True)
class ComposeReport:
    """What a run did.

    Parameters
    ----------
    written, unchanged : list of Period
        Composed now; and found in the cube, made from the same granules.
    superseded, bad : dict of str to str
        As in `Inputs`, together with granules whose damage came to light later.
    kept : dict of str to str
        Period that was made from granules which are not given now, and how many: it was left as it is.
    """

    written: list[Period] = field(default_factory=list)
    unchanged: list[Period] = field(default_factory=list)
    superseded: dict[str, str] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Job:
    """A period in the making."""

    row: int
    period: Period
    headers: list[Header]
    left: set[Tile]
    losses: Losses = field(default_factory=Losses)
    bad: dict[str, str] = field(default_factory=dict)


def granule_files(places: Iterable[Path]) -> list[Path]:
    """Files given, and all netCDF files of folders given, sorted by name.

    Raises
    ------
    GranuleError
        If a place is not there, or a folder holds no netCDF file.
    """
    files: list[Path] = []
    for place in places:
        found = sorted(place.rglob("*.nc")) if place.is_dir() else [place] if place.is_file() else []
        if not found:
            raise GranuleError(
                f"wanted granules (*.nc), found {'none in the folder' if place.is_dir() else 'nothing at'} "
                f"{place}. Fetch some first: spectm fetch --help."
            )
        files += found
    return sorted(dict.fromkeys(file.resolve() for file in files), key=lambda file: file.name)


def take_stock(paths: Sequence[Path], wavelength: Sequence[float] | None = None) -> Inputs:
    """Read what every file says of itself, and choose between twins.

    Parameters
    ----------
    paths : sequence of Path
        Files of the archive.
    wavelength : sequence of float, optional
        Bands wanted, nm; without it, those that most files have.
    """
    headers, bad = [], {}
    for path in paths:
        try:
            headers.append(read_header(path))
        except (GranuleError, OSError) as error:
            bad[path.name] = str(error)
    kinds = Counter(_kind(header) for header in headers)
    if wavelength is not None:
        kinds = Counter({kind: n for kind, n in kinds.items() if kind[1] == tuple(wavelength)} or kinds)
    for header in headers:
        wanted = kinds.most_common(1)[0][0]
        if _kind(header) != wanted:
            bad[header.path.name] = (
                f"wanted {_described(wanted)} as most files, found {_described(_kind(header))} in "
                f"{header.path}, version {header.attrs.get('processing_version')}. Compose it into a cube of "
                "its own, or fetch one version."
            )
    best: dict[tuple[np.datetime64, np.datetime64], Header] = {}
    superseded: dict[str, str] = {}
    for header in sorted((header for header in headers if header.path.name not in bad), key=_rank):
        key = (header.start.astype("datetime64[m]"), header.end.astype("datetime64[m]"))
        if key in best:
            superseded[best[key].path.name] = header.path.name
        best[key] = header
    kept = sorted(best.values(), key=lambda header: (header.start, header.path.name))
    return Inputs(headers=tuple(kept), superseded=superseded, bad=bad)


Kind = tuple[str, tuple[float, ...], str, tuple[int, ...]]


def _kind(header: Header) -> Kind:
    """What files of one cube have in common: product, bands, and of maps the length of time and the size."""
    length = "" if header.product == "L2_AOP" else str(header.attrs.get("temporal_range", ""))
    return header.product, tuple(header.wavelength.tolist()), length, header.shape


def _described(kind: Kind) -> str:
    product, bands, length, shape = kind
    size = f", {shape[0]} x {shape[1]} cells" if len(shape) == 2 else ""
    second = f"{bands[1]:g}" if len(bands) > 1 else "none"
    name = f"{length} {product}".strip()
    return f"{name} with {len(bands)} bands ({bands[0]:g}, {second}, ... nm){size}"


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
        If there is no usable granule, or the cube at `out` was made otherwise.
    FlagError
        If the granules do not know a flag.
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
    )
    if config.statistic == "weighted" and sample.product != "L2_AOP":
        raise CubeError(
            f"wanted uncertainties as weights, found none in {sample.product} maps. Take the mean or median."
        )
    if layout.flags:
        with open_granule(sample.path) as granule:  # a flag that is misspelt would cost every granule
            flag_mask(flags_of(granule).isel(line=slice(1), pixel=slice(1)), layout.flags)
    starts = [header.start for header in inputs.headers]
    covered = (first if first is not None else starts[0], last if last is not None else starts[-1])
    asked = periods_between(*covered, days)
    report = ComposeReport(superseded=dict(inputs.superseded), bad=dict(inputs.bad))
    rows = prepare_cube(out, layout, asked)
    by_period: dict[Period, list[Header]] = {period: [] for period in asked}
    for header, start in zip(inputs.headers, starts, strict=True):
        by_period.get(period_of(start, days), []).append(header)
    todo = []
    records = period_records(out)
    for period, files in by_period.items():
        if records.get(str(period.start), {}).get("granules") == _sizes(files):
            report.unchanged.append(period)
        elif gone := _gone(records.get(str(period.start), {}), inputs) if not recompose else 0:
            report.kept[str(period)] = (
                f"wanted all granules that this period was made from, found {gone} of them missing. "
                "Give them, or --recompose to do without."
            )
        else:
            todo.append((rows.index(period), period, files))
    n_workers = workers or len(os.sched_getaffinity(0))
    budget = memory_mb if cluster else memory_mb / n_workers
    config, side = _tiling(layout, budget, max((len(files) for *_, files in todo), default=0), config)
    tiles = layout.grid.tiles(side, side)
    with _executor(cluster, n_workers) as (executor, width):
        run = _Run(executor, 2 * width, out, layout, config, tiles, report, progress)
        run.all([_Job(row, period, files, set(tiles)) for row, period, files in todo])
    report.written.sort()
    return report


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
    return Inputs(headers=kept, superseded=inputs.superseded, bad=bad)


class _Run:
    """Jobs on their way through an executor, a few periods at a time."""

    def __init__(
        self,
        executor: Executor,
        n_waiting: int,
        out: Path,
        layout: CubeLayout,
        config: CompositeConfig,
        tiles: Sequence[Tile],
        report: ComposeReport,
        progress: Progress,
    ) -> None:
        self.n_waiting = n_waiting  # tasks in the queue: no worker idles, and no period is open long
        self.executor, self.out, self.layout, self.config = executor, out.resolve(), layout, config
        self.tiles, self.report, self.progress = tiles, report, progress
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

    def _start(self, job: _Job) -> None:
        for tile in self.tiles:
            place = self.layout.grid.region_of(tile)
            paths = [header.path for header in job.headers if header.box is None or header.box.meets(place)]
            where = (self.out, job.row, paths, self.layout, tile, job.period.end, self.config)
            self.pending[self.executor.submit(_write_tile, *where)] = job, tile

    def _close(self, job: _Job) -> None:
        """Record a period; one where some tiles hold a granule that others could not read is done again."""
        left_out = set(job.bad)
        self.report.bad |= job.bad
        usable = [header for header in job.headers if header.path.name not in left_out]
        if left_out and len(self.tiles) > 1:
            self.done -= len(self.tiles)
            self._start(_Job(job.row, job.period, usable, set(self.tiles)))
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


@contextmanager
def _executor(cluster: str | None, n_workers: int) -> Iterator[tuple[Executor, int]]:
    """Threads of this machine, or a cluster that is already there; and how many tasks it runs at once."""
    if cluster is None:
        executor = ThreadPoolExecutor(n_workers)
        try:
            yield executor, n_workers
        finally:
            executor.shutdown(cancel_futures=True)
        return
    from distributed import Client

    try:
        # Not the default one: that would draw every later dask array of this process to the cluster.
        client: Any = Client(cluster, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise CubeError(
            f"wanted a dask.distributed scheduler, found none at {cluster}: {error}. Start one with `dask "
            "scheduler` and workers with `dask worker`, and give its address, such as tcp://host:8786."
        ) from error
    with client:
        yield client.get_executor(pure=False), max(1, sum(client.nthreads().values()))


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


def _rank(header: Header) -> tuple[Any, ...]:
    """Twins from the least to the most wanted."""
    version = [
        int(part) if part.isdigit() else 0 for part in str(header.attrs.get("processing_version")).split(".")
    ]
    return not header.attrs["near_real_time"], version, header.path.name


def _sizes(headers: Sequence[Header]) -> list[list[Any]]:
    """Name and size of each granule: what tells whether a period is up to date."""
    return [[header.path.name, header.path.stat().st_size] for header in headers]
