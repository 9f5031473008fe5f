"""Band lists: named sensors and those read from a CSV; the nearest band; a spectrum on another band list."""

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import BandNotFoundError, SensorError

__all__ = [
    "Sensor",
    "named_sensor",
    "nearest_band",
    "read_sensor",
    "resample",
    "sensor_names",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

# Files keep band centres as float32 or float64; distances are compared to a thousandth of a nm.
DECIMALS_NM = 3

_TABLES = {
    "oci-aop-v3": ("oci_aop_v3_bands.csv", "PACE OCI, L2 OC_AOP V3, Rrs"),
    "oci-sfrefl-v3": ("oci_sfrefl_v3_bands.csv", "PACE OCI, L3M SFREFL V3, rhos"),
    "sentinel-3-olci": ("sentinel_3_olci_bands.csv", "Sentinel-3 OLCI, nominal bands"),
    "sentinel-2-msi": ("sentinel_2_msi_bands.csv", "Sentinel-2 MSI, nominal bands"),
    "even-10nm": ("even_10nm_bands.csv", "no instrument: a band every 10 nm"),
    "even-20nm": ("even_20nm_bands.csv", "no instrument: a band every 20 nm"),
}
_COLUMNS = ("wavelength_nm", "width_nm")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sensor:
    """Band centres and widths of one product, with where they come from.

    Parameters
    ----------
    name : str
        Short name, for messages and tables.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, strictly increasing.
    width_nm : ndarray, shape (n_bands,)
        Full width of each band at half maximum, nm.
    source : str
        Product, file or paper.

    Raises
    ------
    SensorError
        If there is no band, the shapes differ, or a value is not finite, not positive or out of order.
    """

    name: str
    wavelength: FloatArray
    width_nm: FloatArray
    source: str = ""

    def __post_init__(self) -> None:
        for field in ("wavelength", "width_nm"):
            values = np.array(getattr(self, field), dtype=np.float64)  # a copy, so that it can be locked
            if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values) & (values > 0)):
                raise SensorError(
                    f"sensor {self.name!r}: {field} must be a list of positive numbers in nm, found shape "
                    f"{values.shape}, values {np.array2string(values, threshold=6)}"
                )
            values.setflags(write=False)
            object.__setattr__(self, field, values)
        if self.wavelength.shape != self.width_nm.shape:
            raise SensorError(
                f"sensor {self.name!r} has {self.wavelength.size} band centres but {self.width_nm.size} "
                "widths; give one width for each band"
            )
        steps = np.diff(self.wavelength)
        if not np.all(steps > 0):
            band = int(np.argmax(steps <= 0))
            raise SensorError(
                f"sensor {self.name!r}: band centres must increase, but {self.wavelength[band]:g} nm is "
                f"followed by {self.wavelength[band + 1]:g} nm; sort them and drop duplicates"
            )

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return int(self.wavelength.size)


def sensor_names() -> tuple[str, ...]:
    """Names that `named_sensor` knows."""
    return tuple(_TABLES)


