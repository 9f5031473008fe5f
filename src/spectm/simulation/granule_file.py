"""A simulated granule as a file of the archive's layout: groups, names, packing, attributes of 3.1."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import numpy.typing as npt

from spectm import __version__
from spectm.files import replacing
from spectm.simulation.granule_layout import BAND_CONSTANTS, FILL, PACKING, VARIABLES, Packing
from spectm.simulation.orbit import TILT_DEG
from spectm.simulation.quality import (
    CLOUDY,
    FLAGS,
    MAX_GLINT,
    MAX_POLARISATION,
    MAX_SUN_ZENITH,
    MAX_VIEW_ZENITH,
)
from spectm.spectral.constituents import pure_water

__all__ = ["VERSION", "Granule", "granule_name", "write_granule_file"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
Attrs = Mapping[str, Any]

VERSION = "3.1"
SWATH, SPECTRA = (
    ("number_of_lines", "pixels_per_line"),
    ("number_of_lines", "pixels_per_line", "wavelength_3d"),
)
# Lines, pixels and bands that are compressed together; lines that are written at once.
CHUNKS, LINES_AT_ONCE = (32, 64, 43), 64
LEVEL = 4
SEEN_AT = "longitude latitude"
SUN_K, SUN_RADIUS_AU = 5772.0, 0.00465047


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Granule:
    """What is in a file. Spectra are kept of seen pixels only, n of them.

    Parameters
    ----------
    start : datetime64[ns]
        When the granule of five minutes begins, UTC; its name.
    near_real_time : bool
        Whether it is the twin that comes first.
    seed : int
        Of its chance.
    cropped : bool
        Whether lines or pixels were left out.
    wavelength : ndarray, shape (n_bands,)
        nm.
    line_time : ndarray of datetime64[ns], shape (n_lines,)
        UTC.
    first_line : int
        Number of the first line in the whole granule.
    latitude, longitude : ndarray, shape (n_lines, n_pixels)
        Degrees.
    side_latitude, side_longitude : ndarray, shape (n_lines, 3)
        First, middle and last pixel of the whole line, degrees.
    sun_zenith : ndarray, shape (n_lines,)
        At the middle pixel, degrees.
    flags : ndarray of int32, shape (n_lines, n_pixels)
        Bits in the order of `spectm.simulation.quality.FLAGS`.
    line, pixel : ndarray of int, shape (n,)
        Where seen pixels lie, row by row.
    Rrs, uncertainty : ndarray, shape (n, n_bands)
        sr^-1.
    aerosol, angstrom, avw : ndarray, shape (n,)
        Aerosol optical thickness at 865 nm and its exponent; apparent visible wavelength, nm.
    """

    start: np.datetime64
    near_real_time: bool
    seed: int
    cropped: bool
    wavelength: FloatArray
    line_time: npt.NDArray[np.datetime64]
    first_line: int
    latitude: FloatArray
    longitude: FloatArray
    side_latitude: FloatArray
    side_longitude: FloatArray
    sun_zenith: FloatArray
    flags: npt.NDArray[np.int32]
    line: IntArray
    pixel: IntArray
    Rrs: FloatArray
    uncertainty: FloatArray
    aerosol: FloatArray
    angstrom: FloatArray
    avw: FloatArray


def granule_name(start: np.datetime64, near_real_time: bool = False) -> str:
    """Name that the archive would give a file.

    Examples
    --------
    >>> granule_name(np.datetime64("2024-08-04T17:53:05.3"))
    'PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.nc'
    """
    stamp = str(start.astype("datetime64[s]")).replace("-", "").replace(":", "")
    twin = ".NRT" if near_real_time else ""
    return f"PACE_OCI.{stamp}.L2.OC_AOP.V{VERSION.replace('.', '_')}{twin}.nc"


def write_granule_file(granule: Granule, path: Path) -> None:
    """Write a file that readers of the archive's files open; the same granule gives the same bytes.

    Parameters
    ----------
    granule : Granule
        What is in it.
    path : Path
        A file there is replaced, once the new one is whole.
    """
    with replacing(Path(path)) as unfinished, h5netcdf.File(unfinished, "w") as file:
        file.dimensions = _dimensions(granule)
        _set(file, _about(granule))
        _write_bands(file, granule)
        _write_lines(file, granule)
        _write_geophysics(file.create_group("geophysical_data"), granule)
        _write_places(file, granule)
        _write_processing(file.create_group("processing_control"), granule)


def _dimensions(granule: Granule) -> dict[str, int]:
    """Lengths, at the root as the archive has them."""
    n_bands = granule.wavelength.size
    swath = dict(zip(SPECTRA, (*granule.latitude.shape, n_bands), strict=True))
    return swath | {"number_of_bands": n_bands, "number_of_reflective_bands": n_bands}


def _about(granule: Granule) -> dict[str, Any]:
    """Attributes of the file. Who reads them learns that nothing here was measured."""
    name = granule_name(granule.start, granule.near_real_time)
    start, end = (f"{time.astype('datetime64[ms]')!s}Z" for time in granule.line_time[[0, -1]])
    lat, lon, middle = granule.latitude, granule.longitude, granule.line_time.size // 2
    corners = [(0, 0), (0, -1), (-1, -1), (-1, 0), (0, 0)]
    ring = ", ".join(f"{lon[at]:.5f} {lat[at]:.5f}" for at in corners)
    days = (granule.line_time[middle] - np.datetime64("2000-01-03", "ns")) / np.timedelta64(1, "D")
    sides = {
        f"{which}_center_{axis}": np.float32(values[row, 1])
        for which, row in (("start", 0), ("end", -1))
        for axis, values in (("longitude", granule.side_longitude), ("latitude", granule.side_latitude))
    }
    return {
        "title": "OCI Level-2 Data AOP, simulated",
        "product_name": name,
        "processing_version": VERSION,
        "history": f"simulated by spectm {__version__}, seed {granule.seed}; no part of it was measured",
        "comment": "A simulated lake seen by a simulated sensor: it tells nothing about Lake Erie.",
        "simulated": np.int32(1),
        "simulation_seed": np.int64(granule.seed),
        "instrument": "OCI",
        "platform": "PACE",
        "Conventions": "CF-1.8, ACDD-1.3",
        "license": "Apache-2.0",
        "naming_authority": "none: simulated",
        "id": f"{VERSION}/L2/{name}",
        # Not the clock's time: the same seed gives the same file.
        "date_created": end,
        "standard_name_vocabulary": "CF Standard Name Table v36",
        **dict.fromkeys(("institution", "creator_name", "project", "publisher_name"), "spectm, a simulation"),
        **dict.fromkeys(("creator_email", "creator_url", "publisher_url", "publisher_email"), "none"),
        "geospatial_bounds_crs": "EPSG:4326",
        "identifier_product_doi_authority": "none",
        "identifier_product_doi": "none: simulated",
        "processing_level": "L2",
        "cdm_data_type": "swath",
        "spatialResolution": "1000 m",
        "time_coverage_start": start,
        "time_coverage_end": end,
        **sides,
        "northernmost_latitude": np.float32(lat.max()),
        "southernmost_latitude": np.float32(lat.min()),
        "easternmost_longitude": np.float32(lon.max()),
        "westernmost_longitude": np.float32(lon.min()),
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_units": "degrees_east",
        "geospatial_lat_max": np.float32(lat.max()),
        "geospatial_lat_min": np.float32(lat.min()),
        "geospatial_lon_max": np.float32(lon.max()),
        "geospatial_lon_min": np.float32(lon.min()),
        "startDirection": "Ascending",
        "endDirection": "Ascending",
        "day_night_flag": "Day",
        # Nearest to the sun on 3 January, 1.67 % nearer than on average.
        "earth_sun_distance_correction": np.float64((1 + 0.0167 * np.cos(2 * np.pi * days / 365.2596)) ** 2),
        "geospatial_bounds": f"POLYGON (({ring}))",
    }


def _write_bands(file: Any, granule: Granule) -> None:
    """Constants of bands. Those beside the wavelengths are rough: no reader here needs them."""
    group, nm = file.create_group("sensor_band_parameters"), granule.wavelength
    whole, said = np.rint(nm).astype(np.int32), {"long_name": "wavelengths", "units": "nm"}
    _write(group, "wavelength", ("number_of_bands",), whole, said, fill=FILL, valid=(0, 20000))
    micron = nm * 1e-3
    planck = 1.191043e8 / micron**5 / np.expm1(14387.77 / (micron * SUN_K)) * np.pi * SUN_RADIUS_AU**2
    absorption, backscattering = pure_water(nm)
    columns = {
        "vcal_gain": np.ones_like(nm),
        "vcal_offset": np.zeros_like(nm),
        "F0": planck,
        "aw": absorption,
        "bbw": backscattering,
        "k_oz": 0.13 * np.exp(-(((nm - 598) / 60) ** 2) / 2),  # Chappuis bands
        "k_no2": 6e-19 * np.exp(-(((nm - 400) / 65) ** 2) / 2),
        # Hansen and Travis (1974), Space Sci. Rev. 16, 527-610.
        "Tau_r": 0.008569 * micron**-4 * (1 + 0.0113 * micron**-2 + 0.00013 * micron**-4),
    }
    for name, values in columns.items():
        limits, about = BAND_CONSTANTS[name]
        dims = ("number_of_reflective_bands",)
        _write(group, name, dims, values.astype(np.float32), about, fill=FILL, valid=limits)
    _write(group, "wavelength_3d", ("wavelength_3d",), whole, said, fill=FILL, valid=(0, 20000))


def _write_lines(file: Any, granule: Granule) -> None:
    """Times, places and sun of every line."""
    group, time = file.create_group("scan_line_attributes"), granule.line_time
    day, year = time.astype("datetime64[D]"), time.astype("datetime64[Y]")
    of_year = (day - year.astype("datetime64[D]")).astype(np.int32) + 1
    msec = (time.astype("datetime64[ms]") - day).astype(np.int64).astype(np.int32)
    seconds = (time - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "s")
    number = granule.first_line + np.arange(time.size)

    def put(
        name: str, values: npt.NDArray[Any], fill: float, valid: tuple[float, float] | None, **said: str
    ) -> None:
        _write(group, name, SWATH[:1], values, said, fill=fill, valid=valid)

    span = {"dtype": "timedelta64[ns]"}
    years = year.astype(np.int64) + 1970
    put("year", years.astype(np.int32), FILL, (1900, 2100), long_name="Scan year", units="years")
    put("day", of_year, FILL, (0, 366), long_name="Scan day of year", **span, units="days")
    put(
        "msec",
        msec,
        FILL,
        (0, 86_400_000),
        long_name="Scan time, milliseconds of day",
        **span,
        units="milliseconds",
    )
    long_name = "scan line time in seconds since 1970-1-1"
    since = {"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    put("time", seconds, FILL, None, long_name=long_name, **since)
    put("detnum", np.zeros(time.size, np.int8), -1, (0, 25), long_name="Detector Number (zero-based)")
    put("mside", (number % 2).astype(np.int8), -1, (0, 1), long_name="Mirror Side (zero-based)")
    for axis, values, limit in (("lon", granule.side_longitude, 180), ("lat", granule.side_latitude, 90)):
        word = {"lon": "longitude", "lat": "latitude"}[axis]
        for side, (letter, place) in enumerate((("s", "Starting"), ("c", "Center"), ("e", "Ending"))):
            put(
                f"{letter}{axis}",
                values[:, side].astype(np.float32),
                -999,
                (-limit, limit),
                long_name=f"{place} {word.capitalize()}",
                units=f"degrees_{'east' if axis == 'lon' else 'north'}",
                standard_name=word,
            )
    sun = np.round(granule.sun_zenith, 2).astype(np.float32)
    put("csol_z", sun, -999, (-90, 90), long_name="Center Solar Zenith Angle", units="degree")


def _write_geophysics(group: Any, granule: Granule) -> None:
    """Spectra, what follows from them, and flags."""
    for name, values in (("Rrs", granule.Rrs), ("Rrs_unc", granule.uncertainty)):
        _write_spectra(group, name, values, granule)
    planes = {
        "aot_865": granule.aerosol,
        "angstrom": granule.angstrom,
        "avw": granule.avw,
        "nflh": _line_height(granule),
    }
    for name, values in planes.items():
        packing = PACKING.get(name)
        kind = np.float32 if packing is None else np.int16
        plane = np.full(granule.latitude.shape, FILL, dtype=kind)
        known = np.where(np.isnan(values), FILL, values) if packing is None else packing.counts(values)
        plane[granule.line, granule.pixel] = known
        valid = (400.0, 700.0) if packing is None else packing.valid
        _write(group, name, SWATH, plane, VARIABLES[name], fill=FILL, valid=valid, packing=packing)
    _write(
        group,
        "l2_flags",
        SWATH,
        granule.flags,
        {
            "long_name": "Level-2 Processing Flags",
            "flag_masks": (1 << np.arange(32, dtype=np.uint32)).astype(np.uint32).view(np.int32),
            "flag_meanings": " ".join(FLAGS),
            "coordinates": SEEN_AT,
        },
        valid=(-(2**31), 2**31 - 1),
    )


def _write_spectra(group: Any, name: str, values: FloatArray, granule: Granule) -> None:
    """A variable with bands, some lines at a time: a whole granule would need a gigabyte."""
    packing, shape = PACKING[name], (*granule.latitude.shape, granule.wavelength.size)
    said = VARIABLES[name]
    variable = _write(
        group, name, SPECTRA, None, said, shape=shape, fill=FILL, valid=packing.valid, packing=packing
    )
    for start in range(0, shape[0], LINES_AT_ONCE):
        stop = min(start + LINES_AT_ONCE, shape[0])
        first, last = np.searchsorted(granule.line, [start, stop])
        if first == last:
            continue  # lines without a seen pixel take no room
        slab = np.full((stop - start, *shape[1:]), FILL, dtype=np.int16)
        rows, columns = granule.line[first:last] - start, granule.pixel[first:last]
        slab[rows, columns] = packing.counts(values[first:last])
        variable[start:stop] = slab


def _write_places(file: Any, granule: Granule) -> None:
    """Where pixels lie."""
    group, lat, lon = file.create_group("navigation_data"), granule.latitude, granule.longitude
    corners = [(0, 0), (0, -1), (-1, -1), (-1, 0)]
    _set(
        group,
        {
            "gringpointlongitude": np.array([lon[at] for at in corners], dtype=np.float32),
            "gringpointlatitude": np.array([lat[at] for at in corners], dtype=np.float32),
            "gringpointsequence": np.arange(1, 5, dtype=np.int32),
        },
    )
    for name, values, limit, side in (("longitude", lon, 180, "east"), ("latitude", lat, 90, "north")):
        said = {"long_name": name.capitalize(), "units": f"degrees_{side}", "standard_name": name}
        _write(group, name, SWATH, values.astype(np.float32), said, fill=-999, valid=(-limit, limit))
    tilt = np.full(len(lat), TILT_DEG, dtype=np.float32)
    said = {"long_name": "Sensor tilt angle", "units": "degree"}
    _write(group, "tilt", SWATH[:1], tilt, said, fill=FILL, valid=(-25, 25))


def _write_processing(group: Any, granule: Granule) -> None:
    """How it came about, and the share of pixels that each flag marks."""
    said = {
        "software_name": "spectm",
        "software_version": __version__,
        "input_sources": "a simulated lake",
        "calibration_data": "near real time, simulated" if granule.near_real_time else "simulated",
        "mask_names": "LAND,CLDICE",
    }
    _set(group, said)
    settings = {
        "seed": granule.seed,
        "cropped": int(granule.cropped),
        "sunzen": MAX_SUN_ZENITH,
        "satzen": MAX_VIEW_ZENITH,
        "hipol": MAX_POLARISATION,
        "glint_thresh": MAX_GLINT,
        "cloud_thresh": CLOUDY,
    }
    _set(group.create_group("input_parameters"), {name: str(value) for name, value in settings.items()})
    bits = granule.flags.view(np.uint32)
    shares = {
        name: np.float32(100 * np.mean(bits & np.uint32(1 << bit) != 0)) for bit, name in enumerate(FLAGS)
    }
    _set(group.create_group("flag_percentages"), shares | {"SPARE": np.float32(0)})


def _line_height(granule: Granule) -> FloatArray:
    """Radiance of fluorescence at 678 nm over the line from 665 to 709 nm, W m^-2 um^-1 sr^-1, shape (n,)."""
    left, centre, right = (int(np.abs(granule.wavelength - nm).argmin()) for nm in (665, 678, 709))
    nm, Rrs, sun = granule.wavelength, granule.Rrs, 1480.0  # W m-2 um-1 at 678 nm
    share = (nm[centre] - nm[left]) / (nm[right] - nm[left])
    return sun * (Rrs[:, centre] - Rrs[:, left] - share * (Rrs[:, right] - Rrs[:, left]))


def _write(
    group: Any,
    name: str,
    dims: tuple[str, ...],
    values: npt.NDArray[Any] | None,
    said: Attrs,
    *,
    shape: tuple[int, ...] = (),
    fill: float | None = None,
    valid: tuple[float, float] | None = None,
    packing: Packing | None = None,
) -> Any:
    """One variable; its limits and its fill value are of its own type, as everywhere in the archive."""
    kind = np.dtype(np.int16) if values is None else values.dtype
    shape = shape if values is None else values.shape
    chunks = tuple(min(chunk, n) for chunk, n in zip(CHUNKS, shape, strict=False))
    if len(shape) == 1:
        chunks = shape
    variable = group.create_variable(
        name,
        dims,
        kind,
        data=values,
        fillvalue=None if fill is None else kind.type(fill),
        chunks=chunks,
        compression="gzip",
        compression_opts=LEVEL,
        shuffle=True,
    )
    more: dict[str, Any] = dict(said)
    if valid is not None:
        more |= {
            side: kind.type(limit) for side, limit in zip(("valid_min", "valid_max"), valid, strict=True)
        }
    if packing is not None:
        more |= {"add_offset": np.float32(packing.offset), "scale_factor": np.float32(packing.scale)}
    if name in VARIABLES:
        more["coordinates"] = SEEN_AT
    _set(variable, more)
    return variable


def _set(holder: Any, attrs: Attrs) -> None:
    """Write attributes; numbers as arrays of one, as netCDF keeps them."""
    for name, value in attrs.items():
        holder.attrs[name] = value if isinstance(value, (str, np.ndarray)) else np.array([value])
