"""Websockets: a job, live; the list, live. A message from the layer only says that there is something to read."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from channels.generic.websocket import AsyncWebsocketConsumer

from jobs import events
from jobs.live import hub
from jobs.live.shapes import ListRow
from jobs.live.subscriber import wakeups
from jobs.live.viewer import NOT_FOUND, Viewer
from jobs.models import Job

LIST_INTERVAL: Final = 1.0  # seconds between two frames of the list


class JobConsumer(Viewer):
    """One job, live: each viewer is sent one frame from its own last number to the newest."""

    seq = -1
    last = ""
    watching = False

    async def authorise(self) -> bool:
        self.code = self.scope["url_route"]["kwargs"]["code"]
        return await hub.in_reader(Job.objects.visible_to(self.person).filter(code=self.code).exists)

    def group_wanted(self) -> str:
        return events.job_group(self.code)

    async def welcome(self) -> None:
        hub.hub.join(self.code, self.wake.set)
        self.watching = True
        await super().welcome()

    def release(self) -> None:
        if self.watching:
            self.watching = False
            hub.hub.leave(self.code, self.wake.set)
        super().release()

    def hear(self, message: dict[str, Any]) -> None:
        hub.hub.hear(self.code, message.get("seq", 0))

    def greet(self, message: dict[str, Any]) -> None:
        after = message.get("after")
        if isinstance(after, int) and after >= 0:
            self.seq = after
            self.last = ""
            super().greet(message)

    async def send_news(self) -> None:
        if self.seq < 0:
            return  # the page has not said hello yet
        head = await hub.hub.newest(self.code)
        if head is None:
            await self.close(NOT_FOUND)
            return
        text, cells = hub.frames(head, min(self.seq, head.seq))
        self.seq = head.seq
        if text == self.last and not cells:
            await self.beat()
            return
        self.last = text
        await self.send(text)
        if cells:
            await self.send(bytes_data=cells)


class ListConsumer(Viewer):
    """The list of jobs, live: rows of jobs that changed and what stands above them, at most once a second.

    A wake-up of a job reaches its owner and staff. Of the jobs that are shared with somebody else, that person's lists
    follow the groups themselves.
    """

    unsure = True
    shared: frozenset[str] = frozenset()

    async def authorise(self) -> bool:
        self.unsure = True
        return True

    def release(self) -> None:
        self.follow(frozenset())
        super().release()

    def follow(self, groups: frozenset[str]) -> None:
        for group in self.shared - groups:
            wakeups.leave(group, self.hear)
        for group in groups - self.shared:
            wakeups.follow(group, self.hear)
        self.shared = groups

    async def welcome(self) -> None:
        self.changed: dict[str, int] = {}
        self.codes: frozenset[str] = frozenset()
        self.sent: dict[str, Any] = {}
        self.glanced: dict[str, Any] = {}
        await super().welcome()

    def group_wanted(self) -> str:
        return events.STAFF_GROUP if self.person.is_staff else events.owner_group(self.person.pk)

    def greet(self, message: dict[str, Any]) -> None:
        """The page says which jobs it shows."""
        codes = message.get("codes")
        if isinstance(codes, list):
            self.codes = frozenset(code for code in codes[: hub.LISTED] if isinstance(code, str))
            self.unsure = True
        super().greet(message)

    def hear(self, message: dict[str, Any]) -> None:
        if "job" in message:
            self.changed[message["job"]] = max(message["seq"], self.changed.get(message["job"], 0))
        super().hear(message)

    async def send_news(self) -> None:
        """What differs from what was sent: of the jobs that woke this viewer, else of those that it shows."""
        if self.unsure:
            self.unsure = False
            self.follow(frozenset(map(events.job_group, await self.look_for_shared())))
            # What woke it until now may be a job that is no longer theirs: all that they may see is looked at.
            self.changed.clear()
        rows = [row for row in await self.look() if self.sent.get(row["code"]) != row]
        seen = await hub.glances.get(None if self.person.is_staff else self.person.pk)
        news = {} if seen == self.glanced else seen
        if not (rows or news):
            await self.beat()
            return
        self.sent |= {row["code"]: row for row in rows}
        self.glanced = seen
        await self.send(json.dumps({"t": "jobs", "rows": rows, **news}))
        await asyncio.sleep(LIST_INTERVAL)

    async def look_for_shared(self) -> list[str]:
        """The codes of the jobs that are shared with the person: of the newest, and of those that the page shows."""
        if self.person.is_staff:
            return []
        return await hub.in_reader(hub.shared_codes, self.person, self.codes)

    async def look(self) -> list[ListRow]:
        changed, self.changed = self.changed, {}
        if changed:
            return await hub.changed_rows(changed)
        return await hub.in_reader(hub.shown_rows, self.person, self.codes)


class NoSuchSocket(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Whatever else is asked for."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(NOT_FOUND)
