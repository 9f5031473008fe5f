"""Files of NASA's archive as lazy datasets: named dimensions, decoded reflectance, cropped on reading.

Swaths (level 2 AOP) have the dimensions (line, pixel, wavelength), maps (level 3 mapped RRS and SFREFL) have
(lat, lon, wavelength). Packed integers are decoded with the attributes that lie beside them. `valid_min` is
never applied: over turbid water the atmospheric correction leaves real negative values in the blue, some of
them below it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm.data.headers import KINDS, Header, check_unit, damage_named, read_header
from spectm.data.regions import Region
from spectm.errors import EmptyRegionError, GranuleError

__all__ = ["open_granule", "read_variables"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Slab = dict[str, slice | IntArray]

_SWATH_DIMS = {"number_of_lines": "line", "pixels_per_line": "pixel", "wavelength_3d": "wavelength"}
_NORTH = frozenset({"degrees_north", "degree_north", "degrees_N", "degree_N", "degreesN", "degreeN"})
_EAST = frozenset({"degrees_east", "degree_east", "degrees_E", "degree_E", "degreesE", "degreeE"})
# valid_min and valid_max are in packed integers and would be wrong beside decoded numbers.
_DROPPED = ("coordinates", "valid_min", "valid_max")


def open_granule(path: Path, *, region: Region | None = None) -> xr.Dataset:
    """Reflectance and what lies beside it in one file of the archive, read when it is used.

    Parameters
    ----------
    path : Path
        Level-2 AOP (any number of bands), or level-3 mapped RRS or SFREFL, of PACE OCI.
    region : Region, optional
        Crop to the smallest window that holds every pixel whose centre lies in the region. Nothing else is
        read later on; of a swath, the latitudes and the longitudes of matching lines are read now.

    Returns
    -------
    Dataset
        A swath has ``Rrs`` and ``Rrs_unc`` (line, pixel, wavelength; sr-1), ``l2_flags`` (line, pixel; as
        stored, see `spectm.data.flags`) and every other variable on (line, pixel); the coordinates ``lat``
        and ``lon`` (line, pixel), ``time`` (line; UTC). A map has ``Rrs`` (sr-1) or ``rhos`` (1) on (lat,
        lon, wavelength), with latitudes in the order of the file; across the date line, longitudes
        run from west to east. Both have ``wavelength`` (nm) and the attributes product ("L2_AOP",
        "L3M_RRS" or "L3M_SFREFL"), granule, file, near_real_time (0 or 1), processing_version,
        time_coverage_start and time_coverage_end. Missing values are NaN. Close it, or use it in a ``with``.

    Raises
    ------
    GranuleError
        If the file is absent, truncated or of another product, or lacks a group, variable or unit.
    EmptyRegionError
        If no pixel lies in the region.

    Examples
    --------
    >>> from pathlib import Path
    >>> from spectm.data.regions import parse_region
    >>> path = Path("PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.nc")
    >>> with open_granule(path, region=parse_region("lake-erie-west")) as granule:  # doctest: +SKIP
    ...     red = granule["Rrs"].sel(wavelength=665).values
    """
    header = read_header(Path(path))
    with ExitStack() as opened, damage_named(header.path):
        open_product = _open_swath if header.product == "L2_AOP" else _open_map
        dataset = open_product(header, region, opened)
        dataset.attrs = dict(header.attrs)
        dataset.set_close(opened.pop_all().close)
    return dataset


def read_variables(granule: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Some variables of an opened granule, in memory.

    Parameters
    ----------
    granule : Dataset
        From `open_granule`, possibly with bands or lines selected.
    names : sequence of str
        Variables to read.

    Raises
    ------
    GranuleError
        If the file lacks one, or is damaged where they lie.
    """
    path = Path(granule.attrs.get("file", ""))
    _check_variables(granule, names, path)
    with damage_named(path):
        return granule[list(names)].load()


