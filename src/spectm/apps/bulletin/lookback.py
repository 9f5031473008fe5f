"""How well earlier estimates and forecasts did, where laboratory values have come in since."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectm.apps.behind import model_behind
from spectm.apps.bulletin.at_stations import StationWeeks
from spectm.apps.bulletin.week import Week
from spectm.apps.bulletin.words import amount, interval, percent, plural
from spectm.apps.moment import days_in_words
from spectm.errors import CheckpointError, StoreError
from spectm.evaluation.report_tables import Table

__all__ = ["Lookback", "look_back"]

WITHIN_DAYS = 4  # half a period: a sample further from the day that an estimate is of says little on it
FACTOR = 2.0
COLUMNS = [
    *("station", "lead", "about", "microcystin", "low50", "high50", "low90", "high90"),
    *("time", "date", "found", "below_detection"),
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookback:
    """What became of forecasts.

    Parameters
    ----------
    sentences : list of str
    last_week : Table or None
        The forecast for the week of the bulletin, station by station.
    so_far : Table or None
        Counts over all periods up to the week.
    """

    sentences: list[str]
    last_week: Table | None = None
    so_far: Table | None = None


def look_back(week: Week, found: Sequence[StationWeeks], samples: pd.DataFrame | None) -> Lookback:
    """Compare estimates and forecasts with laboratory values.

    Parameters
    ----------
    week : Week
    found : sequence of StationWeeks
    samples : DataFrame or None
        Of `spectm.apps.places.samples_at`.
    """
    if samples is None:
        return Lookback(
            sentences=["No laboratory values were given, so nothing is known here of how well estimates did."]
        )
    end = pd.Timestamp(week.now.period.end)
    pairs = _pairs(found, samples[samples["time"] < end])  # a bulletin knows nothing of later weeks
    pairs = pairs[pairs["about"] < end]
    if pairs.empty:
        return Lookback(
            sentences=[
                f"No laboratory value lies within {WITHIN_DAYS} days of an estimate or forecast at these "
                "stations yet, so nothing is known here of how well they did."
            ]
        )
    last = pairs[(pairs["lead"] > 0) & (pairs["about"] >= pd.Timestamp(week.now.period.start))]
    last = last[last["about"] < pd.Timestamp(week.now.period.end)]
    sentences = [_in_words(last, f"Last week’s forecast for {days_in_words(week.now.period)}")]
    if (note := _learned_from(week, pairs)) is not None:
        sentences.append(note)
    return Lookback(
        sentences=sentences,
        last_week=None if last.empty else _station_by_station(week, last),
        so_far=_counts(pairs),
    )


def _pairs(found: Sequence[StationWeeks], samples: pd.DataFrame) -> pd.DataFrame:
    """Each estimate and forecast with the sample nearest to the day that it is of."""
    rows = []
    reach = pd.Timedelta(days=WITHIN_DAYS)
    for one in found:
        at_station = samples[samples["station"] == one.station.name]
        for lead, table in ((0, one.now), (8, one.ahead)):
            for row in table.dropna(subset=["microcystin"]).to_dict("records"):
                apart = (at_station["time"] - row["about"]).abs()
                if apart.empty or apart.min() > reach:
                    continue
                sample = at_station.loc[apart.idxmin()]
                known = {name: row[name] for name in COLUMNS[2:8]}
                known |= {"station": one.station.name, "lead": lead}
                known |= {"time": sample["time"], "date": sample["date"]}
                below = bool(sample["below_detection"])
                rows.append(known | {"found": sample["microcystin"], "below_detection": below})
    return pd.DataFrame(rows, columns=COLUMNS)


def _covered(pairs: pd.DataFrame, level: str) -> "pd.Series[bool]":
    """Whether an interval holds what was found; below detection, whether it reaches down to the limit."""
    low, high, found = pairs[f"low{level}"], pairs[f"high{level}"], pairs["found"]
    below = pairs["below_detection"].astype(bool)
    return (below & (low <= found * 1.001)) | (~below & (low <= found) & (found <= high))


def _near(pairs: pd.DataFrame) -> "pd.Series[bool]":
    """Within a factor of two; below detection, at most twice the limit."""
    ratio = pairs["microcystin"] / pairs["found"]
    below = pairs["below_detection"].astype(bool)
    return (ratio <= FACTOR) & (below | (ratio >= 1 / FACTOR))


def _in_words(last: pd.DataFrame, what: str) -> str:
    if last.empty:
        return f"{what} can’t be checked yet: no laboratory value of that week has come in at these stations."
    n = len(last)
    return (
        f"{what}: {plural(n, 'laboratory value')} came in. {int(_covered(last, '90').sum())} of {n} lie in "
        f"the 90 % interval, {int(_covered(last, '50').sum())} in the 50 % interval, and "
        f"{int(_near(last).sum())} within a factor of 2 of the forecast."
    )


def _learned_from(week: Week, pairs: pd.DataFrame) -> str | None:
    """Whether the model had seen these samples when it was trained: then they flatter it."""
    record = week.store.record
    if record["data"]["simulated"] != record["model"]["simulated"]:  # a name and a date may be the same
        return "The model was trained on none of these samples."
    try:
        model = model_behind(week.store)
    except (CheckpointError, StoreError):
        return "The model is not at hand, so it is not known which of these samples it was trained on."
    times = pairs.assign(sample_time=pairs["time"], overpass_time=pairs["time"])
    n = int((model.knows(pairs[["station", "date"]]) | model.is_near(times)).sum())
    if not n:
        return "The model was trained on none of these samples, nor on any within 60 hours of one."
    return (
        f"Of the {len(pairs)} comparisons below, {n} are with samples that the model was trained on, within "
        "60 hours of those, or of years whose calendar it knows: these flatter it."
    )


def _station_by_station(week: Week, last: pd.DataFrame) -> Table:
    covered = _covered(last, "90")
    rows = [
        (
            str(row["station"]),
            amount(row["microcystin"], week.least),
            interval(row["low90"], row["high90"], week.least),
            f"below {row['found']:g}" if row["below_detection"] else f"{row['found']:.2g}",
            f"{row['time']:%Y-%m-%d}",
            "yes" if is_in else "no",
        )
        for row, is_in in zip(last.to_dict("records"), covered, strict=True)
    ]
    columns = ("Station", "Forecast, ug/L", "90 % interval", "Laboratory, ug/L", "Sampled", "In the interval")
    caption = f"Last week’s forecast for {days_in_words(week.now.period)}, and what was found"
    return Table(caption, columns, rows)


def _counts(pairs: pd.DataFrame) -> Table:
    """Both horizons, all periods."""
    rows: list[tuple[str, ...]] = []
    for lead, name in ((0, "estimate of the same week"), (8, "forecast, 8 days ahead")):
        chosen = pairs[pairs["lead"] == lead]
        n = len(chosen)
        if not n:
            rows.append((name, "0", "–", "–", "–"))
            continue
        shares = (_covered(chosen, "50"), _covered(chosen, "90"), _near(chosen))
        rows.append((name, str(n), *(f"{int(one.sum())} ({percent(float(np.mean(one)))})" for one in shares)))
    columns = (
        "What",
        "Laboratory values",
        "In the 50 % interval",
        "In the 90 % interval",
        "Within a factor of 2",
    )
    first, last = pairs["time"].min(), pairs["time"].max()
    return Table(f"So far, samples of {first:%Y-%m-%d} to {last:%Y-%m-%d}", columns, rows)
