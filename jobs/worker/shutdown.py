"""The wish that a worker stops, known to its processes as soon as its parent is told.

It is a byte of memory that the parent shares with its children: Celery tells children nothing of a shutdown before
their time is up.
"""

from __future__ import annotations

import mmap
import signal
import threading
from types import FrameType

_wish = mmap.mmap(-1, 1)  # this process's own; a worker's is made when it starts, for it may be a fork of another one
_wished = threading.Event()


def stopping() -> bool:
    """Whether this worker was told to stop."""
    return _wish[0] != 0


def stop() -> None:
    """Tells this worker to stop, with all of its processes."""
    _wish[0] = 1
    _wished.set()


def wait(seconds: float) -> bool:
    """Waits so long, or until this process hears that it is to stop; whether it does."""
    return _wished.wait(seconds)


def begin() -> None:
    """Forgets what the process was told that this one was forked off."""
    global _wish
    _wish = mmap.mmap(-1, 1)


def listen() -> None:
    """Notes the signals to stop, before Celery acts on them."""
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        chain(number)


def chain(number: signal.Signals) -> None:
    """Sets the wish to stop on this signal, and then does what was to be done on it anyway."""
    before = signal.getsignal(number)

    def handle(signum: int, frame: FrameType | None) -> None:
        stop()
        if callable(before):
            before(signum, frame)

    signal.signal(number, handle)
