"""One attempt to reach a receiver: how it can end, in words that hold no secret, and how long it may last."""

import http.client
import io
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spectm.errors import AlertError

__all__ = ["MOST_BYTES", "Attempt", "Deadline", "failed", "reader", "tls"]

MOST_BYTES = 65536  # of an answer: nothing in it is needed but a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt ended.

    Parameters
    ----------
    end : {"taken", "again", "refused", "closed"}
        Taken; not now, and worth another try; this alert was refused, others may be taken; nothing will be
        taken before somebody mends it.
    detail : str
        In words of our own: what a receiver answers may repeat what it was sent.
    taken_by : tuple of str
        Of mail: the addresses that took it.
    """

    end: Literal["taken", "again", "refused", "closed"]
    detail: str
    taken_by: tuple[str, ...] = ()


class Deadline:
    """A moment after which nobody is waited for.

    Parameters
    ----------
    seconds : float
        From now.
    latest : Deadline, optional
        Another one, that ends this one too.
    """

    def __init__(self, seconds: float, latest: "Deadline | None" = None) -> None:
        self.until = time.monotonic() + seconds
        if latest is not None:
            self.until = min(self.until, latest.until)

    @property
    def left(self) -> float:
        """Seconds; not below zero."""
        return max(self.until - time.monotonic(), 0.0)

    def hold(self, sock: socket.socket) -> None:
        """Let what a socket does next end in time.

        Raises
        ------
        TimeoutError
            If it has come.
        """
        if not self.left:
            raise TimeoutError("too late")
        sock.settimeout(self.left)


class _Answer(io.RawIOBase):
    """What a socket receives, up to a moment and a number of bytes: a slow drip or a flood ends too."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline, self._room = sock, deadline, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._deadline.hold(self._sock)
        if not self._room:
            raise OSError(f"it answered more than {MOST_BYTES} bytes")
        n = self._sock.recv_into(memoryview(buffer)[: self._room])
        self._room -= n
        return n


def reader(sock: socket.socket, deadline: Deadline) -> io.BufferedReader:
    """File to read an answer from."""
    return io.BufferedReader(_Answer(sock, deadline))


def tls(ca_file: Path | None) -> ssl.SSLContext:
    """TLS with certificate and name verified, always.

    Raises
    ------
    AlertError
        If the file holds no certificates.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise AlertError(f"wanted certificates (PEM) in {ca_file}, found none that can be read.") from error


def failed(error: Exception) -> Attempt:
    """What an error means, without repeating what the other side said."""
    if isinstance(error, AlertError):
        return Attempt(end="closed", detail=str(error))
    if isinstance(error, ssl.SSLCertVerificationError):
        return Attempt(end="closed", detail=f"its certificate is not trusted: {error.verify_message}")
    return Attempt(end="again", detail=_in_words(error))


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it gave no whole answer in time"
    if isinstance(error, ssl.SSLError):
        return "no TLS with it"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it closed the connection, or gave no whole answer in time"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code}"
    if isinstance(error, smtplib.SMTPException | http.client.HTTPException):
        return f"it gave no answer that can be understood ({type(error).__name__})"
    if isinstance(error, OSError):
        return f"it can't be reached: {error.strerror or error}"
    return type(error).__name__
