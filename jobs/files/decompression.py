"""What gzip packed, unpacked as it is read, and never more of it than is wanted."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, cast

from jobs.files.lines import CHUNK, Readable
from jobs.files.shape import RATIO_FROM, Limits, Unreadable

MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_SPOOL = 10_000_000  # bytes that are kept in memory before a copy goes to the disk


class Gunzip:
    """A stream of what is in a gzip file, all its members one after another.

    read() raises Unreadable where the file is damaged, cut off, or grows beyond the limits.
    """

    def __init__(self, stream: Readable, limits: Limits, complete: bool = True) -> None:
        self._stream = stream
        self._limits = limits
        self._complete = complete
        self._packed = b""
        self._taken = 0
        self._given = 0
        self._member = zlib.decompressobj(_GZIP)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end. Raises Unreadable."""
        while self._fill():
            data = self._unpack(max(size, 1))
            if data:
                self._given += len(data)
                check_size(self._given, self._taken, self._limits)
                return data
        if not self._member.eof and self._complete:
            raise Unreadable("The gzip file ends in the middle; it was not copied or sent as a whole.")
        return b""

    def _fill(self) -> bool:
        """Whether there is something to unpack, if need be in the next member."""
        while not self._packed:
            self._packed = self._stream.read(CHUNK)
            self._taken += len(self._packed)
            if not self._packed:
                return False
            if self._member.eof:
                # Some programs fill the last block with zeros.
                self._packed = self._packed.lstrip(b"\0")
        if self._member.eof:
            self._member = zlib.decompressobj(_GZIP)
        return True

    def _unpack(self, size: int) -> bytes:
        try:
            data = self._member.decompress(self._packed, size)
        except zlib.error:
            raise Unreadable(f"The gzip file is damaged after {self._given:,} bytes of its content.") from None
        self._packed = self._member.unused_data.lstrip(b"\0") if self._member.eof else self._member.unconsumed_tail
        return data


def check_size(unpacked: int, packed: int, limits: Limits) -> None:
    """Raises Unreadable where so much came out of so little that it must be meant to do harm."""
    if unpacked > limits.unpacked_bytes:
        raise Unreadable(f"The file unpacks to more than {limits.unpacked_bytes:,} bytes, which is the limit.")
    if unpacked > RATIO_FROM and unpacked > limits.ratio * packed:
        raise Unreadable(f"The file unpacks to more than {limits.ratio:,} times its size, which is the limit.")


def unpacked(stream: Readable, compression: str, limits: Limits) -> Readable:
    """The stream itself, or what is in it."""
    return Gunzip(stream, limits) if compression else stream


@contextmanager
def seekable(stream: Readable, limits: Limits) -> Iterator[IO[bytes]]:
    """The stream itself, or a copy of it where it can only be read forwards."""
    if can_seek(stream):
        yield cast("IO[bytes]", stream)
        return
    with copied(stream, limits) as copy:
        yield copy


def copied(stream: Readable, limits: Limits) -> IO[bytes]:
    """A copy of the stream that is gone when it is closed. Raises Unreadable where it gets too large."""
    copy = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOL))  # noqa: SIM115
    with ExitStack() as undo:
        undo.callback(copy.close)
        while piece := stream.read(CHUNK):
            copy.write(piece)
            check_size(copy.tell(), copy.tell(), limits)
        copy.seek(0)
        undo.pop_all()
    return copy


def can_seek(stream: Readable) -> bool:
    """Whether the stream can go back to its beginning."""
    seekable = getattr(stream, "seekable", None)
    return bool(seekable and seekable())
