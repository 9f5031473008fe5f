"""What a file of NASA's archive says of itself: its product, bands and times, whatever its name is."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm.data.origin import is_simulated, origin_mark
from spectm.data.patches import NANOMETRES, PER_STERADIAN
from spectm.data.regions import Region
from spectm.errors import GranuleError, SpectmError

__all__ = ["KINDS", "Header", "Kind", "check_unit", "damage_named", "read_header"]

FloatArray = npt.NDArray[np.float64]
TimeArray = npt.NDArray[np.datetime64]

# None: l2gen and l3mapgen write no `units` at all for what has none, such as aot_865 of an AOP granule.
DIMENSIONLESS = frozenset({None, "", "1", "dimensionless", "unitless", "none"})
_GROUPS = ("geophysical_data", "navigation_data", "sensor_band_parameters")
_RIM = 0.1  # degrees
_KEPT = ("product_name", "processing_version", "time_coverage_start", "time_coverage_end", "temporal_range")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its reflectance, the suites in its product name, and the spellings of its unit."""

    reflectance: str
    suites: frozenset[str]
    units: str
    spellings: frozenset[str | None]


KINDS = {
    "L2_AOP": Kind("Rrs", frozenset({"OC_AOP", "AOP"}), "sr-1", PER_STERADIAN),
    "L3M_RRS": Kind("Rrs", frozenset({"RRS", "AOP"}), "sr-1", PER_STERADIAN),
    "L3M_SFREFL": Kind("rhos", frozenset({"SFREFL"}), "1", DIMENSIONLESS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself.

    Parameters
    ----------
    path : Path
        The file.
    product : str
        A key of `KINDS`.
    attrs : dict
        Attributes for the dataset, as plain text and numbers.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, increasing.
    line_time : ndarray of datetime64[ns], shape (n_lines,)
        Time of every scan line, UTC; of length 0 for a map.
    start, end : datetime64[ns]
        Coverage as the file states it; of a swath that does not, its first and last line.
    box : Region or None
        What the file says that it covers at most; None where it does not say so in a way that can be trusted.
    shape : tuple of int
        Rows and columns of a map; empty for a swath.
    """

    path: Path
    product: str
    attrs: dict[str, Any]
    wavelength: FloatArray
    line_time: TimeArray
    start: np.datetime64
    end: np.datetime64
    box: Region | None = None
    shape: tuple[int, ...] = ()


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what reading libraries raise over a damaged file into one error that names it."""
    try:
        yield
    except SpectmError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise GranuleError(
            f"wanted a complete netCDF-4 file, could not read {path}: {error}. Is the download complete? "
            "Fetch it again."
        ) from error


def read_header(path: Path) -> Header:
    """Product, attributes, wavelengths and line times of a file.

    Parameters
    ----------
    path : Path
        Level-2 AOP, or level-3 mapped RRS or SFREFL, of PACE OCI.

    Raises
    ------
    GranuleError
        If the file is absent, damaged or of another product, or lacks a group, variable, unit or time.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise GranuleError(f"wanted a granule, found {found} at {path}. Give the path of one netCDF file.")
    with damage_named(path), h5netcdf.File(path, "r") as file:
        said = {name: _plain(value) for name, value in file.attrs.items()}
        product = _product(said, file, path)
        swath = product == "L2_AOP"
        if swath:
            _check_present(_GROUPS, file.groups, "groups", path)
        bands, name = _bands(file, swath)
        _check_present([name], bands.variables, "variables", path)
        line_time = _line_time(file, said, path) if swath else np.empty(0, dtype="datetime64[ns]")
        wavelength = _wavelength(bands.variables[name], path)
        shape = (
            ()
            if swath
            else tuple(file.dimensions[name].size for name in ("lat", "lon") if name in file.dimensions)
        )
    start, end = (_covered(said, side, line_time, path) for side in ("start", "end"))
    attrs = {
        "product": product,
        "granule": path.name,
        "near_real_time": int(any(".NRT." in name for name in (path.name, str(said.get("product_name"))))),
        "file": str(path),
        **origin_mark(is_simulated(said)),
        **{name: str(said[name]) for name in _KEPT if name in said},
    }
    if "l2_flag_names" in said:
        attrs["l2_flag_names"] = str(said["l2_flag_names"])
    box = _box(said)
    return Header(
        path=path,
        product=product,
        attrs=attrs,
        wavelength=wavelength,
        line_time=line_time,
        start=start,
        end=end,
        box=box,
        shape=shape,
    )


def check_unit(found: object, spellings: frozenset[str | None], wanted: str, name: str, path: Path) -> None:
    """Refuse a variable in another unit: nobody stated the factor between them."""
    if found not in spellings:
        raise GranuleError(
            f"wanted {name} in {wanted}, found {'no units' if found is None else repr(found)} in {path}. "
            "Was the file rewritten by another program? Fetch it again."
        )


def _bands(file: Any, swath: bool) -> tuple[Any, str]:
    """Group and variable of the wavelengths.

    Since version 3.2 swaths have them beside the reflectance, and to a tenth of a nanometre; `wavelength_3d`
    then is another list, rounded.
    """
    if not swath:
        return file, "wavelength"
    if "wavelength" in file["geophysical_data"].variables:
        return file["geophysical_data"], "wavelength"
    return file["sensor_band_parameters"], "wavelength_3d"


def _plain(value: Any) -> Any:
    """Text or number of an attribute, which netCDF libraries write as arrays of one, or as bytes."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(()).item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _box(said: Mapping[str, Any]) -> Region | None:
    """Box of the geospatial attributes, a little wider: pixels reach beyond their centres."""
    try:
        south, north, west, east = (
            float(said[f"geospatial_{name}"]) for name in ("lat_min", "lat_max", "lon_min", "lon_max")
        )
        if (east - west) % 360 > 180 or max(abs(south), abs(north)) > 80:
            return None  # around a pole or the globe, where writers differ in what west and east mean
        return Region(
            name="box",
            west=max(west - _RIM, -180.0),
            south=south - _RIM,
            east=min(east + _RIM, 180.0),
            north=north + _RIM,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _product(said: Mapping[str, Any], file: Any, path: Path) -> str:
    """Key of `KINDS`, from the level, the suite in the product name, and else the variables."""
    level, name, title, instrument = (
        str(said.get(key, "")) for key in ("processing_level", "product_name", "title", "instrument")
    )
    words = set(name.upper().split("."))
    if level.upper().startswith("L2"):
        inside = file.groups["geophysical_data"].variables if "geophysical_data" in file.groups else ()
        candidates = ["L2_AOP"]
    else:
        inside = file.variables
        candidates = ["L3M_RRS", "L3M_SFREFL"] if "L3" in level.upper() and "map" in level.lower() else []
    for key in candidates:
        kind = KINDS[key]
        # A file that was renamed inside, too, is known by what it holds.
        if instrument in ("", "OCI") and (
            kind.suites & words if len(words) > 3 else kind.reflectance in inside
        ):
            return key
    found = ", ".join(repr(text) for text in (title, name, instrument and f"instrument {instrument}") if text)
    raise GranuleError(
        f"wanted level 2 AOP, or level 3 mapped RRS or SFREFL, of PACE OCI; found {found or 'no title'} in "
        f"{path}. Fetch one of the products that `spectm fetch --help` lists."
    )


def _check_present(wanted: Iterable[str], found: Iterable[str], kind: str, path: Path) -> None:
    """Refuse a file that lacks one of the groups or variables."""
    if missing := [name for name in wanted if name not in found]:
        raise GranuleError(
            f"wanted the {kind} {', '.join(missing)}, found {', '.join(sorted(found)) or 'none'} in {path}. "
            "Was the file cut by another program? Fetch it again."
        )


def _wavelength(variable: Any, path: Path) -> FloatArray:
    """Band centres, nm."""
    check_unit(_plain(variable.attrs.get("units")), frozenset(NANOMETRES), "nm", "wavelength", path)
    wavelength = np.asarray(variable[...], dtype=np.float64)
    if not (wavelength.size and np.all(wavelength > 0) and np.all(np.diff(wavelength) > 0)):
        raise GranuleError(
            f"wanted increasing wavelengths, found {wavelength.tolist()[:4]}... in {path}. Fetch it again."
        )
    return wavelength


def _line_time(file: Any, said: Mapping[str, Any], path: Path) -> TimeArray:
    """Time of every line: the file's own, and where it has none, spread evenly over its coverage.

    Version 3 gives `time`; version 2 may have only year, day of year and milliseconds of that day.
    """
    latitude = file["navigation_data"].variables.get("latitude")
    n_lines = 0 if latitude is None else latitude.shape[0]  # its absence is reported with that of others
    own = file.groups["scan_line_attributes"].variables if "scan_line_attributes" in file.groups else {}
    if "time" in own:
        times = _decoded_time(own["time"], said, path)
    elif {"year", "day", "msec"} <= set(own):
        year, day, msec = (_without_fill(own[name]) for name in ("year", "day", "msec"))
        whole = np.isfinite(year + day + msec)
        january = np.where(whole, year - 1970, 0).astype("int64").astype("datetime64[Y]")
        since = ((np.where(whole, day, 1) - 1) * 86_400_000 + np.where(whole, msec, 0)).astype("int64")
        times = january.astype("datetime64[ns]") + since.astype("timedelta64[ms]")
        times[~whole] = np.datetime64("NaT")
    else:
        times = np.full(n_lines, np.datetime64("NaT"), dtype="datetime64[ns]")
    if np.isnat(times).any():
        start, end = (_coverage(said, side, path) for side in ("start", "end"))
        spread = start + (end - start) * (np.arange(times.size) / max(times.size - 1, 1))
        return np.where(np.isnat(times), spread, times)
    return times


def _decoded_time(variable: Any, said: Mapping[str, Any], path: Path) -> TimeArray:
    """Times of a variable in CF units, or in seconds of the day on which the coverage starts."""
    units, values = str(_plain(variable.attrs.get("units"))), _without_fill(variable)
    if " since " in units:
        attrs = {"units": units, "calendar": str(_plain(variable.attrs.get("calendar", "standard")))}
        coded = xr.Dataset({"time": ("line", values, attrs)})
        return xr.decode_cf(coded, decode_timedelta=False)["time"].values.astype("datetime64[ns]")
    if not units.startswith("second"):
        raise GranuleError(
            f"wanted scan_line_attributes/time in seconds, found {units!r} in {path}. Fetch it again."
        )
    start = _coverage(said, "start", path)
    nanoseconds = np.where(np.isfinite(values), values * 1e9, 0).astype("int64").astype("timedelta64[ns]")
    times = start.astype("datetime64[D]").astype("datetime64[ns]") + nanoseconds
    times[times < start - np.timedelta64(12, "h")] += np.timedelta64(1, "D")  # the clock passed midnight
    times[~np.isfinite(values)] = np.datetime64("NaT")
    return times


def _without_fill(variable: Any) -> FloatArray:
    """Values as float, NaN where they are missing."""
    values = np.asarray(variable[...], dtype=np.float64)
    fill = _plain(variable.attrs.get("_FillValue", np.nan))
    return np.where(values == fill, np.nan, values)


def _covered(said: Mapping[str, Any], side: str, line_time: TimeArray, path: Path) -> np.datetime64:
    """Start or end of the coverage; where a swath does not say it, that of its lines."""
    try:
        return _coverage(said, side, path)
    except GranuleError:
        if not line_time.size:
            raise
        return np.datetime64(line_time.min() if side == "start" else line_time.max())


def _coverage(said: Mapping[str, Any], side: str, path: Path) -> np.datetime64:
    """Start or end of the time covered."""
    text = str(said.get(f"time_coverage_{side}", ""))
    try:
        return np.datetime64(text.strip().removesuffix("Z") or "no time", "ns")
    except ValueError as error:
        raise GranuleError(
            f"wanted the times of scan lines, or time_coverage_{side} such as 2024-08-04T17:53:05Z, found "
            f"{text!r} in {path}. Fetch it again."
        ) from error
