"""Cuts off request bodies that nobody may send, before Django stores them.

Django under ASGI writes the whole body to the disk before any view or middleware sees the request. So the limits stand
in front of it: who is not signed in may send a small form within a minute, who is may send a file and take longer. What
is too large or comes too slowly never arrives; `batchweb.middleware.cut_off` answers. For a file room is kept while it
comes, so that many at once fill neither the disk nor more than their sender may have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.db.models.functions import Now
from django.http import parse_cookie

from batchweb.auth import person_of
from batchweb.concurrency import let_go
from batchweb.threads import short_thread
from jobs.models import Incoming
from jobs.models.quota_limits import NoRoom, OverQuota

logger = logging.getLogger(__name__)

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

OF_STRANGERS: Final = 64 * 1024  # bytes of a body of nobody in particular, who has forms to sign in and nothing else
SMALL: Final = 1024 * 1024  # bytes of a body for which no room is kept
ASKED: Final = 8  # questions to the database at a time, about all bodies that arrive
ENVELOPE: Final = 1024 * 1024  # bytes that a form has beside its file
MINUTE: Final = 60  # seconds for any body
TOO_LARGE: Final = "batchweb.too_large"
STEP: Final = 16 * 1024 * 1024  # bytes for which room is kept at once, where nobody says how many will come
HEARD_EVERY: Final = 30  # seconds between two notes that a file still comes
TOO_SLOW: Final = "batchweb.too_slow"
REFUSED: Final = "batchweb.refused"
FULL: Final = "The server has no room left for this file. Nothing was stored."


class Allowance(NamedTuple):
    """How many bytes a body may have, and how many seconds it may take to arrive."""

    size: int
    seconds: float
    person: Any = None


class Refusal(NamedTuple):
    """The status and the sentence of the answer."""

    status: int
    sentence: str


class LimitBodies:
    """Passes on at most as much as this person may send, and marks the scope where there was more or it took longer."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(scope, receive, self.clock)
        try:
            await self.app(scope, body.receive, send)
        finally:
            await body.room.give_back()


class Body:
    """A request's body, up to its limits. Who sends it is looked up only when it goes over those of a stranger."""

    def __init__(self, scope: Scope, receive: Receive, clock: Callable[[], float]) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        self.scope = scope
        self.source = receive
        self.clock = clock
        self.began = clock()
        self.size = int(declared) if declared.isdigit() else 0
        self.seen = 0
        self.allowed = of_strangers()
        self.room = DiskRoom(clock)
        self.asked = False
        self.whole = False
        self.cut = False

    async def receive(self) -> Message:
        while self.cut:
            # The rest is dropped, so that the client gets round to reading the answer.
            message = await self.source()
            if message["type"] != "http.request":
                return message
        if self.whole:
            return await self.source()
        if await self._too_large(0):
            return self._end(TOO_LARGE)
        try:
            message = await self._in_time()
        except TimeoutError:
            return self._end(TOO_SLOW)
        if message["type"] == "http.request" and await self._too_large(len(message.get("body", b""))):
            return self._end(TOO_LARGE)
        self.whole = not message.get("more_body")
        return await self._with_room(message)

    async def _with_room(self, message: Message) -> Message:
        """The message, if there is room for what comes with it and after it."""
        person, size = self.allowed.person, max(self.size, self.seen)
        refusal = await self.room.keep(person, size, self.size) if person and size > SMALL else None
        if refusal is None:
            return message
        self.scope[REFUSED] = refusal
        return self._end(TOO_LARGE)

    async def _too_large(self, more: int) -> bool:
        self.seen += more
        size = max(self.size, self.seen)
        return size > self.allowed.size and not (await self._may_more() and size <= self.allowed.size)

    async def _in_time(self) -> Message:
        """The next message. Raises TimeoutError where the time for the whole body is over before it comes."""
        while True:
            left = self.began + self.allowed.seconds - self.clock()
            if left <= 0:
                if not await self._may_more():
                    raise TimeoutError
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, HEARD_EVERY) if self.room.key else left):
                    return await self.source()
            await self.room.hear()

    async def _may_more(self) -> bool:
        """Whether it is worth another look at what is allowed, now that the sender is known. True once at most."""
        if self.asked or not session_of(self.scope):
            return False
        self.asked = True
        self.allowed = await asked(allowance, self.scope)
        return True

    def _end(self, mark: str) -> Message:
        self.cut = True
        self.scope[mark] = self.allowed
        return {"type": "http.request", "body": b"", "more_body": False}


class DiskRoom:
    """The room that is kept for one body while it comes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.key: int | None = None
        self.size = 0
        self.heard = 0.0

    async def keep(self, person: Any, size: int, declared: int) -> Refusal | None:
        """Keeps room for all that was declared, for more than that step by step. Says why where there is none."""
        if size <= self.size:
            await self.hear()
            return None
        wanted = declared if size <= declared else size + STEP
        refusal = await asked(self._keep, person, wanted)
        self.size, self.heard = wanted, self.clock()
        return refusal

    def _keep(self, person: Any, size: int) -> Refusal | None:
        try:
            if self.key is None:
                self.key = Incoming.expect(person, size)
            else:
                Incoming.grow(self.key, person, size)
        except OverQuota as error:
            return Refusal(413, str(error))
        except NoRoom as error:
            logger.error("No room is left: %s", error)
            return Refusal(507, FULL)
        return None

    async def hear(self) -> None:
        """Notes now and then that the body still comes."""
        if self.key and self.clock() - self.heard >= HEARD_EVERY:
            self.heard = self.clock()
            await asked(Incoming.objects.filter(pk=self.key).update, heard=Now())

    async def give_back(self) -> None:
        """The body is stored by now, or never will be. Where the database is away, what nobody hears of is let go."""
        if self.key:
            with suppress(DatabaseError):
                await asked(Incoming.objects.filter(pk=self.key).delete)


_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def asked(does: Callable[..., T], *arguments: Any, **fields: Any) -> T:
    """What it returns, asked in a thread that ends then, and has no connection to the database any more.

    The rest of a body may take minutes, or never come: then nobody else would give back the connection or the thread.
    """

    def asked_and_let_go() -> T:
        close_old_connections()
        try:
            return does(*arguments, **fields)
        finally:
            let_go()

    async with _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(ASKED)), short_thread():
        return await sync_to_async(asked_and_let_go)()


def of_strangers() -> Allowance:
    """What anybody may send."""
    return Allowance(OF_STRANGERS, min(MINUTE, settings.JOBS_MAX_UPLOAD_SECONDS))


def session_of(scope: Scope) -> str:
    """The key of the session that a request names, whether there is one or not."""
    cookies = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    return parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")


def allowance(scope: Scope) -> Allowance:
    """What the sender of this request may send."""
    key = session_of(scope)
    person = person_of(key) if key else None
    if person is None or not person.is_authenticated:
        return of_strangers()
    return Allowance(settings.JOBS_MAX_UPLOAD_BYTES + ENVELOPE, settings.JOBS_MAX_UPLOAD_SECONDS, person)
