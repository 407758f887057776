"""Functions for child processes, which must be importable."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jobs.engine import RetryLater, context


def double(number: int) -> int:
    return number * 2


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def whoami(payload: Any) -> int:
    return os.getpid()


def niceness(payload: Any) -> int:
    return os.nice(0)


def act(order: str) -> Any:
    """Do what the payload says: the ways in which an item can hurt its worker."""
    name, _, value = order.partition(":")
    return _ACTS[name](value)


class Source:
    """Items that count how many of them were pulled."""

    def __init__(self, size: int) -> None:
        self.pulled = 0
        self._size = size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for position in range(self._size):
            self.pulled += 1
            yield position, position


class Spoilt(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class Named(Exception):
    failure_kind = "quota"


def _raise(value: str) -> None:
    raise {"ValueError": ValueError("bad"), "Spoilt": Spoilt("a", "b"), "Named": Named("no more")}[value]


def _hang_with_offspring(path: str) -> None:
    offspring = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(path).write_text(str(offspring.pid))
    time.sleep(60)


def _log(text: str) -> str:
    context.current().logger.info(text)
    return text


def _log_as_libraries_do(text: str) -> str:
    logging.getLogger("some.library").info(text)
    logging.getLogger("some.library.talk").debug("not this")
    return text


def _later(seconds: str) -> None:
    raise RetryLater(float(seconds))


def _once(path: str) -> str:
    if Path(path).exists():
        return "back"
    Path(path).write_text("")
    raise RetryLater(0.1)


_ACTS: dict[str, Callable[[str], Any]] = {
    "ok": lambda value: value,
    "raise": _raise,
    "exit": lambda value: os._exit(int(value)),
    "signal": lambda value: os.kill(os.getpid(), int(value)),
    "segfault": lambda value: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda value: time.sleep(60),
    "offspring": _hang_with_offspring,
    "unpicklable": lambda value: lambda: None,
    "print": lambda value: sys.stdout.write(value),
    "log": _log,
    "library": _log_as_libraries_do,
    "later": _later,
    "once": _once,
    "sysexit": lambda value: sys.exit(3),
}


class SlowToLoad:
    """A function that takes half a second to load in another process, and returns when that was done."""

    def __init__(self, loaded: float = 0.0) -> None:
        self._loaded = loaded

    def __reduce__(self) -> tuple[Any, ...]:
        return _slowly, ()

    def __call__(self, payload: object) -> float:
        return self._loaded


def _slowly() -> SlowToLoad:
    time.sleep(0.5)
    return SlowToLoad(time.time())
