"""What runs in a child: one task over one file, under its budget, then the end.

Messages to the owner are ["value", anything], then nothing more, or ["unreadable", sentence, whether it is Partial].
Everything else is told by the exit status.
"""

from __future__ import annotations

import errno
import io
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, cast

from jobs.files import Partial, Unreadable
from jobs.ingest.sandbox import wire
from jobs.ingest.sandbox.budget import Budget, confine

MEMORY: Final = 71  # exit statuses
DISK: Final = 72
BROKEN: Final = 73
BUFFER: Final = 1 << 16


class Channel:
    """Between a task and its owner."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._inbox = wire.Inbox(link, sys.maxsize, None)

    def send(self, value: Any) -> None:
        """Tells the owner a value; waits while the owner does not take it."""
        wire.send(self._link, ["value", value])

    def refuse(self, error: Unreadable) -> None:
        """Tells the owner why the file cannot be read."""
        wire.send(self._link, ["unreadable", str(error), isinstance(error, Partial)])

    def receive(self) -> Any:
        """What the owner says. Raises EOFError."""
        return self._inbox.receive()


Task = Callable[..., None]  # called with the file, the Channel, and the arguments by their names
Tasks = Mapping[str, Task]


class Positioned(io.RawIOBase):
    """A file by its descriptor, with a position of its own: the owner's, who shares the descriptor, stays."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        at = offset + (os.fstat(self._descriptor).st_size if base is None else base)
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def tell(self) -> int:
        return self._at


def run(link: socket.socket, descriptor: int, folder: str, tasks: Tasks) -> int:
    """Does what the owner asks for; returns the exit status. Temporary files go into `folder`."""
    tempfile.tempdir = folder
    channel = Channel(link)
    stream = cast("IO[bytes]", io.BufferedReader(Positioned(descriptor), BUFFER))
    try:
        name, budget, arguments = channel.receive()
        confine(Budget(**budget))
        tasks[name](stream, channel, **arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0  # nobody waits for an answer any more
    except Unreadable as error:
        # A library may say that a file is damaged where it had no memory for it.
        return MEMORY if starved(error) else refused(channel, error)
    except BaseException as error:
        return status_of(error)
    return 0


def refused(channel: Channel, error: Unreadable) -> int:
    channel.refuse(error)
    return 0


def starved(error: BaseException | None) -> bool:
    """Whether this goes back to a lack of memory."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def status_of(error: BaseException) -> int:
    """The exit status that tells of this. What nobody expected is logged: where it was, and nothing of the file."""
    if starved(error):
        return MEMORY
    if isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
        return DISK
    where = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"A file could not be read: {type(error).__name__}\n{where}")
    return BROKEN
