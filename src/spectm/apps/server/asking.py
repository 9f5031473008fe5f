"""Questions to a store: points, weeks, spectra, polygons, as the interface answers them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.apps.columns import ABOUT
from spectm.apps.export.provenance import made_up
from spectm.apps.history import cell_in, history_at
from spectm.apps.looks import LOOKS, UNSEEN
from spectm.apps.moment import LATEST, Moment, chosen_period, days_in_words, periods_of
from spectm.apps.places import Station, cell_of
from spectm.apps.polygons import Polygon
from spectm.apps.server.answers import (
    AreaAnswer,
    AreaSummary,
    Exceedance,
    HorizonAnswer,
    LookAnswer,
    PeriodAnswer,
    PointAnswer,
    PolygonAnswer,
    PolygonExceedance,
    PolygonHorizon,
    SeriesAnswer,
    StationAnswer,
    ThresholdAnswer,
)
from spectm.apps.server.areas import Area, Snapshot
from spectm.apps.shores import water_of
from spectm.data.labels import surface_samples
from spectm.data.periods import Period
from spectm.trust.applicability import REASONS
from spectm.trust.estimate import LEVELS, Estimate
from spectm.trust.thresholds import CAVEAT, MEDIA, Profile

__all__ = [
    "area_answer",
    "period_answer",
    "period_answers",
    "point_answer",
    "polygon_answer",
    "position_of",
    "series_answer",
    "station_answers",
    "summary",
    "threshold_answers",
    "thresholds_with",
]

FloatArray = npt.NDArray[np.floating[Any]]

EXPERIMENTAL = (
    "Experimental: estimates from a satellite, not measurements. They inform and decide nothing, and replace "
    "no laboratory sample and no advisory."
)


def summary(area: Area, now: Snapshot) -> AreaSummary:
    """An area in a list."""
    grid = now.grid
    west, north = grid.west, grid.north
    south, east = north - grid.n_rows * grid.resolution, west + grid.n_columns * grid.resolution
    return AreaSummary(
        id=area.name,
        title=str(now.store.record["data"]["title"]),
        simulated=now.store.simulated,
        bounds=(round(west, 9), round(south, 9), round(east, 9), round(north, 9)),
    )


def area_answer(area: Area, now: Snapshot, *, can_explain: bool) -> AreaAnswer:
    """An area whole."""
    store, record = now.store, now.store.record
    periods = periods_of(store)
    return AreaAnswer(
        **summary(area, now).model_dump(),
        banner=made_up(store) or EXPERIMENTAL,
        about=ABOUT,
        caveat=CAVEAT,
        model=str(record["model"]["name"]),
        spectm_version=str(record["spectm_version"]),
        cell_degrees=round(now.grid.resolution, 9),
        horizons=list(store.horizons),
        levels=list(LEVELS),
        detection_limit=float(record["settings"]["detection_limit"]),
        latest=str(periods[position_of(now, LATEST)].start),
        thresholds=threshold_answers(store.profiles),
        looks={
            name: LookAnswer(
                title=look.title,
                label=look.label,
                logarithmic=look.logarithmic,
                low=look.low,
                high=look.high,
                ticks=list(look.ticks),
                stops=look.stops(),
            )
            for name, look in LOOKS.items()
        },
        unseen=UNSEEN,
        can_explain=can_explain,
    )


def threshold_answers(profiles: Iterable[Profile]) -> list[ThresholdAnswer]:
    """Values of some profiles, with their sources."""
    return [
        ThresholdAnswer(
            profile=one.name,
            profile_title=one.title,
            source=one.source,
            date=one.date,
            name=each.name,
            value=each.value,
            medium=MEDIA[each.medium],
            what=each.statement,
        )
        for one in profiles
        for each in one.thresholds
    ]


def thresholds_with(now: Snapshot, threshold: float | None) -> list[float]:
    """Thresholds of the store, and another one."""
    known = {float(one) for one in now.store.record["settings"]["thresholds"]}
    return sorted(known | ({threshold} if threshold is not None else set()))


def position_of(now: Snapshot, period: str) -> int:
    """Position of the period that holds a day, or of the latest that holds an estimate."""
    return now.answers.get(("position", period), lambda: chosen_period(now.store, period))


def period_answers(now: Snapshot) -> list[PeriodAnswer]:
    """All whole periods, in order."""
    return [period_answer(now, period) for period in periods_of(now.store)]


def period_answer(now: Snapshot, period: Period) -> PeriodAnswer:
    """One period."""
    known = now.store.dataset.attrs["periods"][str(period.start)]
    return PeriodAnswer(
        first=str(period.start),
        last=str(period.end - np.timedelta64(1, "D")),
        label=days_in_words(period),
        ahead_label=days_in_words(_shifted(period, max(now.store.horizons))),
        n_estimates=int(known["n_estimates"]),
        n_flagged=int(known["n_flagged"]),
    )


def point_answer(now: Snapshot, place: Station, period: str, threshold: float | None) -> PointAnswer:
    """What a store says of the cell that a place lies in.

    Raises
    ------
    StoreError
        If the place lies outside the maps, or there is no such period.
    """
    row, column = cell_in(now.store, place)
    position = position_of(now, period)
    moments = [now.moment(position, horizon) for horizon in now.store.horizons]
    here, wanted = moments[0], thresholds_with(now, threshold)
    seen = bool(here.seen[row, column])
    return PointAnswer(
        latitude=float(here.grid.latitude[row]),
        longitude=_turned(float(here.grid.longitude[column])),
        cell=f"r{row}c{column}",
        period=period_answer(now, here.period),
        reason=None if seen else _why_not(here, row, column),
        n_observations=int(here.maps["n_observations"].values[row, column]),
        pixel_age_days=_number(here.pixel_age[row, column]),
        flagged=bool(here.flagged[row, column]),
        reasons=[REASONS.get(name, name) for name in here.reasons(row, column)],
        estimates=[_horizon(moment, row, column, wanted) for moment in moments],
    )


def station_answers(area: Area, now: Snapshot, period: str, threshold: float | None) -> list[StationAnswer]:
    """The stations that lie on the maps, in order, each with its cell's estimates."""
    position, wanted = position_of(now, period), thresholds_with(now, threshold)
    moments = [now.moment(position, horizon) for horizon in now.store.horizons]
    answers = []
    for station in area.stations(now):
        cell = cell_of(now.grid, station)
        if cell is not None:
            answers.append(
                StationAnswer(
                    name=station.name,
                    latitude=station.latitude,
                    longitude=station.longitude,
                    flagged=bool(moments[0].flagged[cell]),
                    estimates=[_horizon(moment, *cell, wanted) for moment in moments],
                )
            )
    return answers


