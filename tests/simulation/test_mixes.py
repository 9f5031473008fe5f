"""Other waters: what a mix changes by its own numbers, and that nothing else moves."""

import json
from pathlib import Path

import numpy as np
import pytest

from spectm.cli.main import main
from spectm.errors import SimulationError
from spectm.simulation import season
from spectm.simulation.climate import HABITS, PROPERTIES
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.mixes import MIXES, named_mix
from spectm.simulation.season import RECORD, SeasonConfig, read_season, write_season

AUGUST = np.datetime64("2024-08-12T18:00")


def test_humic_water_differs_by_what_it_says() -> None:
    erie, humic = (SimulatedLake(3, (2024,), resolution=0.05, optics=name).state(AUGUST) for name in MIXES)
    ratio = {
        name: np.nanmedian(getattr(humic, name) / getattr(erie, name))
        for name in ("cdom_440", "minerals", "cyano_chlorophyll", "phycocyanin", "chlorophyll", "microcystin")
    }
    assert ratio["cdom_440"] == pytest.approx(10**0.48)
    assert ratio["minerals"] == pytest.approx(10**-0.15)
    assert ratio["cyano_chlorophyll"] == pytest.approx(1.6)
    assert (ratio["phycocyanin"], ratio["chlorophyll"], ratio["microcystin"]) == (1, 1, 1)
    # The slope has a middle of 0.0203 in Lake Erie and of 0.016 here, and the same deviations.
    apart = erie.properties["cdom_slope"] - humic.properties["cdom_slope"]
    assert np.nanmedian(apart) == pytest.approx(0.0203 - 0.016)
    np.testing.assert_array_equal(erie.cloud, humic.cloud)


def test_mixes_name_what_there_is() -> None:
    for mix in MIXES.values():
        assert set(mix.shifts) <= set(HABITS)
        assert set(mix.middles) <= set(PROPERTIES)
        for name, middle in mix.middles.items():
            assert PROPERTIES[name].low < middle < PROPERTIES[name].high
    assert named_mix("erie").properties == PROPERTIES
    with pytest.raises(SimulationError, match="no optical mix named 'humid'; did you mean 'humic'"):
        named_mix("humid")
    with pytest.raises(SimulationError, match="no optical mix"):
        SeasonConfig(optics="sea")


DAYS = {"years": (2024,), "first": "07-15", "last": "07-15", "record_years": 0, "resolution": 0.05}


@pytest.fixture
def empty_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are named as ever and hold nothing."""

    def touch(config: SeasonConfig, path: Path, *_: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    monkeypatch.setattr(season, "_write_table", touch)
    monkeypatch.setattr(season, "_write_pass", touch)


def test_a_folder_remembers_its_water(empty_files, tmp_path, capsys) -> None:
    write_season(tmp_path, SeasonConfig(**DAYS, optics="humic"), workers=1)
    assert read_season(tmp_path).optics == "humic"
    words = ["--years", "2024", "--first", "07-15", "--last", "07-15", "--record-years", "0"]
    words = ["simulate", "--out", str(tmp_path), *words, "--resolution", "0.05", "--workers", "1"]
    assert main(words) == 1
    assert "optics humic, asked for erie" in capsys.readouterr().err
    assert main([*words, "--optics", "humic"]) == 0
    assert "files were there" in capsys.readouterr().out


def test_folders_from_before_there_were_mixes_go_on(empty_files, tmp_path) -> None:
    config = SeasonConfig(**DAYS)
    written = write_season(tmp_path, config, workers=1)
    record = json.loads((tmp_path / RECORD).read_text(encoding="utf-8"))
    del record["settings"]["optics"]
    (tmp_path / RECORD).write_text(json.dumps(record), encoding="utf-8")
    assert read_season(tmp_path) == config
    again = write_season(tmp_path, config, workers=1)
    assert (again.granules, again.n_written) == (written.granules, 0)
