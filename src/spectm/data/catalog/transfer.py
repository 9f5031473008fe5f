"""One file from the archive to the disk: continued where it broke off, proven whole, then renamed."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from spectm.data.catalog.login import HOW_TO_LOG_IN, LOGIN_HOST, Login
from spectm.data.catalog.manifest import Entry, proven_entry
from spectm.data.catalog.records import Found
from spectm.data.catalog.retries import ATTEMPTS, LONGEST_WAIT_S, TRANSIENT, wait_s
from spectm.errors import FetchError, GranuleError, LoginError, SpectmError

if TYPE_CHECKING:
    import requests

__all__ = ["Transfer", "bytes_at_hand", "partial_path"]

CHUNK_BYTES = 2**16  # what is lost when a connection breaks, and how soon Ctrl-C is noticed
TIMES_WHOLE = 2  # downloads of a file that turns out damaged, before it is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """Why a request ended early, and the wait that the server asks for."""

    reason: str
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What all files of one run share.

    Parameters
    ----------
    folder : Path
        Where files go.
    login : Login
        Opens requests.
    stop : Event
        Set when the run is to end; a file under way stays resumable.
    pause : callable
        Waits for a number of seconds.
    advance : callable
        Told how many bytes more are at hand; fewer, if a file has to be begun again.
    """

    folder: Path
    login: Login
    stop: Event
    pause: Callable[[float], object]
    advance: Callable[[int], object]

    def fetch(self, found: Found) -> tuple[Entry, bool]:
        """Fetch a file unless it is there, whole but unrecorded; its entry, and whether it was fetched.

        What would end all other files badly too, a refused login or a full disk, sets `stop` at once.

        Raises
        ------
        LoginError
            If the archive refuses the login.
        FetchError, GranuleError
            If the file can't be had, or is damaged each time.
        OSError
            If the disk is full or can't be written.
        """
        self._check_stop()
        try:
            return self._fetch(found)
        except LoginError:
            self.stop.set()
            raise
        except SpectmError:
            raise
        except OSError:
            self.stop.set()
            raise

    def _fetch(self, found: Found) -> tuple[Entry, bool]:
        """Fetch a file, twice if it turns out damaged."""
        path, partial = self.folder / found.name, partial_path(self.folder, found)
        if path.is_file():
            with suppress(GranuleError):  # a damaged one stays until the new one takes its place
                entry = proven_entry(path, found)
                self.advance(entry.size_bytes)
                return entry, False
        if not (found.checksum or found.size_bytes):
            partial.unlink(missing_ok=True)  # nothing would show that it belongs to another file
        for last in (False,) * (TIMES_WHOLE - 1) + (True,):
            self._download(found, partial)
            try:
                entry = proven_entry(partial, found)
            except GranuleError:
                self._discard(partial)
                if last:
                    raise
            else:
                partial.replace(path)
                return entry, True
        raise AssertionError  # the loop returns or raises

    def _discard(self, partial: Path) -> None:
        """Begin anew."""
        self.advance(-bytes_at_hand(partial))
        partial.unlink(missing_ok=True)

    def _download(self, found: Found, partial: Path) -> None:
        """Ask until the whole file is there, but only so often without getting any further."""
        self.advance(bytes_at_hand(partial))
        furthest, failures = bytes_at_hand(partial), 0
        while (setback := self._request(found, partial)) is not None:
            held = bytes_at_hand(partial)
            failures = 1 if held > furthest else failures + 1
            furthest = max(furthest, held)
            delay = wait_s(failures, setback.retry_after)
            if failures == ATTEMPTS or delay > LONGEST_WAIT_S:
                often = f"{failures} time{'s' * (failures > 1)} in a row"
                wish = f" and a wish to wait {delay:g} s" if setback.retry_after else ""
                raise FetchError(
                    f"wanted {found.name}, found {setback.reason} {often}{wish}. Run the same command later: "
                    "it continues where it stopped."
                )
            self.pause(delay)
            self._check_stop()

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise FetchError("not tried, or not to its end, after that")

    def _request(self, found: Found, partial: Path) -> Setback | None:
        """One request, for what is missing; None if nothing is missing after it."""
        import requests

        held = bytes_at_hand(partial)
        if found.size_bytes is not None and held > found.size_bytes:
            self._discard(partial)
            held = 0
        if held and held == found.size_bytes:
            return None
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
        try:
            with self.login.get(found.url, headers) as answer:
                setback = self._refusal(answer, found)
                if setback is None:
                    setback = self._write(answer, found, partial)
                return setback
        except requests.RequestException as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise FetchError(
                    f"wanted {found.name}, found a certificate that is not trusted. If your network has its "
                    "own, name the file of trusted ones in REQUESTS_CA_BUNDLE."
                ) from error
            # Its text may hold the signed address of the file, which is as good as a password for an hour.
            return Setback(reason=f"a broken connection ({type(error).__name__})")

    def _refusal(self, answer: "requests.Response", found: Found) -> Setback | None:
        """Sort out answers without a file."""
        status = answer.status_code
        page = "text/html" in answer.headers.get("Content-Type", "")
        if status == 401 or (status == 200 and page):  # the login page, where a token has expired
            raise LoginError(
                f"wanted {found.name}, found that the archive refuses the login by {self.login.method} "
                f"(status {status}). {HOW_TO_LOG_IN}. Tokens expire after 60 days."
            )
        if status == 403:
            raise FetchError(
                f"wanted {found.name}, found that this account may not have it (status 403). Log in at "
                f"https://{LOGIN_HOST}/profile, accept the licence and approve OB.DAAC under Applications."
            )
        if status in (404, 410):
            raise FetchError(
                f"wanted {found.name}, found that the archive does not have it any more (status {status}). "
                "Search again: it may have been reprocessed."
            )
        if status in TRANSIENT:
            return Setback(reason=f"status {status}", retry_after=answer.headers.get("Retry-After"))
        if status not in (200, 206, 416):
            raise FetchError(f"wanted {found.name}, found status {status}. Try again later.")
        return None

    def _write(self, answer: "requests.Response", found: Found, partial: Path) -> Setback | None:
        """Append what was asked for; begin anew if the server sends something else."""
        held = bytes_at_hand(partial)
        if answer.status_code != 200:
            begins = answer.headers.get("Content-Range", "").startswith(f"bytes {held}-")
            if answer.status_code == 416 or not begins:
                self._discard(partial)
                return Setback(reason="a server that does not continue where the file broke off")
        elif held:  # the server knows no ranges and sends it all
            self._discard(partial)
        with partial.open("ab") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)
                self.advance(len(chunk))
                self._check_stop()
            file.flush()
            os.fsync(file.fileno())
        return None


def partial_path(folder: Path, found: Found) -> Path:
    """Where a file is until it is whole.

    The name holds what the catalogue says of the file, so that one which NASA has made again since is not
    continued with bytes of another.
    """
    known = found.checksum or found.size_bytes or ""
    return folder / f".{found.name}.{str(known)[:16]}.partial"


def bytes_at_hand(partial: Path) -> int:
    """Size of a partial file, 0 where there is none."""
    return partial.stat().st_size if partial.is_file() else 0
