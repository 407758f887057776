"""Physical lines of a binary stream, cut at LF, CR LF and CR only, and none of them longer than memory allows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Protocol

CHUNK = 1 << 18


class Readable(Protocol):
    """All that is asked of a stream: Django's uploaded and stored files have it too."""

    def read(self, size: int, /) -> bytes: ...


class Replay(io.RawIOBase):
    """A stream whose first bytes were already taken. Closing it leaves the stream below open: it is not ours."""

    def __init__(self, head: bytes, stream: Readable) -> None:
        self._head = memoryview(head)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._head:
            data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        else:
            data = memoryview(self._stream.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)


class Lines:
    """An iterator over lines with their line ends. An undecodable byte becomes a lone surrogate.

    A line over the limit comes cut (`is_cut`), and what is left of it must be taken with skip().
    """

    def __init__(self, stream: Readable, encoding: str, row_bytes: int) -> None:
        # UTF-16 knows no undecodable byte but half a pair, which surrogatepass lets through.
        errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
        buffer = io.BufferedReader(Replay(b"", stream), CHUNK)
        self._text = io.TextIOWrapper(buffer, encoding, errors, newline="")
        self._cap = row_bytes + 2
        self._row_bytes = row_bytes
        self.long = row_bytes // 4  # shorter than this in characters is surely shorter than row_bytes

    def __iter__(self) -> Iterator[str]:
        return iter(partial(self._text.readline, self._cap), "")

    def is_cut(self, line: str) -> bool:
        """Whether the rest of this line is still in the stream."""
        return len(line) == self._cap and line[-1] not in "\r\n"

    def is_too_long(self, line: str) -> bool:
        """Whether the line is over the limit, counted in bytes of UTF-8."""
        return len(line) > self.long and len(line.encode("utf-8", "surrogatepass")) > self._row_bytes

    def skip(self) -> Iterator[str]:
        """Takes the rest of a cut line, in pieces."""
        for piece in iter(partial(self._text.readline, CHUNK), ""):
            yield piece
            if piece[-1] in "\r\n":
                return


def take_head(stream: BinaryIO | Readable, row_bytes: int) -> tuple[bytes, bool]:
    """The first part of a file, at least one line where that is within the limit, and whether it is all of it."""
    head = bytearray()
    while len(head) < row_bytes:
        piece = stream.read(CHUNK)
        head += piece
        if not piece:
            return bytes(head), True
        if len(head) >= CHUNK and (b"\n" in piece or b"\r" in piece):
            break
    return bytes(head), False
