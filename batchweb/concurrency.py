"""How much one person may have under way at a time, so that others need not wait for them.

Some more waits in line for a moment, without a connection to the database; the rest is refused with a sentence. Each
web process counts for itself.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import connection, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from batchweb import deadlines

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

TIMEOUT: Final = 10.0  # seconds in line


class Lately:
    """How often each key was served of late: in this span of so many seconds, and in the one before."""

    def __init__(self, span: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.span = span
        self.clock = clock
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._until = 0.0

    def add(self, key: str) -> None:
        self._turn()
        self._now[key] += 1

    def of(self, key: str) -> int:
        self._turn()
        return self._now[key] + self._before[key]

    def _turn(self) -> None:
        late = self.clock() - self._until
        if late >= 0:
            self._now, self._before = Counter(), self._now if late < self.span else Counter()
            self._until = self.clock() + self.span


class Full(Exception):
    """This person has enough of that kind under way. The message is a sentence for them."""


@dataclass
class Line:
    """What one person has under way, and what waits for it to end."""

    free: threading.Condition
    running: int = 0
    waiting: int = 0


class Limiter:
    """Lets through so many of a person's requests at a time, or as many as a setting says; 0 is no limit."""

    def __init__(self, most: str | int, waiting: int, sentence: str, timeout: float = TIMEOUT) -> None:
        self.limit = most
        self.waiting = waiting
        self.sentence = sentence
        self.timeout = timeout
        self._lock = threading.Lock()
        self._lines: dict[object, Line] = {}

    @property
    def most(self) -> int:
        return int(getattr(settings, self.limit) if isinstance(self.limit, str) else self.limit) or 1_000_000

    def take(self, key: object) -> None:
        """Begins something of the person with that key; raises Full."""
        if self._take_at_once(key):
            return
        let_go()
        with self._lock:
            line = self._line(key)
            if line.waiting >= self.waiting:
                self._forget(key)
                raise Full(self.sentence)
            line.waiting += 1
            free = line.free.wait_for(lambda: line.running < self.most, self.timeout)
            line.waiting -= 1
            line.running += free
            self._forget(key)
        if not free:
            raise Full(self.sentence)

    def _take_at_once(self, key: object) -> bool:
        with self._lock:
            line = self._line(key)
            free = line.running < self.most and not line.waiting
            line.running += free
            return free

    def give_back(self, key: object) -> None:
        with self._lock:
            line = self._line(key)
            line.running -= 1
            line.free.notify()
            self._forget(key)

    @contextmanager
    def taken(self, key: object) -> Iterator[None]:
        """Raises Full."""
        self.take(key)
        try:
            yield
        finally:
            self.give_back(key)

    def _line(self, key: object) -> Line:
        return self._lines.setdefault(key, Line(threading.Condition(self._lock)))

    def _forget(self, key: object) -> None:
        line = self._lines[key]
        if not line.running and not line.waiting:
            del self._lines[key]


searches = Limiter(
    "JOBS_SEARCHES_PER_PERSON", 8, "Several of your searches are under way. Wait until they are done, then try again."
)
downloads = Limiter(
    "JOBS_DOWNLOADS_PER_PERSON", 8, "Several of your downloads are under way. Wait until one is done, then try again."
)
# Of rows of megabytes, and of many columns: several copies are in memory while they are written, or compared.
large_downloads = Limiter(1, 8, "A download of large rows is under way. Wait until it is done, then try again.")
comparisons = Limiter(1, 8, "A file of corrections is being compared. Wait until that is done, then try again.")


def let_go() -> None:
    """Gives the connection to the database to whoever needs one meanwhile."""
    if not connection.in_atomic_block:
        connections.close_all()


def limited(limiter: Limiter, when: Callable[[HttpRequest], bool] = bool) -> Callable[[View], View]:
    """Has a view count as one of these from its beginning until its answer is sent. It raises Full."""

    def decorate(view: View) -> View:
        @wraps(view)
        def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not when(request):
                return view(request, *args, **kwargs)
            return answer(limiter, request, lambda: view(request, *args, **kwargs))

        return counted  # type: ignore[return-value]

    return decorate


def answer(limiter: Limiter, request: HttpRequest, make: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """What `make` returns. What is streamed counts until it is sent, as far as anybody knows when that is."""
    key = request.user.pk
    limiter.take(key)
    held = False
    try:
        if now := getattr(request, "deadline", None):
            now.restart()
        made = make()
        whole = getattr(request, "scope", {}).get(deadlines.SCOPE)
        if made.streaming and whole:
            whole.at_end(lambda: limiter.give_back(key))
            held = True
        return made
    finally:
        if not held:
            limiter.give_back(key)
