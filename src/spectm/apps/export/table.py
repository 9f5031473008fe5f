"""Cells of a store's maps, its stations, or its points, as CSV."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.apps.columns import estimate_columns
from spectm.apps.csv_cells import quoted_cells
from spectm.apps.export.provenance import provenance
from spectm.apps.moment import NOW, moment_at
from spectm.apps.places import Station, cell_of
from spectm.apps.store import POINTS, Store
from spectm.data.times import utc_stamps
from spectm.errors import StoreError
from spectm.files import replacing

__all__ = ["cell_table", "csv_text", "point_table", "station_table", "write_csv"]

IntArray = npt.NDArray[np.integer[Any]]

PLACES = ("latitude", "longitude")
# A table says the same in every row: the long texts, the caveat among them, are in the other formats.
FACTS = ("model", "model_weights_sha256", "data", "spectm_version", "predicted", "simulated", "about")


def cell_table(store: Store, position: int, thresholds: Sequence[float] | None = None) -> pd.DataFrame:
    """Every cell with an estimate in a period, one row each, from the north-west on.

    Parameters
    ----------
    store : Store
    position : int
        Of the period, as `spectm.apps.moment.chosen_period` gives it.
    thresholds : sequence of float, optional
        ug/L; those of the store otherwise.

    Returns
    -------
    DataFrame
        period_start, period_end, latitude, longitude (of the centre), the columns of
        `spectm.apps.columns.estimate_columns`, those of the days ahead with ``ahead_``, flagged, reasons,
        observed (UTC), pixel_age_days, n_observations, then the provenance, the same in every row.
    """
    now = moment_at(store, position)
    row, column = np.nonzero(now.seen)
    return _table(store, position, (row, column), thresholds).assign(**_facts(store))


def station_table(store: Store, position: int, stations: Sequence[Station]) -> pd.DataFrame:
    """Stations that lie on the maps, one row each, in the order given, seen or not.

    Returns
    -------
    DataFrame
        station, then the columns of `cell_table`; where nothing was seen numbers are NaN and `flagged` empty.
    """
    grid = moment_at(store, position).grid
    cells = {station.name: cell_of(grid, station) for station in stations}
    names = [name for name, cell in cells.items() if cell is not None]
    at = np.array([cells[name] for name in names], dtype=np.int64).reshape(-1, 2)
    table = _table(store, position, (at[:, 0], at[:, 1]), None)
    table.insert(0, "station", names)
    return table.assign(**_facts(store))


def _table(
    store: Store, position: int, at: tuple[IntArray, IntArray], thresholds: Sequence[float] | None
) -> pd.DataFrame:
    """Some cells of a period, without the provenance."""
    now = moment_at(store, position)
    chosen = store.record["settings"]["thresholds"] if thresholds is None else thresholds
    columns: dict[str, Any] = {
        "period_start": str(now.period.start),
        "period_end": str(now.period.end),
        "latitude": now.grid.latitude[at[0]],
        "longitude": now.grid.longitude[at[1]],
    }
    for horizon in store.horizons:
        moment = now if horizon == NOW else moment_at(store, position, horizon=horizon)
        of_cells = replace(moment.estimate, mean=moment.estimate.mean[at], spread=moment.estimate.spread[at])
        columns |= estimate_columns(of_cells, chosen, prefix="" if horizon == NOW else "ahead_")
    age, seen = now.pixel_age[at], now.seen[at]
    seconds = np.where(seen, np.round(age * 86400), np.nan).astype("timedelta64[s]")
    columns |= {
        "flagged": np.where(seen, np.where(now.flagged[at], "yes", "no"), ""),
        "reasons": ["; ".join(now.reasons(*cell)) for cell in zip(*at, strict=True)],
        "observed": np.where(seen, utc_stamps(now.period.end - seconds), ""),
        "pixel_age_days": age,
        "n_observations": now.maps["n_observations"].values[at],
    }
    return pd.DataFrame(columns)


def point_table(store: Store) -> pd.DataFrame:
    """The points of a store as they stand in its file, all of it text, with the provenance in every row.

    Raises
    ------
    StoreError
        If it holds none.
    """
    path = store.folder / POINTS
    if not path.is_file():
        raise StoreError(
            f"wanted points in {store.folder}, found maps alone. Run spectm predict with --points."
        )
    points = pd.read_csv(path, dtype=str, keep_default_na=False)  # 007 is a name, and so is NA
    return points.assign(**{name: fact for name, fact in _facts(store).items() if name not in points})


def _facts(store: Store) -> dict[str, str]:
    facts = provenance(store)
    return {name: facts[name] for name in FACTS}


def write_csv(table: pd.DataFrame, out: Path) -> None:
    """Write or replace a CSV as `csv_text` gives it."""
    with replacing(Path(out)) as unfinished:
        unfinished.write_bytes(csv_text(table))


def csv_text(table: pd.DataFrame) -> bytes:
    """A table as CSV, UTF-8, six significant digits, no cell of which a spreadsheet runs as a formula."""
    # Six digits would move a place in the west of America by ten metres.
    places = {n: table[n].map("{:.6f}".format) for n in PLACES if n in table and table[n].dtype.kind == "f"}
    return quoted_cells(table.assign(**places)).to_csv(index=False, float_format="%.6g").encode()
