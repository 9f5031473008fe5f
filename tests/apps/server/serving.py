"""A server on a real socket, in a thread of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from spectm.apps.server.connections import bounded_protocol
from spectm.apps.server.run import bound_socket


@contextmanager
def served(app: FastAPI, *, seconds: float = 20.0, most: int = 256) -> Iterator[int]:
    """The port of a server that runs until the end of the block."""
    listening = bound_socket("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http=bounded_protocol(seconds, most), ws="none", lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)