def named_sensor(name: str) -> Sensor:
    """Band list that ships with the package.

    Parameters
    ----------
    name : str
        One of `sensor_names()`: "oci-aop-v3" (172 bands, 346-719 nm), "oci-sfrefl-v3" (122 bands,
        346-2258 nm), "sentinel-3-olci" (21), "sentinel-2-msi" (13), and the made-up "even-10nm" and
        "even-20nm" (to 719 nm).

    Returns
    -------
    Sensor

    Raises
    ------
    SensorError
        If the name is unknown; the message suggests the nearest one.

    Examples
    --------
    >>> named_sensor("oci-aop-v3").n_bands
    172
    """
    if name not in _TABLES:
        near = difflib.get_close_matches(name, _TABLES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SensorError(
            f"no sensor named {name!r}; {hint}Known: {', '.join(_TABLES)}. "
            "For another one, give a CSV with columns wavelength_nm and width_nm"
        )
    table, source = _TABLES[name]
    text = files("spectm.spectral").joinpath("tables", table).read_text(encoding="utf-8")
    return _parse(text, where=table, name=name, source=source)


def read_sensor(path: Path) -> Sensor:
    """Band list from a CSV file.

    Parameters
    ----------
    path : Path
        Comma-separated text with a header that names `wavelength_nm` and `width_nm`; rows in increasing order
        of wavelength. Other columns and lines that begin with `#` are ignored.

    Returns
    -------
    Sensor
        Named after the file.

    Raises
    ------
    SensorError
        If the file can't be read, or holds a missing column, an empty or non-numeric cell, a duplicate or an
        unsorted band; the message names file, line and column.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # -sig: spreadsheets put a byte-order mark in front
    except OSError as error:
        raise SensorError(f"can't read the band list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SensorError(f"the band list {path} is not UTF-8 text; save it as plain CSV") from error
    return _parse(text, where=str(path), name=path.stem, source=str(path))


def _rows(text: str, where: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row of a band list, by the names in its header."""
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip(" \t,") and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise SensorError(
            f"{where} is empty; expected a header wavelength_nm,width_nm and one row for each band"
        )
    header = [cell.strip() for cell in next(csv.reader([lines[0][1]]))]
    for column in _COLUMNS:
        if header.count(column) != 1:
            raise SensorError(
                f"{where}, line {lines[0][0]}: expected one column named {column}, found the header "
                f"{', '.join(header)}; columns are separated by commas"
            )
    for number, line in lines[1:]:
        row = next(csv.reader([line]))
        if len(row) > len(header):
            raise SensorError(
                f"{where}, line {number}, column {len(header) + 1}: {len(row)} cells under a header of "
                f"{len(header)}; use a point as decimal sign"
            )
        yield number, dict(zip(header, row, strict=False))


def _number(cell: str, where: str) -> float:
    """Value of one cell: a finite number above zero."""
    try:
        value = float(cell)
    except ValueError:
        found = f"found {cell!r}" if cell.strip() else "found an empty cell"
        raise SensorError(f"{where}: expected a number in nm, {found}") from None
    if not (np.isfinite(value) and value > 0):
        raise SensorError(f"{where}: expected a positive number in nm, found {cell.strip()}")
    return value


def _parse(text: str, *, where: str, name: str, source: str) -> Sensor:
    """Sensor from the text of a band list; `where` is the file that messages name."""
    bands: dict[str, list[float]] = {column: [] for column in _COLUMNS}
    lines: list[int] = []
    for line, row in _rows(text, where):
        for column in _COLUMNS:
            bands[column].append(_number(row.get(column, ""), f"{where}, line {line}, column {column}"))
        lines.append(line)
        centres = bands["wavelength_nm"]
        if len(centres) > 1 and centres[-1] <= centres[-2]:
            fault = "is there twice" if centres[-1] == centres[-2] else "is out of order"
            raise SensorError(
                f"{where}, line {line}, column wavelength_nm: {centres[-1]:g} nm {fault}, after "
                f"{centres[-2]:g} nm on line {lines[-2]}; sort the bands by wavelength, each one once"
            )
    if not lines:
        raise SensorError(f"{where} holds a header but no band; expected one row for each band")
    return Sensor(
        name=name,
        wavelength=np.array(bands["wavelength_nm"]),
        width_nm=np.array(bands["width_nm"]),
        source=source,
    )


def nearest_band(wavelength: FloatArray, target_nm: float, *, tolerance_nm: float = 5.0) -> int:
    """Position of the band whose centre is nearest to a wanted wavelength.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm, in any order.
    target_nm : float
        Wanted centre, nm. Where two bands are equally near, the shorter one wins.
    tolerance_nm : float
        Largest distance accepted, nm.

    Returns
    -------
    int

    Raises
    ------
    BandNotFoundError
        If no band lies within `tolerance_nm`.

    Examples
    --------
    >>> nearest_band(np.array([705.0, 707.0, 709.0]), 708)
    1
    """
    wavelength = np.asarray(wavelength, dtype=np.float64)
    if wavelength.size == 0:
        raise BandNotFoundError(
            f"no band within {tolerance_nm:g} nm of {target_nm:g} nm: the band list is empty"
        )
    distance = np.abs(wavelength - target_nm).round(DECIMALS_NM)
    band = int(np.lexsort((wavelength, distance))[0])
    if not distance[band] <= tolerance_nm:  # written so that NaN fails too
        raise BandNotFoundError(
            f"no band within {tolerance_nm:g} nm of {target_nm:g} nm; the nearest of {wavelength.size} bands "
            f"is {wavelength[band]:.1f} nm. Is this the right sensor, and are wavelengths in nm?"
        )
    return band


def resample(spectrum: FloatArray, wavelength: FloatArray, target_wavelength: FloatArray) -> FloatArray:
    """Spectrum at other wavelengths, by linear interpolation between neighbouring bands.

    Parameters
    ----------
    spectrum : ndarray, shape (..., n_bands)
        Values in any unit. NaN means missing.
    wavelength : ndarray, shape (n_bands,)
        Band centres of the spectrum, nm, strictly increasing.
    target_wavelength : ndarray, shape (n_targets,)
        Wanted centres, nm, in any order.

    Returns
    -------
    ndarray, shape (..., n_targets)
        NaN where a band that the target needs is NaN (a target on a band centre needs that band alone), and
        beyond the first or last band by more than half the step between the two bands at that end. Up to
        there the line through these two is followed. Gaps inside the list are bridged, however wide.

    Raises
    ------
    SensorError
        If shapes do not fit or the band centres do not increase.

    Notes
    -----
    Band widths are not used: right where the bands are no wider than their spacing asks for, as on OCI.

    Examples
    --------
    >>> wavelength = np.array([500.0, 510.0, 520.0])
    >>> resample(np.array([1.0, 2.0, 4.0]), wavelength, np.array([505.0, 510.0, 524.0, 526.0]))
    array([1.5, 2. , 4.8, nan])
    """
    spectrum, wavelength = np.asarray(spectrum), check_wavelength(spectrum, wavelength)
    left, right, share = interpolation(wavelength, np.asarray(target_wavelength, dtype=np.float64))
    low, high = spectrum[..., left], spectrum[..., right]  # (..., n_targets)
    between = low + share * (high - low)
    return np.where(share == 0, low, np.where(share == 1, high, between))


def check_wavelength(spectrum: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Band centres as float64, once they are known to increase and to fit the last axis of a spectrum."""
    wavelength = np.asarray(wavelength, dtype=np.float64)
    if wavelength.ndim != 1 or np.shape(spectrum)[-1:] != wavelength.shape:
        raise SensorError(
            f"the last axis of a spectrum must hold one value for each band; found a spectrum of shape "
            f"{np.shape(spectrum)} and wavelengths of shape {wavelength.shape}. Is the band axis last?"
        )
    if not np.all(np.diff(wavelength) > 0):
        raise SensorError(
            "band centres must increase, without duplicates; sort the bands of spectrum and wavelength"
        )
    return wavelength


def interpolation(wavelength: FloatArray, target: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Left and right band of each target and the share of the right one; NaN share beyond reach.

    A share below 0 or above 1 extends the line at an end of the list. Three arrays of shape (n_targets,).
    """
    if wavelength.size == 1:
        zero = np.zeros(target.shape, dtype=np.intp)
        return zero, zero, np.where(np.abs(target - wavelength[0]).round(DECIMALS_NM) == 0, 0.0, np.nan)
    left = np.clip(np.searchsorted(wavelength, target, side="right") - 1, 0, wavelength.size - 2)
    right = left + 1
    share = (target - wavelength[left]) / (wavelength[right] - wavelength[left])
    return left, right, np.where((share >= -0.5) & (share <= 1.5), share, np.nan)
