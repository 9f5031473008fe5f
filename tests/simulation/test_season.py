"""A folder of simulated files: what is in it, that it goes on after a stop, and whom it refuses."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spectm.data.labels import read_labels
from spectm.data.regions import parse_region
from spectm.errors import RegionError, SimulationError
from spectm.simulation import season as season_module
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.season import SeasonConfig, read_season, write_season
from spectm.simulation.sensor import write_granule

SMALL = SeasonConfig(seed=3, years=(2024,), first="08-10", last="08-11", record_years=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that hold their own names, and the names in the order of making."""
    made: list[str] = []

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
        made.append(path.name)
        return path

    def granule(lake: object, time: object, folder: Path, *, near_real_time: bool, **_: object) -> Path:
        (one,) = (one for one in SMALL.overpasses() if one.time == time)
        return write(folder / season_module.granule_name(one.start, near_real_time))

    monkeypatch.setattr(season_module, "write_granule", granule)
    monkeypatch.setattr(
        season_module, "write_survey", lambda lake, folder: write(folder / _table(lake.seed, lake.years[0]))
    )
    return made


def _table(seed: int, year: int) -> str:
    return f"simulated-glerl-erie-habs-field-sampling-results-{year}-seed-{seed}.csv"


def test_what_is_written(quick: list[str], tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    season = write_season(
        tmp_path / "lake", SMALL, workers=1, progress=lambda done, total, what: shown.append((done, total))
    )
    # 10 August 18:02, 11 August 16:59 and 18:36: the passes that docs/simulation.md lists
    assert len(season.granules) == 3
    assert [path.name[9:17] for path in season.granules] == ["20240810", "20240811", "20240811"]
    assert [path.name for path in season.tables] == [_table(3, 2023), _table(3, 2024)]
    assert season.n_written == 5
    assert shown == [(done, 5) for done in range(6)]
    assert read_season(tmp_path / "lake") == SMALL
    assert json.loads((tmp_path / "lake" / "simulation.json").read_text())["simulated"] == 1


def test_every_second_pass_and_twins(quick: list[str], tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, every=2, near_real_time=True, record_years=0)
    season = write_season(tmp_path / "lake", config, workers=1)
    assert [".NRT." in path.name for path in season.granules] == [True, False] * 2
    assert len(season.tables) == 1


def test_it_goes_on_where_it_stopped(
    quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_season(tmp_path / "lake", SMALL, workers=1, progress=stop)
    assert len(quick) == 3
    season = write_season(tmp_path / "lake", SMALL, workers=1)
    assert season.n_written == 2
    assert len(quick) == len(set(quick)) == 5
    assert write_season(tmp_path / "lake", SMALL, workers=1).n_written == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 4}, "seed 3, asked for 4"),
        ({"cloudiness": 0.1}, "cloudiness 0.6, asked for 0.1"),
        ({"every": 2}, "every 1, asked for 2"),
    ],
)
def test_another_simulation_is_refused(
    quick: list[str], tmp_path: Path, change: dict[str, float], said: str
) -> None:
    write_season(tmp_path / "lake", SMALL, workers=1)
    with pytest.raises(SimulationError, match=said):
        write_season(tmp_path / "lake", dataclasses.replace(SMALL, **change), workers=1)  # type: ignore[arg-type]


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.nc").write_text("real")
    with pytest.raises(SimulationError, match="found other things"):
        write_season(tmp_path, SMALL, workers=1)


def test_a_full_disk_is_seen_beforehand(
    quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e6))
    with pytest.raises(SimulationError, match=r"about 6 MB for 5 files, found 1 MB free"):
        write_season(tmp_path / "lake", SMALL, workers=1)
    assert not quick


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"years": (2024, 2023)}, "increasing years"),
        ({"years": ()}, "increasing years"),
        ({"years": (1800,)}, "years from 1900"),
        ({"seed": -1}, "seed of 0 or more"),
        ({"cloudiness": 2.0}, "cloudiness from 0 to 1"),
        ({"resolution": 3.0}, "resolution from"),
        ({"first": "08-40"}, "month and day of 2024"),
        ({"first": "10-01", "last": "04-01"}, "Swap them"),
        ({"every": 0}, "every pass"),
        ({"record_years": -1}, "earlier years"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(SimulationError, match=said):
        dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]
    with pytest.raises(RegionError):
        SeasonConfig(region="the moon")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="found none"):
        read_season(tmp_path)
    (tmp_path / "simulation.json").write_text('{"format": "spectm-simulation"}')
    with pytest.raises(SimulationError, match="damaged"):
        read_season(tmp_path)


@pytest.mark.slow
def test_bytes_depend_on_the_seed_alone(tmp_path: Path) -> None:
    config = SeasonConfig(
        seed=3, years=(2024,), first="08-11", last="08-11", record_years=0, region="-83.4,41.7,-83.2,41.8"
    )
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, workers in zip(folders, (1, 2), strict=True):
        write_season(folder, config, workers=workers)
    names = [sorted(str(path.relative_to(each)) for path in each.rglob("*.*")) for each in folders]
    assert names[0] == names[1]
    assert len(names[0]) == 4  # two passes, one year, and the settings
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names[0])
    record = read_labels(folders[0] / "laboratory")
    assert record.simulated
    here = sorted((folders[0] / "granules").iterdir())[0]
    crop = parse_region(config.region)
    for seed in (3, 4):  # the lake's own seed gives the same file, another one another
        lake = SimulatedLake(seed, (2024,), cloudiness=config.cloudiness)
        there = write_granule(lake, np.datetime64("2024-08-11T17:00"), tmp_path, seed=seed, crop=crop)
        assert here.name == there.name
        assert (here.read_bytes() == there.read_bytes()) == (seed == 3)
