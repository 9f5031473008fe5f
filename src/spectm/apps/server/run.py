"""Serving until Ctrl-C."""

import socket
from typing import TYPE_CHECKING

import uvicorn

from spectm.apps.server.connections import bounded_protocol
from spectm.errors import ConfigError

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["bound_socket", "serve"]

SECONDS = 20.0  # of a request and its answer
CONNECTIONS = 256  # at once


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises
    ------
    ConfigError
        If the port is in use, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen()  # now: whoever is told the address may connect
    except (OSError, OverflowError) as error:
        found.close()
        raise ConfigError(
            f"wanted to listen on {host}, port {port}; found: {error}. Is another server there? Give --port "
            "another number, or 0 for any that is free."
        ) from error
    return found


def serve(app: "FastAPI", listening: socket.socket, *, behind_proxy: bool = False) -> None:
    """Answer on a socket until the process is told to stop.

    Parameters
    ----------
    app : FastAPI
        Of `spectm.apps.server.app.create_app`.
    listening : socket
        Of `bound_socket`.
    behind_proxy : bool
        Whether a proxy on this machine says, by X-Forwarded-For, whom requests are from.
    """
    config = uvicorn.Config(
        app,
        http=bounded_protocol(SECONDS, CONNECTIONS),
        ws="none",
        lifespan="off",
        proxy_headers=behind_proxy,
        server_header=False,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=16_384,
    )
    uvicorn.Server(config).run(sockets=[listening])
