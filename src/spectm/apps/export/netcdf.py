"""Maps of a store as one netCDF file that follows the CF conventions."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import spectm
from spectm.apps.export.provenance import provenance
from spectm.apps.moment import periods_of
from spectm.apps.store import Store
from spectm.data.regions import Region
from spectm.files import replacing

__all__ = ["write_netcdf"]

CONVENTIONS = "CF-1.11, ACDD-1.3"
WGS84 = {
    "grid_mapping_name": "latitude_longitude",
    "longitude_of_prime_meridian": 0.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}
AXES = {"time": "T", "lat": "Y", "lon": "X"}
STANDARD_NAMES = {"horizon": "forecast_period"}


def write_netcdf(store: Store, out: Path, *, position: int | None = None) -> xr.Dataset:
    """Write maps with their provenance: all whole periods, or the one at a position.

    Parameters
    ----------
    store : Store
    out : Path
        netCDF-4 file; an older one is replaced.
    position : int, optional
        Of the period, as `spectm.apps.moment.chosen_period` gives it.

    Returns
    -------
    Dataset
        What was written.

    Raises
    ------
    StoreError
        If the store holds no maps.
    """
    chosen = slice(None) if position is None else slice(position, position + 1)
    maps = store.dataset.isel(time=chosen)  # read variable by variable, when they are written
    maps = maps.drop_vars([name for name in maps.variables if maps[name].dims == () and name != "crs"])
    maps.attrs = _global_attributes(store, chosen)
    maps["crs"] = xr.DataArray(np.int32(0), attrs=WGS84 | {"long_name": "WGS 84, degrees"})
    maps = maps.transpose("horizon", "level", "threshold", "time", "lat", "lon", ..., missing_dims="ignore")
    for name, variable in maps.variables.items():
        variable.encoding = {}
        _describe(str(name), variable)
    maps["time"].encoding = maps["time_bnds"].encoding = {
        "units": "hours since 1970-01-01 00:00:00",
        "calendar": "standard",
        "dtype": "f8",
        "_FillValue": None,
    }
    encoding: dict[Any, dict[str, Any]] = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name, variable in maps.data_vars.items()
        if variable.ndim > 2
    }
    for name, variable in maps.variables.items():
        if name not in ("time", "time_bnds"):
            encoding.setdefault(name, {})["_FillValue"] = _fill(str(name), variable)
    with replacing(Path(out)) as unfinished:
        maps.to_netcdf(unfinished, engine="h5netcdf", format="NETCDF4", encoding=encoding)
    return maps


def _fill(name: str, variable: xr.Variable) -> Any:
    """NaN for fields of numbers; flags and axes have a value everywhere."""
    is_field = name not in ("crs", *AXES) and variable.ndim > 2 and variable.dtype.kind == "f"
    return np.float32(np.nan) if is_field else None


def _describe(name: str, variable: xr.Variable) -> None:
    """Attributes that CF wants, of the type that it wants."""
    attrs = variable.attrs
    if name in AXES:
        attrs["axis"] = AXES[name]
    if name in STANDARD_NAMES:
        attrs["standard_name"] = STANDARD_NAMES[name]
    if name == "time":
        attrs["units_metadata"] = "leap_seconds: none"
    for key in ("flag_masks", "flag_values"):
        if key in attrs:
            attrs[key] = np.atleast_1d(attrs[key]).astype(variable.dtype)
    if name != "crs" and {"lat", "lon"} <= set(map(str, variable.dims)):
        attrs["grid_mapping"] = "crs"
        if name not in ("applicability", "flagged"):
            attrs["ancillary_variables"] = "flagged applicability"


def _global_attributes(store: Store, chosen: slice) -> dict[str, Any]:
    """Attributes for discovery, and the whole record of the run."""
    facts, record = provenance(store), store.record
    maps, periods = store.dataset, periods_of(store)[chosen]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    half = abs(float(maps["lat"][1] - maps["lat"][0])) / 2
    box = Region(
        name="maps",
        west=float(maps["lon"][0]) - half,
        south=float(maps["lat"][-1]) - half,
        east=float(maps["lon"][-1]) + half,
        north=float(maps["lat"][0]) + half,
    )
    made_up = "Simulated. No part of it was measured. " if store.simulated else ""
    return {
        "Conventions": CONVENTIONS,
        "title": str(maps.attrs["title"]),
        "summary": (
            f"{made_up}Estimates of {facts['about']}: medians, 50 and 90 % intervals and probabilities to "
            "exceed thresholds, now and days ahead, with flags where a spectrum is unlike those learned from."
        ),
        "keywords": "microcystin, cyanobacteria, harmful algal bloom, ocean colour, PACE, OCI",
        "source": str(maps.attrs["source"]),
        "history": f"{now} exported by spectm {spectm.__version__}; {maps.attrs['history']}",
        "references": "Imtiaz, Nasr Azadani and Alamdari, arXiv 2603.22097",
        "comment": facts["caveat"],
        **{name: value for name, value in facts.items() if name != "simulated"},
        "simulated": np.int32(store.simulated),
        "date_created": now,
        "processing_level": "estimates from level-2 reflectance composed onto a grid",
        "geospatial_lat_min": box.south,
        "geospatial_lat_max": box.north,
        "geospatial_lon_min": box.west,
        "geospatial_lon_max": box.east,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_units": "degrees_east",
        "time_coverage_start": f"{periods[0].start}T00:00:00Z",
        "time_coverage_end": f"{periods[-1].end}T00:00:00Z",
        "spectm_record": json.dumps(record),
    }
