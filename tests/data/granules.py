"""Tiny files of the real layout: groups, dimensions at the root, packing, attributes, the real flag table."""

import functools
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

# In the order of their bits, 1 to -2147483648, as version 3.1 lists them; SPARE stands for five bits.
# fmt: off
FLAGS = (
    "ATMFAIL", "LAND", "PRODWARN", "HIGLINT", "HILT", "HISATZEN", "COASTZ", "SPARE", "STRAYLIGHT",
    "CLDICE", "COCCOLITH", "TURBIDW", "HISOLZEN", "SPARE", "LOWLW", "CHLFAIL", "NAVWARN", "ABSAER",
    "SPARE", "MAXAERITER", "MODGLINT", "CHLWARN", "ATMWARN", "OPSHAL", "SEAICE", "NAVFAIL", "FILTER",
    "SPARE", "BOWTIEDEL", "HIPOL", "PRODFAIL", "SPARE",
)
# fmt: on
FLAG_MASKS = (1 << np.arange(32, dtype=np.uint32)).astype(np.uint32).view(np.int32)
LEFT_OUT = (
    "ATMFAIL,LAND,HILT,HISATZEN,STRAYLIGHT,CLDICE,COCCOLITH,LOWLW,CHLWARN,CHLFAIL,NAVWARN,MAXAERITER,HISOLZEN,"
    "NAVFAIL,FILTER,HIGLINT"
)
FILL, FILL_PLACE = np.int16(-32767), np.float32(-999)
PACKING = {  # scale, offset
    "Rrs": (2e-6, 0.05),
    "Rrs_unc": (5e-8, 0.0015),
    "rhos": (2e-5, 0.6),
    "nflh": (8.5e-5, 2.25),
}
UNITS = {"Rrs": "sr^-1", "Rrs_unc": "sr^-1", "nflh": "W m^-2 um^-1 sr^-1", "avw": "nm"}
LINE_SECONDS = 0.1754  # between two scan lines
_SWATH = ("number_of_lines", "pixels_per_line")

Places = Sequence[tuple[int, int]]


