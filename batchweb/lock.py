"""One system for each data folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


class AlreadyLocked(Exception):
    """Another process holds the lock."""


def hold(path: Path, wait: float = 0.0) -> int:
    """Takes the lock, trying for `wait` seconds, and returns the descriptor that keeps it until it is closed.

    The kernel lets go of it when the process ends, so no lock is ever stale. Raises AlreadyLocked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait
    while not taken(descriptor):
        if time.monotonic() >= deadline:
            os.close(descriptor)
            raise AlreadyLocked(str(path))
        time.sleep(0.05)
    return descriptor


def taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
