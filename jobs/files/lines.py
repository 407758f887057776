"""Physical lines of a binary stream, cut at LF, CR LF and CR only, and none of them longer than memory allows."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import BinaryIO, Protocol

CHUNK = 1 << 18
_KEEP = "batchweb.keep"


def _keep(error: UnicodeError) -> tuple[str, int]:
    """Like surrogatepass for half a UTF-16 pair, else like surrogateescape, for bytes below 0x80 too."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wide = error.encoding.startswith("utf-16")
    with suppress(UnicodeDecodeError):
        return _pass(error) if wide else _escaped(error, b"\r\n")
    return _escaped(error)


def _pass(error: UnicodeError) -> tuple[str, int]:
    text, end = codecs.lookup_error("surrogatepass")(error)
    return str(text), end


def _escaped(error: UnicodeDecodeError, kept: bytes = b"") -> tuple[str, int]:
    """A lone surrogate for each byte; an end of line that a broken sequence has swallowed stays one."""
    first, *rest = error.object[error.start : max(error.end, error.start + 1)]
    text = "".join(chr(byte if byte in kept else 0xDC00 + byte) for byte in rest)
    return chr(0xDC00 + first) + text, error.start + 1 + len(rest)


codecs.register_error(_KEEP, _keep)


def errors_of(encoding: str) -> str:
    """The error handler under which no byte stops a reader; the one of C where it is enough."""
    return "surrogateescape" if encoding.startswith("utf-8") else _KEEP


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
        buffer = io.BufferedReader(Replay(b"", stream), CHUNK)
        self._text = io.TextIOWrapper(buffer, encoding, errors_of(encoding), newline="")
        self._cap = row_bytes + 2
        self._row_bytes = row_bytes
        self.long = row_bytes // 4  # shorter than this in characters is surely shorter than row_bytes

    def __iter__(self) -> Iterator[str]:
        return iter(partial(self._text.readline, self._cap), "")

    def read(self, size: int) -> str:
        """Up to so many characters, whatever lines they are in; none at the end."""
        return self._text.read(size)

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


def take_head(stream: BinaryIO | Readable, row_bytes: int, complete: bool = True) -> tuple[bytes, bool]:
    """The first part of a file, at least one line where that is within the limit, and whether it is all of it.

    Where the stream itself is only a part, because it is not `complete`, it is never all.
    """
    head = bytearray()
    while len(head) < row_bytes:
        piece = stream.read(CHUNK)
        head += piece
        if not piece:
            return bytes(head), complete
        if len(head) >= CHUNK and (b"\n" in piece or b"\r" in piece):
            break
    return bytes(head), False