def swath_grid(
    n_lines: int = 8,
    n_pixels: int = 6,
    *,
    south: float = 41.4,
    west: float = -83.5,
    step: float = 0.01,
    tilt: float = 0.2,
) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of a small swath that climbs to the north and leans to the east."""
    line, pixel = np.mgrid[:n_lines, :n_pixels]
    latitude = south + step * (line - tilt * pixel)
    longitude = west + step * (pixel + tilt * line)
    return latitude, (longitude + 180) % 360 - 180


Write = Callable[..., Path]
_WRITTEN: dict[bytes, bytes] = {}


def _remembered(write: Write) -> Write:
    """Write what was asked for before from memory: making a file takes a hundred times as long."""

    @functools.wraps(write)
    def remembering(path: Path, **given: Any) -> Path:
        key = pickle.dumps((write.__name__, sorted(given.items())))
        if key in _WRITTEN:
            path.write_bytes(_WRITTEN[key])
            return path
        write(path, **given)
        if path.stat().st_size < 200_000:
            _WRITTEN[key] = path.read_bytes()
        return path

    return remembering


@_remembered
def write_l2_granule(
    path: Path,
    *,
    latitude: np.ndarray,
    longitude: np.ndarray,
    Rrs: np.ndarray,
    wavelength: np.ndarray,
    uncertainty: np.ndarray | float = 0.0002,
    flags: Mapping[str, Places] | np.ndarray | None = None,
    time: np.ndarray | str = "2024-08-04T17:53:05",
    near_real_time: bool = False,
    version: str = "3.1",
    chunks: tuple[int, int, int] | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    leave_out: Sequence[str] = (),
    attrs: Mapping[str, Any] | None = None,
    units: Mapping[str, str | None] | None = None,
) -> Path:
    """Level-2 AOP file; NaN becomes the fill value. Returns its path.

    `Rrs` and `uncertainty` broadcast to (line, pixel, wavelength). `flags` names the pixels (line, pixel) of
    each flag, or gives all bits. `time` is the first line's, or one for every line (datetime64). `extra` is
    packed where `PACKING` knows the name. `leave_out` names groups ("scan_line_attributes") or variables
    ("geophysical_data/Rrs_unc"). Since version 3.2 the wavelengths lie beside Rrs, unrounded. `attrs` and
    `units` overwrite those of the file and of variables; None removes one.
    """
    n_lines, n_pixels = np.shape(latitude)
    shape = (n_lines, n_pixels, len(wavelength))
    lines = _line_times(time, n_lines)
    band_dim = "wavelength" if tuple(map(int, version.split("."))) >= (3, 2) else "wavelength_3d"
    geophysical: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {
        "Rrs": (np.broadcast_to(Rrs, shape), (*_SWATH, band_dim)),
        "Rrs_unc": (np.broadcast_to(uncertainty, shape), (*_SWATH, band_dim)),
        "avw": (np.full(shape[:2], 550.0), _SWATH),
        "nflh": (np.full(shape[:2], 0.1), _SWATH),
        **{name: (values, _SWATH) for name, values in (extra or {}).items()},
    }
    with h5netcdf.File(path, "w") as file:
        file.dimensions = dict(zip((*_SWATH, "wavelength_3d"), shape, strict=True))
        if band_dim == "wavelength":
            file.dimensions["wavelength"] = shape[2]
        _set(file, _l2_attrs(lines, near_real_time, version) | dict(attrs or {}))
        out = _Writer(file, leave_out, units or {})
        out.variable(
            "sensor_band_parameters/wavelength_3d",
            ("wavelength_3d",),
            _whole(wavelength if band_dim == "wavelength_3d" else np.rint(wavelength)),
            units="nm",
        )
        if band_dim == "wavelength":
            exact = np.asarray(wavelength, dtype=np.float32)
            out.variable("geophysical_data/wavelength", ("wavelength",), exact, units="nm")
        seconds = (lines - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "s")
        out.variable(
            "scan_line_attributes/time", _SWATH[:1], seconds, units="seconds since 1970-01-01", fill=-32767.0
        )
        day = (lines.astype("datetime64[D]") - lines.astype("datetime64[Y]").astype("datetime64[D]")).astype(
            int
        )
        out.variable("scan_line_attributes/day", _SWATH[:1], (day + 1).astype(np.int32), units="days")
        for name, (values, dims) in geophysical.items():
            out.packed(f"geophysical_data/{name}", dims, values, chunks[: len(dims)] if chunks else None)
        bits = flags if isinstance(flags, np.ndarray) else flag_bits(shape[:2], flags or {})
        out.variable("geophysical_data/l2_flags", _SWATH, bits, chunks=chunks[:2] if chunks else None)
        if "geophysical_data/l2_flags" in file:
            meanings = {"flag_masks": FLAG_MASKS, "flag_meanings": " ".join(FLAGS)}
            _set(file["geophysical_data/l2_flags"], meanings)
        for name, values in (("latitude", latitude), ("longitude", longitude)):
            place = np.where(np.isfinite(values), values, FILL_PLACE).astype(np.float32)
            degrees = f"degrees_{'north' if name == 'latitude' else 'east'}"
            out.variable(f"navigation_data/{name}", _SWATH, place, units=degrees, fill=FILL_PLACE)
    return path


@_remembered
def write_l3_file(
    path: Path,
    *,
    lat: np.ndarray,
    lon: np.ndarray,
    values: np.ndarray,
    wavelength: np.ndarray,
    suite: str = "RRS",
    start: str = "2024-08-04T00:00:00",
    end: str = "2024-08-11T23:59:59",
    period: str = "8D",
    near_real_time: bool = False,
    version: str = "3.1",
    chunks: tuple[int, int, int] | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    attrs: Mapping[str, Any] | None = None,
    units: Mapping[str, str | None] | None = None,
) -> Path:
    """Level-3 mapped file of a suite: RRS (Rrs, sr^-1) or SFREFL (rhos, without units). Returns its path.

    `values` broadcasts to (lat, lon, wavelength), NaN becomes the fill value; the rest is as for level 2.
    """
    name = {"RRS": "Rrs", "AOP": "Rrs", "SFREFL": "rhos"}[suite]
    days = "_".join(dict.fromkeys(day[:10].replace("-", "") for day in (start, end)))
    middle = f"{suite}.V{version.replace('.', '_')}{'' if suite == 'AOP' else f'.{name}'}"
    said = {
        "product_name": f"PACE_OCI.{days}.L3m.{period}.{middle}.4km.{'NRT.' if near_real_time else ''}nc",
        "title": "OCI Level-3 Standard Mapped Image",
        "instrument": "OCI",
        "platform": "PACE",
        "processing_level": "L3 Mapped",
        "processing_version": version,
        "temporal_range": {"8D": "8-day", "DAY": "day", "MO": "month"}.get(period, period),
        "time_coverage_start": f"{start}.000Z",
        "time_coverage_end": f"{end}.000Z",
        "l2_flag_names": LEFT_OUT,
    }
    shape = (len(lat), len(lon), len(wavelength))
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {
            **dict(zip(("lat", "lon", "wavelength"), shape, strict=True)),
            "rgb": 3,
            "eightbitcolor": 256,
        }
        _set(file, said | dict(attrs or {}))
        out = _Writer(file, (), units or {})
        out.variable("lat", ("lat",), lat.astype(np.float32), units="degrees_north", fill=FILL_PLACE)
        out.variable("lon", ("lon",), lon.astype(np.float32), units="degrees_east", fill=FILL_PLACE)
        out.variable("wavelength", ("wavelength",), _whole(wavelength), units="nm")
        out.variable("palette", ("rgb", "eightbitcolor"), np.zeros((3, 256), dtype=np.uint8))
        out.packed(name, ("lat", "lon", "wavelength"), np.broadcast_to(values, shape), chunks)
        for other, plane in (extra or {}).items():
            out.packed(other, ("lat", "lon"), plane, chunks[:2] if chunks else None)
    return path


def flag_bits(shape: tuple[int, ...], flags: Mapping[str, Places]) -> np.ndarray:
    """Bits as int32, from the pixels of each flag; of a repeated name the first bit is set."""
    bits = np.zeros(shape, dtype=np.int32)
    for name, places in flags.items():
        for place in places:
            bits[place] |= FLAG_MASKS[FLAGS.index(name)]
    return bits


def damage(path: Path, name: str = "geophysical_data/Rrs", chunk: tuple[int, ...] = (0, 0, 0)) -> None:
    """Garbage in place of the chunk that begins there: the file opens, and can't be read to its end."""
    with h5py.File(path) as file:
        info = file[name].id.get_chunk_info_by_coord(chunk)
    with path.open("r+b") as raw:
        raw.seek(info.byte_offset)
        raw.write(b"\xff" * info.size)


