"""Files of NASA's archive into a folder: in parallel, resumable, each proven whole and recorded."""

import errno
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock

from spectm.data.catalog.login import Login
from spectm.data.catalog.manifest import Entry, Manifest, read_manifest
from spectm.data.catalog.records import Found
from spectm.data.catalog.transfer import Transfer, bytes_at_hand, partial_path
from spectm.errors import FetchError, SpectmError

__all__ = ["FetchReport", "check_workers", "fetch", "missing", "missing_bytes", "tidy"]

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(slots=True, kw_only=True)
class FetchReport:
    """What became of each file.

    Parameters
    ----------
    fetched, at_hand : list of str
        Names of files that were fetched, and that were there already.
    replaced : list of str
        Near-real-time files that were removed, as the final ones are there.
    failed : dict of str to str
        Names of files that could not be had, and why.
    """

    fetched: list[str] = field(default_factory=list)
    at_hand: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def missing(found: Iterable[Found], folder: Path, *, verify: bool = False) -> list[Found]:
    """Files that are not at hand, or have changed since they were fetched.

    Parameters
    ----------
    found : iterable of Found
        What is wanted.
    folder : Path
        Where it should be.
    verify : bool
        Read every file and compare checksums, also where size and time stamp are as they were.

    Raises
    ------
    FetchError
        If the folder's manifest can't be read.
    """
    manifest = read_manifest(folder)
    return [file for file in found if not manifest.holds(file, verify=verify)]


def missing_bytes(found: Iterable[Found], folder: Path) -> int:
    """Bytes still to come, those of partial files taken off; about, where the catalogue rounds."""
    return sum(max(0, file.about_bytes - bytes_at_hand(partial_path(folder, file))) for file in found)


def check_workers(workers: int) -> None:
    """Refuse fewer than one file at a time.

    Raises
    ------
    FetchError
        If `workers` is below 1.
    """
    if workers < 1:
        raise FetchError(f"wanted at least one worker, found {workers}. Try 4.")


def tidy(at_hand: Iterable[Found], folder: Path) -> list[str]:
    """Remove near-real-time files whose final twins are at hand; their names.

    Parameters
    ----------
    at_hand : iterable of Found
        Files that are not `missing`.
    folder : Path
        Where they are.
    """
    return _tidied(read_manifest(folder), [file.name for file in at_hand])


def _tidied(manifest: Manifest, at_hand: Sequence[str]) -> list[str]:
    """What a run that was stopped may have left to do, and time stamps of files that were copied."""
    manifest.note_times(at_hand)
    return [twin for name in at_hand for twin in manifest.drop_replaced(name)]


def fetch(
    found: Sequence[Found],
    folder: Path,
    *,
    login: Login,
    workers: int = 4,
    verify: bool = False,
    advance: Callable[[int], object] | None = None,
    finished: Callable[[str], object] | None = None,
    pause: Callable[[float], object] | None = None,
) -> FetchReport:
    """Fetch what is missing; a file that fails does not stop the others.

    Parameters
    ----------
    found : sequence of Found
        What is wanted, each file once.
    folder : Path
        Where it goes; made where missing. The manifest in it is written after each file.
    login : Login
        Of `spectm.data.catalog.login.login`.
    workers : int
        Files at a time.
    verify : bool
        As in `missing`.
    advance : callable, optional
        Told how many bytes more are at hand, from any thread, one at a time.
    finished : callable, optional
        Told the name of each file when it is whole or given up.
    pause : callable, optional
        Waits for a number of seconds before a request is repeated.

    Returns
    -------
    FetchReport
        Look at `failed`. Without a login, or with a full disk, the rest is not tried and listed there too.

    Raises
    ------
    FetchError
        If the disk has too little space, or the manifest can't be read.
    KeyboardInterrupt
        With what to do; files under way stay resumable.
    """
    check_workers(workers)
    manifest = read_manifest(folder)
    wanted = [file for file in found if not manifest.holds(file, verify=verify)]
    report = FetchReport(at_hand=[file.name for file in found if file not in wanted])
    report.replaced += _tidied(manifest, report.at_hand)
    _check_space(wanted, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"wanted a folder for the files, found {error.strerror} at {folder}. Choose another --out."
        ) from error
    stop = Event()
    transfer = Transfer(
        folder=folder,
        login=login,
        stop=stop,
        pause=stop.wait if pause is None else pause,
        advance=_one_at_a_time(advance),
    )
    _run(transfer, wanted, workers, manifest, report, finished)
    report.failed = dict(sorted(report.failed.items()))
    return report


def _run(
    transfer: Transfer,
    wanted: Sequence[Found],
    workers: int,
    manifest: Manifest,
    report: FetchReport,
    finished: Callable[[str], object] | None,
) -> None:
    """Fetch files in threads; all that is written of them is written here, in one."""
    with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
        try:
            jobs = {pool.submit(transfer.fetch, file): file for file in wanted}
            for job in as_completed(jobs):
                _settle(job, jobs[job], manifest, report)
                if finished is not None:
                    finished(jobs[job].name)
        except BaseException as error:
            transfer.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(
                    f"after {len(report.fetched)} of {len(wanted)} files; the same command continues"
                ) from None
            raise


def _settle(job: "Future[tuple[Entry, bool]]", file: Found, manifest: Manifest, report: FetchReport) -> None:
    """Record how a job ended."""
    try:
        entry, was_fetched = job.result()
    except SpectmError as error:
        report.failed[file.name] = str(error)
    except OSError as error:
        report.failed[file.name] = _disk_trouble(error, file, manifest.folder)
    else:
        manifest.record(entry)
        (report.fetched if was_fetched else report.at_hand).append(entry.granule)
        report.replaced += manifest.drop_replaced(entry.granule)


def _disk_trouble(error: OSError, file: Found, folder: Path) -> str:
    """What went wrong on this side, and what to do."""
    if error.errno not in DISK_FULL:
        return (
            f"wanted to write {file.name} into {folder}, found {error.strerror or error}. Is it a folder "
            "that you may write to?"
        )
    return (
        f"wanted {missing_bytes([file], folder):,} bytes more for {file.name}, found the disk of {folder} "
        f"full ({shutil.disk_usage(folder).free:,} bytes free). Make room; the same command continues."
    )


def _check_space(wanted: Sequence[Found], folder: Path) -> None:
    """Refuse to begin what can't end well."""
    needed = missing_bytes(wanted, folder)
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise FetchError(
            f"wanted {needed:,} bytes for {len(wanted)} files, found {free:,} bytes free on the disk of "
            f"{folder}. Make room, choose another --out, or fetch a shorter period."
        )


def _one_at_a_time(advance: Callable[[int], object] | None) -> Callable[[int], object]:
    """The callback under a lock, or one that does nothing."""
    lock = Lock()

    def locked(n_bytes: int) -> None:
        if advance is not None:
            with lock:
                advance(n_bytes)

    return locked
