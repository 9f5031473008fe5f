"""Many independent runs, each with a small result file: what is there already is not run again."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

from spectm.errors import ConfigError, ReportError
from spectm.files import replacing, write_json
from spectm.spectral.indices import Index
from spectm.spectral.own_indices import registered, restore

__all__ = ["Job", "Lines", "Result", "forget", "further_lines", "job_name", "keep_identity", "run_jobs"]

Lines = list[dict[str, Any]]

FOLDER = "jobs"
IDENTITY = "study.json"


@dataclass(frozen=True, slots=True)
class Result:
    """What a job gives back that has more than one table.

    Parameters
    ----------
    lines : list of dict
        What `run_jobs` returns.
    further : mapping of str to list of dict
        Other tables by name, for `further_lines`.
    """

    lines: Lines
    further: Mapping[str, Lines] = field(default_factory=dict)


Job = Callable[[], Lines | Result]


def job_name(*parts: object) -> str:
    """Parts with dots between them, as a file may be called.

    Examples
    --------
    >>> job_name("leave-station-out", "A/B 2", 0)
    'leave-station-out.A%2FB-2.0'
    """
    return ".".join(quote(str(part).replace(" ", "-"), safe="") for part in parts)


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
                f"or the same data and settings to go on, or delete {path} and {path.parent / FOLDER}"
            )
        return
    write_json(path, wanted)


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
        Name of each job, which its file has, and a picklable function that returns its lines, or a `Result`;
        a job computes on one thread.
    out : Path
        Folder; results lie in ``jobs/NAME.csv`` in it, further tables in ``jobs/NAME.TABLE.csv``.
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
                delayed(_finish)(job, paths[name], registered()) for name, job in missing.items()
            ):
                done += 1
                bar.update()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"after {done} of {len(jobs)} jobs; the same command goes on from there"
        ) from None
    return _joined(paths.values())


def further_lines(jobs: Iterable[str], out: Path, table: str) -> pd.DataFrame:
    """A further table of all jobs that have it, in their order.

    Parameters
    ----------
    jobs : iterable of str
        Names.
    out : Path
        Folder.
    table : str
        Name of the table, as `Result.further` has it.

    Raises
    ------
    ReportError
        If a result file is damaged.
    """
    paths = (out / FOLDER / f"{name}.{table}.csv" for name in jobs)
    return _joined([path for path in paths if path.is_file()])


def forget(out: Path) -> None:
    """Delete the results of jobs, and what they rest on."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    (out / IDENTITY).unlink(missing_ok=True)


def _joined(paths: Iterable[Path]) -> pd.DataFrame:
    tables = [table for path in paths if not (table := _read(path)).empty]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _finish(job: Job, path: Path, indices: tuple[Index, ...]) -> None:
    restore(indices)  # a worker is a fresh process, which has run no file of the user's
    torch.set_num_threads(1)
    found = job()
    result = found if isinstance(found, Result) else Result(found)
    for name, lines in result.further.items():
        _write(lines, path.with_name(f"{path.stem}.{name}.csv"))
    _write(result.lines, path)  # last, as it says that the job is done


def _write(lines: Lines, path: Path) -> None:
    with replacing(path) as unfinished:
        pd.DataFrame(lines).to_csv(unfinished, index=False)  # all digits, so that they are read back


def _read(path: Path) -> pd.DataFrame:
    text: dict[str, Any] = {"fold": str, "size": str}
    try:
        if path.read_bytes() == b"\n":  # no lines, and so no columns
            return pd.DataFrame()
        # A station or fold may be called NA; only what is empty is missing.
        return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=text)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is damaged: {error}. Delete it, and give the command again") from error
