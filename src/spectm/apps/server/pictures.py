"""Maps as pictures: one that lies on a web map, and the one that people print."""

import io
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spectm.apps.looks import UNSEEN, look_of
from spectm.apps.maps import Scene, draw_map
from spectm.apps.moment import Moment
from spectm.apps.server.areas import Area, Snapshot
from spectm.apps.shores import outlines_of, water_of

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["overlay", "printed"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

SIDE = 6  # pixels of a cell, so that a hatch can be drawn in it
MOST = 4096  # pixels of a picture's side
DPI = 110
_DRAWING = threading.Lock()  # Matplotlib draws one figure at a time


def overlay(moment: Moment, what: str, threshold: float) -> bytes:
    """Colours of the cells alone, PNG, rows spaced as Web Mercator has them; flagged cells are hatched.

    Parameters
    ----------
    moment : Moment
    what : str
        A name of `spectm.apps.looks.LOOKS`.
    threshold : float
        ug/L, of exceedance.

    Returns
    -------
    bytes
        Grey where water was not seen, transparent on land. It fills the bounds of the grid.

    Raises
    ------
    OutputError, StoreError
        If there is no such map or threshold.
    """
    from PIL import Image

    look = look_of(what)
    values = look.values(moment, threshold)
    seen = np.isfinite(values)
    side = max(1, min(SIDE, MOST // max(values.shape)))
    colours: npt.NDArray[np.uint8] = look.colour_map(look.scale(np.where(seen, values, look.low)), bytes=True)
    colours[~seen] = 0
    colours[water_of(moment.grid, moment.water) & ~seen] = _bytes(UNSEEN)
    rows = mercator_rows(moment.grid.north, moment.grid.resolution, values.shape[0], side)
    columns = np.repeat(np.arange(values.shape[1]), side)
    picture = colours[rows[:, None], columns]
    hatched = (moment.flagged & seen)[rows[:, None], columns]
    diagonal = np.add.outer(np.arange(rows.size), np.arange(columns.size)) % SIDE
    picture[hatched & (diagonal <= 1)] = _bytes("#ffffff")  # black on white: one of them shows on any colour
    picture[hatched & (diagonal == 0)] = _bytes("#000000")
    return _png(Image.fromarray(picture, "RGBA"))


def mercator_rows(north: float, resolution: float, n_rows: int, side: int) -> IntArray:
    """Row of the grid for each row of a picture in Web Mercator, shape (about n_rows * side,)."""
    ends = np.deg2rad([north, north - n_rows * resolution])
    top, bottom = np.arctanh(np.sin(np.clip(ends, -1.48, 1.48)))  # 85 degrees, where Web Mercator ends
    y = np.linspace(top, bottom, n_rows * side + 1)
    latitude = np.rad2deg(np.arcsin(np.tanh((y[:-1] + y[1:]) / 2)))
    return np.clip(np.floor((north - latitude) / resolution), 0, n_rows - 1).astype(np.int64)


def printed(area: Area, now: Snapshot, moment: Moment, what: str, threshold: float) -> bytes:
    """The map with shore, stations and scale, PNG.

    Raises
    ------
    OutputError, StoreError
        If there is no such map or threshold.
    """
    scene = Scene(outlines=outlines_of(moment.grid, area.shore), stations=area.stations(now))
    with _DRAWING:
        found = io.BytesIO()
        draw_map(moment, what, scene, threshold=threshold).savefig(found, format="png", dpi=DPI)
    return found.getvalue()


def _bytes(colour: str) -> tuple[int, int, int, int]:
    """Of #rrggbb."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue, 255


def _png(image: "Image") -> bytes:
    found = io.BytesIO()
    image.save(found, format="PNG", compress_level=6)
    return found.getvalue()
