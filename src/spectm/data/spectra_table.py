"""Tables of spectra (CSV, Excel, NetCDF, Zarr) by their description -> spectra with their target."""

import csv
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spectm.config import read_settings
from spectm.data import cells
from spectm.data.cells import Place, Problem
from spectm.data.patches import NANOMETRES, PER_STERADIAN, Patches
from spectm.data.spectra_file import Description, Spectra
from spectm.errors import LabelError, OpticsError, SpectraError
from spectm.spectral.optics import band_average
from spectm.spectral.sensors import Sensor, named_sensor, read_sensor, sensor_names

__all__ = ["described_spectra", "sensor_of"]

FloatArray = npt.NDArray[np.floating[Any]]
StrArray = npt.NDArray[np.str_]

NEAREST_NM = 0.5  # columns are named by whole nanometres, centres are published with decimals
FIRST_DAY = np.datetime64("1970-01-01", "ns")
MOST_REFLECTANCE = 10.0  # no surface sends back as much, in whatever unit of the two
DIMENSIONLESS = frozenset({"1", "", "dimensionless", "none"})
TABLES, EXCEL = (".csv", ".txt"), (".xlsx", ".xls")


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """One file as read: reflectance as it stands there, and the other columns as text."""

    name: str
    wavelength: FloatArray
    Rrs: FloatArray  # (n, n_bands)
    columns: pd.DataFrame


def described_spectra(path: Path, folder: Path | None = None) -> tuple[Spectra, pd.DataFrame]:
    """Spectra of the tables that a description names.

    Parameters
    ----------
    path : Path
        TOML, see `spectm.data.spectra_file.Description`.
    folder : Path, optional
        Where the files of spectra lie; beside the description without it.

    Returns
    -------
    tuple
        The spectra, in the order of the files; and what was not taken as written: file, line, column, value,
        why.

    Raises
    ------
    ConfigError
        If the description can't be read.
    SpectraError
        If a file, a column or a band is missing, or a cell holds what can't be.
    SensorError
        If the band list can't be read.
    """
    description = read_settings(Description, path)
    sensor = sensor_of(description, path.parent)
    problems: list[Problem] = []
    parts = [
        _spectra(_read(file, description), sensor, description, problems)
        for file in _files(description, path, folder or path.parent)
    ]
    together = _joined(parts)
    if together.patches.n_samples == 0:
        raise SpectraError(f"{path}: wanted spectra, found headers alone. Are these the right files?")
    _check_distinct(together.sample, path)
    return together, pd.DataFrame(problems, columns=["file", "line", "column", "value", "why"])


def sensor_of(description: Description, folder: Path) -> Sensor:
    """Band list of a description: one that ships, or a file beside it."""
    bands = description.sensor.bands
    return named_sensor(bands) if bands in sensor_names() else read_sensor(folder / bands)


def _files(description: Description, path: Path, folder: Path) -> list[Path]:
    found: list[Path] = []
    for pattern in description.spectra.files:
        try:
            here = [Path(pattern)] if Path(pattern).is_absolute() else sorted(folder.glob(pattern))
        except (NotImplementedError, ValueError):  # an empty pattern, and what glob can't read
            here = []
        if not here or not all(one.exists() for one in here):
            raise SpectraError(
                f"{path}: wanted spectra in {pattern!r} in {folder}; found no such file. Check "
                "spectra.files, or give their folder."
            )
        found += here
    if not found:
        raise SpectraError(f"{path}: wanted spectra.files = [...], found none. Name at least one file.")
    return found


