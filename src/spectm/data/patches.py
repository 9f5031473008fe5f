"""Patches of reflectance, and single pixels, in one in-memory form.

Two layouts are read, told apart by their dimensions: *station patches* with ``Rrs(sample, wavelength, y, x)``
and places, and *single pixels* with ``Rrs(pixel, wavelength)`` and no place, which become patches of 1 x 1.
Nothing is clipped: over turbid water the atmospheric correction leaves real negative values in the blue, some
of them below the packing's ``valid_min`` of -0.01.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm.data.origin import is_simulated, origin_mark
from spectm.data.patch_file import check_version, mapped_reflectance
from spectm.errors import PatchError
from spectm.files import replacing

__all__ = ["Patches", "partners", "read_patches", "write_patches"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
TimeArray = npt.NDArray[np.datetime64]
StrArray = npt.NDArray[np.str_]

# The same unit as different writers spell it; anything else would need a factor that nobody stated.
PER_STERADIAN = frozenset({"sr-1", "sr^-1", "sr**-1", "1/sr", "1 / sr"})
NANOMETRES = frozenset({"nm", "nanometer", "nanometers", "nanometre", "nanometres"})

PART_BYTES = 32_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patches:
    """Square windows of reflectance with their time and, where known, their place.

    Parameters
    ----------
    Rrs : ndarray of float32, shape (sample, wavelength, y, x)
        Remote-sensing reflectance, sr^-1; NaN is missing.
    wavelength : ndarray of float64, shape (n_bands,)
        Band centres, nm, strictly increasing.
    time : ndarray of datetime64[ns], shape (sample,)
        Overpass, UTC.
    station : ndarray of str, shape (sample,)
        Station name, "" where unknown.
    latitude, longitude : ndarray of float64, shape (sample,)
        Degrees north and east, NaN where unknown.
    source : str
        Where the data come from, as the file says, or else the file's name.
    time_bounds : ndarray of datetime64[ns], shape (sample, 2), optional
        First moment and end of what each patch covers, UTC, where that is more than a moment: a composite
        holds pixels of days around its time, and what is tested must not be among them.
    simulated : bool
        Whether nothing of it was measured.

    Raises
    ------
    PatchError
        If shapes do not belong together or wavelengths do not increase.

    Examples
    --------
    >>> patches = Patches(
    ...     Rrs=np.array([[0.002, 0.004], [0.003, np.nan]], dtype="float32")[:, :, None, None],
    ...     wavelength=np.array([665.0, 681.0]),
    ...     time=np.array(["2024-08-04T17:53:05", "2024-08-12T18:01:44"], dtype="datetime64[ns]"),
    ...     station=np.array(["WE2", "WE2"]),
    ...     latitude=np.full(2, 41.762),
    ...     longitude=np.full(2, -83.33),
    ...     source="by hand",
    ... )
    >>> print(patches.valid[:, 0, 0])  # a pixel counts when all its bands are there
    [ True False]
    """

    Rrs: npt.NDArray[np.float32]
    wavelength: npt.NDArray[np.float64]
    time: TimeArray
    station: StrArray
    latitude: npt.NDArray[np.float64]
    longitude: npt.NDArray[np.float64]
    source: str
    time_bounds: TimeArray | None = None
    simulated: bool = False

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        if self.Rrs.ndim != 4 or self.Rrs.shape[1] != self.wavelength.size:
            raise PatchError(
                f"wanted Rrs (sample, wavelength, y, x) with {self.wavelength.size} wavelengths, found "
                f"the shape {self.Rrs.shape} in {self.source}. A single spectrum has y and x of length 1."
            )
        for name in ("time", "station", "latitude", "longitude"):
            found = getattr(self, name).shape
            if found != (self.n_samples,):
                raise PatchError(
                    f"wanted one {name} for each of {self.n_samples} patches, found the shape {found} "
                    f"in {self.source}."
                )
        if self.time_bounds is not None and self.time_bounds.shape != (self.n_samples, 2):
            raise PatchError(
                f"wanted time_bounds of the shape {(self.n_samples, 2)}, found {self.time_bounds.shape} in "
                f"{self.source}."
            )
        if not np.all(np.diff(self.wavelength) > 0):
            raise PatchError(
                f"wanted strictly increasing wavelengths, found others in {self.source}. "
                "Sort the bands of Rrs and wavelength together."
            )

    @property
    def n_samples(self) -> int:
        """Number of patches."""
        return int(self.Rrs.shape[0])

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return int(self.Rrs.shape[1])

    @property
    def first(self) -> TimeArray:
        """Earliest moment that each patch may hold, UTC, shape (sample,)."""
        return self.time if self.time_bounds is None else self.time_bounds[:, 0]

    @property
    def last(self) -> TimeArray:
        """Latest moment that each patch may hold, UTC, shape (sample,)."""
        return self.time if self.time_bounds is None else self.time_bounds[:, 1]

    @property
    def year_before(self) -> int:
        """The last whole year before the first patch: up to it a laboratory record is of earlier years."""
        return int(str(self.time.min())[:4]) - 1

    @property
    def valid(self) -> BoolArray:
        """True for pixels with all bands finite, shape (sample, y, x)."""
        valid = np.empty((self.n_samples, *self.Rrs.shape[2:]), dtype=np.bool_)
        for rows in self._parts():
            np.logical_and.reduce(np.isfinite(self.Rrs[rows]), axis=1, out=valid[rows])
        return valid

    def mean_spectrum(self) -> npt.NDArray[np.float64]:
        """Mean over the valid pixels of each patch, shape (sample, n_bands), sr^-1; NaN where none is valid.

        A pixel that lacks one band lends none: a mean of other pixels at each band would have steps in it.
        """
        mean = np.full((self.n_samples, self.n_bands), np.nan)
        for rows in self._parts():
            Rrs = self.Rrs[rows]
            valid = np.logical_and.reduce(np.isfinite(Rrs), axis=1, keepdims=True)  # (sample, 1, y, x)
            total = np.where(valid, Rrs, 0.0).sum(axis=(2, 3), dtype=np.float64)  # (sample, n_bands)
            count = valid.sum(axis=(2, 3))  # (sample, 1)
            np.divide(total, count, out=mean[rows], where=count > 0)
        return mean

    def _parts(self) -> Iterator[slice]:
        """Rows in parts of some megabytes: of a mapped file, no copy is made of all at once."""
        bytes_per_row = max(1, self.Rrs[:1].nbytes)
        step = max(1, PART_BYTES // bytes_per_row)
        return (slice(first, first + step) for first in range(0, self.n_samples, step))

    def select(self, rows: IntArray | BoolArray | slice) -> "Patches":
        """Return the patches of some rows, given as positions, a boolean array or a slice."""
        return Patches(
            Rrs=self.Rrs[rows],
            wavelength=self.wavelength,
            time=self.time[rows],
            station=self.station[rows],
            latitude=self.latitude[rows],
            longitude=self.longitude[rows],
            source=self.source,
            time_bounds=None if self.time_bounds is None else self.time_bounds[rows],
            simulated=self.simulated,
        )


def read_patches(path: Path) -> Patches:
    """Patches of a netCDF-4 file of station patches or of single pixels.

    Parameters
    ----------
    path : Path
        File with ``Rrs(sample, wavelength, y, x)`` or ``Rrs(pixel, wavelength)`` in sr^-1 (in any order of
        dimensions), ``wavelength`` in nm and ``time`` with CF units, in UTC. ``station``, ``latitude`` and
        ``longitude`` are read where present.

    Returns
    -------
    Patches
        Bands sorted by wavelength. Infinite values count as missing; negative ones are kept. Of a file
        that `spectm patches` or `spectm matchups` wrote, ``Rrs`` is mapped and not read: it takes memory only
        where it is looked at.

    Raises
    ------
    PatchError
        If the file is absent, not netCDF-4 or truncated, or if a variable, dimension, unit, wavelength or
        time is not as described.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise PatchError(
            f"wanted a file of patches, found {found} at {path}. Give the path of one netCDF file."
        )
    try:
        mapped = mapped_reflectance(path)
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            if mapped is not None:
                dataset["Rrs"] = (dataset["Rrs"].dims, mapped, dataset["Rrs"].attrs)
            dataset.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise PatchError(
            f"wanted a complete netCDF-4 file with readable times, could not read {path}: {error}. Is the "
            "download complete? Fetch it again; a netCDF-3 file can be converted with `nccopy -k nc4`."
        ) from error
    check_version(dataset.attrs, path)
    return _from_dataset(dataset, path, mapped)


