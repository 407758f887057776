"""What an item can do to the child process it runs in."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

NAME = ContextVar("name", default="nobody")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I cannot be printed")


class Sticky(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("I cannot be pickled")


class Bomb:
    """Can be pickled, and does its harm when it is loaded."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _explode, (self.error,)


def _explode(error: type[BaseException]) -> None:
    raise error("I cannot be loaded")


class Unwilling:
    """Cannot be pickled, in a way of its own."""

    def __reduce__(self) -> Any:
        raise SystemExit("I stay here")


class Numbing:
    """Stops the process that wrote its number into a file, before it is sent there, and is too large for a pipe."""

    def __init__(self, number: Path) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        os.kill(int(self.number.read_text()), signal.SIGSTOP)
        return bytes, (bytes(5_000_000),)


def endure(payload: Any) -> Any:
    """Call the payload where it is the name of a hazard, write this process's number into a file, or hand it back."""
    if isinstance(payload, Path):
        payload.write_text(str(os.getpid()))
    return HAZARDS[payload]() if isinstance(payload, str) and payload in HAZARDS else payload


def name(payload: Any) -> str:
    return NAME.get()


def _raise(error: BaseException) -> None:
    raise error


def _eat_memory() -> int:
    """Ask for more memory than this process may have, as on a machine that has no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**30, hard))
    try:
        return len(bytearray(2**32))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _recurse() -> Any:
    nest: list[Any] = []
    for _ in range(100_000):
        nest = [nest]
    return nest


def _ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


HAZARDS: dict[str, Callable[[], Any]] = {
    "mute": lambda: _raise(Mute()),
    "sticky": lambda: _raise(Sticky("no")),
    "SystemExit": lambda: sys.exit(3),
    "GeneratorExit": lambda: _raise(GeneratorExit()),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "MemoryError": _eat_memory,
    "RecursionError": _recurse,
    "unwilling": Unwilling,
    "bomb": lambda: Bomb(ValueError),
    "leaving bomb": lambda: Bomb(SystemExit),
    "os._exit": lambda: os._exit(0),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "out of memory": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "closed pipes": lambda: os.closerange(3, 64),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": _ignore_sigterm,
    "large": lambda: bytes(50_000_000),
}
