"""The process that serves pages and sockets: `python -m batchweb.server --fd 3`. `batchweb.web` runs and watches it."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from argparse import ArgumentParser
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Final

import uvicorn

from batchweb import kernel, machine
from batchweb.process import HEARTBEAT

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")

from django.conf import settings

from batchweb.protocols import SOCKET_BYTES, Connections, Http, Socket

SPARE: Final = 128  # descriptors for files, databases and the broker
# Times its soft limit, at which the server is replaced in good order: what grows faster than that fails by itself.
HARD: Final = 2
SWITCH: Final = 0.001  # seconds after which a thread that computes lets another one have the interpreter
BEAT: Final = 1.0  # seconds


class Server(uvicorn.Server):
    """uvicorn's server, which lets its supervisor know that its loop turns, and sleeps between two beats."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):
            beat()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), BEAT)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked.set)


def beat() -> None:
    """A byte for the supervisor; a full pipe or a missing reader is no reason to end."""
    descriptor = os.environ.get(HEARTBEAT)
    if descriptor:
        with suppress(OSError):
            os.write(int(descriptor), b".")


def bound_memory() -> None:
    if settings.WEB_MEMORY_MB:
        limit(resource.RLIMIT_DATA, settings.WEB_MEMORY_MB * 1024**2 * HARD)


def bound_connections() -> int:
    """How many connections may be open: as many as the setting says, if the system gives so many descriptors."""
    most = int(settings.WEB_CONNECTIONS)
    return max(1, min(most, limit(resource.RLIMIT_NOFILE, most + SPARE) - SPARE))


def limit(kind: int, wanted: int) -> int:
    """Sets the limit of this process, as far as it may, and returns what it is now."""
    hard = resource.getrlimit(kind)[1]
    found = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (found, hard))
    return found


def configuration(grace: int) -> uvicorn.Config:
    """How pages are served. Requests are not logged: their addresses may hold secrets."""
    places = Connections(bound_connections(), settings.PROXIES.__contains__)
    return uvicorn.Config(
        "batchweb.asgi:application",
        http=partial(Http, places=places),  # type: ignore[arg-type]
        ws=Socket,
        ws_max_size=SOCKET_BYTES,
        ws_ping_interval=10,
        ws_ping_timeout=10,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=grace,
    )


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="batchweb.server", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the socket that listens already")
    parser.add_argument("--grace", type=int, default=1, help="seconds for requests to end when the server stops")
    options = parser.parse_args(arguments)
    bound_memory()
    kernel.keep_memory_together()
    # A page has the interpreter's lock soon, also while downloads are made: it lets go of it with each statement.
    sys.setswitchinterval(SWITCH)
    with machine.trouble_told():
        Server(configuration(options.grace)).run([socket.socket(fileno=options.fd)])


if __name__ == "__main__":
    main(sys.argv[1:])
