"""Estimates for a table of places, by the way that maps are made: a point says what its cell says."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.apps.cells import CubeCells, Windows, estimates_of, look_at, some_flags
from spectm.apps.columns import ABOUT, outlook_columns
from spectm.apps.fields import as_kept
from spectm.apps.planning import Job
from spectm.apps.points_file import PointTable, write_points
from spectm.apps.record import write_record
from spectm.apps.store import POINTS, task_of
from spectm.apps.store_writer import CHUNK_CELLS, middle
from spectm.apps.tiles import model_of
from spectm.data.context import DETECTION_LIMIT
from spectm.data.cutting import cell_names
from spectm.data.nearby import Place, km_between
from spectm.data.times import utc_stamps
from spectm.errors import PointsError
from spectm.training.forecaster import Forecaster, Outlook
from spectm.trust.applicability import Flags
from spectm.trust.estimate import Estimate

__all__ = ["REASONS_WITHOUT", "PointsReport", "predict_points"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[int, int, str], None]

REASONS_WITHOUT = {
    "no position": "latitude or longitude is empty",
    "outside the cube": "the place lies in no cell",
    "on land or never seen": "no period of the cube has a pixel in its cell",
    "before the first period": "the date lies before the cube begins",
    "in the future": "the date lies after the last period of the cube; its estimates ahead are what there is",
    "no complete period": "the date lies in a period that the cube does not hold as a whole",
    "no pixel in this period": "cloud, ice or glint hid the cell all the time",
}
"""Why there is no estimate, in the order in which it is looked at."""

NO_CELL = -1
BEFORE, AFTER, BETWEEN = -1, -2, -3  # periods that the cube does not have
# fmt: off
ADDED = (
    "cell", "period_start", "period_end", "observation_time", "distance_km", "n_pixels", "reason",
    "made_with", "about",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsReport:
    """What was written: rows that were given, lines, lines with an estimate, and reasons of the others."""

    n_rows: int
    n_lines: int
    n_estimates: int
    without: dict[str, int]


@dataclass(slots=True, eq=False)
class _Lines:
    """Lines to write: the row that each repeats, its cell, its period, and why there is no estimate."""

    row: IntArray
    cell_row: IntArray
    cell_column: IntArray
    period: IntArray
    reason: npt.NDArray[np.object_]

    @property
    def open(self) -> npt.NDArray[np.bool_]:
        """True where nothing speaks against an estimate, so far."""
        return self.reason == ""


def predict_points(
    job: Job, points: PointTable, *, progress: Progress = lambda done, total, what: None
) -> PointsReport:
    """Estimate the places of a table, and write them to ``points.csv`` of the store.

    A row with a date has one line, of the period that holds it; one without has a line for each period of
    the job.

    Parameters
    ----------
    job : Job
        Of `spectm.apps.planning.plan`.
    points : PointTable
        Of `spectm.apps.points_file.read_points`.
    progress : callable
        Given the periods done, all periods, and the one at work.

    Raises
    ------
    PointsError
        If latitude and longitude are swapped, or a column has the name of one that is added.
    CubeError
        If the cube can't be read.
    """
    model, cells = model_of(job.source), job.cells
    _check_names(job, points)
    lines = _lines(job, points)
    counts = _seen(cells, lines, progress)
    columns = _columns(job, model, lines, progress)
    beside = _beside(cells, points, lines, counts)
    added = {"cell": beside.pop("cell"), **columns, **beside, "reason": lines.reason}
    added |= {
        name: np.full(lines.row.size, text, dtype=object)
        for name, text in (("made_with", _made_with(job)), ("about", ABOUT))
    }
    write_points(job.out / POINTS, points, lines.row.tolist(), added)
    names, n = np.unique(lines.reason[~lines.open].astype(np.str_), return_counts=True)
    report = PointsReport(
        n_rows=len(points.rows),
        n_lines=lines.row.size,
        n_estimates=int(lines.open.sum()),
        without=dict(zip(names.tolist(), n.tolist(), strict=True)),
    )
    job.record["points"] = {
        "file": points.path.name,
        "sha256": hashlib.sha256(points.path.read_bytes()).hexdigest(),
        **asdict(report),
    }
    write_record(job.out, job.record)
    return report


def check_points(job: Job, points: PointTable) -> None:
    """Refuse a table that can't be answered, before anything is done.

    Raises
    ------
    PointsError
        If latitude and longitude are swapped, or a column has the name of one that is added.
    """
    _check_names(job, points)
    _lines(job, points)


def _check_names(job: Job, points: PointTable) -> None:
    """Refuse a table with a column of a name that is added, before anything is done."""
    added = {*_no_columns(job, 1), *ADDED}
    if taken := sorted({name.strip() for name in points.header} & added):
        raise PointsError(
            f"{points.path}: wanted columns of other names than those that are added, found "
            f"{', '.join(taken)}. Rename them."
        )


def _lines(job: Job, points: PointTable) -> _Lines:
    """Every line with its cell and period, and the reasons that need no look at pixels."""
    grid = job.cells.layout.grid
    cell = grid.cell_of(points.latitude, points.longitude, grid.whole)
    _check_not_swapped(job.cells, points, cell)
    row, period = _of_periods(job, points)
    found = cell[row]
    lines = _Lines(
        row=row,
        cell_row=np.where(found >= 0, found // grid.n_columns, NO_CELL),
        cell_column=np.where(found >= 0, found % grid.n_columns, NO_CELL),
        period=period,
        reason=np.full(row.size, "", dtype=object),
    )
    known = np.isfinite(points.latitude) & np.isfinite(points.longitude)
    _refuse(lines, ~known[row], "no position")
    _refuse(lines, found < 0, "outside the cube")
    return lines


def _of_periods(job: Job, points: PointTable) -> tuple[IntArray, IntArray]:
    """Row and period of each line; a period below zero is none that the cube has."""
    rows: list[int] = []
    periods: list[int] = []
    for number, time in enumerate(points.time):
        which = job.chosen if np.isnat(time) else (_period_of(job.cells, time),)
        rows += [number] * len(which)
        periods += which
    return np.array(rows, dtype=np.int64), np.array(periods, dtype=np.int64)


def _period_of(cells: CubeCells, time: np.datetime64) -> int:
    periods = cells.periods
    if time < periods[0].start:
        return BEFORE
    if time >= periods[-1].end:
        return AFTER
    return next((i for i, one in enumerate(periods) if one.start <= time < one.end), BETWEEN)


def _check_not_swapped(cells: CubeCells, points: PointTable, cell: IntArray) -> None:
    """Latitudes of the one half of the globe can be longitudes of the other, and nobody would notice."""
    grid = cells.layout.grid
    possible = np.abs(points.longitude) <= 90
    other = grid.cell_of(np.where(possible, points.longitude, np.nan), points.latitude, grid.whole)
    swapped = np.flatnonzero((cell < 0) & (other >= 0))
    if swapped.size:
        i = int(swapped[0])
        raise PointsError(
            f"{points.path}, line {points.lines[i]}: latitude {points.latitude[i]:g} and longitude "
            f"{points.longitude[i]:g} lie outside the cube; swapped they lie within it. Swap the columns."
        )


def _refuse(lines: _Lines, which: npt.NDArray[np.bool_], reason: str) -> None:
    lines.reason[lines.open & which] = reason


def _seen(cells: CubeCells, lines: _Lines, progress: Progress) -> IntArray:
    """Pixels in the cell of each line; and the reasons that follow from them."""
    whole, count = cells.layout.grid.whole, np.zeros(lines.row.size, dtype=np.int64)
    ever = np.zeros(whole.shape, dtype=np.bool_)
    inside = lines.cell_row >= 0
    for i in range(len(cells.periods)):
        progress(i, 2 * len(cells.periods), str(cells.periods[i]))  # the other half: looking
        of_period = cells.counts(i, whole)
        ever |= of_period > 0
        own = inside & (lines.period == i)
        count[own] = of_period[lines.cell_row[own], lines.cell_column[own]]
    water = np.zeros(lines.row.size, dtype=np.bool_)
    water[inside] = ever[lines.cell_row[inside], lines.cell_column[inside]]
    _refuse(lines, ~water, "on land or never seen")
    _refuse(lines, lines.period == BEFORE, "before the first period")
    _refuse(lines, lines.period == AFTER, "in the future")
    _refuse(lines, lines.period == BETWEEN, "no complete period")
    _refuse(lines, count == 0, "no pixel in this period")
    return count


def _columns(job: Job, model: Forecaster, lines: _Lines, progress: Progress) -> dict[str, npt.NDArray[Any]]:
    """Columns of estimates, shape (n_lines,); empty where there is a reason."""
    looked = _looked(job, model, lines, progress)
    open_lines = np.flatnonzero(lines.open)
    outlooks, of_lines = [], []
    for i in np.unique(lines.period[open_lines]):
        own = open_lines[lines.period[open_lines] == i]
        flat, which = np.unique(looked.flat(lines, own), return_inverse=True)
        outlooks.append(looked.outlook(job, model, int(i), flat))
        of_lines.append((own, which))
    columns: dict[str, npt.NDArray[Any]] = {}
    for (own, which), outlook in zip(of_lines, outlooks, strict=True):
        for name, values in outlook_columns(outlook, job.source.thresholds).items():
            empty = np.nan if values.dtype.kind == "f" else ""
            whole = columns.setdefault(name, np.full(lines.row.size, empty, dtype=values.dtype))
            whole[own] = values[which]
    return columns or _no_columns(job, lines.row.size)


def _no_columns(job: Job, n: int) -> dict[str, npt.NDArray[Any]]:
    """Columns without an estimate anywhere, by the names of those with one."""
    nothing = np.full(1, np.nan)
    estimates = tuple(
        Estimate(mean=nothing, spread=nothing, calibration=one, least=DETECTION_LIMIT)
        for one in (model_of(job.source).calibration[task_of(lead)] for lead in job.source.horizons)
    )
    flags = Flags(flagged=np.zeros(1, dtype=np.bool_), reasons={}, distance={})
    outlook = Outlook(lead_days=job.source.horizons, estimates=estimates, flags=flags)
    columns = outlook_columns(outlook, job.source.thresholds)
    return {name: np.repeat(values, n) for name, values in columns.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Looked:
    """What some cells said in some periods, in order of their keys: period, then cell."""

    key: IntArray
    log10: FloatArray
    flags: Flags
    n_columns: int
    n_cells: int

    def flat(self, lines: _Lines, which: IntArray) -> IntArray:
        """Number of the cell of each line."""
        return lines.cell_row[which] * self.n_columns + lines.cell_column[which]

    def said(self, i: int, flat: IntArray) -> FloatArray:
        """What cells said in a period, NaN where nothing."""
        at = np.minimum(np.searchsorted(self.key, i * self.n_cells + flat), self.key.size - 1)
        return np.where(self.key[at] == i * self.n_cells + flat, self.log10[at], np.nan)

    def outlook(self, job: Job, model: Forecaster, i: int, flat: IntArray) -> Outlook:
        """Estimates of cells in a period, and whether they look familiar."""
        cells, at = job.cells, np.searchsorted(self.key, i * self.n_cells + flat)
        earlier = [(middle(cells.periods[j]), self.said(j, flat)) for j in cells.earlier(i)]
        now = cells.places(i, flat // self.n_columns, flat % self.n_columns)
        found = estimates_of(model, now, self.log10[at], earlier, job.source.horizons)
        return Outlook(
            lead_days=job.source.horizons,
            estimates=tuple(as_kept(one) for one in found),
            flags=some_flags(self.flags, at),
        )


def _looked(job: Job, model: Forecaster, lines: _Lines, progress: Progress) -> _Looked:
    """Look at the cells of all lines, in their own periods and in those of the ten days before."""
    cells, grid = job.cells, job.cells.layout.grid
    wanted: dict[int, set[int]] = {}
    for at in np.flatnonzero(lines.open):
        flat = int(lines.cell_row[at] * grid.n_columns + lines.cell_column[at])
        for i in (int(lines.period[at]), *cells.earlier(int(lines.period[at]))):
            wanted.setdefault(i, set()).add(flat)
    keys: list[IntArray] = []

    def windows() -> Iterator[Windows]:
        for number, i in enumerate(sorted(wanted)):
            progress(len(cells.periods) + number, len(cells.periods) + len(wanted), str(cells.periods[i]))
            flat = np.array(sorted(wanted[i]), dtype=np.int64)
            row, column = np.divmod(flat, grid.n_columns)
            seen = cells.counts(i, grid.whole)[row, column] > 0
            for part in _by_tile(row, column, seen):
                keys.append(i * grid.n_rows * grid.n_columns + flat[part])
                yield from cells.windows(i, row[part], column[part])

    log10, flags = look_at(model, windows(), cells.wavelength)
    key = np.concatenate([np.empty(0, dtype=np.int64), *keys])
    order = np.argsort(key)
    return _Looked(
        key=key[order],
        log10=log10[order],
        flags=some_flags(flags, order),
        n_columns=grid.n_columns,
        n_cells=grid.n_rows * grid.n_columns,
    )


def _by_tile(row: IntArray, column: IntArray, seen: npt.NDArray[np.bool_]) -> Iterator[IntArray]:
    """Positions of cells that are seen, those that lie near each other together: one read serves them all."""
    at = np.flatnonzero(seen)
    tile = np.stack([row[at] // CHUNK_CELLS, column[at] // CHUNK_CELLS])
    _, which = np.unique(tile, axis=1, return_inverse=True)
    for number in range(which.max() + 1 if which.size else 0):
        yield at[which.ravel() == number]


def _beside(
    cells: CubeCells, points: PointTable, lines: _Lines, count: IntArray
) -> dict[str, npt.NDArray[Any]]:
    """Columns on cell and period, empty where there is none."""
    grid, n = cells.layout.grid, lines.row.size
    inside, dated = lines.cell_row >= 0, lines.period >= 0
    place, distance = np.full(n, "", dtype=object), np.full(n, np.nan)
    place[inside] = cell_names(grid, lines.cell_row[inside], lines.cell_column[inside])
    distance[inside] = _distances(cells, points, lines)[lines.row[inside]]
    start, end, observed = (np.full(n, "", dtype=object) for _ in range(3))
    for i in np.unique(lines.period[dated]):
        own = lines.period == i
        start[own], end[own] = str(cells.periods[i].start), str(cells.periods[i].end)
        seen = np.flatnonzero(own & inside & (count > 0))
        if seen.size:
            age = cells.ages(int(i), grid.whole)[lines.cell_row[seen], lines.cell_column[seen]]
            last = cells.periods[i].end.astype("datetime64[s]")
            observed[seen] = utc_stamps(last - np.rint(age * 86_400).astype("timedelta64[s]"))
    return {
        "cell": place,
        "period_start": start,
        "period_end": end,
        "observation_time": observed,
        "distance_km": distance,
        "n_pixels": np.where(inside & dated, count.astype(object), ""),
    }


def _distances(cells: CubeCells, points: PointTable, lines: _Lines) -> FloatArray:
    """Kilometres from each row's place to the centre of its cell, NaN outside the cube."""
    grid, found = cells.layout.grid, np.full(len(points.rows), np.nan)
    at = np.flatnonzero(lines.cell_row >= 0)
    for row, first in zip(*np.unique(lines.row[at], return_index=True), strict=True):
        centre = grid.latitude[lines.cell_row[at[first]]], grid.longitude[lines.cell_column[at[first]]]
        where = Place("", float(points.latitude[row]), float(points.longitude[row]))
        found[row] = float(km_between(np.array(centre[0]), np.array(centre[1]), where))
    return found


def _made_with(job: Job) -> str:
    """What everybody who sees an estimate has to know of where it comes from."""
    parts = {
        "resampled to the model's bands": job.source.resampled,
        "simulated cube": job.record["data"]["simulated"],
        "model of simulated data": job.record["model"]["simulated"],
    }
    return "; ".join(text for text, true in parts.items() if true)
