"""What a rule finds in the predictions of one period, for one horizon."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from spectm.apps.alerts.rules import Area, Rule
from spectm.apps.moment import Moment
from spectm.apps.places import Station, cell_of
from spectm.apps.shores import water_of
from spectm.apps.store import task_of
from spectm.data.periods import Period

__all__ = ["Answer", "CellEstimate", "Cells", "Finding", "evaluate"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Cells of a place, counted.

    Parameters
    ----------
    water, seen, flagged, too_old, counted : int
        All of water; with an estimate; of these flagged; of the unflagged too old; and those that count.
    flag_reasons : mapping of str to int
        Why, in how many of the flagged cells.
    oldest_days : float or None
        Age of the oldest pixels that count, in days before the end of the period.
    """

    water: int = 0
    seen: int = 0
    flagged: int = 0
    too_old: int = 0
    counted: int = 0
    flag_reasons: dict[str, int]
    oldest_days: float | None = None

    @property
    def share(self) -> float:
        """Of the water cells, those that count."""
        return self.counted / self.water if self.water else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEstimate:
    """The estimate of one cell: ug/L, with a 90 % interval, and its centre."""

    microcystin: float
    low90: float
    high90: float
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What cells that count say together.

    Parameters
    ----------
    probability : float
        To lie above the threshold: of the cell, or the mean over those of an area.
    typical, highest : CellEstimate
        Of the cells with the middle and the highest estimate; of a station or point the same one.
    """

    probability: float
    typical: CellEstimate
    highest: CellEstimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """A rule's answer for one period and horizon.

    Parameters
    ----------
    rule : Rule
    period, about : Period
        Days that were seen, and days that the numbers are about.
    horizon : float
        Days between the two.
    predictions : str
        Digest of the predictions that it rests on.
    cells : Cells
    answer : Answer or None
        None where the rule could not be evaluated.
    why_not : str
        Why it could not be evaluated; else empty.
    """

    rule: Rule
    period: Period
    about: Period
    horizon: float
    predictions: str
    cells: Cells
    answer: Answer | None = None
    why_not: str = ""

    @property
    def id(self) -> str:
        """The same for the same rule, period, horizon and predictions."""
        parts = [self.rule.digest, str(self.period.start), self.horizon, self.predictions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def fires(self) -> bool:
        """Whether the probability reaches the rule's."""
        # A mean of cells can miss a number by the last digit.
        return self.answer is not None and self.answer.probability >= self.rule.probability - 1e-9


def evaluate(rule: Rule, moment: Moment, *, today: date | None = None) -> Finding:
    """What a rule finds; where it can't be evaluated, why.

    Parameters
    ----------
    rule : Rule
    moment : Moment
        Fields of the period and horizon.
    today : date, optional
        Predictions that ended longer before than ``rule.stale_after`` are not evaluated; without it any are.
    """
    mask, why_not = _cells_of(rule, moment)
    counted = _counted(rule, moment, mask)
    cells = _count(moment, mask, counted, rule)
    why_not = why_not or _too_old(rule, moment, today) or _too_few(rule, cells)
    return Finding(
        rule=rule,
        period=moment.period,
        about=moment.target,
        horizon=moment.horizon,
        predictions=_digest(moment, mask),
        cells=cells,
        answer=None if why_not else _answer(rule, moment, counted),
        why_not=why_not,
    )


