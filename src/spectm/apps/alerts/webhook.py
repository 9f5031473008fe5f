"""An alert posted to an address: no proxy, no redirect, and no more of an answer than its number."""

import http.client
from typing import Any

import spectm
from spectm.apps.alerts.attempts import Attempt, Deadline, failed, reader, tls
from spectm.apps.alerts.receivers import Webhook
from spectm.errors import AlertError

__all__ = ["post"]

AGAIN = {408, 425, 429}  # as any 5xx
CLOSED = {401, 403, 404, 405, 407}  # of the address or the secret, not of the alert


class _Connection:
    """What `http.client` asks of a socket, up to a moment."""

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: Any) -> None:
        self._deadline.hold(self._sock)
        self._sock.sendall(data)

    def makefile(self, *_: Any) -> Any:
        return reader(self._sock, self._deadline)

    def close(self) -> None:
        self._sock.close()


def post(receiver: Webhook, body: bytes, key: str, latest: Deadline) -> Attempt:
    """Post JSON once.

    Parameters
    ----------
    receiver : Webhook
    body : bytes
        JSON.
    key : str
        The alert's id, as ``Idempotency-Key``: the same for each attempt.
    latest : Deadline
        Of the run; the attempt has its own besides.
    """
    deadline = Deadline(receiver.timeout, latest)
    connection: http.client.HTTPConnection | None = None
    try:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"spectm/{spectm.__version__}",
            "Idempotency-Key": key,
            "Connection": "close",
            **{name: secret.value() for name, secret in receiver.headers},
        }
        path = receiver.filled_path()
        connection = _connection(receiver, deadline)
        connection.connect()
        connection.sock = _Connection(connection.sock, deadline)
        connection.request("POST", path, body=body, headers=headers)
        status = connection.getresponse().status
    except (AlertError, OSError, http.client.HTTPException) as error:
        return failed(error)
    finally:
        if connection is not None:
            connection.close()
    return _meant_by(status)


def _connection(receiver: Webhook, deadline: Deadline) -> http.client.HTTPConnection:
    # Not urllib: it would ask the environment for a proxy, and follow redirects.
    wait = max(deadline.left, 0.001)
    if not receiver.secure:
        return http.client.HTTPConnection(receiver.host, receiver.port, timeout=wait)
    return http.client.HTTPSConnection(
        receiver.host, receiver.port, timeout=wait, context=tls(receiver.ca_file)
    )


def _meant_by(status: int) -> Attempt:
    """What a status says of the next attempt."""
    if 200 <= status < 300:
        return Attempt(end="taken", detail=f"it answered {status}")
    if 300 <= status < 400:
        return Attempt(
            end="closed",
            detail=f"it answered {status}, a redirect, and none is followed",
        )
    if status >= 500 or status in AGAIN:
        return Attempt(end="again", detail=f"it answered {status}")
    return Attempt(end="closed" if status in CLOSED else "refused", detail=f"it answered {status}")
