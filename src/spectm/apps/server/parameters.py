"""What the addresses take, and how they refuse it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.exceptions import HTTPException

from spectm.apps.places import Station
from spectm.apps.server.answers import Refusal
from spectm.apps.server.areas import Area

__all__ = [
    "API",
    "CSV",
    "PNG",
    "REFUSALS",
    "Another",
    "Day",
    "Horizon",
    "Latitude",
    "Level",
    "Longitude",
    "What",
    "area_named",
    "place_at",
]

API = "/api/v1"

What = Literal["estimate", "interval", "exceedance"]
Day = Annotated[
    str,
    Query(
        pattern=r"^(latest|\d{4}-\d{2}-\d{2})$",
        description="Any day of the period, or latest: the last period that holds an estimate.",
    ),
]
Latitude = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="Degrees north.")]
Longitude = Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False, description="Degrees east.")]
Horizon = Annotated[float, Query(ge=0, le=365, allow_inf_nan=False, description="Days ahead: 0 or 8.")]
Level = Annotated[float, Query(gt=0, le=1e6, allow_inf_nan=False, description="ug/L")]
Another = Annotated[
    float | None, Query(gt=0, le=1e6, allow_inf_nan=False, description="A further threshold, ug/L.")
]
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Refusal, "description": why}
    for code, why in {
        400: "Not a request that has an answer.",
        404: "No such area, period, horizon or place on the maps.",
        413: "The body is too long.",
        422: "A parameter is missing or of the wrong kind.",
        429: "Too many requests.",
        503: "Busy, or the store is being written; ask again.",
    }.items()
}


def area_named(areas: Mapping[str, Area], name: str) -> Area:
    """The area of a name; 404 where there is none."""
    if name not in areas:
        raise HTTPException(404, f"wanted one of the areas {', '.join(areas)}, found another name.")
    return areas[name]


def place_at(latitude: float, longitude: float) -> Station:
    """A place without a name."""
    return Station(name="the place", latitude=latitude, longitude=longitude)
