"""Many independent runs, each with a small result file: what is there already is not run again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

from spectm.errors import ConfigError, ReportError
from spectm.files import replacing

__all__ = ["Job", "keep_identity", "run_jobs"]

Job = Callable[[], list[dict[str, Any]]]

FOLDER = "jobs"
IDENTITY = "study.json"


def keep_identity(out: Path, identity: Mapping[str, Any]) -> None:
    """Write down what the results of a folder rest on, or check that it is the same as before.

    Parameters
    ----------
    out : Path
        Folder; made where missing.
    identity : mapping
        Plain JSON values: settings, input files with their checksums, and whatever else a result depends on.

    Raises
    ------
    ConfigError
        If the folder holds results of something else.
    """
    path = out / IDENTITY
    wanted = json.loads(json.dumps(identity))
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # also of damaged bytes
            found = None
        if not isinstance(found, dict):
            raise ConfigError(f"{path}: wanted the identity of a study, found none. Give another --out")
        if differing := _differing(found, wanted):
            raise ConfigError(
                f"{out} holds results of another study: {', '.join(differing)} differ. Give another --out, "
                "or the same data and settings to go on"
            )
        return
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")


def _differing(one: Any, other: Any, where: str = "") -> list[str]:
    """Names of what differs, as section.key."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [where]
    return [
        name
        for key in sorted(one.keys() | other.keys())
        for name in _differing(one.get(key), other.get(key), f"{where}.{key}".lstrip("."))
    ]


def run_jobs(jobs: Mapping[str, Job], out: Path, *, workers: int, doing: str, progress: bool) -> pd.DataFrame:
    """Run what has no result file yet, and read all.

    Parameters
    ----------
    jobs : mapping
        Name of each job, which its file has, and a picklable function that returns its lines; a job computes
        on one thread.
    out : Path
        Folder; results lie in ``jobs/NAME.csv`` in it.
    workers : int
        Processes.
    doing : str
        What the progress bar says.
    progress : bool
        Draw it.

    Returns
    -------
    DataFrame
        Lines of all jobs, in the order of `jobs`. They are read from the files also where they have just been
        written, so that an interrupted run ends with the same table as one that was not.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, with how much is done; finished jobs stay.
    ReportError
        If a result file is damaged.
    """
    paths = {name: out / FOLDER / f"{name}.csv" for name in jobs}
    missing = {name: job for name, job in jobs.items() if not paths[name].is_file()}
    done = len(jobs) - len(missing)
    bar = tqdm(total=len(jobs), initial=done, desc=doing, unit="job", disable=not progress, mininterval=1.0)
    try:
        with bar:
            for _ in Parallel(n_jobs=workers, return_as="generator_unordered")(
                delayed(_finish)(job, paths[name]) for name, job in missing.items()
            ):
                done += 1
                bar.update()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"after {done} of {len(jobs)} jobs; the same command goes on from there"
        ) from None
    return pd.concat([_read(path) for path in paths.values()], ignore_index=True)


def _finish(job: Job, path: Path) -> None:
    torch.set_num_threads(1)
    table = pd.DataFrame(job())
    with replacing(path) as unfinished:
        table.to_csv(unfinished, index=False, float_format="%.9g")


def _read(path: Path) -> pd.DataFrame:
    try:
        # A station or fold may be called NA, and no number is ever missing.
        return pd.read_csv(path, keep_default_na=False, dtype={"fold": str, "size": str})
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is damaged: {error}. Delete it, and give the command again") from error
