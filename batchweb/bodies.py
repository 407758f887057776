"""Cuts off request bodies that nobody may send, before Django stores them.

Django under ASGI writes the whole body to the disk before any view or middleware sees the request. So the limit stands
in front of it: who is not signed in may send a small form, who is may send a file. What is too large never arrives;
`batchweb.middleware.too_large` answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from django.http import parse_cookie

from batchweb.people import person_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SMALL: Final = 1024 * 1024  # bytes of any body
ENVELOPE: Final = 1024 * 1024  # bytes that a form has beside its file
TOO_LARGE: Final = "batchweb.too_large"


class LimitBodies:
    """Passes on at most as many bytes as this person may send, and marks the scope where there were more."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        body = Body(scope, receive, int(declared) if declared.isdigit() else 0)
        await self.app(scope, body.receive, send)


class Body:
    """A request's body, up to its limit."""

    def __init__(self, scope: Scope, receive: Receive, declared: int) -> None:
        self.scope = scope
        self.source = receive
        self.size = declared
        self.seen = 0
        self.limit: int | None = None
        self.cut = False

    async def receive(self) -> Message:
        while self.cut:
            # The rest is dropped, so that the client gets round to reading the answer.
            message = await self.source()
            if message["type"] != "http.request":
                return message
        if await self._too_large(0):
            return self._end()
        message = await self.source()
        if message["type"] == "http.request" and await self._too_large(len(message.get("body", b""))):
            return self._end()
        return message

    async def _too_large(self, more: int) -> bool:
        self.seen += more
        size = max(self.size, self.seen)
        if size <= SMALL:
            return False
        if self.limit is None:
            self.limit = await sync_to_async(limit_for)(self.scope)
        return size > self.limit

    def _end(self) -> Message:
        self.cut = True
        self.scope[TOO_LARGE] = self.limit
        return {"type": "http.request", "body": b"", "more_body": False}


def limit_for(scope: Scope) -> int:
    """How many bytes the sender of this request may send."""
    cookies = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    close_old_connections()
    signed_in = bool(key) and person_of(key).is_authenticated
    return settings.JOBS_MAX_UPLOAD_BYTES + ENVELOPE if signed_in else SMALL
