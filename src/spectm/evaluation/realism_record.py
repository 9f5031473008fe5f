"""The laboratory record, real and simulated: month by month, read by the same reader."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from spectm.data.labels import Labels, read_labels, surface_samples
from spectm.errors import LabelError
from spectm.simulation.lake import STATIONS, SimulatedLake
from spectm.simulation.survey import write_survey

__all__ = ["QUANTITIES", "record_table", "simulated_record"]

QUANTITIES = ("chlorophyll", "phycocyanin", "turbidity", "microcystin")
MONTHS = range(4, 11)


def simulated_record(seeds: Sequence[int], years: tuple[int, ...]) -> pd.DataFrame:
    """Surface samples of several lakes, written as a laboratory's file and read as a real one."""
    with TemporaryDirectory() as folder:
        for seed in seeds:
            write_survey(SimulatedLake(seed, years), Path(folder))
        return surface_samples(read_labels(Path(folder)))


def record_table(real: Labels, simulated: pd.DataFrame) -> pd.DataFrame:
    """Quartiles and the share below detection, month by month at the stations that are simulated.

    Returns
    -------
    DataFrame
        month (4 to 10), quantity, unit as in the record, n_real, n_simulated; real_25, real_50, real_75,
        simulated_25, ... (below detection counts as the limit); real_below, simulated_below (share).

    Raises
    ------
    LabelError
        If the real record has no surface sample at any of the stations.
    """
    samples = {"real": surface_samples(real), "simulated": simulated}
    samples = {name: one[one["station"].isin(list(STATIONS))] for name, one in samples.items()}
    if samples["real"].empty:
        raise LabelError(
            f"wanted surface samples at {', '.join(STATIONS)}, found none in the record. "
            "Give GLERL's record of western Lake Erie."
        )
    rows = []
    for month in MONTHS:
        for quantity in QUANTITIES:
            row: dict[str, object] = {"month": month, "quantity": quantity}
            for name, one in samples.items():
                of_month = pd.to_datetime(one["date"]).dt.month == month
                chosen = one[of_month & one[quantity].notna()]
                values = chosen[quantity].to_numpy(dtype=np.float64)
                levels = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else np.full(3, np.nan)
                row |= {f"n_{name}": values.size}
                row |= {f"{name}_{level}": q for level, q in zip((25, 50, 75), levels, strict=True)}
                row[f"{name}_below"] = float(chosen[f"{quantity}_below_detection"].mean())
            rows.append(row)
    return pd.DataFrame(rows)
