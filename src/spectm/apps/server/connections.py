"""Connections that take too long, or are too many, do not keep others from being served."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

__all__ = ["BoundedProtocol", "bounded_protocol"]


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with a time for a request and its answer, and a number of connections.

    Uvicorn bounds the time between requests and none within one: a client that sends a byte a minute, or
    reads none of an answer, would be kept for ever. Where connections are too many, the one that has been
    asking for longest gives way: a well-behaved client sends its request at once, and is not the longest.
    """

    seconds = 20.0
    most = 256

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock; make room."""
        self._deadline: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._start()
        waiting = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        if len(waiting) >= self.most:
            min(waiting, key=lambda one: (one.standing, one.since)).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Start the clock of a further request."""
        if self._deadline is None:
            self._start()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Stop the clock."""
        self._stop()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    @property
    def standing(self) -> int:
        """Who gives way first: 0 asks and is not whole, 1 was answered and is silent, 2 is being answered."""
        if self._deadline is None:
            return 1
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn types it as if it were always there
        return 2 if cycle is not None and not cycle.response_complete and not cycle.more_body else 0

    def _start(self) -> None:
        self.since = self.loop.time()
        self._deadline = self.loop.call_later(self.seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded_protocol(seconds: float, most: int) -> type[BoundedProtocol]:
    """Protocol with other bounds: seconds of a request and its answer, and connections at once."""
    bounds: dict[str, Any] = {"seconds": seconds, "most": most}
    return type("BoundedProtocol", (BoundedProtocol,), bounds)
