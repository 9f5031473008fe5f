"""Files of patches that are written piece by piece, and read without copying.

The reflectance lies in the file as it lies in memory (uncompressed, in one piece, little-endian float32), so
that the system can map it: a part is read when it is looked at, and shared by all processes that look.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import numpy.typing as npt

from spectm.errors import PatchError
from spectm.files import replacing, reserve

__all__ = ["PatchWriter", "check_version", "mapped_reflectance", "writing_patches"]

Float32Array = npt.NDArray[np.float32]

# Only files that say so are mapped: their writer has promised that nothing in them is infinite, which could
# otherwise be found out by reading all of it only.
FORMAT, FORMAT_VERSION = "spectm-patches", 1
STORED = np.dtype("<f4")
# HDF5 would put the values anywhere; processors want numbers at multiples of their size.
ALIGNMENT = {"alignment_threshold": 4096, "alignment_interval": 4096}
SAMPLE_BYTES, REST_BYTES = 256, 1_000_000  # beside the reflectance, at most: columns of a sample; all else

_SINCE = {"units": "seconds since 1970-01-01", "calendar": "standard"}
_PER_SAMPLE: dict[str, tuple[str, dict[str, str]]] = {
    "time": ("i8", _SINCE | {"standard_name": "time"}),
    "time_bnds": ("i8", _SINCE),
    "observation_time": ("i8", _SINCE | {"long_name": "mean time of the observations in the patch, UTC"}),
    "latitude": ("f8", {"units": "degrees_north", "standard_name": "latitude"}),
    "longitude": ("f8", {"units": "degrees_east", "standard_name": "longitude"}),
    "station": ("text", {"long_name": "name of the place"}),
    "granule": ("text", {"long_name": "file or composite that the patch was cut from"}),
    "n_valid": ("i4", {"units": "1", "long_name": "pixels with all bands"}),
    "km_apart": ("f4", {"units": "km", "long_name": "from the station to the centre of the nearest pixel"}),
}
_COORDINATES = ("time", "latitude", "longitude", "station", "granule")


class PatchWriter:
    """A file in the making; see `writing_patches`."""

    def __init__(self, file: h5netcdf.File, columns: tuple[str, ...]) -> None:
        self._file, self._columns, self.n_written = file, columns, 0

    def append(self, Rrs: Float32Array, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put the next patches behind those written so far.

        Parameters
        ----------
        Rrs : ndarray of float32, shape (sample, wavelength, y, x)
            Reflectance, sr^-1; what is infinite becomes missing.
        columns : mapping
            An array with one value a sample for every column that was announced. Times are datetime64.
        """
        assert set(columns) == set(self._columns)
        rows = slice(self.n_written, self.n_written + len(Rrs))
        self._file["Rrs"][rows] = np.where(np.isfinite(Rrs), Rrs, np.nan).astype(STORED)
        for name, values in columns.items():
            if np.issubdtype(values.dtype, np.datetime64):
                values = values.astype("datetime64[s]").astype(np.int64)
            self._file[name][rows] = values.astype(object) if values.dtype.kind in "UT" else values
        self.n_written = rows.stop


