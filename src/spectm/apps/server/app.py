"""The application: addresses under ``/api/v1``, the page, and how both refuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

import spectm
from spectm.apps.server.areas import Area
from spectm.apps.server.files import file_routes
from spectm.apps.server.limits import BodyLimit, RateLimit, SecureHeaders
from spectm.apps.server.parameters import API, REFUSALS
from spectm.apps.server.queries import area_routes, place_routes
from spectm.errors import BusyError, RegionError, SpectmError

__all__ = ["Bounds", "create_app"]

PAGE = Path(str(files("spectm.apps.server"))) / "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one client may ask for.

    Parameters
    ----------
    rate, reserve : float
        Requests a second in the long run, and at once.
    body : int
        Bytes of a request.
    hosts : tuple of str
        Names under which the server may be asked; others are refused, so that a page elsewhere can't reach
        it under a name of its own.
    """

    rate: float = 100.0
    reserve: float = 300.0
    body: int = 200_000
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]", "testserver")


def create_app(areas: Mapping[str, Area], bounds: Bounds | None = None) -> FastAPI:
    """Application over some stores, for any ASGI server.

    Parameters
    ----------
    areas : mapping of str to Area
        Of `spectm.apps.server.areas.find_areas`.
    bounds : Bounds, optional
    """
    bounds = bounds or Bounds()
    app = FastAPI(
        title="spectm",
        version=spectm.__version__,
        summary="Microcystin estimated from ocean colour: maps, points, weeks. It changes nothing.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # their scripts would come from elsewhere
        redoc_url=None,
        responses=REFUSALS,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(bounds.hosts))
    app.add_middleware(BodyLimit, most=bounds.body)
    app.add_middleware(RateLimit, rate=bounds.rate, reserve=bounds.reserve)
    app.add_middleware(SecureHeaders)  # the outermost: refusals have them too
    _add_refusals(app)
    for routes in (area_routes, place_routes, file_routes):
        app.include_router(routes(areas), prefix=API)
    _add_page(app)
    return app


def _add_refusals(app: FastAPI) -> None:
    """Every refusal is one sentence under ``detail``."""

    @app.exception_handler(RequestValidationError)
    def wrong_parameters(request: Request, error: RequestValidationError) -> Response:
        """Names the parameters."""
        found = [
            f"{'.'.join(map(str, one['loc'][1:])) or 'the body'}: {one['msg']}" for one in error.errors()
        ]
        return JSONResponse({"detail": "; ".join(found[:8])}, 422)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        """As the library words it."""
        return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(BusyError)
    def busy(request: Request, error: BusyError) -> Response:
        """Later."""
        return JSONResponse({"detail": str(error)}, 503, {"retry-after": "2"})

    @app.exception_handler(RegionError)
    def no_polygon(request: Request, error: RegionError) -> Response:
        """A body that is no polygon."""
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(SpectmError)
    def nothing_there(request: Request, error: SpectmError) -> Response:
        """A place, period or file that is not there."""
        return JSONResponse({"detail": str(error)}, 404)


def _add_page(app: FastAPI) -> None:
    """The page, and the files that it is made of."""

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        """The page."""
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