def write_patches(
    patches: Patches,
    path: Path,
    *,
    beside: Mapping[str, tuple[str, npt.NDArray[Any], dict[str, Any]]] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> None:
    """Write patches as a station-patch file, the layout that `read_patches` reads.

    Parameters
    ----------
    patches : Patches
        What to write.
    path : Path
        The file; an older one is replaced once the new one is complete.
    beside : mapping of str to tuple, optional
        More variables: dimension, values and attributes of each.
    attrs : mapping, optional
        More global attributes.
    """
    bounds = {} if patches.time_bounds is None else {"bounds": "time_bnds"}
    dataset = xr.Dataset(
        {"Rrs": (("sample", "wavelength", "y", "x"), patches.Rrs, {"units": "sr-1"})},
        coords={
            "wavelength": ("wavelength", patches.wavelength, {"units": "nm"}),
            "time": ("sample", patches.time, {"long_name": "overpass, UTC"} | bounds),
            "latitude": ("sample", patches.latitude, {"units": "degrees_north"}),
            "longitude": ("sample", patches.longitude, {"units": "degrees_east"}),
            "station": ("sample", patches.station.astype(object)),
        },
        attrs={"Conventions": "CF-1.11", "title": "Patches of reflectance", "source": patches.source}
        | origin_mark(patches.simulated)
        | dict(attrs or {}),
    )
    dataset = dataset.assign(dict(beside or {}))
    if patches.time_bounds is not None:
        dataset["time_bnds"] = ("sample", "bnds"), patches.time_bounds
    whole_seconds = all(
        np.all(times == times.astype("datetime64[s]"))
        for times in (patches.time, patches.first, patches.last)
    )
    unit = "seconds" if whole_seconds else "nanoseconds"  # few programs know nanoseconds
    encoding: dict[str, dict[str, Any]] = {
        "time": {"units": f"{unit} since 1970-01-01", "dtype": "int64"},
        "Rrs": {"zlib": True},
    }
    with replacing(Path(path)) as unfinished:
        dataset.to_netcdf(unfinished, engine="h5netcdf", encoding=encoding)


def partners(patches: Patches, *, lead_days: float = 8.0, tolerance_days: float = 3.0) -> IntArray:
    """Find for each patch the later one at its station that is nearest to a lead time ahead.

    Parameters
    ----------
    patches : Patches
        Patches with station names; one without a name has no partner.
    lead_days : float
        Wanted lead, days.
    tolerance_days : float
        Largest difference from it, days, as exact times and not as calendar days.

    Returns
    -------
    ndarray of int, shape (sample,)
        Position of the partner, -1 where there is none. Both sides need a valid pixel; of two equally near
        partners the earlier one is taken.
    """
    partner = np.full(patches.n_samples, -1, dtype=np.int64)
    usable = patches.valid.any(axis=(1, 2)) & (patches.station != "")
    for station in np.unique(patches.station[usable]):
        rows = np.flatnonzero(usable & (patches.station == station))
        rows = rows[np.argsort(patches.time[rows], kind="stable")]  # so that the first minimum is the earlier
        lead = (patches.time[rows][None, :] - patches.time[rows][:, None]) / np.timedelta64(1, "D")
        miss = np.where(lead > 0, np.abs(lead - lead_days), np.inf)  # (patch, candidate)
        nearest = miss.argmin(axis=1)
        found = miss.min(axis=1) <= tolerance_days
        partner[rows[found]] = rows[nearest[found]]
    return partner


def _from_dataset(dataset: xr.Dataset, path: Path, mapped: npt.NDArray[np.float32] | None = None) -> Patches:
    """Check what was read and put it into the one form."""
    for name in ("Rrs", "wavelength", "time"):
        if name not in dataset.variables:
            raise PatchError(
                f"wanted the variable {name} in {path}, found {sorted(map(str, dataset.variables))}. "
                "Is this a granule or a map? Cut patches from it first."
            )
    _check_units(dataset, "Rrs", PER_STERADIAN, "sr-1", path)
    _check_units(dataset, "wavelength", NANOMETRES, "nm", path)
    Rrs, sample_dim = _reflectance(dataset["Rrs"], path, is_clean=mapped is not None)
    wavelength = _along(dataset, "wavelength", "wavelength", path).astype(np.float64)
    order = _band_order(wavelength, path)
    n_samples = Rrs.shape[0]
    unknown = np.full(n_samples, np.nan)
    return Patches(
        Rrs=Rrs if np.all(np.diff(order) == 1) else Rrs[:, order],
        wavelength=wavelength[order],
        time=_times(dataset, sample_dim, path),
        time_bounds=_bounds(dataset, sample_dim, path),
        station=_stations(dataset, sample_dim, path),
        latitude=_along(dataset, "latitude", sample_dim, path, unknown).astype(np.float64),
        longitude=_along(dataset, "longitude", sample_dim, path, unknown).astype(np.float64),
        source=str(dataset.attrs.get("source", path.name)),
        simulated=is_simulated(dataset.attrs),
    )


def _check_units(dataset: xr.Dataset, name: str, spellings: frozenset[str], wanted: str, path: Path) -> None:
    """Refuse a variable whose unit is missing or another one."""
    found = dataset[name].attrs.get("units")
    if found not in spellings:
        said = "no units" if found is None else f"{found!r}"
        raise PatchError(
            f"wanted {name} in {wanted}, found {said} in {path}. Convert the values, then set "
            f"{name}.attrs['units'] = {wanted!r}."
        )


def _reflectance(Rrs: xr.DataArray, path: Path, is_clean: bool) -> tuple[npt.NDArray[np.float32], str]:
    """Rrs as (sample, wavelength, y, x), and the name of the sample dimension; as it is where it is clean."""
    if set(Rrs.dims) == {"sample", "wavelength", "y", "x"}:
        sample_dim, values = "sample", Rrs.transpose("sample", "wavelength", "y", "x").values
    elif set(Rrs.dims) == {"pixel", "wavelength"}:
        sample_dim, values = "pixel", Rrs.transpose("pixel", "wavelength").values[:, :, None, None]
    else:
        raise PatchError(
            f"wanted Rrs with the dimensions (sample, wavelength, y, x) or (pixel, wavelength), "
            f"found {tuple(Rrs.dims)} in {path}. Rename the dimensions, or cut patches first."
        )
    if values.size == 0 or not np.issubdtype(values.dtype, np.number):
        raise PatchError(
            f"wanted numbers in Rrs, found the shape {values.shape} of {values.dtype} in {path}. "
            "Was the file written from an empty selection?"
        )
    if is_clean:
        return values, sample_dim
    values = values.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return values, sample_dim


def _along(
    dataset: xr.Dataset, name: str, dim: str, path: Path, default: npt.NDArray[Any] | None = None
) -> npt.NDArray[Any]:
    """Values of a variable along one dimension; `default` where the file has no such variable."""
    if default is not None and name not in dataset.variables:
        return default
    if dataset[name].dims != (dim,):
        raise PatchError(
            f"wanted {name} along {(dim,)} only, found the dimensions {tuple(dataset[name].dims)} in {path}. "
            f"Give one {name} for each {dim}."
        )
    return dataset[name].values


def _band_order(wavelength: npt.NDArray[np.float64], path: Path) -> IntArray:
    """Order that sorts the bands; wavelengths must be positive and distinct."""
    if not np.all(np.isfinite(wavelength) & (wavelength > 0)):
        raise PatchError(
            f"wanted positive wavelengths, found missing or other ones in {path}. Drop those bands."
        )
    order = np.argsort(wavelength)
    repeated = np.unique(wavelength[order][1:][np.diff(wavelength[order]) == 0])
    if repeated.size:
        raise PatchError(
            f"wanted distinct wavelengths, found {', '.join(f'{nm:g}' for nm in repeated)} nm more than once "
            f"in {path}. Drop or average the repeated bands."
        )
    return order


def _times(dataset: xr.Dataset, sample_dim: str, path: Path) -> TimeArray:
    """Overpass times; a number without CF units is not a time."""
    values = _along(dataset, "time", sample_dim, path)
    if not np.issubdtype(values.dtype, np.datetime64):
        raise PatchError(
            f"wanted times with CF units such as 'seconds since 2024-01-01', found {values.dtype} in {path}. "
            "Set time.attrs['units'] (UTC, standard calendar)."
        )
    n_missing = int(np.isnat(values).sum())
    if n_missing:
        raise PatchError(
            f"wanted a time for every {sample_dim}, found {n_missing} of {values.size} missing in {path}. "
            "Splits go by time: drop those without."
        )
    return values.astype("datetime64[ns]")


def _bounds(dataset: xr.Dataset, sample_dim: str, path: Path) -> TimeArray | None:
    """What the time's `bounds` attribute points to, which xarray decodes with the units of the time."""
    name = dataset["time"].encoding.get("bounds", dataset["time"].attrs.get("bounds"))
    if name is None or name not in dataset.variables:
        return None
    bounds = dataset[name]
    if bounds.dims[:1] != (sample_dim,) or bounds.shape[1:] != (2,) or bounds.dtype.kind != "M":
        raise PatchError(
            f"wanted {name} as two times for each {sample_dim}, found the dimensions {tuple(bounds.dims)} of "
            f"{bounds.dtype} in {path}. Give it as (sample, 2) with the units of time."
        )
    return bounds.values.astype("datetime64[ns]")


def _stations(dataset: xr.Dataset, sample_dim: str, path: Path) -> StrArray:
    """Station names as plain text, "" where the file has none."""
    names = _along(dataset, "station", sample_dim, path, np.full(dataset.sizes[sample_dim], ""))
    return np.array([name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist()])