def _open_swath(header: Header, region: Region | None, opened: ExitStack) -> xr.Dataset:
    """A level-2 file: several groups become one dataset."""
    path = header.path
    places = _with_short_dims(opened.enter_context(_open_group(path, "navigation_data")))
    _check_variables(places, ("latitude", "longitude"), path)
    latitude, longitude = places["latitude"], places["longitude"]
    check_unit(latitude.attrs.get("units"), _NORTH, "degrees_north", "latitude", path)
    check_unit(longitude.attrs.get("units"), _EAST, "degrees_east", "longitude", path)
    dataset = _with_short_dims(opened.enter_context(_open_group(path, "geophysical_data")))
    _check_variables(dataset, ("Rrs", "l2_flags"), path)
    dataset = dataset[[name for name in dataset if {"line", "pixel"} <= set(dataset[name].dims)]]
    dataset = _checked(dataset, header, ("line", "pixel", "wavelength"))
    _check_lengths(dataset, header, latitude.shape)
    slab, lat, lon = _swath_slab(latitude, longitude, region, header)
    return dataset.isel(slab).assign_coords(
        lat=lat,
        lon=lon,
        time=("line", header.line_time[slab["line"]], {"long_name": "time of the scan line, UTC"}),
    )


def _open_map(header: Header, region: Region | None, opened: ExitStack) -> xr.Dataset:
    """A level-3 mapped file: one group."""
    path = header.path
    dataset = opened.enter_context(_open_group(path, None))
    _check_variables(dataset, (KINDS[header.product].reflectance, "lat", "lon"), path)
    check_unit(dataset["lat"].attrs.get("units"), _NORTH, "degrees_north", "lat", path)
    check_unit(dataset["lon"].attrs.get("units"), _EAST, "degrees_east", "lon", path)
    # Version 3.2 puts more on the same grid; a palette for drawing lies there too.
    dataset = dataset[[name for name in dataset if {"lat", "lon"} <= set(dataset[name].dims)]]
    dataset = _checked(dataset, header, ("lat", "lon", "wavelength"))
    for name, units in (("lat", "degrees_north"), ("lon", "degrees_east")):
        dataset[name].attrs = {"units": units}
    return dataset if region is None else dataset.isel(_map_slab(dataset, region, header))


def _open_group(path: Path, group: str | None) -> xr.Dataset:
    """One group as it lies in the file; times stay numbers, else the day of year becomes a duration."""
    return xr.open_dataset(
        path,
        engine="h5netcdf",
        group=group,
        mask_and_scale={"l2_flags": False},  # a fill value would turn its bits into floats
        decode_times=False,
        decode_timedelta=False,
        decode_coords=False,
    )


def _with_short_dims(dataset: xr.Dataset) -> xr.Dataset:
    """Group of a swath with the names of dimensions that spectm uses."""
    return dataset.rename({old: new for old, new in _SWATH_DIMS.items() if old in dataset.sizes})


def _checked(dataset: xr.Dataset, header: Header, dims: tuple[str, ...]) -> xr.Dataset:
    """Dataset with wavelengths, the unit of its reflectance as spectm spells it, and attributes that hold."""
    kind, path = KINDS[header.product], header.path
    if set(dataset[kind.reflectance].dims) != set(dims):
        raise GranuleError(
            f"wanted {kind.reflectance} on {dims}, found {tuple(dataset[kind.reflectance].dims)} in "
            f"{path}. Was the file rewritten by another program? Fetch it again."
        )
    for name, variable in dataset.data_vars.items():
        kept = {key: value for key, value in variable.attrs.items() if key not in _DROPPED}
        if name in (kind.reflectance, f"{kind.reflectance}_unc"):
            check_unit(kept.get("units"), kind.spellings, kind.units, str(name), path)
            kept["units"] = kind.units
        variable.attrs = kept
    if "l2_flags" in dataset:
        dataset["l2_flags"].attrs["file"] = str(path)  # so that an unknown flag can be reported with it
    if dataset.sizes["wavelength"] != header.wavelength.size:
        raise GranuleError(
            f"wanted a wavelength for each of {dataset.sizes['wavelength']} bands, found "
            f"{header.wavelength.size} in {path}. Fetch it again."
        )
    wavelength = ("wavelength", header.wavelength, {"units": "nm"})
    return dataset.transpose(*dims, missing_dims="ignore").assign_coords(wavelength=wavelength)


