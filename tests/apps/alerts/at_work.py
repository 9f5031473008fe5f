"""Receivers that are really there: HTTP and SMTP on this machine, well-behaved or not."""

import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = int | Callable[[BaseHTTPRequestHandler], None]


class Desk:
    """What a webhook got, and how it answers: the n-th request the n-th answer, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.requests = answers or (200,), []
        self.port = 0

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _, headers, _ in self.requests]


@contextmanager
def desk(*answers: Answer, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Desk]:
    """A webhook at work."""
    seen = Desk(*answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.requests.append((self.path, dict(self.headers), body))
            answer = seen.answers[min(len(seen.requests), len(seen.answers)) - 1]
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # a client that was killed, or did not trust us

    server = Server((host, 0), Handler)
    seen.port = server.server_address[1]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever."""
    try:
        while True:
            handler.wfile.write(b"H")
            time.sleep(0.05)
    except OSError:
        pass


def flood(handler: BaseHTTPRequestHandler) -> None:
    """Headers without an end."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X: " + b"y" * 60000 + b"\r\n")
    except OSError:
        pass


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\xff" * 200 + b"\r\n\r\n")


class Post:
    """What a mail server got, and how it answers."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.said: list[str] = []
        self.port = 0
        self.refuses: dict[str, str] = {}  # address -> answer
        self.password: str | None = None  # wanted, with user "alerts"
        self.greeting = "220 here"
        self.offers_tls = False
        self.floods = False


@contextmanager
def post_office(context: ssl.SSLContext | None = None, *, at_once: bool = False) -> Iterator[Post]:
    """A mail server at work; with a context it speaks TLS, at once or on STARTTLS."""
    seen = Post()
    seen.offers_tls = context is not None and not at_once

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

        def setup(self) -> None:
            if context is not None and at_once:
                self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()
            self.request.close()  # the server closes what it knows of, which is not TLS

        def handle(self) -> None:
            self.say(seen.greeting)
            while seen.floods:
                self.say("220-" + "y" * 5000)
            sender, to, ready = "", [], seen.password is None
            while raw := self.rfile.readline():
                line = raw.decode().strip()
                seen.said.append(line)
                word = line.split(":")[0].split(" ")[0].upper()
                if word == "EHLO":
                    extras = ["here"]
                    extras += ["STARTTLS"] if seen.offers_tls else []
                    extras += ["AUTH PLAIN"] if seen.password is not None else []
                    for extra in extras:
                        self.say(f"250-{extra}")
                    self.say("250 8BITMIME")
                elif word == "STARTTLS":
                    self.say("220 go")
                    assert context is not None
                    self.request = context.wrap_socket(self.request, server_side=True)
                    self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
                elif word == "AUTH":
                    import base64

                    given = base64.b64decode(line.split()[2]).decode().split("\0")[1:]
                    ready = given == ["alerts", seen.password]
                    self.say("235 yes" if ready else f"535 no, not {given}")
                elif word == "MAIL":
                    sender = line
                    self.say("250 yes" if ready else "530 who are you")
                elif word == "RCPT":
                    address = line.partition("<")[2].partition(">")[0]
                    answer = seen.refuses.get(address, "250 yes")
                    to += [address] if answer.startswith("250") else []
                    self.say(answer)
                elif word == "DATA":
                    self.say("354 go")
                    lines = []
                    while (one := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(one)
                    seen.mails.append((sender, to, "\n".join(lines)))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 yes")
                    to = [] if word == "RSET" else to

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    seen.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def nobody() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
