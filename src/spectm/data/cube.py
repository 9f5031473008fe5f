"""The cube: composites over time in one Zarr store that is readable at every moment.

A period is there once the attributes name it, and these are replaced at once when its last tile is written.
So a run that was killed leaves the periods that were complete, and nothing of the others is taken for data.
Names, units and attributes are in ``docs/formats.md``.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spectm.data.composite import TileComposite
from spectm.data.grid import Grid, Tile
from spectm.data.origin import is_simulated, origin_mark, same_origin
from spectm.data.periods import Period
from spectm.data.zarr_store import add_array, consolidate, lengthen, mark_period, unmark_period
from spectm.errors import CubeError

__all__ = [
    "CHUNK_CELLS",
    "CubeLayout",
    "cube_layout",
    "cube_losses",
    "drop_period",
    "extend_cube",
    "finish_period",
    "open_cube",
    "period_records",
    "prepare_cube",
    "read_part",
    "write_tile",
]

FORMAT, FORMAT_VERSION = "spectm-cube", 1
# 64 x 64 cells, so that a patch touches few chunks, and 48 bands, so that a map of one reads a part only.
CHUNK_CELLS, CHUNK_BANDS = 64, 48
EPOCH = np.datetime64("1970-01-01")
UNITS = {"Rrs": "sr-1", "rhos": "1"}
LONG_NAMES = {"Rrs": "remote-sensing reflectance", "rhos": "surface reflectance"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeLayout:
    """What every period of a cube shares.

    Parameters
    ----------
    product : str
        "L2_AOP", "L3M_RRS" or "L3M_SFREFL".
    wavelength : tuple of float
        Band centres, nm.
    grid : Grid
        Cells.
    days : int
        Length of a period.
    flags : tuple of str
        Flags, each by its own name, that left a pixel out.
    statistic : str
        "mean", "median" or "weighted".
    simulated : bool
        Whether the granules were; an attribute of the store, and not among those of `to_dict`.
    """

    product: str
    wavelength: tuple[float, ...]
    grid: Grid
    days: int
    flags: tuple[str, ...]
    statistic: str
    simulated: bool = False

    @property
    def reflectance(self) -> str:
        """Name of the main variable."""
        return "rhos" if self.product == "L3M_SFREFL" else "Rrs"

    def to_dict(self) -> dict[str, Any]:
        """As attributes of the store hold it."""
        grid = {name: getattr(self.grid, name) for name in Grid.__dataclass_fields__}
        return {
            "product": self.product,
            "wavelength_nm": list(self.wavelength),
            "grid": grid,
            "days": self.days,
            "flags": list(self.flags),
            "statistic": self.statistic,
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> "CubeLayout":
        """From the attributes of a store."""
        return cls(
            product=known["product"],
            wavelength=tuple(known["wavelength_nm"]),
            grid=Grid(**known["grid"]),
            days=known["days"],
            flags=tuple(known["flags"]),
            statistic=known["statistic"],
        )


def open_cube(path: Path, *, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
    """Complete periods of a cube, read when they are used.

    Parameters
    ----------
    path : Path
        Folder that `spectm compose` wrote, or is writing.
    chunks : mapping, optional
        Sizes of dask chunks, {} for those of the store; without it xarray reads what is asked for, without
        dask.

    Returns
    -------
    Dataset
        ``Rrs`` (sr-1; or ``rhos``) and its standard deviation ``Rrs_std`` within a cell on (time, lat, lon,
        wavelength), ``count`` (pixels) and ``age`` (days before the end of the period) on (time, lat, lon),
        and ``time_bnds``. ``time`` is the first day of a period, UTC. NaN is missing.

    Raises
    ------
    CubeError
        If there is no cube, or one of a later format.
    """
    _attributes(path)
    try:
        cube = xr.open_zarr(path, chunks=chunks, consolidated=True, decode_timedelta=False)  # type: ignore[arg-type]
    except (OSError, KeyError, ValueError) as error:
        raise CubeError(f"wanted a whole cube, could not read {path}: {error}. Compose it anew.") from error
    complete = np.array([str(day)[:10] in cube.attrs["periods"] for day in cube["time"].values], dtype=bool)
    return cube.isel(time=np.flatnonzero(complete))


def read_part(
    cube: xr.Dataset, name: str, i: int, rows: slice, columns: slice, *, path: Path, period: Period
) -> npt.NDArray[Any]:
    """Cells of one variable and period, by position; `path` and `period` are what an error names.

    Raises
    ------
    CubeError
        If they can't be read.
    """
    try:
        return cube[name].isel(time=i, lat=rows, lon=columns).values
    except (OSError, RuntimeError, ValueError) as error:
        raise CubeError(
            f"wanted {name} of {period}, could not read it from {path}: {error}. Compose this period anew."
        ) from error


def cube_layout(path: Path) -> CubeLayout:
    """Layout of an existing cube.

    Raises
    ------
    CubeError
        If there is no cube, or one of a later format.
    """
    attributes = _attributes(path)
    return replace(CubeLayout.from_dict(attributes["layout"]), simulated=is_simulated(attributes))


def period_records(path: Path) -> dict[str, dict[str, Any]]:
    """What is known of each complete period, by its first day: granules and sizes, bad ones, pixel counts."""
    records: dict[str, dict[str, Any]] = _attributes(path)["periods"]
    return records


def cube_losses(path: Path) -> pd.DataFrame:
    """How many pixels each flag cost in each period.

    Returns
    -------
    DataFrame
        One row for each period and flag: period (first day), flag, excluded_by, pixels, alone (that this
        flag alone cost), as counts of the pixels over the grid; the rows "(seen)", "(used)" and
        "(incomplete)" count all of them, those that entered, and those without a flag that lacked a band.
    """
    chosen, rows = set(cube_layout(path).flags), []
    for period, record in period_records(path).items():
        rows += [(period, f"({name})", False, n, 0) for name, n in record["pixels"].items()]
        alone = record["alone"]
        rows += [(period, name, name in chosen, n, alone[name]) for name, n in record["flagged"].items()]
    return pd.DataFrame(rows, columns=["period", "flag", "excluded_by", "pixels", "alone"])


def prepare_cube(path: Path, layout: CubeLayout, periods: list[Period]) -> list[Period]:
    """Make a cube for these periods, or make room for them at the end of an existing one.

    Returns
    -------
    list of Period
        All periods that the cube has room for, those asked for among them.

    Raises
    ------
    CubeError
        If the existing cube was made with another layout, or begins later than the first period.
    OriginError
        If the cube is simulated and the granules are not, or the reverse.
    """
    if not path.exists():
        _create(path, layout, periods)
        return periods
    attributes = _attributes(path)
    known = attributes["layout"]
    same_origin([(f"the cube {path}", is_simulated(attributes)), ("the granules", layout.simulated)])
    for name, wanted in layout.to_dict().items():
        if known[name] != json.loads(json.dumps(wanted)):
            raise CubeError(
                f"wanted a cube with {name} = {_short(wanted)}, found {_short(known[name])} in {path}. Give "
                "the settings it was made with, or write to another folder."
            )
    return extend_cube(path, layout, periods)


def extend_cube(path: Path, layout: CubeLayout, periods: list[Period]) -> list[Period]:
    """Make room at the end of a cube; the periods it then has room for."""
    from spectm.data.periods import period_of

    # What readers see is the length that counts: arrays can be longer after a run that was killed here.
    n_known = _group(path)["time"].shape[0]
    store = _group(path, consolidated=False)  # the copies of metadata would keep the old lengths
    days = EPOCH + store["time"][:n_known].astype("timedelta64[D]")
    present = [period_of(day, layout.days) for day in days]
    if periods[0] < present[0]:
        raise CubeError(
            f"wanted periods from {periods[0].start} on, found a cube that begins {present[0].start}: "
            f"{path}. A cube grows at its end only; compose the earlier part into another folder."
        )
    after = present[-1]
    while after < periods[-1]:
        after = period_of(after.end, layout.days)
        present.append(after)
    if len(present) > n_known:
        lengthen(store, len(present))
        _put_times(store, present)
        consolidate(path)  # readers see the old lengths until this one file is replaced
    return present


def write_tile(path: Path, row: int, tile: Tile, composite: TileComposite) -> None:
    """Put one tile of one period (by its position in time) into the store."""
    store = _group(path)
    name = "Rrs" if "Rrs" in store else "rhos"
    for variable, values in (
        (name, composite.reflectance),
        (f"{name}_std", composite.spread),
        ("count", composite.count),
        ("age", composite.age),
    ):
        store[variable][(row, *tile.index)] = values


def finish_period(path: Path, period: Period, record: Mapping[str, Any]) -> None:
    """Let a period be seen; its tiles must all be written."""
    mark_period(_group(path), period, record)


def drop_period(path: Path, period: Period) -> None:
    """Let a period not be seen while it is written anew."""
    unmark_period(_group(path), period)


def _attributes(path: Path) -> dict[str, Any]:
    """Attributes of the store, read from the one file that holds them all."""
    header = Path(path) / "zarr.json"
    if not header.is_file():
        place = Path(path)
        found = "a folder without zarr.json" if place.is_dir() else "a file" if place.exists() else "nothing"
        raise CubeError(f"wanted a cube, found {found} at {path}. Give a folder that `spectm compose` wrote.")
    attributes: dict[str, Any] = json.loads(header.read_text(encoding="utf-8")).get("attributes", {})
    if attributes.get("format") != FORMAT:
        raise CubeError(f"wanted a cube of spectm, found another Zarr store at {path}. Compose one first.")
    version = attributes.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CubeError(
            f"wanted format version {FORMAT_VERSION} or older, found {version} in {path}. Use a newer spectm."
        )
    return attributes


def _create(path: Path, layout: CubeLayout, periods: list[Period]) -> None:
    """An empty store under another name, then renamed: half a cube is never seen."""
    import zarr

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    store: Any = zarr.open_group(unfinished, mode="w", zarr_format=3, attributes=_global_attributes(layout))
    grid, n_bands, name = layout.grid, len(layout.wavelength), layout.reflectance
    space = ("time", "lat", "lon")
    cells = (1, min(CHUNK_CELLS, grid.n_rows), min(CHUNK_CELLS, grid.n_columns))
    bands = (*cells, min(CHUNK_BANDS, n_bands))
    shape = (len(periods), *grid.shape)
    for variable, long_name in (
        (name, LONG_NAMES[name]),
        (f"{name}_std", f"standard deviation of {LONG_NAMES[name]} over the pixels of a cell"),
    ):
        attrs = {"units": UNITS[name], "long_name": long_name}
        add_array(store, variable, "f4", (*shape, n_bands), bands, (*space, "wavelength"), attrs, fill=np.nan)
    attrs = {"units": "1", "long_name": "pixels in the cell"}
    add_array(store, "count", "i4", shape, cells, space, attrs, fill=0)
    attrs = {"units": "days", "long_name": "mean time from the pixels to the end of the period"}
    add_array(store, "age", "f4", shape, cells, space, attrs, fill=np.nan)
    n = len(periods)
    since = {"units": "days since 1970-01-01", "calendar": "standard"}
    first = {"standard_name": "time", "long_name": "first day of the period, UTC", "bounds": "time_bnds"}
    add_array(store, "time", "i4", (n,), (1024,), ("time",), since | first, fill=0)
    add_array(store, "time_bnds", "i4", (n, 2), (1024, 2), ("time", "bnds"), since, fill=0)
    _put_times(store, periods)
    for axis, values, attrs in (
        ("lat", grid.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        ("lon", grid.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
        ("wavelength", np.array(layout.wavelength), {"units": "nm", "standard_name": "radiation_wavelength"}),
    ):
        add_array(store, axis, "f8", values.shape, values.shape, (axis,), attrs, fill=0)
        store[axis][:] = values
    consolidate(unfinished)
    unfinished.rename(path)


def _global_attributes(layout: CubeLayout) -> dict[str, Any]:
    source = "a simulated lake, no part of it was measured" if layout.simulated else "NASA PACE OCI"
    return {
        "Conventions": "CF-1.11",
        "title": f"Composites of {'simulated ' * layout.simulated}PACE OCI {layout.product} over "
        f"{layout.days} days",
        "source": f"{source}, composed by spectm",
        **origin_mark(layout.simulated),
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "layout": layout.to_dict(),
        "periods": {},
    }


def _put_times(store: Any, periods: list[Period]) -> None:
    starts, ends = (
        (np.array([getattr(period, side) for period in periods]) - EPOCH).astype(np.int32)
        for side in ("start", "end")
    )
    store["time"][:] = starts
    store["time_bnds"][:] = np.stack([starts, ends], axis=1)


def _group(path: Path, *, consolidated: bool = True) -> Any:
    """Store opened for writing."""
    import zarr

    return zarr.open_group(path, mode="r+", use_consolidated=consolidated)


def _short(value: object) -> str:
    """A setting in at most a line."""
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"
