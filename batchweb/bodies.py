"""Cuts off request bodies that nobody may send, before Django stores them.

Django under ASGI writes the whole body to the disk before any view or middleware sees the request. So the limits stand
in front of it: who is not signed in may send a small form within a minute, who is may send a file and take longer. What
is too large or comes too slowly never arrives; `batchweb.middleware.cut_off` answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from django.http import parse_cookie

from batchweb.people import person_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

SMALL: Final = 1024 * 1024  # bytes of any body
ENVELOPE: Final = 1024 * 1024  # bytes that a form has beside its file
MINUTE: Final = 60  # seconds for any body
TOO_LARGE: Final = "batchweb.too_large"
TOO_SLOW: Final = "batchweb.too_slow"


class Allowance(NamedTuple):
    """How many bytes a body may have, and how many seconds it may take to arrive."""

    size: int
    seconds: float


class LimitBodies:
    """Passes on at most as much as this person may send, and marks the scope where there was more or it took longer."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, Body(scope, receive, self.clock).receive, send)


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
        return message

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
                async with asyncio.timeout(left):
                    return await self.source()

    async def _may_more(self) -> bool:
        """Whether it is worth another look at what is allowed, now that the sender is known. True once at most."""
        if self.asked:
            return False
        self.asked = True
        self.allowed = await sync_to_async(allowance)(self.scope)
        return True

    def _end(self, mark: str) -> Message:
        self.cut = True
        self.scope[mark] = self.allowed
        return {"type": "http.request", "body": b"", "more_body": False}


def of_strangers() -> Allowance:
    """What anybody may send."""
    return Allowance(SMALL, min(MINUTE, settings.JOBS_MAX_UPLOAD_SECONDS))


def allowance(scope: Scope) -> Allowance:
    """What the sender of this request may send."""
    cookies = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    close_old_connections()
    if not key or not person_of(key).is_authenticated:
        return of_strangers()
    return Allowance(settings.JOBS_MAX_UPLOAD_BYTES + ENVELOPE, settings.JOBS_MAX_UPLOAD_SECONDS)
