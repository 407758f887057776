"""What the code that processes an item may know about its attempt."""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

from jobs.engine.failures import clip
from jobs.engine.types import Attempt, Failure

LOG_BYTES = 16_000


class AttemptContext:
    """The attempt that runs: whatever is logged through `logger` becomes the attempt's log."""

    __slots__ = ("_ticket", "number", "position")

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self.position = ticket.position
        self.number = ticket.number

    @property
    def logger(self) -> logging.Logger:
        """Most items never log, so the logger is made when it is asked for."""
        logger = self._ticket.log
        if not isinstance(logger, AttemptLogger):
            logger = AttemptLogger()
            # Code that outlives its attempt may go on logging, but nobody hears it.
            with suppress(FrozenInstanceError):
                self._ticket.log = logger
        return logger


class AttemptLogger(logging.Logger):
    """Keeps what is logged as text, up to 16 kB; it needs no handler and passes nothing on."""

    def __init__(self) -> None:
        super().__init__("jobs.engine.attempt")
        self._lines: list[str] = []
        self._size = 0

    def handle(self, record: logging.LogRecord) -> None:
        """Keep the line unless the log is full already."""
        if self._size > LOG_BYTES:
            return
        line = clip(_line(record), LOG_BYTES)
        self._size += len(line.encode()) + 1
        self._lines.append(line)

    @property
    def text(self) -> str:
        """All that was logged, one record after the other."""
        return clip("\n".join(self._lines), LOG_BYTES)


def _line(record: logging.LogRecord) -> str:
    try:
        return _formatter.format(record)
    except Exception:
        # A wrong number of arguments is the log line's trouble, not the item's.
        return f"{record.levelname} {record.msg!r:.2000}"


_formatter = logging.Formatter("%(levelname)s %(message)s")


@dataclass(frozen=True, slots=True)
class Refusal(Failure):
    """Not now, says the service: it asks to wait so many seconds, for this item `alone` or for the whole run."""

    seconds: float
    alone: bool


class Ticket:
    """One attempt on its way through the pool. It has the slots of `Attempt`, and in the end it becomes one.

    Until then `value` holds the payload, `log` the logger if one was asked for, and `started` is by the monotonic
    clock. There are millions of these: to make an `Attempt` beside each took a sixth of all the engine's time.
    """

    __slots__ = Attempt.__slots__

    position: int
    number: int
    started: float
    seconds: float
    value: Any
    failure: Failure | None
    log: Any
    retry_at: float | None

    def __init__(self, position: int, payload: Any, made: int = 0) -> None:
        self.position = position
        self.number = made + 1
        self.started = 0.0
        self.value = payload
        self.failure = None
        self.log = ""
        self.retry_at = None

    @property
    def refusal(self) -> Refusal | None:
        """What the service said, if it asked to wait."""
        return self.failure if isinstance(self.failure, Refusal) else None


_running: ContextVar[Ticket] = ContextVar("jobs.engine.attempt")
enter = _running.set


def current() -> AttemptContext:
    """The attempt that this code runs in; LookupError outside of one."""
    return AttemptContext(_running.get())
