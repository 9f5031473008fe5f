"""What keeps a server up and a browser safe: bounds on requests, and headers on every answer."""

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["POLICY", "BodyLimit", "RateLimit", "SecureHeaders"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; font-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Of content: a page may use what this server gives, and run nothing that stands in a file."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
MOST_CLIENTS = 10_000  # whose pace is remembered


class SecureHeaders:
    """Headers on every answer, refusals and errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        await self.app(scope, receive, send_with)


class BodyLimit:
    """Refuses requests whose body is too long, before it is read or while it comes.

    Parameters
    ----------
    app : ASGI application
    most : int
        Bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is short enough, as a whole."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        body, more = bytearray(), length.isdigit() and int(length) <= self.most
        whole = more
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most:
                whole = more = False
        if not whole:
            text = f"wanted a body of at most {self.most} bytes, found a longer one. Simplify the polygon."
            await JSONResponse({"detail": text}, 413, {"connection": "close"})(scope, receive, send)
            return
        sent = False

        async def receive_whole() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, receive_whole, send)


class RateLimit:
    """So many requests a second from one address, and a reserve of a few seconds' worth.

    Parameters
    ----------
    app : ASGI application
    rate : float
        Requests a second in the long run.
    reserve : float
        Requests that may come at once.
    clock : callable
        Seconds; never goes back.
    """

    def __init__(
        self, app: ASGIApp, rate: float, reserve: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app, self.rate, self.reserve, self.clock = app, rate, reserve, clock
        self.left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address: requests left, when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or ask to wait."""
        if scope["type"] != "http" or self.allows((scope.get("client") or ("", 0))[0]):
            await self.app(scope, receive, send)
            return
        text = f"wanted at most {self.rate:g} requests a second, found more. Wait a second."
        await JSONResponse({"detail": text}, 429, {"retry-after": "1"})(scope, receive, send)

    def allows(self, client: str) -> bool:
        """Whether a client has a request left; takes it."""
        now = self.clock()
        left, since = self.left.pop(client, (self.reserve, now))
        left = min(self.reserve, left + (now - since) * self.rate)
        self.left[client] = (left - 1 if left >= 1 else left), now
        if len(self.left) > MOST_CLIENTS:
            self.left.popitem(last=False)
        return left >= 1
