"""A folder like that of real data: the level-2 files of some seasons, and the laboratory's record."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from spectm import __version__
from spectm.data.regions import Region, parse_region
from spectm.errors import SimulationError
from spectm.files import replacing
from spectm.simulation.granule_file import granule_name
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.mixes import USUAL_MIX
from spectm.simulation.orbit import Overpass
from spectm.simulation.sensor import LAKE, WHOLE, lake_overpasses, write_granule
from spectm.simulation.survey import write_survey

__all__ = ["RECORD", "WHOLE_GRANULE", "Season", "SeasonConfig", "read_season", "write_season"]

Progress = Callable[[int, int, str], None]

RECORD = "simulation.json"
FORMAT, FORMAT_VERSION = "spectm-simulation", 1
WHOLE_GRANULE = "whole"
"""The region that stands for all lines and pixels of a granule."""
# Megabytes of a file around the lake and of a whole one, generously; only to see a full disk beforehand.
CROPPED_MB, WHOLE_MB = 1.1, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonConfig:
    """Which lake is seen when; the same settings give the same bytes.

    Parameters
    ----------
    seed : int
        Of the lake, its survey and its satellite; 0 or more.
    years : tuple of int
        Years of granules, increasing.
    first, last : str
        First and last day in each year, month and day such as 04-01, UTC.
    every : int
        Write every n-th pass; 1 is all of them.
    record_years : int
        Years before the first in which there was a survey, too: what a climatology is learned from.
    cloudiness : float
        Share of cloud in the long run, 0 to 1.
    resolution : float
        Size of the lake's cells, degrees.
    region : str
        Part of a granule that is written: a name or W,S,E,N in degrees, or `WHOLE_GRANULE`.
    near_real_time : bool
        Write the twin of each granule that comes within hours, too.
    optics : str
        What the water is like: one of `spectm.simulation.mixes.MIXES`.

    Raises
    ------
    SimulationError, RegionError
        If a setting can't be.
    """

    seed: int = 0
    years: tuple[int, ...] = (2023, 2024)
    first: str = "04-01"
    last: str = "10-31"
    every: int = 1
    record_years: int = 5
    cloudiness: float = 0.6
    resolution: float = 0.0125
    region: str = LAKE.name
    near_real_time: bool = False
    optics: str = USUAL_MIX

    def __post_init__(self) -> None:
        """Refuse what can't be before a folder is made; the lake's own settings are checked by the lake."""
        if not self.years or sorted(set(self.years)) != list(self.years):
            raise SimulationError(
                f"wanted increasing years, each once, found {' '.join(map(str, self.years)) or 'none'}. Try "
                "2023 2024."
            )
        for day in (self.first, self.last):
            _day(self.years[0], day)
        if self.first > self.last:
            raise SimulationError(
                f"wanted a first day before the last, found {self.first} and {self.last}. Swap them."
            )
        if self.every < 1 or self.record_years < 0:
            raise SimulationError(
                f"wanted every pass (1) or every n-th, and 0 or more earlier years of record, found "
                f"{self.every} and {self.record_years}."
            )
        self.crop()
        _lake(self, self.years[0])
        _lake(self, self.survey_years[0])

    @property
    def survey_years(self) -> tuple[int, ...]:
        """Years of the laboratory's record."""
        return tuple(range(self.years[0] - self.record_years, self.years[0])) + self.years

    def crop(self) -> Region | None:
        """Part of a granule that is written, None for all of it."""
        if self.region == WHOLE_GRANULE:
            return WHOLE
        return LAKE if self.region == LAKE.name else parse_region(self.region)

    def overpasses(self) -> list[Overpass]:
        """Passes to write, in the order of time."""
        found: list[Overpass] = []
        for year in self.years:
            found += lake_overpasses(_day(year, self.first), _day(year, self.last))[:: self.every]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """What a run did.

    Parameters
    ----------
    granules, tables : tuple of Path
        All files of the archive and of the laboratory, by name.
    n_written : int
        How many of them were written now; the others were there.
    """

    granules: tuple[Path, ...]
    tables: tuple[Path, ...]
    n_written: int


