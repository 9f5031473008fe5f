"""Addresses whose answers are JSON."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

import spectm
from spectm.apps.polygons import parse_polygon
from spectm.apps.server import asking
from spectm.apps.server.answers import (
    AreaAnswer,
    AreaSummary,
    ExplanationAnswer,
    Health,
    PeriodAnswer,
    PointAnswer,
    PolygonAnswer,
    SeriesAnswer,
    SpectrumAnswer,
    StationAnswer,
    ThresholdAnswer,
)
from spectm.apps.server.areas import Area, Snapshot
from spectm.apps.server.behind import can_explain, explanation_answer, spectrum_answer
from spectm.apps.server.parameters import (
    Another,
    Day,
    Horizon,
    Latitude,
    Longitude,
    area_named,
    place_at,
)
from spectm.apps.shores import outlines_of
from spectm.trust.thresholds import profile as profile_of
from spectm.trust.thresholds import profile_names

__all__ = ["area_routes", "place_routes"]

OUTLINE = "typed by hand for spectm, to about a kilometre: a plausible shore, not a survey"


def area_routes(areas: Mapping[str, Area]) -> APIRouter:
    """What there is."""
    router = APIRouter()

    @router.get("/health")
    def health() -> Health:
        """That the server answers."""
        return Health(status="ok", version=spectm.__version__)

    @router.get("/thresholds")
    def thresholds(
        profile: Annotated[str | None, Query(max_length=100, description="One of them, by its name.")] = None,
    ) -> list[ThresholdAnswer]:
        """Threshold profiles that ship, with their sources; other thresholds may be asked for by value."""
        names = profile_names() if profile is None else (profile,)
        return asking.threshold_answers(profile_of(name) for name in names)

    @router.get("/areas")
    def list_areas() -> list[AreaSummary]:
        """The stores that are served."""
        return [one.ask(partial(asking.summary, one)) for one in areas.values()]

    @router.get("/areas/{area}")
    def area(area: str) -> AreaAnswer:
        """One store: what it is of, its thresholds, and how it is coloured."""
        one = area_named(areas, area)
        return one.ask(lambda now: asking.area_answer(one, now, can_explain=can_explain(now)))

    @router.get("/areas/{area}/periods")
    def periods(area: str) -> list[PeriodAnswer]:
        """Periods that are whole, in order."""
        return area_named(areas, area).ask(asking.period_answers)

    @router.get("/areas/{area}/outline")
    def outline(area: str) -> dict[str, Any]:
        """Shore and islands as GeoJSON, and where they are from."""
        one = area_named(areas, area)
        return one.ask(lambda now: _outline(one, now))

    return router


def place_routes(areas: Mapping[str, Area]) -> APIRouter:
    """What is known of places."""
    router = APIRouter()

    @router.get("/areas/{area}/stations")
    def stations(area: str, period: Day = "latest", threshold: Another = None) -> list[StationAnswer]:
        """Stations on the maps, with the estimates of their cells."""
        one = area_named(areas, area)
        return one.ask(lambda now: asking.station_answers(one, now, period, threshold))

    @router.get("/areas/{area}/point")
    def point(
        area: str,
        latitude: Latitude,
        longitude: Longitude,
        period: Day = "latest",
        threshold: Another = None,
    ) -> PointAnswer:
        """Estimates, intervals and exceedance of the cell that a place lies in; now and ahead."""
        place = place_at(latitude, longitude)
        return area_named(areas, area).ask(lambda now: asking.point_answer(now, place, period, threshold))

    @router.get("/areas/{area}/series")
    def series(
        area: str, latitude: Latitude, longitude: Longitude, horizon: Horizon = 0.0
    ) -> list[SeriesAnswer]:
        """All periods of a place, with what a laboratory found."""
        one, place = area_named(areas, area), place_at(latitude, longitude)
        return one.ask(lambda now: asking.series_answer(one, now, place, horizon))

    @router.get("/areas/{area}/spectrum")
    def spectrum(
        area: str, latitude: Latitude, longitude: Longitude, period: Day = "latest"
    ) -> SpectrumAnswer:
        """Reflectance of a cell, and what the model infers of the bands that it hides in training."""
        place = place_at(latitude, longitude)
        return area_named(areas, area).ask(lambda now: spectrum_answer(now, place, period))

    @router.get("/areas/{area}/explanation")
    def explanation(
        area: str, latitude: Latitude, longitude: Longitude, period: Day = "latest", horizon: Horizon = 0.0
    ) -> ExplanationAnswer:
        """What an estimate rests on, step by step. Takes seconds."""
        place = place_at(latitude, longitude)
        return area_named(areas, area).ask(lambda now: explanation_answer(now, place, period, horizon))

    @router.post("/areas/{area}/polygon")
    def polygon(
        area: str,
        polygon: Annotated[dict[str, Any], Body(description="A GeoJSON polygon, or a feature of one.")],
        period: Day = "latest",
        threshold: Another = None,
    ) -> PolygonAnswer:
        """Cells inside an area, each by itself, summed up. Reads only, although it is a POST."""
        wanted = parse_polygon(polygon, where="the body")
        return area_named(areas, area).ask(lambda now: asking.polygon_answer(now, wanted, period, threshold))

    return router


def _outline(area: Area, now: Snapshot) -> dict[str, Any]:
    """Lines as GeoJSON."""
    lines = outlines_of(now.grid, area.shore)
    source = "the file that the server was given" if area.shore is not None else OUTLINE
    return {
        "type": "FeatureCollection",
        "source": source if lines else "none: no outline is known here",
        "features": [
            {
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "LineString", "coordinates": line.tolist()},
            }
            for line in lines
        ],
    }