def series_answer(area: Area, now: Snapshot, place: Station, horizon: float) -> list[SeriesAnswer]:
    """The weeks of a place, with what the laboratory found on the days that they are about.

    Raises
    ------
    StoreError
        If the place lies outside the maps, or the horizon is not there.
    """
    history = history_at(now.store, place, horizon=horizon)
    known = _laboratory(area, now, place)
    shift = np.timedelta64(round(horizon), "D")
    answers = []
    for week in history.to_dict("records"):
        first, end = (np.datetime64(week[name], "D") for name in ("first", "end"))
        values, below = np.empty(0), False
        if known is not None:
            days = known["date"].to_numpy().astype("datetime64[D]")
            within = known[(days >= first + shift) & (days < end + shift)]
            values = within["microcystin"].to_numpy(dtype=np.float64)
            below = bool(len(within)) and bool(within["microcystin_below_detection"].all())
        answers.append(
            SeriesAnswer(
                first=str(first),
                last=str(end - np.timedelta64(1, "D")),
                about=str(np.datetime64(week["about"], "D")),
                **{
                    name: _number(week[name])
                    for name in ("microcystin", "low50", "high50", "low90", "high90")
                },
                flagged=bool(week["flagged"]),
                pixel_age_days=_number(week["age"]),
                laboratory=_number(np.mean(values)) if len(values) else None,
                laboratory_below_detection=below,
            )
        )
    return answers


