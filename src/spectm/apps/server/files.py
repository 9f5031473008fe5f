"""Addresses whose answers are pictures and tables."""

from collections.abc import Callable, Mapping
from threading import BoundedSemaphore

from fastapi import APIRouter, Response

from spectm.apps.export.table import cell_table, csv_text, station_table
from spectm.apps.server import asking
from spectm.apps.server.areas import Area, Snapshot
from spectm.apps.server.parameters import CSV, PNG, Day, Horizon, Level, What, area_named
from spectm.apps.server.pictures import overlay, printed
from spectm.errors import BusyError

__all__ = ["file_routes"]

PATIENCE = 10.0  # seconds that something heavy waits for its turn
HEAVY = 2  # tables and printed maps made at once


def file_routes(areas: Mapping[str, Area]) -> APIRouter:
    """Maps and tables as files."""
    router = APIRouter()
    turn = BoundedSemaphore(HEAVY)

    def heavy(make: Callable[[], bytes]) -> bytes:
        if not turn.acquire(timeout=PATIENCE):
            raise BusyError("wanted to make a file, found others being made. Ask again in a minute.")
        try:
            return make()
        finally:
            turn.release()

    @router.get("/areas/{area}/overlay.png", responses=PNG, response_class=Response)
    def overlay_picture(
        area: str,
        what: What = "estimate",
        period: Day = "latest",
        horizon: Horizon = 0.0,
        threshold: Level = 8.0,
    ) -> Response:
        """Colours of the cells alone, for a web map: it fills the bounds of the area in Web Mercator."""

        def answer(now: Snapshot) -> bytes:
            position = asking.position_of(now, period)
            return now.answers.get(
                ("overlay", what, position, horizon, threshold if what == "exceedance" else None),
                lambda: overlay(now.moment(position, horizon), what, threshold),
            )

        return Response(area_named(areas, area).ask(answer), media_type="image/png")

    @router.get("/areas/{area}/map.png", responses=PNG, response_class=Response)
    def map_picture(
        area: str,
        what: What = "estimate",
        period: Day = "latest",
        horizon: Horizon = 0.0,
        threshold: Level = 8.0,
    ) -> Response:
        """The map that people print, with shore, stations and scale."""
        one = area_named(areas, area)

        def answer(now: Snapshot) -> bytes:
            position = asking.position_of(now, period)
            return now.answers.get(
                ("map", what, position, horizon, threshold if what == "exceedance" else None),
                lambda: heavy(lambda: printed(one, now, now.moment(position, horizon), what, threshold)),
            )

        return Response(one.ask(answer), media_type="image/png")

    @router.get("/areas/{area}/cells.csv", responses=CSV, response_class=Response)
    def cells(area: str, period: Day = "latest") -> Response:
        """Every cell with an estimate in a period, now and ahead."""

        def answer(now: Snapshot) -> bytes:
            position = asking.position_of(now, period)
            return now.answers.get(
                ("cells", position), lambda: heavy(lambda: csv_text(cell_table(now.store, position)))
            )

        return _file(area_named(areas, area).ask(answer), f"{area}-cells-{period}.csv")

    @router.get("/areas/{area}/stations.csv", responses=CSV, response_class=Response)
    def station_file(area: str, period: Day = "latest") -> Response:
        """The stations of a period, now and ahead."""
        one = area_named(areas, area)
        found = one.ask(
            lambda now: csv_text(station_table(now.store, asking.position_of(now, period), one.stations(now)))
        )
        return _file(found, f"{area}-stations-{period}.csv")

    return router


def _file(content: bytes, name: str) -> Response:
    """A table to be saved under a name."""
    return Response(
        content, media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'}
    )
