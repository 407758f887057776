"""Bytes on a connection, as no well-behaved client would send them."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpx

from tests.attacks.target import Target

WAITS: Final = 20.0  # seconds for an answer to what should be refused


def cookies(client: httpx.Client | None) -> str:
    """The Cookie header of this person."""
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items()) if client else ""


@contextmanager
def line(target: Target) -> Iterator[socket.socket]:
    """A connection to the web server."""
    with socket.create_connection(("127.0.0.1", target.port), timeout=WAITS) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other end closes, or is silent for long."""
    connection.settimeout(WAITS)
    found = b""
    with suppress(OSError):
        while data := connection.recv(65_536):
            found += data
            if len(found) > 1_000_000:
                break
    return found


def sent(target: Target, data: bytes | Iterable[bytes]) -> bytes:
    """What comes back for these bytes."""
    with line(target) as connection:
        with suppress(OSError):
            for piece in [data] if isinstance(data, bytes) else data:
                connection.sendall(piece)
        return answer(connection)


def request(target: Target, method: str, path: str, *headers: str, body: bytes = b"", host: str = "") -> bytes:
    """One request as bytes, after which the connection is to be closed."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{target.port}'}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def status(data: bytes) -> int:
    """The status of an answer; 0 where there was none."""
    head = data.split(b"\r\n", 1)[0].split(b" ")
    return int(head[1]) if len(head) > 1 and head[1].isdigit() else 0


def closed(connection: socket.socket, within: float) -> bool:
    """Whether the other end closes the connection in so many seconds."""
    deadline = time.monotonic() + within
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(65_536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def flood(
    target: Target, request: Callable[[int], bytes], until: Callable[[], bool], *, at_once: int = 50,
    after: float = 0.05, addresses: Iterable[str] = ("127.0.0.1",),
) -> int:  # fmt: skip
    """Sends requests on connections that are reset so many seconds after; returns how many."""
    source, count = itertools.cycle(addresses), itertools.count()

    async def one() -> None:
        while not until():
            with suppress(OSError):
                address = (next(source), 0)
                _, connection = await asyncio.open_connection("127.0.0.1", target.port, local_addr=address)
                connection.write(request(next(count)))
                await asyncio.sleep(after)
                connection.transport.abort()

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(at_once)))

    asyncio.run(all_of_them())
    return next(count)