class _Writer:
    """Variables of one file, except those to leave out."""

    def __init__(
        self, file: h5netcdf.File, leave_out: Sequence[str], units: Mapping[str, str | None]
    ) -> None:
        self.file, self.leave_out, self.units = file, leave_out, units

    def packed(
        self, path: str, dims: tuple[str, ...], values: np.ndarray, chunks: tuple[int, ...] | None
    ) -> None:
        """A variable as int16 where its packing is known, else as float32."""
        name = path.rpartition("/")[2]
        if name not in PACKING:
            plain = np.where(np.isfinite(values), values, -32767).astype(np.float32)
            self.variable(path, dims, plain, units=UNITS.get(name), fill=np.float32(-32767), chunks=chunks)
            return
        scale, offset = PACKING[name]
        steps = np.rint((np.nan_to_num(values, nan=offset) - offset) / scale)
        assert np.abs(steps).max() <= 32766, f"{name} does not fit its packing"
        counts = np.where(np.isfinite(values), steps, FILL).astype(np.int16)
        self.variable(path, dims, counts, units=UNITS.get(name), fill=FILL, chunks=chunks)
        if path in self.file:
            low, high = np.array([-30000], dtype=np.int16), np.array([25000], dtype=np.int16)
            packing = {
                "scale_factor": np.array([scale], dtype=np.float32),
                "add_offset": np.array([offset], dtype=np.float32),
            }
            _set(
                self.file[path],
                {**packing, "valid_min": low, "valid_max": high, "coordinates": "longitude latitude"},
            )

    def variable(
        self,
        path: str,
        dims: tuple[str, ...],
        values: np.ndarray,
        *,
        units: str | None = None,
        fill: Any = None,
        chunks: tuple[int, ...] | None = None,
    ) -> None:
        group, _, name = path.rpartition("/")
        if group in self.leave_out or path in self.leave_out:
            return
        if group and group not in self.file.groups:
            self.file.create_group(group)
        where = self.file[group] if group else self.file
        squeezed = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if len(dims) > 1 else {}
        if chunks is not None:
            squeezed["chunks"] = tuple(
                min(chunk, length) for chunk, length in zip(chunks, values.shape, strict=True)
            )
        filled = None if fill is None else values.dtype.type(fill)
        variable = where.create_variable(name, dims, values.dtype, data=values, fillvalue=filled, **squeezed)
        _set(variable, {"long_name": name, "units": self.units.get(name, units)})


def _l2_attrs(lines: np.ndarray, near_real_time: bool, version: str) -> dict[str, Any]:
    start, end = (str(lines[i].astype("datetime64[ms]")) for i in (0, -1))
    stamp = start[:19].replace("-", "").replace(":", "")
    twin = ".NRT" if near_real_time else ""
    return {
        "title": "OCI Level-2 Data AOP",
        "product_name": f"PACE_OCI.{stamp}.L2.OC_AOP.V{version.replace('.', '_')}{twin}.nc",
        "processing_version": version,
        "processing_level": "L2",
        "instrument": "OCI",
        "platform": "PACE",
        "time_coverage_start": f"{start}Z",
        "time_coverage_end": f"{end}Z",
    }


def _line_times(time: np.ndarray | str, n_lines: int) -> np.ndarray:
    if isinstance(time, str):
        since = np.rint(np.arange(n_lines) * LINE_SECONDS * 1e9).astype("timedelta64[ns]")
        return np.datetime64(time, "ns") + since
    return np.asarray(time).astype("datetime64[ns]")


def _whole(wavelength: np.ndarray) -> np.ndarray:
    """Whole nanometres as int32, as the archive writes them; others stay."""
    values = np.asarray(wavelength)
    return values.astype(np.int32) if np.all(values == np.rint(values)) else values.astype(np.float32)


def _set(holder: Any, attrs: Mapping[str, Any]) -> None:
    for name, value in attrs.items():
        if value is not None:
            holder.attrs[name] = value
        elif name in holder.attrs:
            del holder.attrs[name]
