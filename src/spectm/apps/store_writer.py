"""Maps of a prediction store: one Zarr folder that is readable at every moment.

As in a cube, a period is there once the attributes name it, and these are replaced at once when its last tile
is written. So a run that was killed leaves the periods that were whole, and nothing of others is taken for
data. Names, units and attributes are in ``docs/formats.md``.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.apps.fields import NO_SPECTRUM, REASON_BITS
from spectm.data.grid import Grid, Tile
from spectm.data.periods import Period, period_of
from spectm.data.zarr_store import add_array, consolidate, lengthen, mark_period, unmark_period
from spectm.errors import StoreError
from spectm.trust.estimate import LEVELS

__all__ = [
    "CHUNK_CELLS",
    "FORMAT",
    "FORMAT_VERSION",
    "MAPS",
    "MapLayout",
    "create_maps",
    "drop_period",
    "extend_maps",
    "finish_period",
    "middle",
    "period_attributes",
    "periods_with_room",
    "read_tile",
    "write_tile",
]

FORMAT, FORMAT_VERSION = "spectm-predictions", 1
MAPS = "predictions.zarr"
CHUNK_CELLS = 64  # as in a cube: a tile is one chunk of either
EPOCH = np.datetime64("1970-01-01")
UNIT = "ug L-1"

# Name -> axes between time and the cells, type, attributes.
VARIABLES: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "microcystin": (
        ("horizon",),
        "f4",
        {
            "units": UNIT,
            "long_name": "estimated particulate microcystin in raw surface water, median",
            "ancillary_variables": "interval_low interval_high applicability flagged",
        },
    ),
    "interval_low": (
        ("horizon", "level"),
        "f4",
        {"units": UNIT, "long_name": "lower end of the interval that holds the concentration"},
    ),
    "interval_high": (
        ("horizon", "level"),
        "f4",
        {"units": UNIT, "long_name": "upper end of the interval that holds the concentration"},
    ),
    "exceedance": (
        ("horizon", "threshold"),
        "f4",
        {"units": "1", "long_name": "probability that the concentration lies above the threshold"},
    ),
    "below_detection": (
        ("horizon",),
        "f4",
        {"units": "1", "long_name": "probability that a laboratory would find nothing"},
    ),
    "log10_mean": (
        ("horizon",),
        "f4",
        {"units": "1", "long_name": "mean of log10 of the concentration in ug L-1"},
    ),
    "log10_spread": (
        ("horizon",),
        "f4",
        {"units": "1", "long_name": "spread of log10 of the concentration, before calibration"},
    ),
    "log10_alone": (
        (),
        "f4",
        {"units": "1", "long_name": "log10 of the concentration by the spectrum of this period alone"},
    ),
    "applicability": (
        (),
        "u4",
        {
            "long_name": "reasons why the spectrum is unlike those learned from",
            "flag_masks": list(REASON_BITS.values()),
            "flag_meanings": " ".join(name.replace(" ", "_") for name in REASON_BITS),
        },
    ),
    "flagged": (
        (),
        "u1",
        {
            "long_name": "whether the spectrum is unlike those learned from",
            "flag_values": [0, 1, NO_SPECTRUM],
            "flag_meanings": "familiar flagged no_spectrum",
        },
    ),
    "pixel_age": (
        (),
        "f4",
        {"units": "days", "long_name": "mean time from the pixels of the cell to the end of the period"},
    ),
    "n_observations": ((), "i4", {"units": "1", "long_name": "pixels in the cell"}),
}
FILL = {"f4": np.nan, "u4": 0, "u1": NO_SPECTRUM, "i4": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayout:
    """What every period of the maps shares.

    Parameters
    ----------
    grid : Grid
        Cells, those of the cube.
    days : int
        Length of a period.
    horizons : tuple of float
        Days ahead.
    thresholds : tuple of float
        ug/L, increasing; may be empty.
    """

    grid: Grid
    days: int
    horizons: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def axes(self) -> dict[str, npt.NDArray[np.float64]]:
        """Coordinates between time and the cells."""
        values = {"horizon": self.horizons, "level": LEVELS, "threshold": self.thresholds}
        return {name: np.array(one, dtype=np.float64) for name, one in values.items()}


def middle(period: Period) -> np.datetime64:
    """Middle of a period, as ``time`` has it, UTC."""
    start, end = (day.astype("datetime64[s]") for day in (period.start, period.end))
    return start + (end - start) // 2


def create_maps(path: Path, layout: MapLayout, periods: Sequence[Period], attrs: Mapping[str, Any]) -> None:
    """An empty store of maps, made under another name and then renamed: half a store is never seen.

    Parameters
    ----------
    path : Path
        Folder to make; `MAPS` in the folder of the predictions.
    layout : MapLayout
        Cells and axes.
    periods : sequence of Period
        Room is made for them, one after the other without a gap.
    attrs : mapping
        Plain JSON values, beside those that say what it is.
    """
    import zarr

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    known = {
        "Conventions": "CF-1.11",
        **attrs,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "layout": json.loads(json.dumps(asdict(layout))),
        "periods": {},
    }
    store: Any = zarr.open_group(unfinished, mode="w", zarr_format=3, attributes=known)
    n, cells = len(periods), tuple(min(CHUNK_CELLS, side) for side in layout.grid.shape)
    for name, (axes, dtype, about) in VARIABLES.items():
        sizes = tuple(layout.axes[axis].size for axis in axes)
        if 0 in sizes:
            continue  # no thresholds, no probabilities to lie above them
        shape, chunks = (n, *sizes, *layout.grid.shape), (1, *sizes, *cells)
        dims = ("time", *axes, "lat", "lon")
        add_array(store, name, dtype, shape, chunks, dims, about, fill=FILL.get(dtype, 0))
    _put_axes(store, layout, n)
    _put_times(store, periods)
    consolidate(unfinished)
    unfinished.rename(path)


def extend_maps(path: Path, layout: MapLayout, periods: Sequence[Period]) -> None:
    """Make room at the end, up to the last of some periods; those that are there stay."""
    n_known = _group(path)["time"].shape[0]
    if len(periods) <= n_known:
        return
    store = _group(path, consolidated=False)  # the copies of metadata would keep the old lengths
    lengthen(store, len(periods))
    _put_times(store, periods)
    consolidate(path)  # readers see the old lengths until this one file is replaced


def write_tile(path: Path, row: int, tile: Tile, fields: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put one tile of one period (by its position in time) into the store, (..., lat, lon) each."""
    store = _group(path)
    for name, values in fields.items():
        if name in store:
            store[name][(row, ..., *tile.index)] = values