def _read(file: Path, description: Description) -> _Table:
    """Rows of one file."""
    suffix = file.suffix.lower()
    try:
        if suffix in TABLES:
            return _of_columns(file, _csv(file), description)
        if suffix in EXCEL:
            sheet = description.spectra.sheet or 0
            table = pd.read_excel(file, sheet_name=sheet, dtype=str, keep_default_na=False)
            return _of_columns(file, table, description)
        if suffix == ".zarr":
            with xr.open_zarr(file) as dataset:
                return _of_dataset(file, dataset, description)
        with xr.open_dataset(file, engine="h5netcdf") as dataset:
            return _of_dataset(file, dataset, description)
    except ImportError as error:
        raise SpectraError(f"{file}: reading it wants {error.name}: pip install {error.name}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, SpectraError):
            raise
        raise SpectraError(
            f"{file}: wanted a table of spectra (CSV, Excel, NetCDF-4 or Zarr), could not read it: {error}"
        ) from error


def _csv(file: Path) -> pd.DataFrame:
    """A CSV file as text; a header that names a column twice, or a line that is longer, is refused."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        header = [cell.strip() for cell in next(csv.reader(lines), [])]
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise SpectraError(f"{file}: wanted each column once, found {twice[0]!r} twice. Rename one of them.")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(file, dtype=str, keep_default_na=False, index_col=False)
        except pd.errors.ParserWarning:
            raise SpectraError(
                f"{file}: wanted as many cells in each line as the header has, {len(header)}; found longer "
                "lines. Is there a comma too many?"
            ) from None


def _of_columns(file: Path, table: pd.DataFrame, description: Description) -> _Table:
    """A table whose columns are bands, and others."""
    before, _, after = description.spectra.band_column.partition("{nm}")
    bands: dict[float, str] = {}
    for column in map(str, table.columns):
        inner = column.strip().removeprefix(before).removesuffix(after)
        if column.strip() == before + inner + after and (nm := _nm(inner)) is not None:
            if nm in bands:
                raise SpectraError(
                    f"{file}: the band {nm:g} nm is there twice, as {bands[nm]!r} and {column!r}."
                )
            bands[nm] = column
    if not bands:
        raise SpectraError(
            f"{file}: wanted columns of bands called like {description.spectra.band_column!r}, found "
            f"{', '.join(map(str, table.columns[:8]))}. Set spectra.band_column, such as 'Rrs_{{nm}}'."
        )
    table.columns = pd.Index([str(column) for column in table.columns])
    wavelength = np.array(sorted(bands))
    columns = [bands[nm] for nm in wavelength]
    Rrs = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    strange = (
        ~np.isfinite(Rrs) & ~table[columns].map(lambda cell: cell.strip().lower() in ("", "nan")).to_numpy()
    )
    if strange.any():
        row, band = (int(i) for i in np.argwhere(strange)[0])
        raise SpectraError(
            f"{file}, line {row + 2}, column {columns[band]!r}: wanted a number, found "
            f"{table[columns[band]].iloc[row]!r}. Correct the cell, or leave it blank."
        )
    _check_size(file, Rrs)
    return _Table(file.name, wavelength, Rrs, table.drop(columns=columns))


def _check_size(file: Path, Rrs: FloatArray) -> None:
    """Refuse what no reflectance is, such as the -9999 that stands for missing."""
    wild = np.abs(np.where(np.isnan(Rrs), 0.0, Rrs)) > MOST_REFLECTANCE
    if wild.any():
        row, band = (int(i) for i in np.argwhere(wild)[0])
        raise SpectraError(
            f"{file}, spectrum {row + 1}: wanted reflectance, found {Rrs[row, band]:g}. Leave blank what is "
            "missing, and divide percent by 100."
        )


def _nm(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _of_dataset(file: Path, dataset: xr.Dataset, description: Description) -> _Table:
    """A dataset with reflectance over (sample, wavelength), and other variables over sample."""
    name = description.spectra.variable
    if name not in dataset or "wavelength" not in dataset.variables:
        raise SpectraError(
            f"{file}: wanted the variables {name!r} and 'wavelength', found "
            f"{sorted(map(str, dataset.variables))}. "
            "Set spectra.variable, and give wavelength in nm."
        )
    Rrs = dataset[name]
    others = [dim for dim in Rrs.dims if dim != "wavelength"]
    if len(others) != 1 or "wavelength" not in Rrs.dims:
        raise SpectraError(
            f"{file}: wanted {name} over (sample, wavelength), found the dimensions {Rrs.dims}."
        )
    _check_units(file, dataset, name, description.spectra.quantity)
    _check_size(file, Rrs.values)
    sample = others[0]
    order = np.argsort(dataset["wavelength"].values)
    columns = {
        str(key): [_text(value) for value in variable.values]
        for key, variable in dataset.variables.items()
        if variable.dims == (sample,)
    }
    return _Table(
        file.name,
        dataset["wavelength"].values.astype(np.float64)[order],
        Rrs.transpose(sample, "wavelength").values.astype(np.float64)[:, order],
        pd.DataFrame(columns, index=range(Rrs.sizes[sample])),
    )


def _check_units(file: Path, dataset: xr.Dataset, name: str, quantity: str) -> None:
    """Refuse units that are stated and are others."""
    wanted = PER_STERADIAN if quantity == "Rrs" else DIMENSIONLESS
    for variable, known in ((name, wanted), ("wavelength", NANOMETRES)):
        found = dataset[variable].attrs.get("units")
        if found is not None and found not in known:
            raise SpectraError(
                f"{file}: wanted {variable} in {sorted(known)[0]!r}, found {found!r}. Convert it, and set "
                "its units; or set spectra.quantity."
            )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value.astype("datetime64[s]"))
    return "" if isinstance(value, float | np.floating) and np.isnan(value) else str(value)


def _spectra(table: _Table, sensor: Sensor, description: Description, problems: list[Problem]) -> Spectra:
    """Spectra of one file on the bands of the sensor."""
    said, n = description.spectra, len(table.Rrs)
    numbers = [str(line) for line in range(2, n + 2)]
    sample = _column(table, said.sample, "sample", numbers)
    group = _column(table, said.group, "group", [f"{table.name}:{line}" for line in numbers])
    for column, cells_ in ((said.sample, sample), (said.group, group)):
        if column and (cells_ == "").any():
            raise SpectraError(
                f"{table.name}, line {int(np.argmax(cells_ == '')) + 2}, column {column!r}: wanted a name, "
                "found nothing. Name every spectrum and its group."
            )
    time = _times(table, said.time)
    value, below = _targets(table, description, problems)
    Rrs = _on_bands(table, sensor, description.sensor.method)
    if said.quantity == "reflectance":
        Rrs = Rrs / np.pi  # of a surface that scatters evenly: reflectance = pi Rrs
    patches = Patches(
        Rrs=Rrs.astype(np.float32)[:, :, None, None],
        wavelength=np.array(sensor.wavelength),
        time=time if time is not None else np.full(n, FIRST_DAY),
        station=group,
        latitude=_degrees(table, said.latitude, 90.0, problems),
        longitude=_degrees(table, said.longitude, 180.0, problems),
        source=said.source or table.name,
        simulated=said.simulated,
    )
    return Spectra(
        patches=patches,
        sample=sample if said.sample else np.array([f"{table.name}:{one}" for one in sample]),
        group=group,
        value=value,
        below=below,
        target=description.target,
        has_time=time is not None,
    )


def _column(table: _Table, name: str, what: str, default: Sequence[str]) -> StrArray:
    """A column as text; the default where none is named."""
    if not name:
        return np.array(default, dtype=np.str_)
    if name not in table.columns:
        raise SpectraError(
            f"{table.name}: wanted the column {name!r} (spectra.{what}), found "
            f"{', '.join(map(str, table.columns.columns[:12])) or 'none beside the bands'}."
        )
    return table.columns[name].astype(str).str.strip().to_numpy(dtype=np.str_)


def _times(table: _Table, name: str) -> npt.NDArray[np.datetime64] | None:
    if not name:
        return None
    text = pd.Series(_column(table, name, "time", []))
    found = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    if found.isna().any():
        row = int(found.isna().argmax())
        raise SpectraError(
            f"{table.name}, line {row + 2}, column {name!r}: wanted a date or time such as 2024-08-12 or "
            f"2024-08-12T17:53, found {text[row]!r}."
        )
    return found.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")


def _degrees(table: _Table, name: str, most: float, problems: list[Problem]) -> npt.NDArray[np.float64]:
    text = _column(table, name, "latitude or longitude", ["nan"] * len(table.Rrs))
    places = [Place(table.name, line, name, problems) for line in range(2, len(text) + 2)]
    return np.array(
        [
            _said(cells.number, cell, place, low=-most, high=most)
            for cell, place in zip(text, places, strict=True)
        ]
    )


def _targets(
    table: _Table, description: Description, problems: list[Problem]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Values and whether they are below detection; what lies below the limit counts as below detection."""
    target, n = description.target, len(table.Rrs)
    if not target.column:
        return np.full(n, np.nan), np.zeros(n, dtype=np.bool_)
    limit = target.detection_limit
    found = [
        _said(
            cells.quantity,
            _measured(cell, limit),
            Place(table.name, line, target.column, problems),
            limit=limit,
        )
        for line, cell in enumerate(_column(table, target.column, "target.column", []), start=2)
    ]
    value = np.array([one for one, _ in found])
    below = np.array([is_below for _, is_below in found], dtype=np.bool_) | (value < limit)
    return np.where(below, np.maximum(value, limit), value), below


def _measured(cell: str, limit: float) -> str:
    """The cell; a zero is below detection, where a limit is declared."""
    try:
        return f"<{limit!r}" if float(cell) == 0 else str(cell)
    except ValueError:
        return str(cell)


def _said(read: Any, cell: str, place: Place, **options: Any) -> Any:
    """A cell read, its error that of a table of spectra."""
    try:
        return read(cell, place, **options)
    except LabelError as error:
        raise SpectraError(str(error)) from None


def _on_bands(table: _Table, sensor: Sensor, method: str) -> FloatArray:
    """Reflectance on the sensor's bands, shape (n, n_bands)."""
    if method == "average":
        return _averaged(table, sensor)
    apart = np.abs(table.wavelength[:, None] - sensor.wavelength).round(3)  # (column, band)
    lacking = apart.min(axis=0) > NEAREST_NM
    if lacking.any():
        missing = ", ".join(f"{nm:g}" for nm in sensor.wavelength[lacking][:8])
        raise SpectraError(
            f"{table.name}: wanted the {sensor.n_bands} bands of {sensor.name}, found no column within "
            f"{NEAREST_NM:g} nm of {missing} nm; columns reach from {table.wavelength[0]:g} to "
            f"{table.wavelength[-1]:g} nm. Leave these bands out of the band list, or, of finer spectra, set "
            'sensor.method = "average".'
        )
    return table.Rrs[:, apart.argmin(axis=0)]


def _averaged(table: _Table, sensor: Sensor) -> FloatArray:
    """Means over the width of each band; NaN where a column that a band needs is missing."""
    for centre, width in zip(sensor.wavelength, sensor.width_nm, strict=True):
        low, high = centre - width / 2, centre + width / 2
        first = max(int(np.searchsorted(table.wavelength, low, side="right")) - 1, 0)
        last = int(np.searchsorted(table.wavelength, high, side="left"))
        near = table.wavelength[first : last + 1]
        inside = ((near >= low) & (near <= high)).any()
        if not inside or np.diff(near, prepend=near[0]).max() > width:
            raise SpectraError(
                f"{table.name}: wanted columns finer than the band of {width:g} nm at {centre:g} nm, found "
                f"{', '.join(f'{nm:g}' for nm in near[:5])} nm there. Set sensor.method to nearest, or leave "
                "the band out."
            )
    gap = np.isnan(table.Rrs)
    try:
        mean = band_average(np.where(gap, 0.0, table.Rrs), table.wavelength, sensor, response="square")
        lacking = band_average(gap.astype(np.float64), table.wavelength, sensor, response="square")
    except OpticsError as error:
        raise SpectraError(f"{table.name}: {error}. Leave these bands out of the band list.") from None
    return np.where(lacking > 0, np.nan, mean)


def _joined(parts: Sequence[Spectra]) -> Spectra:
    """Spectra of several files, one after the other; without times each group gets a day of its own."""
    patches = [part.patches for part in parts]
    group = np.concatenate([part.group for part in parts])
    has_time = all(part.has_time for part in parts)
    time = np.concatenate([one.time for one in patches])
    if not has_time:  # days apart, so that no group is taken for another one's future
        time = FIRST_DAY + np.unique(group, return_inverse=True)[1] * np.timedelta64(1, "D")
    return Spectra(
        patches=Patches(
            Rrs=np.concatenate([one.Rrs for one in patches]),
            wavelength=patches[0].wavelength,
            time=time.astype("datetime64[ns]"),
            station=group,
            latitude=np.concatenate([one.latitude for one in patches]),
            longitude=np.concatenate([one.longitude for one in patches]),
            source="; ".join(dict.fromkeys(one.source for one in patches)),
            simulated=any(one.simulated for one in patches),
        ),
        sample=np.concatenate([part.sample for part in parts]),
        group=group,
        value=np.concatenate([part.value for part in parts]),
        below=np.concatenate([part.below for part in parts]),
        target=parts[0].target,
        has_time=has_time,
    )


def _check_distinct(sample: StrArray, path: Path) -> None:
    names, count = np.unique(sample, return_counts=True)
    if (count > 1).any():
        raise SpectraError(
            f"{path}: wanted a name of its own for each spectrum, found {str(names[count > 1][0])!r} "
            f"{int(count.max())} times. Set spectra.sample to another column, or leave it out: then "
            f"names are "
            "file and line."
        )
