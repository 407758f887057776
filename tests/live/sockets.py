"""A websocket to the application, without a server in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from batchweb.asgi import application
from jobs import events
from jobs.live import consumers, hub, viewer
from jobs.live.subscriber import wakeups
from jobs.models import Job
from tests.base import People, csv_of, loaded

HERE = b"http://localhost"
ABNORMAL = 1006  # what a page sees of a handshake that was refused


class Socket(ApplicationCommunicator):
    """One connection. `code` is what the server closed it with."""

    def __init__(self, path: str, person: User | None, origin: bytes | None = HERE) -> None:
        headers = [(b"host", b"localhost")] + ([(b"origin", origin)] if origin else [])
        if person:
            client = Client()
            client.force_login(person)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
            self.client = client
        scope = {"type": "websocket", "path": path, "headers": headers, "query_string": b"", "subprotocols": []}
        super().__init__(application, scope)
        self.code: int | None = None

    async def open(self) -> bool:
        """Whether the connection came about and was not closed at once."""
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(5)
        if answer["type"] == "websocket.accept" and not await self.receive_nothing(0.05):
            answer = self.output_queue.get_nowait()
            if answer["type"] != "websocket.close":
                self.output_queue._queue.appendleft(answer)
        if answer["type"] == "websocket.close":
            self.code = answer.get("code") or ABNORMAL
        return self.code is None

    async def say(self, **message: Any) -> None:
        await self.send_input({"type": "websocket.receive", "text": json.dumps(message)})

    async def hear(self, within: float = 5.0) -> Any:
        """The next frame: JSON read, binary as bytes; None when the server closed the connection."""
        message = await self.receive_output(within)
        if message["type"] == "websocket.close":
            self.code = message["code"]
            return None
        return json.loads(message["text"]) if message.get("text") else message["bytes"]

    async def hear_kind(self, kind: str, within: float = 5.0) -> Any:
        """The next frame of this kind; others are passed over."""
        async with asyncio.timeout(within):
            while True:
                frame = await self.hear(within)
                if isinstance(frame, dict) and frame["t"] == kind:
                    return frame

    async def leave(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1001})
        await self.wait(5)


@asynccontextmanager
async def socket(path: str, person: User | None, origin: bytes | None = HERE) -> AsyncIterator[Socket]:
    """A connection that is open, or was refused."""
    made = await sync_to_async(Socket)(path, person, origin)
    await made.open()
    try:
        yield made
    finally:
        await made.leave()


@contextmanager
def hurried() -> Iterator[None]:
    """Waits are short, and readings happen in the thread that holds the test's transaction."""

    async def here(function: Any, *args: Any) -> Any:
        return await sync_to_async(function, thread_sensitive=True)(*args)

    with (
        patch("channels.db.close_old_connections"),  # it would close the one that holds the test's transaction
        patch.object(hub, "in_reader", here),
        patch.object(hub, "INTERVAL", 0.01),
        patch.object(viewer, "QUIET", 0.1),
        patch.object(consumers, "LIST_INTERVAL", 0.01),
        patch.object(viewer, "HIDDEN", 0.5),
    ):
        yield


@asynccontextmanager
async def told(person: User) -> AsyncIterator[None]:
    """Once this process listens to what concerns the person."""
    listening = asyncio.Event()

    def hear(message: dict[str, Any]) -> None:
        listening.set()

    wakeups.follow(events.person_group(person.pk), hear)
    try:
        await asyncio.wait_for(listening.wait(), 5)
        yield
    finally:
        wakeups.leave(events.person_group(person.pk), hear)


class SocketCase(People):
    """People with sockets, in a hurry."""

    def run(self, result: Any = None) -> Any:
        with hurried():
            return super().run(result)

    async def job(self, rows: int = 3, **fields: Any) -> Job:
        return await sync_to_async(loaded)(self.alice, csv_of(rows), **fields)

    async def committed(self, act: Any) -> None:
        """Does something, with all that follows once it is stored."""

        def done() -> None:
            with self.captureOnCommitCallbacks(execute=True):
                act()

        await sync_to_async(done)()

    async def closed(self, line: Any, act: Any) -> int | None:
        """What the socket was closed with after somebody did something, long before it would have asked by itself."""
        with patch.object(viewer, "RECHECK", 600.0):
            await self.committed(act)
            async with asyncio.timeout(5):
                while line.code is None:
                    await line.hear()
        return line.code