def read_tile(path: Path, name: str, row: int, tile: Tile) -> npt.NDArray[Any]:
    """One tile of one variable of one period, as it was written."""
    return np.asarray(_group(path)[name][(row, ..., *tile.index)])


def finish_period(path: Path, period: Period, record: Mapping[str, Any]) -> None:
    """Let a period be seen; its tiles must all be written."""
    mark_period(_group(path), period, record)


def period_attributes(path: Path) -> dict[str, dict[str, Any]]:
    """What is recorded of each whole period, by its first day."""
    records: dict[str, dict[str, Any]] = dict(_group(path).attrs["periods"])
    return records


def drop_period(path: Path, period: Period) -> None:
    """Let a period not be seen while it is written anew."""
    unmark_period(_group(path), period)


def periods_with_room(first: np.datetime64, n: int, days: int) -> list[Period]:
    """So many periods from the one that holds a day, one after the other."""
    periods = [period_of(first, days)]
    while len(periods) < n:
        periods.append(period_of(periods[-1].end, days))
    return periods


def _put_axes(store: Any, layout: MapLayout, n_periods: int) -> None:
    """Coordinates and their attributes."""
    since = {"units": "hours since 1970-01-01 00:00:00", "calendar": "standard"}
    about = {"standard_name": "time", "long_name": "middle of the period, UTC", "bounds": "time_bnds"}
    add_array(store, "time", "i8", (n_periods,), (1024,), ("time",), since | about, fill=0)
    add_array(store, "time_bnds", "i8", (n_periods, 2), (1024, 2), ("time", "nv"), since, fill=0)
    attributes = {
        "horizon": {"units": "days", "long_name": "time from the period to what is estimated"},
        "level": {"units": "1", "long_name": "probability that the interval holds the concentration"},
        "threshold": {"units": UNIT, "long_name": "threshold of microcystin"},
        "lat": {"units": "degrees_north", "standard_name": "latitude", "long_name": "centre of the cell"},
        "lon": {"units": "degrees_east", "standard_name": "longitude", "long_name": "centre of the cell"},
    }
    axes = {**layout.axes, "lat": layout.grid.latitude, "lon": layout.grid.longitude}
    for axis, values in axes.items():
        if values.size:
            add_array(store, axis, "f8", values.shape, values.shape, (axis,), attributes[axis], fill=0)
            store[axis][:] = values


def _put_times(store: Any, periods: Sequence[Period]) -> None:
    def hours(moments: Sequence[np.datetime64]) -> npt.NDArray[np.int64]:
        return (np.array(moments, dtype="datetime64[h]") - EPOCH).astype(np.int64)

    starts, ends = ([getattr(period, side) for period in periods] for side in ("start", "end"))
    store["time"][:] = hours([middle(period) for period in periods])
    store["time_bnds"][:] = np.stack([hours(starts), hours(ends)], axis=1)


def _group(path: Path, *, consolidated: bool = True) -> Any:
    """Store opened for writing."""
    import zarr

    try:
        return zarr.open_group(path, mode="r+", use_consolidated=consolidated)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"wanted the maps of a store, could not open {path}: {error}. Predict into another folder."
        ) from error
