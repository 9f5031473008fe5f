"""The simulated survey: a file that the ordinary reader takes for GLERL's, and whose truth is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectm.data.labels import read_labels, station_positions, surface_samples
from spectm.simulation import survey
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.shoreline import STATIONS
from spectm.simulation.survey import sample_lake, sampling_days, write_survey

pytestmark = pytest.mark.slow  # fields, clouds and files of a lake take seconds

QUANTITIES = {
    "microcystin": "particulate_microcystin",
    "chlorophyll": "extracted_chla",
    "phycocyanin": "extracted_phycocyanin",
    "turbidity": "turbidity",
    "cdom": "cdom",
    "suspended_solids": "tss",
    "dissolved_microcystin": "dissolved_microcystin",
}


@pytest.fixture(scope="module")
def lake() -> SimulatedLake:
    return SimulatedLake(seed=3, years=(2024,))


@pytest.fixture(scope="module")
def samples(lake: SimulatedLake) -> pd.DataFrame:
    return sample_lake(lake)


@pytest.fixture(scope="module")
def path(lake: SimulatedLake, samples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:  # the boat goes out once for all tests
        patch.setattr(survey, "sample_lake", lambda _: samples)
        return write_survey(lake, tmp_path_factory.mktemp("survey") / "labels")


def test_reader_takes_it_as_it_is(path: Path, samples: pd.DataFrame) -> None:
    labels = read_labels(path)
    assert labels.problems.empty
    assert len(surface_samples(labels)) == len(labels.table) == len(samples)
    assert labels.table["time_known"].all()
    assert not labels.table[list(QUANTITIES)].isna().any(axis=None)


def test_says_that_it_is_simulated(path: Path) -> None:
    assert path.name == "simulated-glerl-erie-habs-field-sampling-results-2024-seed-3.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(",source")
    assert all(line.endswith(",simulated") for line in lines[1:])


def test_everything_comes_back(path: Path, samples: pd.DataFrame) -> None:
    table = read_labels(path).table
    samples = samples.sort_values("moment", kind="stable", ignore_index=True)
    assert table["station"].tolist() == samples["station"].tolist()
    minute = pd.to_datetime(samples["moment"], utc=True).dt.floor("min")
    assert (table["time"] == minute).all()
    for ours, theirs in QUANTITIES.items():
        below = table[f"{ours}_below_detection"]
        assert table[ours][~below].to_numpy() == pytest.approx(samples[theirs][~below].to_numpy(), abs=0.0051)
        assert (samples[theirs][below] < table[ours][below]).all()
    assert (
        table[["latitude", "longitude"]].to_numpy() == samples[["latitude", "longitude"]].to_numpy()
    ).all()


def test_detection_limits(path: Path) -> None:
    table = read_labels(path).table
    for name, limit in {"microcystin": 0.1, "phycocyanin": 0.03, "dissolved_microcystin": 0.1}.items():
        below = table[f"{name}_below_detection"]
        assert (table[name][below] == limit).all()
        assert (table[name][~below] >= limit).all()
    assert table["microcystin_below_detection"].any()
    assert not table[["chlorophyll_below_detection", "turbidity_below_detection"]].any(axis=None)


def test_weekly_by_daylight_at_the_stations(path: Path) -> None:
    labels = read_labels(path)
    dates = pd.to_datetime(labels.table["date"].unique())
    steps = np.diff(dates).astype("timedelta64[D]").astype(int)
    assert len(dates) == 21
    assert ((steps >= 4) & (steps <= 18)).all()
    assert np.median(steps) == 7
    assert (dates.month.min(), dates.month.max()) == (4, 10)
    hours = labels.table["time"].dt.tz_convert("America/New_York").dt.hour
    assert hours.between(7, 15).all()
    positions = station_positions(labels)
    assert set(positions.index) == set(STATIONS)
    for station, (latitude, longitude) in STATIONS.items():
        assert positions.loc[station, "latitude"] == pytest.approx(latitude, abs=0.001)
        assert positions.loc[station, "longitude"] == pytest.approx(longitude, abs=0.001)


def test_boat_avoids_wind() -> None:
    years = SimulatedLake(seed=3, years=tuple(range(2000, 2010)))
    days = [day for year in years.years for day in sampling_days(years, year)]
    winds = [years.wind_speed(np.datetime64(f"{day:%Y-%m-%d}T15:00")) for day in days]
    assert np.mean(np.greater(winds, 7.6)) < 0.03


def test_laboratory_scatters_about_the_truth(samples: pd.DataFrame) -> None:
    truth = samples["chlorophyll"] + samples["cyano_chlorophyll"]
    for found, true, spread in (
        (samples["extracted_chla"], truth, 0.13),  # patch and laboratory: the root of 0.12 and 0.05 squared
        (samples["particulate_microcystin"], samples["microcystin"], 0.15),
        (samples["cdom"], samples["cdom_440"] * np.exp(0.0176 * 40), 0.04),
    ):
        off = np.log10(found / true)
        assert off.mean() == pytest.approx(0, abs=0.04)
        assert off.std() == pytest.approx(spread, rel=0.2)


def test_one_seed_gives_one_survey(lake: SimulatedLake, samples: pd.DataFrame) -> None:
    lake.state(np.datetime64("2024-09-01"))
    both = SimulatedLake(seed=3, years=(2024,))
    assert sampling_days(both, 2024) == sampling_days(lake, 2024)
    first = samples.iloc[0]
    moment = np.datetime64(first["moment"].tz_convert("UTC").tz_localize(None))
    again = both.sample(moment, first["latitude"], first["longitude"])
    assert again["phycocyanin"] == pytest.approx(first["phycocyanin"])


@pytest.mark.slow
def test_like_the_real_record(lake_erie: Path, tmp_path: Path) -> None:
    """Six lakes of two years against the twelve years of the real record, at the same stations."""
    for seed in range(6):
        write_survey(SimulatedLake(seed), tmp_path)
    real, simulated = (
        table[table["station"].isin(STATIONS)].assign(month=pd.to_datetime(table["date"]).dt.month)
        for table in (surface_samples(read_labels(folder)) for folder in (lake_erie / "glerl", tmp_path))
    )
    seasons = [table[table["month"].between(7, 10)] for table in (real, simulated)]
    for name in ("chlorophyll", "phycocyanin", "turbidity", "cdom", "microcystin"):
        quartiles = [np.log10(table[name].quantile([0.25, 0.5, 0.75])) for table in seasons]
        assert (quartiles[0] - quartiles[1]).abs().max() < 0.12, name  # dex
        for group, tables in (("station", seasons), ("month", (real, simulated))):
            medians = [np.log10(table.groupby(group)[name].median()) for table in tables]
            assert (medians[0] - medians[1]).dropna().abs().max() < 0.25, (name, group)
    measured = [table[table["microcystin"].notna()] for table in (real, simulated)]
    below = [table.groupby("month")["microcystin_below_detection"].mean() for table in measured]
    assert (below[0] - below[1]).loc[4:10].abs().max() < 0.15
