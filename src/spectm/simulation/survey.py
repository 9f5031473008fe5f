"""The boat that samples the simulated lake, and the laboratory: a table in GLERL's layout of 2020-2022."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from spectm.data.layouts import EASTERN
from spectm.files import replacing
from spectm.simulation.climate import suspended_solids, turbidity
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.shoreline import STATIONS

__all__ = ["COLUMNS", "sample_lake", "sampling_days", "write_survey"]

#: Columns of the file: those of the real one that a reader takes up, and one that says what this is.
COLUMNS = (
    *("date", "station_name", "sample_depth_m", "sample_depth_category", "time", "lat", "lon", "wind_speed"),
    *("turbidity", "particulate_microcystin", "dissolved_microcystin", "extracted_phycocyanin"),
    *("extracted_chla", "cdom", "tss", "source"),
)
SOURCE = "simulated"

# Every other week from the end of April, every week from July to the middle of October; day of the year.
FIRST_DAY, WEEKLY_FROM, LAST_DAY = 114, 183, 292
# Boats stay in port at this wind, m/s, for three days at most.
PORT_WIND, MOST_DAYS_LATE = 7.5, 3
# Local hours at the stations, in the order of `STATIONS`: those of a usual tour of 2024.
HOURS = (8.75, 9.6, 10.4, 11.1, 11.8, 12.6, 13.1, 14.2)
MINUTES_OFF, DEGREES_OFF, DEPTH_M = 12.0, 0.0006, 0.75

# Laboratory noise, dex, our choice: repeated samples differ by 10 to 25 %. Patches smaller than a pixel come
# on top, and touch all that cells hold alike.
NOISE = {
    "particulate_microcystin": 0.09,
    "dissolved_microcystin": 0.09,
    "extracted_phycocyanin": 0.1,
    "extracted_chla": 0.05,
    "turbidity": 0.04,
    "tss": 0.05,
    "cdom": 0.04,
}
PATCHINESS = 0.12
# ug/L: the only limit that GLERL states for microcystin, and a round one for phycocyanin.
LIMITS = {"particulate_microcystin": 0.1, "dissolved_microcystin": 0.1, "extracted_phycocyanin": 0.03}
# Dissolved toxin for each particulate one, and its spread, dex. A rough number; nothing was fitted.
DISSOLVED_SHARE, DISSOLVED_SPREAD = 0.25, 0.35
CDOM_400_TO_440 = np.exp(-0.0176 * 40)  # the laboratory measures at 400 nm


def sampling_days(lake: SimulatedLake, year: int) -> list[datetime]:
    """Local days on which the boat goes out, at midnight; a day or more late where wind keeps it in port."""
    rng = _generator(lake, year, 0)
    days = [*range(FIRST_DAY, WEEKLY_FROM, 14), *range(WEEKLY_FROM, LAST_DAY, 7)]
    first = datetime(year, 1, 1, tzinfo=ZoneInfo(EASTERN))
    out = []
    for day in days:
        monday = first + timedelta(days=day - 1 - (first + timedelta(days=day - 1)).weekday())
        start = monday + timedelta(days=int(rng.integers(0, 2)))
        late = range(MOST_DAYS_LATE)
        ready = (n for n in late if lake.wind_speed(_utc(start + timedelta(days=n, hours=11))) < PORT_WIND)
        out.append(start + timedelta(days=next(ready, MOST_DAYS_LATE)))
    return out


def sample_lake(lake: SimulatedLake) -> pd.DataFrame:
    """Samples of all years of a lake: what the water held, and what the laboratory finds in it.

    Parameters
    ----------
    lake : SimulatedLake

    Returns
    -------
    DataFrame
        One row per sample, in time: station, moment (local, with its offset), latitude, longitude (degrees),
        wind_speed (m/s), the fields of the lake there and then by their names, and the laboratory's
        quantities, by the names of `COLUMNS`, with its noise but without a detection limit.
    """
    rows = []
    for year in lake.years:
        rng = _generator(lake, year, 1)
        for day in sampling_days(lake, year):
            for (station, place), hour in zip(STATIONS.items(), HOURS, strict=True):
                moment = day + timedelta(minutes=round(60 * hour + rng.normal(0, MINUTES_OFF)))
                latitude, longitude = (np.round(rng.normal(place, DEGREES_OFF), 4)).tolist()
                truth = {
                    name: float(value)
                    for name, value in lake.sample(_utc(moment), latitude, longitude).items()
                }
                row = {"station": station, "moment": moment, "latitude": latitude, "longitude": longitude}
                rows.append(
                    row | {"wind_speed": lake.wind_speed(_utc(moment))} | truth | _measured(truth, rng)
                )
    return pd.DataFrame(rows)


def write_survey(lake: SimulatedLake, folder: Path) -> Path:
    """Write the laboratory record of a simulated lake as a CSV file that `read_labels` reads.

    Parameters
    ----------
    lake : SimulatedLake
    folder : Path
        Made where missing. The file's name holds years and seed; one of that name is replaced.

    Returns
    -------
    Path
        The file: `simulated-glerl-erie-habs-field-sampling-results-2023-2024-seed-0.csv`.
    """
    years = "-".join(map(str, lake.years))
    path = folder / f"simulated-glerl-erie-habs-field-sampling-results-{years}-seed-{lake.seed}.csv"
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        table = sample_lake(lake)
        writer.writerows(
            _cells(dict(zip(table.columns, row, strict=True))) for row in table.itertuples(index=False)
        )
    return path


def _measured(truth: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """What a laboratory finds in one sample."""
    patch = 10 ** rng.normal(0, PATCHINESS)
    chlorophyll = (truth["chlorophyll"] + truth["cyano_chlorophyll"]) * patch
    microcystin = truth["microcystin"] * patch
    dissolved = truth["microcystin"] * DISSOLVED_SHARE * 10 ** rng.normal(0, DISSOLVED_SPREAD)
    exact = {
        "particulate_microcystin": microcystin,
        "dissolved_microcystin": dissolved,
        "extracted_phycocyanin": truth["phycocyanin"] * patch,
        "extracted_chla": chlorophyll,
        "turbidity": float(turbidity(truth["minerals"], chlorophyll)),
        "tss": float(suspended_solids(truth["minerals"], chlorophyll)),
        "cdom": truth["cdom_440"] / CDOM_400_TO_440,
    }
    return {name: value * 10 ** rng.normal(0, NOISE[name]) for name, value in exact.items()}


def _cells(row: dict[str, object]) -> list[object]:
    """One line of the file."""
    moment = row["moment"]
    assert isinstance(moment, datetime)
    values = row | {
        "date": f"{moment.month}/{moment.day}/{moment.year}",
        "station_name": row["station"],
        "sample_depth_m": DEPTH_M,
        "sample_depth_category": "Surface",
        "time": f"{moment.hour}:{moment.minute:02}",
        "lat": row["latitude"],
        "lon": row["longitude"],
        "wind_speed": f"{row['wind_speed']:.1f}",
        "source": SOURCE,
    }
    return [_reported(name, values[name]) if name in NOISE else values[name] for name in COLUMNS]


def _reported(name: str, value: object) -> str:
    """A quantity as the laboratory writes it: hundredths, or below its limit."""
    assert isinstance(value, float)
    if round(value, 2) < LIMITS.get(name, 0.01):
        return f"<{LIMITS[name]}" if name in LIMITS else "0.01"
    return f"{value:.2f}"


def _generator(lake: SimulatedLake, year: int, number: int) -> np.random.Generator:
    """Chance of the survey, apart from that of the lake and of other years."""
    return np.random.default_rng((lake.seed, year, 100 + number))


def _utc(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")
