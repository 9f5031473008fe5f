"""Laboratory records of several layouts -> one tidy table, and a list of what was not taken as written."""

import codecs
import csv
import io
import math
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pandas as pd

from spectm.data import cells
from spectm.data.cells import Place, Problem
from spectm.data.layouts import LAYOUTS, PLAIN, QUANTITIES, UNITS, Layout, plain_header
from spectm.data.origin import SIMULATED, same_origin
from spectm.errors import LabelError

DUPLICATE = "same station, time, category and depth as an earlier row: both kept"
NOT_READ = "a column this layout does not know: not read"
NO_CATEGORY = "no category: counts as neither surface nor bottom"

TABLE_COLUMNS = (
    *("station", "time", "time_known", "date", "category", "depth_m", "latitude", "longitude"),
    *QUANTITIES,
    *(f"{quantity}_below_detection" for quantity in QUANTITIES),
    *("file", "line"),
)
_PROBLEM_COLUMNS = ("file", "line", "column", "value", "why")
_LIMITS = {"depth_m": (0.0, 12_000.0), "latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0)}
_SURFACE_DEPTH_M = 2.0
ORIGIN_COLUMN = "source"  # in which a simulated record says what it is


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A laboratory record.

    Attributes
    ----------
    table : DataFrame
        One row per laboratory sample, sorted by time and station: the columns `TABLE_COLUMNS`, in the units
        of `UNITS` (also in `table.attrs["units"]`). A value below detection holds the limit, and True in
        `<quantity>_below_detection`; NaN was not measured. `time` is UTC, `date` the local day.
    problems : DataFrame
        What was not taken as written: file, line, column, value, why.
    simulated : bool
        Whether the column `source` of its files says so.
    """

    table: pd.DataFrame
    problems: pd.DataFrame
    simulated: bool = False

    @property
    def n_dropped(self) -> int:
        """Number of values that could not be read and were left out."""
        return int(self.problems["why"].str.endswith(": dropped").sum())

    def summary(self) -> str:
        """Return one line to print: samples, files, values dropped, and other things to look at."""
        n_files, n_notes = self.table["file"].nunique(), len(self.problems) - self.n_dropped
        dropped = f"values dropped {self.n_dropped}, notes {n_notes}"
        return f"samples {len(self.table)}, files {n_files}, {dropped}"


def read_labels(path: Path) -> Labels:
    """Laboratory samples of one CSV file, or of all CSV files of a folder.

    Parameters
    ----------
    path : Path
        A file, or a folder whose `*.csv` are all read. Each file's layout is told by its header: three of
        NOAA GLERL, and the plain one of `docs/labels.md`.

    Returns
    -------
    Labels
        The tidy table, and the list of what was not taken as written.

    Raises
    ------
    LabelError
        If there is no CSV file, a file is empty or of unknown layout, or a cell holds what can't be: a
        negative concentration, an impossible date, time or place.
    OriginError
        If some samples are simulated and others are not.
    """
    problems: list[Problem] = []
    origins: list[tuple[str, bool]] = []
    rows = [row for file in _files(Path(path)) for row in _read_file(file, problems, origins)]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    table["time"] = pd.to_datetime(table["time"], utc=True).dt.as_unit("ns")
    table = table.sort_values(["time", "station", "file", "line"], kind="stable", ignore_index=True)
    table.attrs["units"] = dict(UNITS)
    _report_duplicates(table, problems)
    return Labels(table, pd.DataFrame(problems, columns=list(_PROBLEM_COLUMNS)), same_origin(origins))


def surface_samples(labels: Labels) -> pd.DataFrame:
    """Rows of the table that a satellite can be compared with: surface, less than 2 m deep, never scum.

    Parameters
    ----------
    labels : Labels
        A laboratory record.

    Returns
    -------
    DataFrame
        Those rows, with the index they have in `labels.table`. An unknown depth counts as surface where the
        category says so.
    """
    table = labels.table
    shallow = table["depth_m"].isna() | (table["depth_m"] < _SURFACE_DEPTH_M)
    return table[(table["category"] == "surface") & shallow]


def station_positions(labels: Labels) -> pd.DataFrame:
    """Where each station lies: the median of the positions written down for it.

    Parameters
    ----------
    labels : Labels
        A laboratory record.

    Returns
    -------
    DataFrame
        Index `station`, sorted; columns latitude and longitude (degrees, NaN where never written down) and
        n_samples (how many say so).

    Notes
    -----
    A position is the boat's, so it moves by some 100 m, and single ones are mistyped: WE2 in May 2012 by 0.75
    degrees, WE13 once in 2022 by 2. A median over the whole record is not moved by those; a mean would be.
    """
    known = labels.table.groupby("station")[["latitude", "longitude"]]
    return known.median().assign(n_samples=known.count().min(axis=1))


def _files(path: Path) -> list[Path]:
    """Return the CSV files that `path` stands for."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise LabelError(
            f"{path}: wanted a CSV file or a folder of them, found nothing there. Check the path."
        )
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".csv" and file.is_file())
    files = [file for file in files if not file.name.startswith(".")]  # "._a.csv" is an archive's leftover
    if not files:
        raise LabelError(
            f"{path}: wanted a folder with laboratory files (*.csv), found none in it. "
            "Name the folder that holds them itself; folders inside it are not searched."
        )
    return files


