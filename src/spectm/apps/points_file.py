"""A table of places that somebody keeps: read with care, and given back with columns added."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.apps.csv_cells import quoted_text
from spectm.errors import PointsError
from spectm.files import replacing

__all__ = ["PointTable", "read_points", "write_points"]

LATITUDE, LONGITUDE, DATE = ("latitude", "lat"), ("longitude", "lon"), ("date",)
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointTable:
    """Places to estimate.

    Parameters
    ----------
    path : Path
        Where they were read.
    header : tuple of str
        Names of all columns.
    rows : tuple of tuple of str
        All cells, as they were.
    lines : tuple of int
        Line of each row in the file.
    latitude, longitude : ndarray, shape (n,)
        Degrees; NaN where a cell is empty.
    time : ndarray of datetime64[s], shape (n,)
        UTC; not-a-time where there is none.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    latitude: npt.NDArray[np.float64]
    longitude: npt.NDArray[np.float64]
    time: npt.NDArray[np.datetime64]


def read_points(path: Path) -> PointTable:
    """Places of a CSV with columns latitude and longitude, and date where there is one.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte-order mark, commas between cells. Degrees north and east (-180 to 180);
        days or moments as in ISO 8601, UTC where they name no zone. ``lat`` and ``lon`` will do.

    Raises
    ------
    PointsError
        If it is no such table, with the line.
    """
    lines = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        header = next((row for row in lines if row), [])
        first = lines.line_num
        numbered = [(lines.line_num, tuple(row)) for row in lines if row]
    except csv.Error as error:
        raise PointsError(f"{path}, line {lines.line_num}: wanted a CSV, found: {error}.") from error
    if not header:
        raise PointsError(
            f"{path}: wanted a line with the names of columns, found an empty file. Give latitude and "
            "longitude."
        )
    names = [name.strip().lower() for name in header]
    columns = [_column(names, wanted, header, path, first) for wanted in (LATITUDE, LONGITUDE)]
    if not numbered:
        raise PointsError(f"{path}: wanted at least one place below line {first}, found none.")
    for line, row in numbered:
        if len(row) != len(header):
            raise PointsError(
                f"{path}, line {line}: wanted {len(header)} cells as in the header, found {len(row)}. Does a "
                "cell hold a comma, or a number a decimal comma? Put it into quotation marks."
            )
    latitude, longitude = (
        np.array([_number(row[column], header[column], path, line) for line, row in numbered])
        for column in columns
    )
    for (line, _), north, east in zip(numbered, latitude, longitude, strict=True):
        _check_place(north, east, path, line)
    date = next((names.index(name) for name in DATE if name in names), None)
    days = [None if date is None else _moment(row[date], path, line) for line, row in numbered]
    return PointTable(
        path=path,
        header=tuple(header),
        rows=tuple(row for _, row in numbered),
        lines=tuple(line for line, _ in numbered),
        latitude=latitude,
        longitude=longitude,
        time=np.array(days, dtype="datetime64[s]"),
    )


def write_points(
    path: Path, points: PointTable, row: Sequence[int], columns: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Write rows of a table with more columns; cells that a spreadsheet would run are quoted.

    Parameters
    ----------
    path : Path
        CSV to make or replace.
    points : PointTable
        As read.
    row : sequence of int
        Which of its rows each line repeats.
    columns : mapping of str to ndarray
        What is added: numbers with six digits, empty where there is none, and texts.
    """
    added = [_cells(values) for values in columns.values()]
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([quoted_text(name) for name in (*points.header, *columns)])
        for number, i in enumerate(row):
            theirs = [quoted_text(cell) for cell in points.rows[i]]
            writer.writerow([*theirs, *(cells[number] for cells in added)])


def _text(path: Path) -> str:
    """Content of the file, which has to be UTF-8."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise PointsError(f"wanted a CSV of places, found {found} at {path}. Give the path of one file.")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PointsError(
            f"{path}, line {line}: wanted UTF-8, found a byte {content[error.start]:#04x} that is none. Save "
            "it as 'CSV UTF-8'."
        ) from error


def _column(names: Sequence[str], wanted: Sequence[str], header: Sequence[str], path: Path, line: int) -> int:
    """Position of a column by one of its names."""
    found = [i for i, name in enumerate(names) if name in wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise PointsError(f"{path}, line {line}: wanted one column {wanted[0]}, found {len(found)}.")
    for mark, called in DELIMITERS.items():
        if len(header) == 1 and mark in header[0]:
            raise PointsError(
                f"{path}, line {line}: wanted commas between cells, found {called}. Save it with commas."
            )
    raise PointsError(
        f"{path}, line {line}: wanted a column {wanted[0]}, found {', '.join(header)}. Name the columns "
        "in the first line."
    )


def _number(text: str, column: str, path: Path, line: int) -> float:
    """Degrees; NaN where the cell is empty."""
    if text.strip().lower() in MISSING:
        return float("nan")
    try:
        number = float(text)
    except ValueError:
        number = float("inf")
    if not np.isfinite(number):
        raise PointsError(
            f"{path}, line {line}: wanted {column} in decimal degrees such as 41.7, found {text!r}."
        )
    return number


def _check_place(latitude: float, longitude: float, path: Path, line: int) -> None:
    if abs(latitude) > 90:
        swapped = " Are latitude and longitude swapped?" if abs(longitude) <= 90 else ""
        raise PointsError(
            f"{path}, line {line}: wanted a latitude from -90 to 90 degrees, found {latitude:g}.{swapped} "
            "Projected coordinates (metres) have to be turned into degrees first."
        )
    if 180 < longitude <= 360:
        raise PointsError(
            f"{path}, line {line}: wanted a longitude from -180 to 180 degrees, found {longitude:g}. "
            f"Subtract 360: {longitude - 360:g}."
        )
    if abs(longitude) > 180:
        raise PointsError(
            f"{path}, line {line}: wanted a longitude from -180 to 180 degrees, found {longitude:g}. "
            "Projected coordinates (metres) have to be turned into degrees first."
        )


def _moment(text: str, path: Path, line: int) -> np.datetime64:
    """A day or moment as ISO 8601 writes it, UTC."""
    if text.strip().lower() in MISSING:
        return np.datetime64("NaT", "s")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise PointsError(
            f"{path}, line {line}: wanted a date such as 2024-08-12, found {text!r}. Write year, month, day."
        ) from error
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "s")


def _cells(values: npt.NDArray[Any]) -> list[str]:
    if values.dtype.kind == "f":
        return [f"{value:.6g}" if np.isfinite(value) else "" for value in values.tolist()]
    return [quoted_text(str(value)) for value in values.tolist()]
