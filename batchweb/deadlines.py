"""A request works as long as its deadline allows, and only while somebody waits for its answer.

Each statement looks at the deadline before it begins. One that is under way when the time is up, or when the client has
hung up, is interrupted by a thread that watches over all of them: SQLite and PostgreSQL can both be told so from
outside. Nothing is set on a connection, so nothing is left on it for whoever has it next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction

SCOPE: Final = "batchweb.deadline"  # where the scope of a request has its own
AGAIN: Final = 0.1  # seconds until what goes on all the same is interrupted once more
HEARD: Final = 2.0  # seconds that PostgreSQL may take to hear of it
LOCKED: Final = 20.0  # seconds that a statement waits for what somebody else holds, as on SQLite
FOR_EVER: Final = float("inf")

# That of the request that is worked on, also in its thread.
current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class TookTooLong(Exception):
    """The time was up, or nobody waited any more, before the database had answered."""


class Deadline:
    """When the statements of a request, or of a part of it, have to be done."""

    def __init__(self, seconds: float = FOR_EVER, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.begin(seconds)
        self.hung_up = False
        self._lock = threading.Lock()
        self._connection: Any = None
        self._last: list[Callable[[], object]] = []

    def begin(self, seconds: float) -> None:
        self.seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Has it count from now: what was waited for in line is no work."""
        self.until = self.clock() + self.seconds

    @property
    def over(self) -> bool:
        return self.hung_up or self.clock() >= self.until

    def hang_up(self) -> None:
        """Nobody waits for the answer any more."""
        self.hung_up = True
        _watch.look()

    @contextmanager
    def holds(self) -> Iterator[None]:
        """For what this thread asks of the database inside. Raises TookTooLong."""
        with connection.execute_wrapper(self._check), self._watched():
            try:
                yield
            except OperationalError as error:
                if self.over:
                    raise TookTooLong from error
                raise

    def _check(self, execute: Callable[..., Any], *statement: Any) -> Any:
        """Executes a statement as Django's wrappers do, unless it is too late to begin one."""
        if self.over:
            raise TookTooLong
        return execute(*statement)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self._connection = connections[DEFAULT_DB_ALIAS]  # this thread's own
        _watch.add(self)
        try:
            yield
        finally:
            _watch.remove(self)
            with self._lock:  # An interruption that is under way hits nobody else.
                self._connection = None

    def interrupt(self) -> None:
        """Ends the statement that runs now, if one does."""
        with self._lock:
            wrapper = self._connection
            running = wrapper and wrapper.connection
            if not running:
                return
            with suppress(wrapper.Database.Error):  # It is closed already, or its server does not answer.
                running.interrupt() if wrapper.vendor == "sqlite" else running.cancel_safe(timeout=HEARD)

    def at_end(self, does: Callable[[], object]) -> None:
        """Has this done when the request has come to its end."""
        self._last.append(does)

    def end(self) -> None:
        while self._last:
            self._last.pop()()


def of_server() -> str:
    """Options for PostgreSQL, which then ends by itself what nobody here has stopped: no statement takes longer."""
    most = max(settings.JOBS_PAGE_SECONDS, settings.JOBS_ORDER_SECONDS)
    return f"-c statement_timeout={most + HEARD:g}s -c lock_timeout={LOCKED:g}s"


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """What is asked inside is interrupted after so long. Raises TookTooLong; a transaction around it goes on."""
    if seconds == FOR_EVER:
        yield
        return
    # PostgreSQL gives a transaction up as a whole.
    undone = transaction.atomic() if connection.in_atomic_block and connection.vendor != "sqlite" else nullcontext()
    with undone, Deadline(seconds).holds():
        yield


class Watch:
    """One thread that interrupts what is over; it sleeps while nothing is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: set[Deadline] = set()
        self._wakes = FOR_EVER
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if deadline.until < self._wakes:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.discard(deadline)

    def look(self) -> None:
        """Something is over before its time."""
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                over = [deadline for deadline in self._deadlines if deadline.over]
            # Without the lock: PostgreSQL may take a while to answer, and requests come and go.
            for deadline in over:
                deadline.interrupt()
            with self._changed:
                self._changed.wait(self._pause())

    def _pause(self) -> float | None:
        """Seconds until the next deadline; None to sleep until one is added."""
        now = time.monotonic()
        nearest = min((now if one.over else one.until for one in self._deadlines), default=FOR_EVER)
        self._wakes = nearest
        if nearest == FOR_EVER:
            return None
        return nearest - now if nearest > now else AGAIN


_watch = Watch()


class HangUps:
    """Gives each request a deadline, which is over once the client has hung up."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        deadline = scope[SCOPE] = Deadline()
        current.set(deadline)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                deadline.hang_up()
            return message

        try:
            await self.app(scope, heard, send)
        finally:
            deadline.end()