def _read_file(
    file: Path, problems: list[Problem], origins: list[tuple[str, bool]]
) -> list[dict[str, object]]:
    """Return the rows of one file; what is not taken as written goes to `problems`."""
    text, foreign_line = _decoded(file.read_bytes())
    records = _records(text, file.name)
    if not records:
        raise LabelError(f"{file.name}, line 1: wanted a header, found an empty file. Remove or refill it.")
    first_line, names = records[0]
    header = plain_header(names)
    layout = _layout(header, file.name, first_line)
    if layout is PLAIN:
        if foreign_line is not None:
            raise LabelError(
                f"{file.name}, line {foreign_line}: wanted UTF-8, found other bytes. Save it so."
            )
        _check_plain(header, file.name, first_line, problems)
    positions = layout.positions(header)
    source = header.index(ORIGIN_COLUMN) if ORIGIN_COLUMN in header else None
    rows = []
    for line, record in records[1:]:
        _check_width(record, header, file.name, line)
        texts = {column: record[position].strip() for column, position in positions.items()}
        places = {
            column: Place(file.name, line, names[position].strip(), problems)
            for column, position in positions.items()
        }
        rows.append(_row(texts, places, layout))
        made_up = source is not None and record[source].strip().lower() == SIMULATED
        origins.append((f"{file.name}, line {line}", made_up))
    if not rows:
        raise LabelError(f"{file.name}, line {first_line + 1}: wanted samples, found a header alone.")
    return rows


def _decoded(raw: bytes) -> tuple[str, int | None]:
    """Return the text of a file, and the line where it stops being UTF-8; GLERL writes Latin-1."""
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return raw.decode("latin-1"), raw[: error.start].count(b"\n") + 1


def _records(text: str, file: str) -> list[tuple[int, list[str]]]:
    """Return the lines that hold anything, cut into cells, each with the line number it starts at."""
    reader = csv.reader(io.StringIO(text, newline=""))
    records, start = [], 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):  # spreadsheets leave lines of bare commas behind
                records.append((start, record))
            start = reader.line_num + 1
    except csv.Error as error:
        raise LabelError(f"{file}, line {start}: wanted comma-separated values, found {error}.") from error
    return records


def _layout(header: list[str], file: str, line: int) -> Layout:
    """Return the layout that `header` belongs to."""
    for layout in LAYOUTS:
        if not layout.missing(header):
            _check_once(header, layout, file, line)
            return layout
    nearest = min(LAYOUTS, key=lambda layout: len(layout.missing(header)) / len(layout.required))
    names = ", ".join(layout.name for layout in LAYOUTS)
    raise LabelError(
        f"{file}, line {line}: wanted the header of a known layout ({names}), found "
        f"{', '.join(header)[:300]!r}. The nearest is {nearest.name!r}, which also needs the columns "
        f"{nearest.missing(header)}. The plain layout is described in docs/labels.md."
    )


