"""What the code that processes an item may know about its attempt, and what is kept of what it logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

from jobs.engine.failures import clip
from jobs.engine.redaction import redactor_of
from jobs.engine.types import Attempt, Failure

LOG_BYTES = 16_000
OWN = "jobs.engine.attempt"


class AttemptContext:
    """The attempt that runs: whatever is logged through `logger` becomes the attempt's log."""

    __slots__ = ("_process", "_ticket", "number", "position")

    def __init__(self, ticket: Ticket, process: Any = None) -> None:
        self._ticket = ticket
        self._process = process
        self.position = ticket.position
        self.number = ticket.number

    @property
    def logger(self) -> logging.Logger:
        """Most items never log, so the logger is made when it is asked for."""
        return _logger_of(self._ticket, self._process)


def _logger_of(ticket: Ticket, process: Any) -> AttemptLogger:
    logger = ticket.log
    if not isinstance(logger, AttemptLogger):
        logger = AttemptLogger(process)
        # Code that outlives its attempt may go on logging, but nobody hears it.
        with suppress(FrozenInstanceError):
            ticket.log = logger
    return logger


def said(ticket: Ticket) -> str:
    """What was logged so far in an attempt that may go on logging."""
    log = ticket.log
    return log.text if isinstance(log, AttemptLogger) else log


class AttemptLogger(logging.Logger):
    """Keeps what is logged as text, without secrets, up to 16 kB; it needs no handler and passes nothing on."""

    def __init__(self, process: Any = None) -> None:
        super().__init__(OWN)
        self._process = process
        self._lines: list[str] = []
        self._size = 0
        self._last: logging.LogRecord | None = None

    def handle(self, record: logging.LogRecord) -> None:
        """Keep the line unless the log is full already, or the line is there."""
        if self._size > LOG_BYTES or record is self._last:
            return
        self._last = record
        line = clip(redactor_of(self._process).cut(_line(record), LOG_BYTES), LOG_BYTES)
        self._size += len(line.encode()) + 1
        self._lines.append(line)

    @property
    def text(self) -> str:
        """All that was logged, one record after the other."""
        return clip("\n".join(self._lines), LOG_BYTES)


def _line(record: logging.LogRecord) -> str:
    try:
        return (_own if record.name == OWN else _named).format(record)
    except Exception:
        # A wrong number of arguments is the log line's trouble, not the item's.
        return f"{record.levelname} {record.msg!r}"
    finally:
        # Others format it after this, each in their own way.
        record.exc_text = None


_own = logging.Formatter("%(levelname)s %(message)s")
_named = logging.Formatter("%(levelname)s %(name)s: %(message)s")


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
# What runs in the attempts: it knows the secrets that no text of theirs may hold.
_process: ContextVar[Any] = ContextVar("jobs.engine.process", default=None)
enter = _running.set
belong = _process.set


def current() -> AttemptContext:
    """The attempt that this code runs in; LookupError outside of one."""
    return AttemptContext(_running.get(), _process.get())


class Listener:
    """Makes log records as before, and keeps those of an attempt with it, from INFO on.

    Records are heard where they are made, and not by a handler: so each line is written once, to where it was written
    before, whatever handlers there are. Nothing is done for what no logger lets through.
    """

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, name: str, level: Any, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """The record."""
        record = self._make(name, level, *args, **kwargs)
        ticket = _running.get(None)
        if ticket is not None and name != OWN and isinstance(level, int) and level >= logging.INFO:
            with suppress(Exception):
                _logger_of(ticket, _process.get()).handle(record)
        return record


def listen() -> None:
    """From now on whatever is logged in the thread of an attempt is kept with the attempt."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, Listener):
        logging.setLogRecordFactory(Listener(make))


def levels() -> dict[str, int]:
    """The level of each logger that has one of its own; that of the root is called ""."""
    # Another thread may make a logger at this moment.
    known = list(logging.root.manager.loggerDict.items())
    set_ = {name: logger.level for name, logger in known if isinstance(logger, logging.Logger) and logger.level}
    return {"": logging.root.level} | set_


def adopt(levels: Mapping[str, int]) -> None:
    """Lets the loggers of this process through what those of another one do."""
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)
