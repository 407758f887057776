"""What children do in these tests: each comes to its end in another way."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import IO, Any, Final

from jobs.files import Partial, Unreadable
from jobs.ingest.sandbox.child import Channel, Tasks

HELD: Final[list[Any]] = []


def echo(stream: IO[bytes], channel: Channel, *, size: int = -1) -> None:
    channel.send(stream.read(size).decode())


def seek(stream: IO[bytes], channel: Channel) -> None:
    stream.seek(-3, os.SEEK_END)
    tail = stream.read()
    stream.seek(1)
    channel.send([tail.decode(), stream.read(2).decode(), stream.tell()])


def repeat(stream: IO[bytes], channel: Channel) -> None:
    """Answers until nothing is asked any more."""
    while (asked := channel.receive()) is not None:
        channel.send(asked)


def many(stream: IO[bytes], channel: Channel, *, count: int) -> None:
    for number in range(count):
        channel.send(number)


def nothing(stream: IO[bytes], channel: Channel) -> None:
    """Ends without an answer."""


def compute(stream: IO[bytes], channel: Channel) -> None:
    channel.send(os.getpid())
    while True:
        pass


def compute_only(stream: IO[bytes], channel: Channel) -> None:
    while True:
        pass


def sleep(stream: IO[bytes], channel: Channel) -> None:
    channel.send(os.getpid())
    time.sleep(600)


def grow(stream: IO[bytes], channel: Channel) -> None:
    while True:
        HELD.append(bytearray(1_000_000))


def grow_in_library(stream: IO[bytes], channel: Channel) -> None:
    """As where a library takes a lack of memory for damage."""
    try:
        grow(stream, channel)
    except Exception as error:
        raise Unreadable("The workbook is damaged.") from error
    finally:
        HELD.clear()


def fill(stream: IO[bytes], channel: Channel) -> None:
    with tempfile.NamedTemporaryFile(delete=False) as copy:
        while True:
            copy.write(bytes(100_000))


def leave(stream: IO[bytes], channel: Channel) -> None:
    """A temporary file that nobody removes, and its path."""
    with tempfile.NamedTemporaryFile(delete=False) as copy:
        channel.send(copy.name)
    channel.receive()


def flood(stream: IO[bytes], channel: Channel) -> None:
    while True:
        channel.send("x" * 10_000)


def shout(stream: IO[bytes], channel: Channel) -> None:
    channel.send("x" * 10_000_000)


def crash(stream: IO[bytes], channel: Channel) -> None:
    os.abort()


def fail(stream: IO[bytes], channel: Channel) -> None:
    raise KeyError("".join(["a cell", " of the file"]))


def leave_politely(stream: IO[bytes], channel: Channel) -> None:
    sys.exit(0)


def refuse(stream: IO[bytes], channel: Channel) -> None:
    raise Unreadable("The file is empty.")


def defer(stream: IO[bytes], channel: Channel) -> None:
    raise Partial("Later.")


def multiply(stream: IO[bytes], channel: Channel) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        channel.send(error.errno)
        return
    if not pid:
        os._exit(0)
    channel.send(0)


def look_around(stream: IO[bytes], channel: Channel) -> None:
    """What the child has open, its folder, its parent."""
    numbers = [int(number) for number in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{number}")]
    opened = [os.readlink(f"/proc/self/fd/{number}") for number in numbers if number > 2]
    channel.send([opened, tempfile.gettempdir(), os.getppid()])


TASKS: Final[Tasks] = {
    task.__name__: task
    for task in (
        echo, seek, repeat, many, nothing, compute, compute_only, sleep, grow, grow_in_library, fill, leave, flood,
        shout, crash, fail, leave_politely, refuse, defer, multiply, look_around,
    )
}  # fmt: skip