def _check_lengths(dataset: xr.Dataset, header: Header, shape: tuple[int, ...]) -> None:
    """Refuse a swath whose groups are not of one size."""
    found = {shape, (header.line_time.size, shape[-1]), (dataset.sizes["line"], dataset.sizes["pixel"])}
    if len(found) > 1:
        raise GranuleError(
            f"wanted groups of one size, found lines and pixels of {sorted(found)} in {header.path}. Was the "
            "file cut by another program? Fetch it again."
        )


def _check_variables(dataset: xr.Dataset, names: Sequence[str], path: Path) -> None:
    """Refuse a file that lacks one of the variables."""
    if missing := [name for name in names if name not in dataset.variables]:
        raise GranuleError(
            f"wanted the variables {', '.join(missing)}, found "
            f"{', '.join(sorted(map(str, dataset.variables))) or 'none'} in {path}. Is this the right "
            "product, and not cut by another program?"
        )


def _swath_slab(
    latitude: xr.DataArray, longitude: xr.DataArray, region: Region | None, header: Header
) -> tuple[dict[str, slice], xr.Variable, xr.Variable]:
    """Lines and pixels around the region, and the places there."""
    lat, lon = latitude.variable, longitude.variable
    lat.attrs, lon.attrs = {"units": "degrees_north"}, {"units": "degrees_east"}
    if region is None:
        return {"line": slice(None), "pixel": slice(None)}, lat, lon
    near: BoolArray = (lat.values >= region.south) & (lat.values <= region.north)  # reads the whole swath
    lines = _span(np.any(near, axis=1))
    if lines is None:
        raise _nothing_in(region, header, lat.values, lon.values)
    band = {"lat": lat[lines], "lon": lon[lines].load()}
    inside = region.contains(band["lat"].values, band["lon"].values)
    part, pixels = _span(np.any(inside, axis=1)), _span(np.any(inside, axis=0))
    if part is None or pixels is None:
        raise _nothing_in(region, header, lat.values, lon.values)
    slab = {"line": slice(lines.start + part.start, lines.start + part.stop), "pixel": pixels}
    lat, lon = (place[part, pixels].copy() for place in band.values())  # or they would hold the whole swath
    return slab, lat, lon


def _map_slab(dataset: xr.Dataset, region: Region, header: Header) -> Slab:
    """Rows and columns in the region; those on both sides of the date line by number, west first."""
    lat, lon = dataset["lat"].values, dataset["lon"].values
    rows = _span((lat >= region.south) & (lat <= region.north))
    columns = np.flatnonzero(region.contains(np.full(lon.shape, region.south), lon))
    if rows is None or not columns.size:
        raise _nothing_in(region, header, lat, lon)
    columns = columns[np.argsort(np.mod(lon[columns].astype(np.float64) - region.west, 360), kind="stable")]
    if np.all(np.diff(columns) == 1):
        return {"lat": rows, "lon": slice(int(columns[0]), int(columns[-1]) + 1)}
    return {"lat": rows, "lon": columns}


def _span(marked: BoolArray) -> slice | None:
    """From the first to the last True; None where there is none."""
    places = np.flatnonzero(marked)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else None


def _nothing_in(
    region: Region, header: Header, latitude: npt.NDArray[Any], longitude: npt.NDArray[Any]
) -> EmptyRegionError:
    """Error for a region that the file does not reach."""
    known = np.isfinite(latitude).any() and np.isfinite(longitude).any()
    south, north = (np.nanmin(latitude), np.nanmax(latitude)) if known else (np.nan, np.nan)
    west, east = (np.nanmin(longitude), np.nanmax(longitude)) if known else (np.nan, np.nan)
    return EmptyRegionError(
        f"wanted pixels in {region.name} ({', '.join(f'{side:g}' for side in region.bounds)}), found none: "
        f"{header.path} covers latitudes {south:.2f} to {north:.2f} and longitudes {west:.2f} to {east:.2f}. "
        "Leave this file out, or choose another region (west,south,east,north)."
    )
