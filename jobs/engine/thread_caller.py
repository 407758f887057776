"""One call of the user's function, of which nothing escapes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextvars import Context
from typing import Any

from jobs.engine import context, failures
from jobs.engine.context import Refusal, Ticket
from jobs.engine.redaction import NOTHING, Redactor, redactor_of
from jobs.engine.threads import Worker
from jobs.engine.types import THROTTLED, RetryLater


class Here:
    """Calls the user's function in the thread that asks."""

    def __init__(self, process: Callable[[Any], Any], surroundings: Context) -> None:
        context.listen()
        surroundings.run(context.belong, process)
        self._process = process
        self._surroundings = surroundings

    def prepare(self, worker: Worker) -> None:
        """A thread needs nothing."""

    def call(self, worker: Worker, ticket: Ticket) -> Any:
        """What the function returns; what it raises is noted on the ticket. Never raises.

        SystemExit and KeyboardInterrupt too are the item's own failure: in a pool thread they cannot come from Ctrl-C,
        and there they would end a thread that other items need.
        """
        try:
            # A copy for each attempt (about 0.1 µs): what one item sets, the next does not see.
            return self._surroundings.copy().run(_call, self._process, ticket)
        except RetryLater as wait:
            ticket.failure = Refusal(THROTTLED, self.redactor.redact(str(wait)), "", wait.seconds, wait.alone)
        except BaseException as error:
            ticket.failure = failures.describe(error, self.redactor)
        finally:
            if ticket.log:
                ticket.log = ticket.log.text
        return None

    @property
    def redactor(self) -> Redactor:
        """What the texts of an attempt go through."""
        return redactor_of(self._process)

    def reclaim(self, worker: Worker) -> bool:
        """A thread cannot be stopped from outside."""
        return False

    def release(self, worker: Worker) -> None:
        """A thread has nothing to let go of."""


def _call(process: Callable[[Any], Any], ticket: Ticket) -> Any:
    context.enter(ticket)
    return process(ticket.value)


class Unpickling:
    """A function that came pickled, for payloads that come pickled; what fails to load fails with the item."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self._process: Callable[[Any], Any] | None = None

    def __call__(self, payload: bytes) -> Any:
        """Call the function with the payload."""
        return self.load()(pickle.loads(payload))  # noqa: S301

    @property
    def redactor(self) -> Redactor:
        """That of the function, as soon as there is one."""
        return NOTHING if self._process is None else redactor_of(self._process)

    def load(self) -> Callable[[Any], Any]:
        """The function, imported now if it was not before."""
        if self._process is None:
            self._process = pickle.loads(self._pickled)  # noqa: S301
        return self._process
