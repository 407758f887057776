"""The web servers of one port, and who watches them. `python -m batchweb.web` is what a container runs."""

from __future__ import annotations

import os
import socket
import sys
from argparse import ArgumentParser
from typing import Final

from batchweb import healthcheck
from batchweb.process import Service
from batchweb.supervisor import Supervisor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")

from django.conf import settings

SILENT: Final = 30.0  # seconds after which a server that gives no sign of life is replaced
# Advice for administrators of servers, which these processes are not: about root, users without a name, folders.
WARNINGS: Final = (
    "ignore:You're running the worker with superuser",
    "ignore:An entry for the specified gid",
    "ignore:No directory at",
)


def listen(host: str, port: int) -> socket.socket:
    """The socket of the web servers, kept while they start again: who comes meanwhile waits. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def quietly(**more: str) -> dict[str, str]:
    """The environment of a Python process that does not repeat the warnings in WARNINGS."""
    asked = os.environ.get("PYTHONWARNINGS", "")
    return {"PYTHONWARNINGS": ",".join(filter(None, (asked, *WARNINGS))), **more}


def service(listener: socket.socket, number: int = 1, level: int = 0, grace: int = 1, forked: bool = False) -> Service:
    """A web server on the socket that is open already; `forked` off a process that has loaded most of it."""
    host, port = listener.getsockname()[:2]
    descriptor = str(listener.fileno())
    return Service(
        f"web {number}" if number > 1 else "web",
        [sys.executable, "-m", "batchweb.server", "--fd", descriptor, "--grace", str(grace)],
        level=level,
        env=quietly(),
        healthy=lambda: healthcheck.well(reachable(host), port),
        start_within=float("inf"),
        stop_within=grace + 0.5,
        pass_fds=(listener.fileno(),),
        silent_within=SILENT,
        memory_mb=settings.WEB_MEMORY_MB,
        forked=forked,
    )


def reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="batchweb.web", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    with listen(options.host, options.port) as listener, Supervisor() as supervisor:
        for number in range(1, settings.WEB_PROCESSES + 1):
            supervisor.start(service(listener, number, grace=5))
        supervisor.watch()


if __name__ == "__main__":
    main(sys.argv[1:])
