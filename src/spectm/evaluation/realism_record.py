"""The laboratory record, real and simulated, read by the same reader: by month, by station, and ranks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from spectm.data.labels import Labels, read_labels, surface_samples
from spectm.errors import LabelError
from spectm.simulation.lake import STATIONS, SimulatedLake
from spectm.simulation.survey import write_survey

__all__ = ["PAIRS", "QUANTITIES", "rank_table", "record_table", "simulated_record"]

Samples = dict[str, pd.DataFrame]

QUANTITIES = ("chlorophyll", "phycocyanin", "turbidity", "cdom", "microcystin")
PAIRS = (("chlorophyll", "phycocyanin"), ("phycocyanin", "microcystin"), ("chlorophyll", "turbidity"))
MONTHS, BLOOM, RANKED = range(4, 11), range(7, 11), range(6, 11)


def simulated_record(seeds: Sequence[int], years: tuple[int, ...]) -> pd.DataFrame:
    """Surface samples of several lakes, written as a laboratory's file and read as a real one."""
    with TemporaryDirectory() as folder:
        for seed in seeds:
            write_survey(SimulatedLake(seed, years), Path(folder))
        return surface_samples(read_labels(Path(folder)))


def record_table(real: Labels, simulated: pd.DataFrame) -> pd.DataFrame:
    """Quartiles and the share below detection at the stations that are simulated.

    Returns
    -------
    DataFrame
        by ("month", or "station" for July to October), group (4 to 10, or the station), quantity, unit as in
        the record, n_real, n_simulated; real_25, real_50, real_75, simulated_25, ... (below detection counts
        as the limit); real_below, simulated_below (share of what was measured).

    Raises
    ------
    LabelError
        If the real record has no surface sample at any of the stations.
    """
    rows = [
        {"by": by, "group": group, "quantity": quantity, **_levels(samples, quantity)}
        for by, group, samples in _groups(_at_stations(real, simulated))
        for quantity in QUANTITIES
    ]
    return pd.DataFrame(rows)


def _groups(samples: Samples) -> Iterator[tuple[str, object, Samples]]:
    """Samples of each month, then of each station in the months of blooms."""
    for month in MONTHS:
        yield "month", month, {name: one[one["month"] == month] for name, one in samples.items()}
    bloom = {name: one[one["month"].isin(BLOOM)] for name, one in samples.items()}
    for station in STATIONS:
        yield "station", station, {name: one[one["station"] == station] for name, one in bloom.items()}


def _levels(samples: Samples, quantity: str) -> dict[str, object]:
    """Number, quartiles and share below detection of what was measured, of either record."""
    row: dict[str, object] = {}
    for name, one in samples.items():
        chosen = one[one[quantity].notna()]
        values = chosen[quantity].to_numpy(dtype=np.float64)
        levels = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else np.full(3, np.nan)
        row |= {f"n_{name}": values.size}
        row |= {f"{name}_{level}": q for level, q in zip((25, 50, 75), levels, strict=True)}
        row[f"{name}_below"] = float(chosen[f"{quantity}_below_detection"].mean())
    return row


def rank_table(real: Labels, simulated: pd.DataFrame) -> pd.DataFrame:
    """Rank correlations (Spearman) of `PAIRS` in the samples of June to October that have both.

    Returns
    -------
    DataFrame
        first, second, real, simulated, n_real, n_simulated.
    """
    samples, rows = _at_stations(real, simulated), []
    for first, second in PAIRS:
        row: dict[str, object] = {"first": first, "second": second}
        for name, one in samples.items():
            both = one.loc[one["month"].isin(RANKED), [first, second]].dropna()
            row |= {name: both[first].corr(both[second], method="spearman"), f"n_{name}": len(both)}
        rows.append(row)
    return pd.DataFrame(rows)


def _at_stations(real: Labels, simulated: pd.DataFrame) -> Samples:
    """Samples of either record at the stations that are simulated, with their month."""
    samples = {
        name: one[one["station"].isin(list(STATIONS))]
        for name, one in (("real", surface_samples(real)), ("simulated", simulated))
    }
    if samples["real"].empty:
        raise LabelError(
            f"wanted surface samples at {', '.join(STATIONS)}, found none in the record. "
            "Give GLERL's record of western Lake Erie."
        )
    return {name: one.assign(month=pd.to_datetime(one["date"]).dt.month) for name, one in samples.items()}
