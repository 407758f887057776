"""Websockets: authorise, join, send. A message from the layer only says that there is something to read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from typing import Any, Final

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError

from jobs import events, live
from jobs.models import Job

logger = logging.getLogger(__name__)

QUIET: Final = 5.0  # seconds without a wake-up after which the job is looked at anyway
HIDDEN: Final = 10.0  # seconds between two frames to a page that nobody looks at
LIST_INTERVAL: Final = 1.0
NOT_FOUND: Final = 4404
TOO_MANY: Final = 4429
TRY_AGAIN: Final = 1012

_sockets: Counter[int] = Counter()


class Viewer(AsyncWebsocketConsumer):
    """A socket of one person, counted against their limit, with one loop that sends and one group or more."""

    groups_joined: list[str]

    async def connect(self) -> None:
        self.groups_joined = []
        self.counted = False
        self.wake = asyncio.Event()
        self.hidden = False
        self.loop: asyncio.Task[None] | None = None
        self.user = self.scope["user"]
        if not self.user.is_authenticated or not await self.authorise():
            await self.refuse(NOT_FOUND)
            return
        if _sockets[self.user.pk] >= settings.JOBS_SOCKETS_PER_PERSON:
            await self.refuse(TOO_MANY)
            return
        _sockets[self.user.pk] += 1
        self.counted = True
        await self.accept()
        await self.join()
        self.loop = asyncio.create_task(self.send_for_ever())

    async def refuse(self, code: int) -> None:
        """Accepts and closes, since only so does a page learn why."""
        await self.accept()
        await self.close(code)

    async def authorise(self) -> bool:
        raise NotImplementedError

    def groups_wanted(self) -> list[str]:
        raise NotImplementedError

    async def send_news(self) -> None:
        raise NotImplementedError

    async def join(self) -> None:
        """Joins the groups. Without the layer the page still gets its numbers, a few seconds late."""
        for group in self.groups_wanted():
            try:
                await asyncio.wait_for(self.channel_layer.group_add(group, self.channel_name), 3)
                self.groups_joined.append(group)
            except Exception as error:  # the layer is a wake-up call, its drivers raise what they like
                logger.warning("No wake-ups for a viewer: %s", type(error).__name__)

    async def disconnect(self, code: int) -> None:
        if self.loop:
            self.loop.cancel()
        if self.counted:
            _sockets[self.user.pk] -= 1
        for group in self.groups_joined:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.channel_layer.group_discard(group, self.channel_name), 3)

    async def send_for_ever(self) -> None:
        while True:
            try:
                await self.send_news()
            except DatabaseError as error:
                logger.warning("A viewer waits for the database: %s", type(error).__name__)
                await self.close(TRY_AGAIN)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), QUIET)
            self.wake.clear()
            if self.hidden:
                await asyncio.sleep(HIDDEN)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`hello` with the number the page is at, and `hidden`. Commands are never taken from a socket."""
        try:
            message = json.loads(text_data or "")
            kind = message["t"]
        except (ValueError, TypeError, KeyError):
            return
        if kind == "hidden":
            self.hidden = bool(message.get("hidden"))
        elif kind == "hello":
            self.greet(message.get("after"))
        self.wake.set()

    def greet(self, after: Any) -> None:
        """The page says what it has already."""

    async def beat(self) -> None:
        await self.send(json.dumps({"t": "hb", "now": time.time()}))


class JobConsumer(Viewer):
    """One job, live: each viewer is sent one frame from its own last number to the newest."""

    seq = -1
    last = ""

    async def authorise(self) -> bool:
        self.code = self.scope["url_route"]["kwargs"]["code"]
        visible = Job.objects.visible_to(self.user).filter(code=self.code)
        return await live.in_reader(visible.exists)

    def groups_wanted(self) -> list[str]:
        return [events.job_group(self.code)]

    async def join(self) -> None:
        live.hub.join(self.code)
        await super().join()

    async def disconnect(self, code: int) -> None:
        if self.counted:
            live.hub.leave(self.code)
        await super().disconnect(code)

    async def wake_job(self, message: dict[str, Any]) -> None:
        self.wake.set()

    def greet(self, after: Any) -> None:
        if isinstance(after, int) and after >= 0:
            self.seq = after

    async def send_news(self) -> None:
        head = await live.hub.head(self.code)
        if head is None:
            await self.close(NOT_FOUND)
            return
        if self.seq < 0:
            return  # the page has not said hello yet
        since = min(self.seq, head.seq)
        text, cells = live.frames(head, since)
        if text == self.last and not cells:
            await self.beat()
            return
        self.last = text
        await self.send(text)
        if cells:
            await self.send(bytes_data=cells)
        self.seq = head.seq


class ListConsumer(Viewer):
    """The list of jobs, live: rows of jobs that changed, at most once a second."""

    async def authorise(self) -> bool:
        self.changed: set[str] = set()
        return True

    def groups_wanted(self) -> list[str]:
        own = events.owner_group(self.user.pk)
        return [events.STAFF_GROUP] if self.user.is_staff else [own]

    async def wake_list(self, message: dict[str, Any]) -> None:
        self.changed.add(message["job"])
        self.wake.set()

    async def send_news(self) -> None:
        codes, self.changed = sorted(self.changed), set()
        if not codes:
            await self.beat()
            return
        rows = await live.in_reader(live.list_rows, codes)
        await self.send(json.dumps({"t": "jobs", "rows": rows}))
        await asyncio.sleep(LIST_INTERVAL)
