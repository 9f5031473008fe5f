"""The week that a bulletin is about: its fields, those before and ahead, and what changed."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.apps.bulletin.words import amount, area, percent, plural
from spectm.apps.moment import AHEAD, LATEST, Moment, chosen_period, days_in_words, moment_at, periods_of
from spectm.apps.shores import water_of
from spectm.apps.store import Store
from spectm.evaluation.report_tables import Table
from spectm.trust.thresholds import Profile

__all__ = ["Week", "area_table", "changes", "coverage", "likely_table", "week_of"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

LONGEST_DAYS = 32  # between a week and the one that it is compared with
CLEAR = 1.5  # factor from which a change is one
OLD_DAYS = 4.0
EVEN = 0.5  # probability


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Week:
    """Fields that a bulletin shows.

    Parameters
    ----------
    now, ahead : Moment
        The period, and the forecast made from it.
    before : Moment or None
        The last period before it that holds an estimate, at most a month earlier.
    """

    now: Moment
    ahead: Moment
    before: Moment | None

    @property
    def store(self) -> Store:
        """That they come from."""
        return self.now.store

    @property
    def least(self) -> float:
        """The detection limit, ug/L."""
        return float(self.store.record["settings"]["detection_limit"])

    @property
    def water(self) -> BoolArray:
        """Cells of water."""
        return water_of(self.now.grid, self.now.water)

    @property
    def columns(self) -> list[tuple[str, Moment]]:
        """Moments in order of time, each with what it is called."""
        before = [] if self.before is None else [(days_in_words(self.before.period), self.before)]
        return [
            *before,
            (days_in_words(self.now.period), self.now),
            (f"{days_in_words(self.ahead.target)}, forecast", self.ahead),
        ]


def week_of(store: Store, wanted: str = LATEST) -> Week:
    """The week of a day, or the latest that holds an estimate.

    Raises
    ------
    StoreError
        If there is no such period, or no forecast eight days ahead.
    """
    position, periods = chosen_period(store, wanted), periods_of(store)
    before = None
    for earlier in reversed(range(position)):
        apart = periods[position].start - periods[earlier].start
        if apart > np.timedelta64(LONGEST_DAYS, "D"):
            break
        found = moment_at(store, earlier)
        if found.seen.any():
            before = found
            break
    return Week(
        now=moment_at(store, position), ahead=moment_at(store, position, horizon=AHEAD), before=before
    )


def coverage(week: Week) -> list[str]:
    """How much was seen, how old it is, and how much of it looks unfamiliar, in sentences."""
    now, water = week.now, week.water
    n_water, n_seen = int(water.sum()), int(now.seen.sum())
    share, days = percent(n_seen / max(n_water, 1)), days_in_words(now.period)
    seen = f"The satellite saw {n_seen:,} of {plural(n_water, 'cell')} of water ({share}) in {days}"
    if week.before is not None:
        n_before, days = int(week.before.seen.sum()), days_in_words(week.before.period)
        seen += f"; in {days} it was {n_before:,} ({percent(n_before / max(n_water, 1))})"
    said = [f"{seen}."]
    if not n_seen:
        return said
    age = now.pixel_age[now.seen]
    n_old = int((age > OLD_DAYS).sum())
    said.append(
        f"Half of what was seen is at most {np.median(age):.1f} days old at the end of the period, all of it "
        f"at most {age.max():.1f} days; {percent(n_old / n_seen)} is older than {OLD_DAYS:g} days."
    )
    n_flagged = int(now.flagged[now.seen].sum())
    said.append(
        f"{n_flagged:,} of these cells ({percent(n_flagged / n_seen)}) are flagged: their spectrum is unlike "
        "those that the model learned from. About one in twenty is expected."
    )
    return said


def changes(week: Week, profiles: Sequence[Profile]) -> list[str]:
    """What is different from the week before, in sentences."""
    now, before = week.now, week.before
    if before is None:
        return ["There is no estimate of the month before to compare with."]
    gap = int((now.period.start - before.period.end).astype(int))
    since = days_in_words(before.period)
    since += f" ({plural(gap, 'day')} without an estimate lie between)" if gap else ""
    both = now.seen & before.seen
    if not both.any():
        return [
            f"No cell was seen in both {days_in_words(now.period)} and {since}: the two can't be compared."
        ]
    said = [_level(week, both, since)]
    ratio = now.microcystin[both] / before.microcystin[both]
    up, down = float((ratio > CLEAR).mean()), float((ratio < 1 / CLEAR).mean())
    said.append(
        f"Of these cells {percent(up)} rose by more than a factor of {CLEAR:g}, {percent(down)} fell by "
        f"more, and {percent(1 - up - down)} changed less."
    )
    return [*said, *_likely(week, both, profiles)]


def _likely(week: Week, both: BoolArray, profiles: Sequence[Profile]) -> list[str]:
    """How much water is more likely than not above each threshold, now and before."""
    assert week.before is not None
    parts = []
    for value in sorted({one.value for each in profiles for one in each.thresholds}):
        now_km2, before_km2 = (_likely_km2(one, value, both) for one in (week.now, week.before))
        if now_km2 or before_km2:
            parts.append(f"above {value:g} ug/L {area(now_km2)} ({area(before_km2)} before)")
    if not parts:
        return ["None of this water is more likely than not above a threshold, now or before."][
            : len(profiles)
        ]
    return [f"Of this water, more likely than not: {', '.join(parts)}."]


def _level(week: Week, both: BoolArray, since: str) -> str:
    assert week.before is not None
    then, is_now = (float(np.median(one.microcystin[both])) for one in (week.before, week.now))
    ratio = is_now / then
    word = "about the same" if 1 / CLEAR <= ratio <= CLEAR else "higher" if ratio > 1 else "lower"
    return (
        f"In the {plural(int(both.sum()), 'cell')} seen in both periods the middle estimate is {word}: "
        f"{amount(is_now, week.least)} ug/L, after {amount(then, week.least)} ug/L in {since}."
    )


def _likely_km2(moment: Moment, threshold: float, cells: BoolArray) -> float:
    """Area where exceedance is at least as likely as not."""
    likely = cells & (np.nan_to_num(moment.exceedance(threshold)) >= EVEN)
    return float((likely * moment.cell_km2).sum())


def area_table(week: Week, profiles: Sequence[Profile]) -> Table:
    """Area by class of the estimate, the classes divided by the thresholds: the maps as numbers."""
    values = sorted({one.value for each in profiles for one in each.thresholds})
    edges = [0.0, *values, np.inf]
    names = [f"up to {values[0]:g} ug/L"] if values else ["any estimate"]
    names += [f"over {low:g} to {high:g} ug/L" for low, high in itertools.pairwise(values)]
    names += [f"over {values[-1]:g} ug/L"] if values else []
    rows = []
    for name, low, high in zip(names, edges, edges[1:], strict=False):
        found = []
        for _, moment in week.columns:
            inside = (np.nan_to_num(moment.microcystin, nan=-1.0) > low) & (moment.microcystin <= high)
            found.append(area(float((inside * moment.cell_km2).sum())))
        rows.append((name, *found))
    unseen = [area(float(((week.water & ~one.seen) * one.cell_km2).sum())) for _, one in week.columns]
    rows.append(("not seen", *unseen))
    columns = ("Estimate", *(name for name, _ in week.columns))
    return Table("Area of water by estimate", columns, rows, (len(rows) - 1,))


def likely_table(week: Week, profiles: Sequence[Profile]) -> Table:
    """Area by how likely each threshold is exceeded."""
    rows = []
    for each in profiles:
        for one in each.thresholds:
            cells = []
            for _, moment in week.columns:
                above = np.nan_to_num(moment.exceedance(one.value))
                cells.append(
                    " / ".join(
                        area(float(((above >= least) * moment.cell_km2).sum())) for least in (0.1, EVEN)
                    )
                )
            rows.append((f"{each.name}: {one.name}, {one.value:g} ug/L", *cells))
    caption = "Area where a threshold is exceeded with a probability of at least 10 % / at least 50 %"
    return Table(caption, ("Threshold", *(name for name, _ in week.columns)), rows)
