"""Passwords are hashed one after another: each takes a core for a third of a second, and pages want one, too.

Who guesses from one address, or a few, fills the line for these: somebody new has the next turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from batchweb import deadlines
from batchweb.concurrency import Full, Lately, let_go
from jobs.engine.cores import cores

TIMEOUT: Final = 10.0  # seconds in line
LOOK: Final = 0.25  # seconds after which somebody in line looks whether anybody waits for the answer still
MANY: Final = "Many people sign in just now. Try again in a moment."
# Whether it is somebody who was here before: they come before all whom nobody knows, of whom there may be any number.
first: ContextVar[bool] = ContextVar("first", default=False)
# Where it comes from, so that who tries much there waits for themselves.
place: ContextVar[str] = ContextVar("place", default="")


@dataclass(eq=False)
class Waiting:
    """Somebody in line."""

    is_first: bool
    place: str


class Turns:
    """So many at a time: those who come first before all others, and of these from where least was hashed of late."""

    def __init__(self, places: int, lately: Lately | None = None) -> None:
        self.free = places
        self.lately = lately or Lately()
        self.line: list[Waiting] = []
        self.changed = threading.Condition()

    def take(self, mine: Waiting, timeout: float, is_over: Callable[[], bool]) -> bool:
        """Whether there was a turn before `timeout` seconds went by and before it was over."""
        until = time.monotonic() + timeout
        with self.changed:
            self.line.append(mine)
            try:
                taken = self._wait(mine, until, is_over)
            finally:
                self.line.remove(mine)
            if taken:
                self.free -= 1
                self.lately.add(mine.place)
            return taken

    def _wait(self, mine: Waiting, until: float, is_over: Callable[[], bool]) -> bool:
        while not self._may(mine):
            left = until - time.monotonic()
            if left <= 0 or is_over():
                return False
            self.changed.wait(min(left, LOOK))
        return True

    def give_back(self) -> None:
        with self.changed:
            self.free += 1
            self.changed.notify_all()

    def _may(self, mine: Waiting) -> bool:
        return self.free > 0 and min(self.line, key=self._rank) is mine

    def _rank(self, one: Waiting) -> tuple[bool, int]:
        return not one.is_first, self.lately.of(one.place)


_turns: Final = Turns(max(1, cores() - 1))


class InTurn(PBKDF2PasswordHasher):
    """Django's own; of several at once only so many compute that a core is left. Raises Full after ten seconds."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with turn():
            return super().encode(password, salt, iterations)


@contextmanager
def turn(timeout: float = TIMEOUT) -> Iterator[None]:
    """Raises Full where there was none in time, or nobody waits for the answer any more."""
    mine = Waiting(first.get(), place.get())
    if not _turns.take(mine, 0.0, bool):
        let_go()
        if not _turns.take(mine, timeout, is_over):
            raise Full(MANY)
    try:
        yield
    finally:
        _turns.give_back()


def is_over() -> bool:
    """Whether whoever asked has hung up."""
    asked = deadlines.current.get()
    return asked is not None and asked.hung_up
