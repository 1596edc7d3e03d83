"""A server that runs in this process until it is told to end: uvicorn, with a drain before."""

import resource
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from rmeval.errors import BadOption
from rmeval.serving.service import DEAD, DRAINING, READY, Service

BACKLOG = 2048  # connections that wait to be taken
KEEP_ALIVE = 75  # seconds in which a connection may be silent: longer than balancers wait
GRACE = 5  # seconds for clients that have not sent all when the queue is drained
BUG = 70  # the command line's status of one


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket to which clients can connect; they wait. Raises BadOption where none can."""
    bound = None
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, number)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        if bound is not None:
            bound.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise BadOption(f"`host={host!r}, port={port}` cannot be listened on: {reason}") from error
    return bound


def serve(app: Starlette, bound: socket.socket, on_ready: Callable[[Service], None]) -> None:
    """Serves an app until SIGTERM or Ctrl-C, and then until what waits is answered.

    A second Ctrl-C does not wait. `on_ready` is told once that requests are taken. Raises what
    kept the model from being loaded.
    """
    _allow_many_connections()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, app.state.service, on_ready)
    server.run(sockets=[bound])
    worker = app.state.service.worker
    if worker.failure is not None:
        raise worker.failure
    if worker.state == DEAD and not worker.loaded:
        raise SystemExit(BUG)  # its traceback is printed
    if server.force_exit or not worker.loaded:
        raise KeyboardInterrupt
    worker.join()


class _Server(uvicorn.Server):
    """uvicorn, which ends when the queue is empty after a signal, or the model cannot be loaded."""

    def __init__(
        self, config: uvicorn.Config, service: Service, on_ready: Callable[[Service], None]
    ) -> None:
        super().__init__(config)
        self._service, self._on_ready, self._told = service, on_ready, False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drains at the first signal, and ends at the second Ctrl-C."""
        if self._service.state == DRAINING and sig == signal.SIGINT:
            self.force_exit = True
        self._service.drain()

    async def on_tick(self, counter: int) -> bool:
        """Returns whether to end; asked ten times a second."""
        service = self._service
        if service.state == READY and not self._told:
            self._told = True
            self._on_ready(service)
        if service.ended:
            self.should_exit = True
        return await super().on_tick(counter) or self.force_exit


def _allow_many_connections() -> None:
    """Raises the process's limit of open files as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