def _check_once(header: list[str], layout: Layout, file: str, line: int) -> None:
    """Refuse a header that names a column twice which is to be read."""
    for position in layout.positions(header).values():
        name = header[position]
        if header.count(name) > 1:
            raise LabelError(
                f"{file}, line {line}, column {name!r}: wanted it once, found it {header.count(name)} times. "
                "Remove or rename the one that is not meant."
            )


def _check_plain(header: list[str], file: str, line: int, problems: list[Problem]) -> None:
    """Refuse a plain file without a moment; report the columns that it has and nobody reads."""
    if not ({"date", "timezone"} <= set(header) or ("time" in header and "date" not in header)):
        raise LabelError(
            f"{file}, line {line}, column 'time': wanted a column 'time' (ISO 8601 with an offset), or "
            f"'date' and 'timezone' (IANA name), found {', '.join(header)[:300]!r}. See docs/labels.md."
        )
    known = PLAIN.positions(header)
    problems.extend(
        Problem(file=file, line=line, column=name, value="", why=NOT_READ)
        for name in header
        if name not in known and name != ORIGIN_COLUMN
    )


def _check_width(record: list[str], header: list[str], file: str, line: int) -> None:
    """Refuse a line whose cells do not stand under the names of the header."""
    if len(record) != len(header):
        at = header[len(record)] if len(record) < len(header) else f"after {header[-1]}"
        raise LabelError(
            f"{file}, line {line}, column {at!r}: wanted {len(header)} cells as in the header, found "
            f"{len(record)}. Does that line hold a decimal comma, or lack its last commas?"
        )


def _row(texts: dict[str, str], places: dict[str, Place], layout: Layout) -> dict[str, object]:
    """Return one row of the tidy table."""
    station, place = texts["station"], places["station"]
    if not station:
        raise place.error("the name of a station", station, "Name it, or remove the row.")
    row: dict[str, object] = {"station": station, "file": place.file, "line": place.line}
    row |= _moment(texts, places, layout)
    row["category"] = texts.get("category", "surface").lower()
    if not row["category"]:
        places["category"].report("", NO_CATEGORY)
    for column, (low, high) in _LIMITS.items():
        if column in texts:
            row[column] = cells.number(texts[column], places[column], low=low, high=high)
    for name in QUANTITIES:
        value, below = math.nan, False
        if name in texts:
            value, below = cells.quantity(texts[name], places[name], limit=layout.limits.get(name))
        row[name], row[f"{name}_below_detection"] = value, below
    return row


def _moment(texts: dict[str, str], places: dict[str, Place], layout: Layout) -> dict[str, object]:
    """Return when a sample was taken: UTC, whether the time of day is known, and the local date."""
    named = texts.get("timezone", "")
    if "date" not in texts:  # plain, with complete moments
        moment = cells.iso_moment(texts["time"], places["time"])
        local = moment.astimezone(cells.zone(named, places["timezone"])) if named else moment
        return {"time": moment.astimezone(UTC), "time_known": True, "date": f"{local:%Y-%m-%d}"}
    day = cells.sampling_date(texts["date"], places["date"], iso=layout is PLAIN)
    at = cells.clock(texts["time"], places["time"]) if "time" in texts else None
    timezone = cells.zone(layout.timezone or named, places.get("timezone", places["date"]))
    moment = cells.to_utc(day, at, timezone, places.get("time", places["date"]))
    return {"time": moment, "time_known": at is not None, "date": day.isoformat()}


def _report_duplicates(table: pd.DataFrame, problems: list[Problem]) -> None:
    """Report samples that share station, time, category and depth with an earlier one."""
    repeated = table.duplicated(["station", "time", "category", "depth_m"])
    for station, file, line in table.loc[repeated, ["station", "file", "line"]].itertuples(index=False):
        problems.append(
            Problem(file=str(file), line=int(line), column="station", value=str(station), why=DUPLICATE)
        )