@contextmanager
def writing_patches(
    path: Path,
    shape: tuple[int, int, int, int],
    wavelength: npt.NDArray[np.float64],
    *,
    columns: tuple[str, ...],
    attrs: Mapping[str, Any],
    time_name: str,
) -> Iterator[PatchWriter]:
    """Write a file of patches, a few at a time.

    Parameters
    ----------
    path : Path
        The file; an older one is replaced once the new one is complete.
    shape : tuple of int
        Of ``Rrs`` (sample, wavelength, y, x). All samples lie in one piece, so their number must be known.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, increasing.
    columns : tuple of str
        What is given for every sample beside ``Rrs``, by names of `_PER_SAMPLE`.
    attrs : mapping
        Global attributes, text and numbers.
    time_name : str
        What ``time`` stands for.

    Yields
    ------
    PatchWriter
        To append to, until all samples are there.

    Raises
    ------
    OutputError
        If the disk has too little room.
    """
    dims = dict(zip(("sample", "wavelength", "y", "x"), shape, strict=True))
    n_bytes = int(np.prod(shape)) * STORED.itemsize
    with replacing(path) as unfinished:
        reserve(unfinished, n_bytes + shape[0] * SAMPLE_BYTES + REST_BYTES)
        with h5netcdf.File(unfinished, "w", **ALIGNMENT) as file:
            file.dimensions = dims | ({"bnds": 2} if "time_bnds" in columns else {})
            known = {"Conventions": "CF-1.11", "format": FORMAT, "format_version": FORMAT_VERSION}
            file.attrs.update(known | dict(attrs))
            Rrs = file.create_variable("Rrs", tuple(dims), STORED)
            Rrs.attrs["units"] = "sr-1"
            Rrs.attrs["long_name"] = "remote-sensing reflectance; NaN is missing"
            # Not as the fill value of HDF5, which would write the whole file once more with it.
            Rrs.attrs["_FillValue"] = np.float32(np.nan)
            Rrs.attrs["coordinates"] = " ".join(name for name in _COORDINATES if name in columns)
            bands = file.create_variable("wavelength", ("wavelength",), "f8", data=wavelength)
            bands.attrs.update({"units": "nm", "standard_name": "radiation_wavelength"})
            for name in columns:
                kind, said = _PER_SAMPLE[name]
                of = ("sample", "bnds") if name == "time_bnds" else ("sample",)
                dtype = h5py.string_dtype() if kind == "text" else np.dtype(kind)
                file.create_variable(name, of, dtype).attrs.update(said)
            file["time"].attrs["long_name"] = time_name
            if "time_bnds" in columns:
                file["time"].attrs["bounds"] = "time_bnds"
            writer = PatchWriter(file, columns)
            yield writer
        assert writer.n_written == shape[0]


def mapped_reflectance(path: Path) -> Float32Array | None:
    """Reflectance of a file that `writing_patches` wrote, without reading it.

    Parameters
    ----------
    path : Path
        A netCDF-4 file.

    Returns
    -------
    ndarray of float32, shape (sample, wavelength, y, x), or None
        Mapped memory. What a program changes in it becomes a copy of its own; the file stays as it is. None
        where the file is of another maker, or was packed, compressed or cut up since.

    Raises
    ------
    OSError, ValueError
        If the file is damaged.
    """
    with h5py.File(path, "r") as file:
        if _plain(file.attrs.get("format")) != FORMAT or "Rrs" not in file:
            return None
        Rrs = file["Rrs"]
        said, offset = Rrs.attrs, Rrs.id.get_offset()
        as_in_memory = (
            _plain(file.attrs.get("format_version")) == FORMAT_VERSION
            and file.userblock_size == 0
            and Rrs.ndim == 4
            and Rrs.dtype == STORED
            and STORED.isnative
            and Rrs.chunks is None
            and Rrs.external is None
            and not Rrs.is_virtual
            and not {"scale_factor", "add_offset", "missing_value"} & set(said)
            and bool(np.isnan(_plain(said.get("_FillValue", np.nan))))
        )
        shape = Rrs.shape
    if not as_in_memory or not offset or offset % STORED.itemsize:
        return None
    return np.memmap(path, dtype=STORED, mode="c", offset=offset, shape=shape)


def check_version(attrs: Mapping[str, Any], path: Path) -> None:
    """Refuse a file of a later spectm, as its variables may mean something else; others have no version.

    Raises
    ------
    PatchError
        If the version is later than this one.
    """
    version = _plain(attrs.get("format_version", FORMAT_VERSION))
    if _plain(attrs.get("format")) == FORMAT and (not isinstance(version, int) or version > FORMAT_VERSION):
        raise PatchError(
            f"wanted {FORMAT} of version {FORMAT_VERSION} or older, found {version} in {path}. "
            "Use a newer spectm."
        )


def _plain(value: Any) -> Any:
    """Text or number of an attribute, which some libraries write as an array of one, or as bytes."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        value = value.reshape(()).item()
    return value.decode() if isinstance(value, bytes) else value
