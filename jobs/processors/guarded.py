"""Connections that lead where they were checked to lead: the name is resolved once, and that answer is connected to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from jobs.processors.addresses import Resolve, public, resolve
from jobs.processors.base import Failed

PORTS = frozenset({80, 443})
TRIES = 4


class Guard:
    """Says no to what must not be fetched. `private` turns it off, but for the scheme."""

    def __init__(self, *, private: bool = False, ports: Iterable[int] = PORTS, resolver: Resolve = resolve) -> None:
        self.private = private
        self.ports = frozenset(ports)
        self.resolver = resolver

    def check(self, url: httpx.URL) -> None:
        """Raises Failed for an address that is refused by how it is written."""
        if url.scheme not in ("http", "https") or not url.host:
            raise refused("It must start with http:// or https:// and name a host.")
        if url.userinfo:
            raise refused("It holds a user name or a password.")
        if not self.private and port_of(url) not in self.ports:
            raise refused("Its port is not allowed.")

    def addresses(self, host: str, port: int) -> list[str]:
        """Where to connect to. One answer that is not public spoils them all; raises Failed."""
        try:
            found = list(self.resolver(host, port))
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise Failed("name lookup failed", "The name of the host could not be looked up just now.") from None
            raise Failed("name not found", "The host has no address.") from None
        except (OSError, UnicodeError):
            raise Failed("name not found", "The host has no address.") from None
        if not found:
            raise Failed("name not found", "The host has no address.")
        if not self.private and not all(public(address) for address in found):
            raise refused("It does not lead to the public internet.")
        return found


class Deadline:
    """One end for all that a fetch waits for, however many waits that are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = self._end = 0.0

    def start(self, seconds: float) -> None:
        """Counts from now."""
        self._seconds, self._end = seconds, self._clock() + seconds

    def left(self) -> float:
        """Seconds until the end; raises Failed when it has come."""
        left = self._end - self._clock()
        if left <= 0:
            raise Failed("timed out", f"The page took longer than {self._seconds:g} seconds.")
        return left


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore, which keeps the name for the Host header, SNI and the certificate."""

    def __init__(self, guard: Guard, deadline: Deadline, inner: httpcore.NetworkBackend | None = None) -> None:
        self._guard = guard
        self._deadline = deadline
        self._inner = inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first checked address that answers."""
        addresses = self._guard.addresses(host, port)[:TRIES]
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, len(addresses))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, 1)

    def _connect(self, address: str, port: int, shares: int) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(address, port, timeout=self._deadline.left() / shares)
        return _TimedStream(stream, self._deadline)


class _TimedStream(httpcore.NetworkStream):
    """A server that sends a byte now and then never lets a single read time out, so each gets what is left."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def port_of(url: httpx.URL) -> int:
    """The port that a http or https address leads to."""
    return url.port or (443 if url.scheme == "https" else 80)


def refused(reason: str) -> Failed:
    """The failure of an address that is not fetched."""
    return Failed("refused address", f"This address is not fetched. {reason}")
