"""Run the HTTP server on a local socket."""

import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from tunesmith.context import Context
from tunesmith.errors import MachineFailure

SHUTDOWN_GRACE_S = 5


def serve(app: FastAPI, release: Path, *, host: str, port: int, context: Context) -> None:
    """Serve a release's application until the process receives a stop signal. Prints the URL; `port` 0 takes a free port.

    Raises MachineFailure if the address cannot be bound, as when the port is in use.
    """
    with bind_socket(host, port) as listener:
        context.progress.say(f"serving {release} at {listener_url(listener)}/v1")
        build_server(app).run(sockets=[listener])


def bind_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises MachineFailure if the address cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "choose another port with `--port`; `--port 0` takes a free one"
        raise MachineFailure(f"cannot listen: {error.strerror}", where=f"{host}:{port}", hint=hint) from error


def listener_url(listener: socket.socket) -> str:
    """`http://host:port` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_server(app: FastAPI) -> uvicorn.Server:
    """A uvicorn server that logs only warnings and errors, and gives open answers a few seconds at shutdown."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return uvicorn.Server(config)