def write_season(
    folder: Path,
    config: SeasonConfig | None = None,
    *,
    workers: int | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Season:
    """Write ``granules/*.nc``, ``laboratory/*.csv`` and `RECORD` of a simulated lake.

    A file that is there is whole, and stays: after an interruption the same call goes on.

    Parameters
    ----------
    folder : Path
        Made where missing. One that holds a simulation of other settings is refused.
    config : SeasonConfig, optional
        Which lake is seen when.
    workers : int, optional
        Processes; as many as there are cores without it. The bytes do not depend on it.
    progress : callable
        Given the files done, all files, and the name of the last one.

    Raises
    ------
    SimulationError
        If the folder is another simulation's or something else's, or too little space is left.
    """
    config = config or SeasonConfig()
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if workers < 1:
        raise SimulationError(f"wanted at least 1 worker, found {workers}.")
    folder = Path(folder)
    _claim(folder, config)
    tables = {folder / "laboratory" / _table_name(config, year): year for year in config.survey_years}
    twins = (False, True) if config.near_real_time else (False,)
    passes = {
        folder / "granules" / granule_name(one.start, twin): (one.time, twin)
        for one in config.overpasses()
        for twin in twins
    }
    if not passes:
        raise SimulationError(
            f"wanted passes over the lake from {config.first} to {config.last}, found none. PACE comes by "
            "once or twice a day; ask for more days."
        )
    jobs: list[tuple[Any, ...]] = [(_write_table, path, year) for path, year in tables.items()]
    jobs += [(_write_pass, path, *which) for path, which in passes.items()]
    left = [job for job in jobs if not job[1].is_file()]
    _check_space(folder, config, left)
    done = len(jobs) - len(left)
    progress(done, len(jobs), "")
    for path in _made(left, config, workers):
        done += 1
        progress(done, len(jobs), path.name)
    return Season(granules=tuple(sorted(passes)), tables=tuple(sorted(tables)), n_written=len(left))


def read_season(folder: Path) -> SeasonConfig:
    """Settings of the simulation that a folder holds.

    Raises
    ------
    SimulationError
        If it holds none, or one of a newer format.
    """
    path = Path(folder) / RECORD
    if not path.is_file():
        raise SimulationError(f"wanted {path}, found none. Is this a folder that `spectm simulate` wrote?")
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["format"] != FORMAT or known["format_version"] > FORMAT_VERSION:
            raise SimulationError(
                f"wanted {FORMAT} of version {FORMAT_VERSION} or older, found {known['format']} "
                f"{known['format_version']} in {path}. Use a newer spectm."
            )
        return SeasonConfig(**known["settings"] | {"years": tuple(known["settings"]["years"])})
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, SimulationError):
            raise
        raise SimulationError(f"{path} is damaged: {error}. Simulate into an empty folder.") from error


def _day(year: int, text: str) -> np.datetime64:
    """A day of a year."""
    try:
        month, day = (int(part) for part in text.split("-"))
        return np.datetime64(date(year, month, day), "D")
    except ValueError as error:
        raise SimulationError(
            f"wanted month and day of {year} such as 04-01, found {text!r}: {error}."
        ) from error


@cache
def _lake(config: SeasonConfig, year: int) -> SimulatedLake:
    """The lake in one year, made once a process."""
    return SimulatedLake(
        config.seed,
        (year,),
        resolution=config.resolution,
        cloudiness=config.cloudiness,
        optics=config.optics,
    )


def _record(config: SeasonConfig) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "simulated": 1,
        "spectm_version": __version__,
        "settings": asdict(config) | {"years": list(config.years)},
    }


def _claim(folder: Path, config: SeasonConfig) -> None:
    """Write down whose folder this is; refuse one that is another's."""
    wanted, path = _record(config), folder / RECORD
    if path.is_file():
        known = _record(read_season(folder))["settings"]  # with what settings were before there were more
        found = json.loads(path.read_text(encoding="utf-8")) | {"settings": known}
        differing = [
            f"{name} {was}, asked for {now}"
            for there, asked in ((found, wanted), (known, wanted["settings"]))
            for name, now in asked.items()
            if name != "settings" and (was := there.get(name)) != now
        ]
        if differing:
            raise SimulationError(
                f"{folder} holds another simulation: {'; '.join(differing)}. Give its settings, to complete "
                "it, or write to another folder."
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SimulationError(
            f"wanted an empty folder or one with {RECORD}, found other things in {folder}. Simulated files "
            "are not mixed with others; write to another folder."
        )
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")


def _check_space(folder: Path, config: SeasonConfig, jobs: list[tuple[Any, ...]]) -> None:
    """Say before minutes of work that the disk is too small."""
    each = WHOLE_MB if config.region == WHOLE_GRANULE else CROPPED_MB
    wanted, free = each * len(jobs), shutil.disk_usage(folder).free / 1e6
    if wanted > free:
        raise SimulationError(
            f"wanted about {wanted:,.0f} MB for {len(jobs)} files, found {free:,.0f} MB free at {folder}. "
            "Make room, write elsewhere, or ask for fewer passes (--every)."
        )


def _table_name(config: SeasonConfig, year: int) -> str:
    """As `write_survey` names the record of one year."""
    return f"simulated-glerl-erie-habs-field-sampling-results-{year}-seed-{config.seed}.csv"


def _made(jobs: list[tuple[Any, ...]], config: SeasonConfig, workers: int) -> Iterator[Path]:
    """Do the jobs, in processes where there are several; their paths as they are done."""
    if workers == 1 or len(jobs) < 2:
        for job, *what in jobs:
            yield job(config, *what)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, max_nbytes=None)
    try:
        yield from parallel(delayed(job)(config, *what) for job, *what in jobs)
    finally:
        # They would be used again, and what a later task needs beside all this looks like a leak to them.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _write_table(config: SeasonConfig, path: Path, year: int) -> Path:
    """One job: the laboratory's record of a year."""
    written = write_survey(_lake(config, year), path.parent)
    assert written == path
    return path


def _write_pass(config: SeasonConfig, path: Path, time: np.datetime64, twin: bool) -> Path:
    """One job: a granule."""
    year = int(str(time)[:4])
    written = write_granule(
        _lake(config, year),
        time,
        path.parent,
        seed=config.seed,
        near_real_time=twin,
        crop=config.crop(),
    )
    assert written == path
    return path
