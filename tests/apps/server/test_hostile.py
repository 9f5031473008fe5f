"""Clients that are slow, huge, malformed or too many do not keep others from being served."""

import contextlib
import hashlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectm.apps.server.app import Bounds, create_app
from spectm.apps.server.areas import Area
from spectm.apps.server.run import bound_socket
from spectm.errors import ConfigError
from tests.apps.server.serving import served

pytestmark = pytest.mark.slow

SECONDS, MOST = 1.0, 12


@pytest.fixture(scope="module")
def port(area: Area) -> Iterator[int]:
    bounds = Bounds(rate=1e6, reserve=1e6)
    with served(create_app({"week": area}, bounds), seconds=SECONDS, most=MOST) as found:
        yield found


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def is_served(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5) as answer:
        return bool(answer.status == 200)


def first_line(client: socket.socket) -> bytes:
    return client.recv(4096).split(b"\r\n")[0]


def test_a_client_that_sends_a_byte_now_and_then_is_let_go(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        started = time.monotonic()
        try:
            while client.send(b"a") and time.monotonic() - started < 4:
                assert is_served(port)
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - started < SECONDS + 1.5


def test_a_client_that_never_ends_its_body_is_let_go(port: int) -> None:
    with connected(port) as client:
        head = b"POST /api/v1/areas/week/polygon HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        client.sendall(head + b"{")
        assert is_served(port)
        client.settimeout(SECONDS + 2)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_huge_heads_and_bodies_are_refused(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 200_000)
        assert b"400" in first_line(client)
    with connected(port) as client:
        head = b"POST /api/v1/areas/week/polygon HTTP/1.1\r\nHost: localhost\r\n"
        client.sendall(head + b"Content-Length: 9000000000\r\n\r\n")
        assert b"413" in first_line(client)
    assert is_served(port)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"\x00" * 5000,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(port: int, sent: bytes) -> None:
    with connected(port) as client:
        client.sendall(sent)
        client.settimeout(SECONDS + 2)
        answer = client.recv(4096)
        assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert is_served(port)


def test_of_too_many_connections_the_oldest_gives_way(port: int) -> None:
    idle = [connected(port) for _ in range(4 * MOST)]
    try:
        assert all(is_served(port) for _ in range(5))
        idle[0].settimeout(3)
        with contextlib.suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""
    finally:
        for one in idle:
            one.close()


def test_many_requests_at_once_on_one_connection_are_answered_in_order(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        found = b""
        while found.count(b'"status":"ok"') < 20:
            part = client.recv(65536)
            assert part
            found += part


def test_a_port_in_use_is_named() -> None:
    with bound_socket("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match=r"found: .*in use"):
        bound_socket("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigError, match="another number"):
        bound_socket("192.0.2.1", 0)  # an address of nobody


def test_killing_a_server_changes_no_file(area: Area) -> None:
    before = digest(area.folder)
    command = [sys.executable, "-m", "spectm.cli.main", "serve", str(area.folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            address = next(word for word in said.split() if word.startswith("http"))
            with urllib.request.urlopen(f"{address}api/v1/areas/week/overlay.png", timeout=20) as answer:
                answer.read()
        finally:
            server.send_signal(signal.SIGKILL)
    assert digest(area.folder) == before


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()