def _answer(rule: Rule, moment: Moment, counted: BoolArray) -> Answer:
    whole = moment.estimate
    estimate = replace(whole, mean=whole.mean[counted], spread=whole.spread[counted])
    order = np.argsort(estimate.mean, kind="stable")
    low, high = estimate.interval(0.9)
    cells = [
        CellEstimate(
            microcystin=float(estimate.median[i]),
            low90=float(low[i]),
            high90=float(high[i]),
            latitude=float(moment.grid.latitude[row]),
            longitude=float((moment.grid.longitude[column] + 180) % 360 - 180),
        )
        for i in (order[(order.size - 1) // 2], order[-1])  # of an even number the lower
        for row, column in np.argwhere(counted)[i : i + 1]
    ]
    above = estimate.exceedance(rule.asked.value)
    return Answer(probability=float(above.mean()), typical=cells[0], highest=cells[1])


def _cells_of(rule: Rule, moment: Moment) -> tuple[BoolArray, str]:
    """Water cells of the place, and what is wrong with it."""
    grid = moment.grid
    water, none = water_of(grid, moment.water), np.zeros(grid.shape, dtype=np.bool_)
    if isinstance(rule.place, Station):
        cell = cell_of(grid, rule.place)
        if cell is None:
            return none, "the place lies outside the maps"
        none[cell] = True
        return none & water, "" if water[cell] else "the place lies on land, or in water that was never seen"
    if not _within(rule.place, moment):
        return none, "the polygon reaches beyond the maps; draw it within them"
    inside = rule.place.polygon.cells(grid) & water
    return inside, "" if inside.any() else "no cell of water has its centre in the polygon"


def _within(area: Area, moment: Moment) -> bool:
    """Whether a polygon ends where the maps do, give or take a cell: nobody knows what water lies beyond."""
    grid, side = moment.grid, moment.grid.resolution
    corners = np.concatenate(area.polygon.rings)
    middle = grid.west + grid.n_columns * side / 2
    east = (corners[:, 0] - middle + 180) % 360 - 180
    half = (grid.n_columns / 2 + 1) * side
    south = grid.north - (grid.n_rows + 1) * side
    inside = (np.abs(east) <= half) & (corners[:, 1] >= south) & (corners[:, 1] <= grid.north + side)
    return bool(inside.all())


def _counted(rule: Rule, moment: Moment, mask: BoolArray) -> BoolArray:
    """Cells with an estimate, unflagged, and seen not too long ago; an unknown age is too old."""
    fresh = moment.pixel_age <= rule.oldest_pixels
    return np.asarray(mask & moment.seen & ~moment.flagged & fresh)


def _count(moment: Moment, mask: BoolArray, counted: BoolArray, rule: Rule) -> Cells:
    seen = mask & moment.seen
    flagged = seen & moment.flagged
    found: Counter[str] = Counter()
    for row, column in np.argwhere(flagged):
        found.update(moment.reasons(int(row), int(column)))
    ages = moment.pixel_age[counted]
    return Cells(
        water=int(mask.sum()),
        seen=int(seen.sum()),
        flagged=int(flagged.sum()),
        too_old=int((seen & ~flagged & ~counted).sum()),
        counted=int(counted.sum()),
        flag_reasons=dict(sorted(found.items())),
        oldest_days=float(ages.max()) if ages.size else None,
    )


def _too_old(rule: Rule, moment: Moment, today: date | None) -> str:
    if today is None:
        return ""
    days = int((np.datetime64(today, "D") - moment.period.end).astype(int))
    if days <= rule.stale_after:
        return ""
    return f"the latest predictions ended {days} days ago, more than the {rule.stale_after:g} of stale_after"


def _too_few(rule: Rule, cells: Cells) -> str:
    if isinstance(rule.place, Station):
        if cells.counted:
            return ""
        if not cells.seen:
            return "nothing was seen there in this period: cloud, ice or glint"
        if cells.flagged:
            return f"its spectrum is unlike those learned from ({', '.join(cells.flag_reasons)})"
        return f"its pixels are older than the {rule.oldest_pixels:g} days of oldest_pixels"
    if cells.counted and cells.share >= rule.min_coverage:
        return ""
    return (
        f"{cells.counted} of {cells.water} cells of water count ({100 * cells.share:.0f} %), fewer than the "
        f"{100 * rule.min_coverage:.0f} % of min_coverage: {cells.water - cells.seen} not seen, "
        f"{cells.flagged} flagged, {cells.too_old} too old"
    )


def _digest(moment: Moment, mask: BoolArray) -> str:
    """Of the numbers behind an answer, and of the model: another late granule elsewhere changes nothing."""
    record = moment.store.record
    found = hashlib.sha256(str(record["model"]["weights_sha256"]).encode())
    found.update(json.dumps(record["calibration"][task_of(moment.horizon)], sort_keys=True).encode())
    found.update(np.flatnonzero(mask).astype("<i8").tobytes())
    for name in ("log10_mean", "log10_spread", "pixel_age", "flagged"):
        found.update(np.ascontiguousarray(moment.maps[name].values[mask]).tobytes())
    return found.hexdigest()[:32]