def polygon_answer(now: Snapshot, polygon: Polygon, period: str, threshold: float | None) -> PolygonAnswer:
    """The cells inside an area, each by itself, summed up.

    Raises
    ------
    StoreError
        If there is no such period.
    """
    position, wanted = position_of(now, period), thresholds_with(now, threshold)
    moments = [now.moment(position, horizon) for horizon in now.store.horizons]
    here = moments[0]
    inside = polygon.cells(here.grid) & water_of(here.grid, here.water)
    seen = inside & here.seen
    n_cells, n_seen = int(inside.sum()), int(seen.sum())
    return PolygonAnswer(
        n_cells=n_cells,
        n_estimates=n_seen,
        area_km2=float((here.cell_km2 * inside).sum()),
        seen_share=n_seen / n_cells if n_cells else None,
        flagged_share=float(here.flagged[seen].mean()) if n_seen else None,
        horizons=[_of_cells(moment, seen, wanted) for moment in moments],
    )


def _of_cells(moment: Moment, seen: npt.NDArray[np.bool_], wanted: Sequence[float]) -> PolygonHorizon:
    estimate = _at(moment.estimate, seen)
    km2 = np.broadcast_to(moment.cell_km2, seen.shape)[seen]
    exceedance = []
    for threshold in wanted:
        probability = estimate.exceedance(threshold)
        exceedance.append(
            PolygonExceedance(
                threshold=threshold,
                mean_probability=_number(probability.mean()) if km2.size else None,
                expected_km2=_number((probability * km2).sum()) if km2.size else None,
            )
        )
    return PolygonHorizon(
        horizon=moment.horizon,
        about=days_in_words(moment.target),
        median=_number(np.median(estimate.median)) if km2.size else None,
        highest=_number(estimate.median.max()) if km2.size else None,
        exceedance=exceedance,
    )


def _horizon(moment: Moment, row: int, column: int, wanted: Sequence[float]) -> HorizonAnswer:
    """One cell at one horizon."""
    estimate = _at(moment.estimate, (slice(row, row + 1), slice(column, column + 1)))
    low50, high50, low90, high90 = (
        _number(end.item()) for level in LEVELS for end in estimate.interval(level)
    )
    return HorizonAnswer(
        horizon=moment.horizon,
        about=days_in_words(moment.target),
        microcystin=_number(moment.microcystin[row, column]),
        low50=low50,
        high50=high50,
        low90=low90,
        high90=high90,
        below_detection_probability=_number(estimate.below_detection.item()),
        exceedance=[
            Exceedance(threshold=one, probability=_number(estimate.exceedance(one).item())) for one in wanted
        ],
    )


def _at(estimate: Estimate, where: Any) -> Estimate:
    """The distributions of some cells."""
    return replace(estimate, mean=estimate.mean[where], spread=estimate.spread[where])


def _why_not(moment: Moment, row: int, column: int) -> str:
    """Why a cell has no estimate."""
    if water_of(moment.grid, moment.water)[row, column]:
        return f"nothing was seen here from {days_in_words(moment.period)}: cloud, glint, or no overpass"
    return "land, or water that was never seen"


def _laboratory(area: Area, now: Snapshot, place: Station) -> pd.DataFrame | None:
    """Samples of the stations that share the cell of a place."""
    if area.labels is None:
        return None
    samples = surface_samples(area.labels)
    cell = cell_of(now.grid, place)
    names = [one.name for one in area.stations(now) if cell_of(now.grid, one) == cell]
    return samples[samples["station"].isin(names) & samples["microcystin"].notna()]


def _shifted(period: Period, days: float) -> Period:
    shift = np.timedelta64(round(days), "D")
    return Period(period.start + shift, period.end + shift)


def _turned(longitude: float) -> float:
    """From -180 to 180 degrees."""
    return (longitude + 180) % 360 - 180


def _number(value: Any) -> float | None:
    """A number that JSON has."""
    value = float(value)
    return value if math.isfinite(value) else None
