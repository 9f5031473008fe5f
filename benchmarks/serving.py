"""What a server answers in: a made-up western basin of eight periods, asked over a socket as browsers would.

Requests come at fixed moments whether or not earlier ones were answered, and their time counts from those
moments: a server that stalls can't hide it.
"""

import http.client
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from statistics import median

import numpy as np

from benchmarks.entry import Entry, entry_of
from spectm.apps.history import cell_in
from spectm.apps.moment import moment_at
from spectm.apps.places import Station
from spectm.apps.store import open_store

__all__ = ["measure"]

ROOT = Path(__file__).parents[1]
SHAPE, PERIODS = (76, 116), 8  # western Lake Erie at 0.01 degrees
RATE, SECONDS, CLIENTS = 50.0, 12.0, 16  # requests a second
MANY = 10_000
API = "/api/v1/areas/basin"
_entry = partial(entry_of, "serve")


def measure(say: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)) -> list[Entry]:
    """Times of points and pictures, memory over many requests, and times beside hostile clients."""
    from tests.apps.stores import make_store

    with tempfile.TemporaryDirectory(prefix="spectm-bench-") as name:
        folder = make_store(Path(name) / "basin", n_periods=PERIODS, shape=SHAPE, resolution=0.01)
        firsts = list(open_store(folder).record["periods"])
        alone = _opened_anew(folder)
        say(f"a point from a store that is opened for it: {alone * 1e3:.0f} ms")
        with _server(folder) as (port, process):
            points, pictures = _points(firsts), _pictures(firsts)
            entries = [
                *_times(port, "point", points, alone, say),
                *_times(port, "overlay", pictures, None, say),
                *_memory(port, process, points, say),
            ]
            with _hostile(port):
                entries += _times(port, "point_beside_hostile", points, None, say)
    return entries


def _points(firsts: Sequence[str]) -> list[str]:
    """Points all over the basin, in all periods."""
    rng = np.random.default_rng(0)
    return [
        f"{API}/point?latitude={rng.uniform(41.3, 41.99):.4f}&longitude={rng.uniform(-83.49, -82.4):.4f}"
        f"&period={rng.choice(firsts)}&threshold={rng.choice([1, 2, 8])}"
        for _ in range(1000)
    ]


def _pictures(firsts: Sequence[str]) -> list[str]:
    """Maps of all kinds; three of four thresholds were never asked for, and are coloured anew."""
    rng = np.random.default_rng(1)
    return [
        f"{API}/overlay.png?what={rng.choice(['estimate', 'interval', 'exceedance'])}"
        f"&period={rng.choice(firsts)}&horizon={rng.choice([0, 8])}&threshold={rng.uniform(0.3, 24):.2f}"
        for _ in range(1000)
    ]


def _times(
    port: int, name: str, paths: Sequence[str], alone: float | None, say: Callable[[str], None]
) -> list[Entry]:
    """Median and 99th percentile at a fixed number of requests a second."""
    found = np.array(_paced(port, paths, RATE, round(RATE * SECONDS)))
    middle, late = float(np.median(found)), float(np.quantile(found, 0.99))
    say(f"{name}: median {middle * 1e3:.1f} ms, 99th percentile {late * 1e3:.1f} ms")
    note = f"{RATE:g} requests a second to one process for {SECONDS:g} s, from the moment each was due"
    against = {} if alone is None else {"against": "opening the store for each", "ratio": middle / alone}
    return [
        _entry(f"{name}/median", middle * 1e3, "ms", note=note, **against),
        _entry(f"{name}/p99", late * 1e3, "ms", note=note),
    ]


def _paced(port: int, paths: Sequence[str], rate: float, n: int) -> list[float]:
    """Seconds from the moment that each of n requests was due to its whole answer."""
    waiting: SimpleQueue[tuple[float, str] | None] = SimpleQueue()
    found: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (task := waiting.get()) is not None:
            due, path = task
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 404):  # a point may lie beside the maps
                raise RuntimeError(f"{answer.status} for {path}")
            found.append(time.perf_counter() - due)
        connection.close()

    threads = [threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    for number in range(n):
        due = started + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        waiting.put((due, paths[number % len(paths)]))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if len(found) != n:
        raise RuntimeError(f"wanted {n} answers, got {len(found)}")
    return found


def _memory(
    port: int, process: "subprocess.Popen[str]", paths: Sequence[str], say: Callable[[str], None]
) -> list[Entry]:
    """Memory of the server before and after many requests."""
    before = _resident(process.pid)
    _paced(port, paths, 1e9, MANY)
    after = _resident(process.pid)
    say(f"memory {before:.0f} MB, after {MANY} requests {after:.0f} MB")
    return [
        _entry("memory/before", before, "MB", note="resident, after the requests above"),
        _entry(
            "memory/after",
            after,
            "MB",
            against="serve/memory/before",
            ratio=after / before,
            note=f"{MANY} more",
        ),
    ]


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("no VmRSS in /proc")


def _opened_anew(folder: Path) -> float:
    """Seconds of a point by a script that opens the store for it."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        store = open_store(folder)
        row, column = cell_in(store, Station(name="here", latitude=41.8, longitude=-83.3))
        for horizon in store.horizons:
            moment = moment_at(store, "latest", horizon=horizon)
            moment.estimate.interval(0.9)[0][row, column]
        found.append(time.perf_counter() - started)
    return median(found)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Port and process of `spectm serve`."""
    words = [sys.executable, "-m", "spectm.cli.main", "serve", str(folder), "--port", "0", "--rate", "1e6"]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            yield int(said.split(":")[-1].split("/")[0]), process
        finally:
            process.terminate()


@contextmanager
def _hostile(port: int) -> Iterator[None]:
    """Four clients that mean no good: slow, huge, malformed, too many."""
    stop = threading.Event()

    def again(attack: Callable[[], None]) -> None:
        while not stop.is_set():
            with suppress(OSError):
                attack()
            time.sleep(0.05)

    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=2)

    def slow() -> None:
        with connected() as client:
            for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\n" * 3:
                client.send(bytes([byte]))
                if stop.wait(0.2):
                    return

    def huge() -> None:
        with connected() as client:
            client.sendall(f"POST {API}/polygon HTTP/1.1\r\nHost: localhost\r\n".encode())
            client.sendall(b"Content-Length: 900000000\r\n\r\n" + b"[" * 1_000_000)

    def malformed() -> None:
        with connected() as client:
            client.sendall(bytes(np.random.default_rng().integers(0, 256, 2000, dtype=np.uint8)))

    def many() -> None:
        idle = [connected() for _ in range(300)]
        stop.wait(1)
        for one in idle:
            one.close()

    threads = [threading.Thread(target=again, args=(one,)) for one in (slow, huge, malformed, many)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
