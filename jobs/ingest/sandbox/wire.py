"""Messages between a web server and a child: a length of four bytes, then that many bytes of JSON.

JSON and not pickle: a file that takes over the process which reads it gets no further than that.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Final

LENGTH: Final = 4  # bytes
PIECE: Final = 1 << 16


class TooMuch(Exception):
    """A message is longer than what may still be sent."""


def encoded(message: Any) -> bytes:
    """The message as it is sent; ASCII, so that half a surrogate pair passes as it is."""
    data = json.dumps(message).encode("ascii")
    return len(data).to_bytes(LENGTH, "big") + data


def send(to: socket.socket, message: Any) -> None:
    to.sendall(encoded(message))


class Inbox:
    """The messages that come over a socket.

    `left` is how many bytes may still come. Only while somebody waits here `seconds` run out.
    """

    def __init__(
        self, source: socket.socket, left: int, seconds: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self.left = left
        self.seconds = seconds
        self._clock = clock

    def receive(self) -> Any:
        """The next message. Raises EOFError, TimeoutError, TooMuch, and ValueError for what is none."""
        size = int.from_bytes(self._take(LENGTH), "big")
        self.left -= size
        if self.left < 0:
            raise TooMuch
        try:
            return json.loads(self._take(size))
        except RecursionError as error:
            raise ValueError("The message is nested too deep.") from error

    def _take(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._wait(min(size - len(data), PIECE))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _wait(self, size: int) -> bytes:
        if self.seconds is None:
            return self._source.recv(size)
        if self.seconds <= 0:
            raise TimeoutError
        self._source.settimeout(self.seconds)
        began = self._clock()
        try:
            return self._source.recv(size)
        except ConnectionError:
            return b""
        finally:
            self.seconds -= self._clock() - began
