"""Stations of a bulletin: estimates, trends, exceedance and forecasts, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spectm.apps.bulletin.week import CLEAR, Week
from spectm.apps.bulletin.words import NOTHING, amount, interval, percent
from spectm.apps.history import cell_in, estimate_at, history_at
from spectm.apps.moment import AHEAD, NOW, days_in_words
from spectm.apps.places import Station
from spectm.errors import StoreError
from spectm.evaluation.report_tables import Table
from spectm.trust.thresholds import Profile

__all__ = [
    "StationWeeks",
    "exceedance_table",
    "history_table",
    "inside",
    "outside",
    "station_table",
    "stations_in_words",
    "weeks_at",
]

UNSEEN = "not seen"
Row = Any  # one line of a table: numbers, times and texts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StationWeeks:
    """What a store says of one station.

    Parameters
    ----------
    station : Station
    now, ahead : DataFrame
        `spectm.apps.history.history_at`, up to the week of the bulletin.
    """

    station: Station
    now: pd.DataFrame
    ahead: pd.DataFrame

    @property
    def last(self) -> Row:
        """The row of the week."""
        return self.now.iloc[-1]

    @property
    def before(self) -> Row | None:
        """The row of the last earlier week with an estimate, at most a month before."""
        earlier = self.now.iloc[:-1].dropna(subset=["microcystin"])
        if earlier.empty or (self.last["about"] - earlier.iloc[-1]["about"]).days > 32:
            return None
        return earlier.iloc[-1]


def inside(week: Week, stations: Sequence[Station]) -> list[Station]:
    """Stations on the maps; an error where there are some, and none of them is.

    Raises
    ------
    StoreError
        If no station lies on the maps.
    """
    kept, found = [], []
    for one in stations:
        try:
            cell_in(week.store, one)
        except StoreError as error:
            found.append(error)
        else:
            kept.append(one)
    if found and not kept:
        raise found[0]
    return kept


def outside(week: Week, stations: Sequence[Station]) -> list[str]:
    """Names of the stations that do not lie on the maps."""
    kept = {one.name for one in inside(week, stations)}
    return [one.name for one in stations if one.name not in kept]


def weeks_at(week: Week, stations: Sequence[Station]) -> list[StationWeeks]:
    """What the store says of each station, up to the week."""
    found = []
    for one in stations:
        now, ahead = (history_at(week.store, one, horizon=days) for days in (NOW, AHEAD))
        shown = (now["first"] <= pd.Timestamp(week.now.period.start)).to_numpy()
        found.append(StationWeeks(station=one, now=now[shown], ahead=ahead[shown]))
    return found


def station_table(week: Week, found: Sequence[StationWeeks]) -> Table:
    """Estimate, interval, trend and forecast at each station."""
    rows = []
    for one in found:
        now, ahead = one.last, one.ahead.iloc[-1]
        seen = np.isfinite(now["microcystin"])
        rows.append(
            (
                one.station.name,
                amount(now["microcystin"], week.least) if seen else UNSEEN,
                interval(now["low90"], now["high90"], week.least),
                _trend(one),
                amount(ahead["microcystin"], week.least),
                interval(ahead["low90"], ahead["high90"], week.least),
                f"{now['age']:.1f} days" if seen else NOTHING,
                ("flagged: " + now["reasons"] if now["flagged"] else "no") if seen else NOTHING,
            )
        )
    columns = (
        "Station",
        "Estimate, ug/L",
        "90 % interval",
        "Since the last estimate",
        "Forecast, ug/L",
        "Its 90 % interval",
        "Age of pixels",
        "Unfamiliar",
    )
    when = f"{days_in_words(week.now.period)}; forecast for about {days_in_words(week.ahead.target)}"
    return Table(f"Stations, {when}", columns, rows)


def _trend(one: StationWeeks) -> str:
    """A sign, a word and a factor; and whether the change is larger than the doubt."""
    now, before = one.last, one.before
    if not np.isfinite(now["microcystin"]):
        return NOTHING
    if before is None:
        return "no earlier estimate"
    ratio = now["microcystin"] / before["microcystin"]
    if 1 / CLEAR <= ratio <= CLEAR:
        return "→ little change"
    word = f"↑ up, × {ratio:.1f}" if ratio > 1 else f"↓ down, ÷ {1 / ratio:.1f}"
    apart = now["low50"] > before["high50"] or now["high50"] < before["low50"]
    return word if apart else f"{word}, within doubt"


def stations_in_words(week: Week, found: Sequence[StationWeeks]) -> list[str]:
    """The highest station, and those that can't be told."""
    seen = [one for one in found if np.isfinite(one.last["microcystin"])]
    said = []
    if seen:
        top = max(seen, key=lambda one: one.last["microcystin"])
        row = top.last
        said.append(
            f"The highest estimate at a station is {amount(row['microcystin'], week.least)} ug/L at "
            f"{top.station.name} (90 % interval {interval(row['low90'], row['high90'], week.least)} ug/L)."
        )
    unseen = [one.station.name for one in found if one not in seen]
    if unseen:
        said.append(f"Not seen, so without an estimate: {', '.join(unseen)}.")
    return said


def exceedance_table(week: Week, found: Sequence[StationWeeks], profile: Profile) -> Table:
    """Probabilities to lie above the thresholds of a profile, now and ahead, where a station was seen."""
    rows = []
    for one in found:
        if not np.isfinite(one.last["microcystin"]):
            continue
        cells = []
        for threshold in profile.thresholds:
            now, ahead = (
                float(estimate_at(week.store, table.tail(1), days).exceedance(threshold.value)[0])
                for table, days in ((one.now, NOW), (one.ahead, AHEAD))
            )
            cells.append(f"{percent(now)}, then {percent(ahead)}")
        rows.append((one.station.name, *cells))
    columns = ("Station", *(f"over {one.value:g} ug/L: {one.name}" for one in profile.thresholds))
    return Table(
        f"{profile.title} ({profile.name}): probability to lie above, now and then in 8 days", columns, rows
    )


def history_table(
    week: Week, found: Sequence[StationWeeks], samples: pd.DataFrame | None, n_periods: int
) -> Table:
    """The last periods at every station, estimates and laboratory: what the charts show."""
    rows = []
    for back in range(1, n_periods + 1):
        if back > len(found[0].now):
            break
        cells = []
        for one in found:
            row = one.now.iloc[-back]
            if np.isfinite(row["microcystin"]):
                cell = amount(row["microcystin"], week.least)
                cell += f" ({interval(row['low90'], row['high90'], week.least)})"
            else:
                cell = UNSEEN
            cells.append(cell + _laboratory(row, one.station, samples))
        rows.append((str(found[0].now.iloc[-back]["first"])[:10], *cells))
    columns = ("Period from", *(one.station.name for one in found))
    caption = "Estimates, ug/L, with 90 % intervals, and laboratory values of the same period, newest first"
    return Table(caption, columns, rows)


def _laboratory(row: Row, station: Station, samples: pd.DataFrame | None) -> str:
    """Values of a station and period, with a word before them."""
    if samples is None:
        return ""
    chosen = samples[
        (samples["station"] == station.name)
        & (samples["time"] >= row["first"])
        & (samples["time"] < row["end"])
    ]
    values = [
        f"below {value:g}" if below else f"{value:.2g}"
        for value, below in zip(chosen["microcystin"], chosen["below_detection"], strict=True)
    ]
    return f"; laboratory {', '.join(values)}" if values else ""
