"""Cells of a store's maps, or its points, as CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spectm.apps.columns import estimate_columns
from spectm.apps.csv_cells import quoted_cells
from spectm.apps.export.provenance import provenance
from spectm.apps.moment import NOW, moment_at
from spectm.apps.store import POINTS, Store
from spectm.data.times import utc_stamps
from spectm.errors import StoreError
from spectm.files import replacing

__all__ = ["cell_table", "point_table", "write_csv"]

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
    seen = now.seen
    chosen = store.record["settings"]["thresholds"] if thresholds is None else thresholds
    latitude, longitude = np.meshgrid(now.grid.latitude, now.grid.longitude, indexing="ij")
    columns: dict[str, Any] = {
        "period_start": str(now.period.start),
        "period_end": str(now.period.end),
        "latitude": latitude[seen],
        "longitude": longitude[seen],
    }
    for horizon in store.horizons:
        moment = now if horizon == NOW else moment_at(store, position, horizon=horizon)
        found = estimate_columns(moment.estimate, chosen, prefix="" if horizon == NOW else "ahead_")
        columns |= {name: values[seen] for name, values in found.items()}
    age = now.pixel_age[seen]
    observed = now.period.end - np.round(age * 86400).astype("timedelta64[s]")
    columns |= {
        "flagged": np.where(now.flagged[seen], "yes", "no"),
        "reasons": ["; ".join(now.reasons(*cell)) for cell in zip(*np.nonzero(seen), strict=True)],
        "observed": utc_stamps(observed),
        "pixel_age_days": age,
        "n_observations": now.maps["n_observations"].values[seen],
    }
    table = pd.DataFrame(columns)
    return table.assign(**_facts(store))


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
    """Write or replace a CSV, six significant digits, no cell of which a spreadsheet runs as a formula."""
    # Six digits would move a place in the west of America by ten metres.
    places = {n: table[n].map("{:.6f}".format) for n in PLACES if n in table and table[n].dtype.kind == "f"}
    with replacing(Path(out)) as unfinished:
        quoted_cells(table.assign(**places)).to_csv(unfinished, index=False, float_format="%.6g")
