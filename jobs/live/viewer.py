"""A websocket of one person: who may have it, what it is told, and when it is asked again who sits behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.utils import await_many_dispatch
from django.conf import settings
from django.db import DatabaseError

from batchweb.accounts import second_factor
from batchweb.auth import person_of
from jobs import events
from jobs.live import hub
from jobs.live.subscriber import wakeups

logger = logging.getLogger(__name__)

QUIET: Final = 5.0  # seconds without a wake-up after which the database is looked at anyway
HIDDEN: Final = 10.0  # seconds between two frames to a page that nobody looks at
RECHECK: Final = 30.0  # seconds after which a socket asks again who sits behind it, unless it was told to at once
BURST: Final = 30.0  # messages of a page at once, and how many come free each second; pages send one now and then
PER_SECOND: Final = 1.0
LONGEST: Final = 4096  # characters of a message
NOT_FOUND: Final = 4404
TOO_MANY: Final = 4429
TRY_AGAIN: Final = 1012

_sockets: Counter[int] = Counter()


class Pace:
    """How fast a page may speak: `BURST` messages at once, then `PER_SECOND`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.left = BURST
        self.at = clock()

    def keeps(self) -> bool:
        """Whether one more message is not too many."""
        now = self.clock()
        self.left = min(BURST, self.left + (now - self.at) * PER_SECOND) - 1
        self.at = now
        return self.left >= 0


class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """A socket of one person, counted against their limit, with one loop that sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = ""
        self.wake = asyncio.Event()
        self.seen = asyncio.Event()
        self.hidden = False
        self.loop: asyncio.Task[None] | None = None
        self.person: Any = None
        self.checked = time.monotonic()
        self.pace = Pace()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handles what the page sends. Wake-ups come by `jobs.live.subscriber`, so that no viewer needs the layer."""
        self.scope, self.base_send = scope, send
        try:
            await await_many_dispatch([receive], self.dispatch)
        except StopConsumer:
            pass
        finally:
            # `disconnect` is not called when a handler raises or is cancelled.
            self.release()

    async def connect(self) -> None:
        self.person = self.scope["user"]
        try:
            allowed = self.person.is_authenticated and await self.complete() and await self.authorise()
        except DatabaseError:
            await self.refuse(TRY_AGAIN)
            return
        if not allowed:
            await self.refuse(NOT_FOUND)
        elif _sockets[self.person.pk] >= settings.JOBS_SOCKETS_PER_PERSON:
            await self.refuse(TOO_MANY)
        else:
            await self.welcome()

    async def complete(self) -> bool:
        """Whether the person has the second factor that they must have."""
        return not second_factor.required(self.person) or not await hub.in_reader(second_factor.missing, self.person)

    async def refuse(self, code: int) -> None:
        """Accepts and closes, since only so does a page learn why."""
        await self.accept()
        await self.close(code)

    async def welcome(self) -> None:
        self.owner = self.person.pk
        _sockets[self.owner] += 1
        self.group = self.group_wanted()
        wakeups.follow(self.group, self.hear)
        wakeups.follow(events.person_group(self.owner), self.recheck)
        await self.accept()
        self.loop = asyncio.create_task(self.send_for_ever())

    def release(self) -> None:
        """Gives back what the viewer had; called once or more."""
        if self.loop:
            self.loop.cancel()
        if not self.group:
            return
        wakeups.leave(self.group, self.hear)
        wakeups.leave(events.person_group(self.owner), self.recheck)
        self.group = ""
        _sockets[self.owner] -= 1
        if not _sockets[self.owner]:
            del _sockets[self.owner]

    async def disconnect(self, code: int) -> None:
        self.release()

    async def authorise(self) -> bool:
        raise NotImplementedError

    def group_wanted(self) -> str:
        raise NotImplementedError

    def hear(self, message: dict[str, Any]) -> None:
        """A wake-up, or an empty one when some may have been missed."""
        self.wake.set()

    def recheck(self, message: dict[str, Any]) -> None:
        """The person may have signed out, or may see less than before: asked before anything more is sent.

        What may have been missed is left to the check that comes anyway: else all sockets would ask at once.
        """
        if not message:
            return
        self.checked = float("-inf")
        self.wake.set()
        self.seen.set()

    async def send_news(self) -> None:
        raise NotImplementedError

    # The loop

    async def send_for_ever(self) -> None:
        try:
            while await self.still_allowed():
                await self.send_news()
                await self.pause()
            await self.close(NOT_FOUND)
        except OSError:  # as ASGI has it: the page has gone, and nobody is left to be told anything
            self.release()
        except Exception as error:  # whatever it is, the page comes back and asks again
            log = logger.warning if isinstance(error, DatabaseError) else logger.exception
            log("A viewer is sent away: %s", type(error).__name__)
            with contextlib.suppress(Exception):
                await self.close(TRY_AGAIN)

    async def pause(self) -> None:
        """Until there is news, or for a while; a page that nobody looks at gets less, until somebody does."""
        news, most = (self.seen, HIDDEN) if self.hidden else (self.wake, QUIET)
        if await waited(news, most):
            news.clear()

    async def still_allowed(self) -> bool:
        """Whether the person is still signed in and may still see this; asked now and then."""
        if time.monotonic() - self.checked < RECHECK:
            return True
        self.checked = time.monotonic()
        self.person = await hub.in_reader(person_of, self.scope["session"].session_key)
        # Who is no longer staff must not go on hearing of everybody's jobs.
        same = self.person.is_authenticated and self.group == self.group_wanted()
        return bool(same and await self.authorise())

    # What the page says

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`hello` with the number the page is at, and `hidden`. Commands are never taken from a socket."""
        if not self.pace.keeps():
            self.release()  # nothing more is sent
            await self.close(TOO_MANY)
            return
        if len(text_data or "") > LONGEST:
            return
        try:
            message = json.loads(text_data or "")
            kind = message["t"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if kind == "hidden":
            self.hide(bool(message.get("hidden")))
        elif kind == "hello":
            self.greet(message)

    def hide(self, hidden: bool) -> None:
        self.hidden = hidden
        if hidden:
            self.seen.clear()
        else:
            self.seen.set()
        self.wake.set()

    def greet(self, message: dict[str, Any]) -> None:
        """The page says what it has already."""
        self.wake.set()

    async def beat(self) -> None:
        await self.send(json.dumps({"t": "hb", "now": time.time()}))


async def waited(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within so many seconds."""
    if event.is_set():
        return True
    with contextlib.suppress(TimeoutError):
        # Not `wait_for`, which makes a task each time.
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
