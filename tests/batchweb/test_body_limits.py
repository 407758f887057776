"""Bodies that are too large or come too slowly are cut off before they reach the disk."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone

from batchweb.asgi import application, django
from batchweb.body_limits import ENVELOPE, OF_STRANGERS, SMALL, LimitBodies
from jobs.maintenance import keeper
from jobs.models import Incoming
from tests.base import People

LIMIT = 3 * SMALL
PIECE = b"x" * 65_536


class Taken:
    """Stands for Django: reads the whole body and remembers its size."""

    def __init__(self) -> None:
        self.size = 0
        self.scope: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while True:
            message = await receive()
            self.size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        assert (await receive())["type"] == "http.disconnect"


def request(person: User | None, declared: int | None) -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/octet-stream")]
    if declared is not None:
        headers.append((b"content-length", str(declared).encode()))
    if person:
        client, name = Client(), settings.SESSION_COOKIE_NAME
        client.force_login(person)
        headers.append((b"cookie", f"{name}={client.cookies[name].value}".encode()))
    return {"type": "http", "http_version": "1.1", "method": "POST", "path": "/jobs/new/", "headers": headers,
            "query_string": b""}  # fmt: skip


async def gone(line: ApplicationCommunicator) -> None:
    """Nobody waits for the answer any more, and what that brings about has been done."""
    line.future.cancel()
    with suppress(asyncio.CancelledError):
        await line.future


@override_settings(JOBS_MAX_UPLOAD_BYTES=LIMIT)
class BodyTests(People):
    def run(self, result: Any = None) -> Any:
        with patch(
            "batchweb.body_limits.close_old_connections"
        ):  # it would close the one that holds the test's transaction
            return super().run(result)

    async def sent(self, size: int, person: User | None, declared: int | None = None) -> Taken:
        """What arrives of a body of `size` bytes."""
        taken = Taken()
        line = ApplicationCommunicator(LimitBodies(taken), await sync_to_async(request)(person, declared))
        for at in range(0, size, len(PIECE)):
            body = PIECE[: size - at]
            await line.send_input({"type": "http.request", "body": body, "more_body": True})
        await line.send_input({"type": "http.request", "body": b"", "more_body": False})
        await line.receive_output(5)
        await line.receive_output(5)
        await line.send_input({"type": "http.disconnect"})
        await line.wait(5)
        return taken

    async def test_it_passes_on_what_may_be_sent(self) -> None:
        for size, person in ((0, None), (OF_STRANGERS, None), (LIMIT + ENVELOPE, self.alice)):
            taken = await self.sent(size, person, size)
            assert taken.size == size
            assert "batchweb.too_large" not in taken.scope

    async def test_it_stops_who_is_not_signed_in_early(self) -> None:
        taken = await self.sent(2 * SMALL, None)
        assert taken.size <= OF_STRANGERS
        assert taken.scope["batchweb.too_large"]

    async def test_it_takes_nothing_of_a_body_that_is_too_large_by_its_own_account(self) -> None:
        assert (await self.sent(2 * SMALL, None, 2 * SMALL)).size == 0
        assert (await self.sent(2 * SMALL, self.alice, 10**12)).size == 0

    async def test_it_counts_what_really_comes(self) -> None:
        taken = await self.sent(LIMIT + ENVELOPE + 1, self.alice, 10)
        assert LIMIT < taken.size <= LIMIT + ENVELOPE
        assert taken.scope["batchweb.too_large"]

    async def test_it_does_not_believe_a_cookie_that_anybody_can_write(self) -> None:
        taken = Taken()
        scope = await sync_to_async(request)(None, 2 * SMALL)
        scope["headers"].append((b"cookie", f"{settings.SESSION_COOKIE_NAME}=abcdefgh".encode()))
        line = ApplicationCommunicator(LimitBodies(taken), scope)
        await line.send_input({"type": "http.request", "body": PIECE})
        await line.receive_output(5)
        assert taken.scope["batchweb.too_large"]
        line.stop(exceptions=False)


@override_settings(JOBS_MAX_UPLOAD_BYTES=LIMIT, JOBS_MAX_STORED_MB=5, JOBS_UPLOADS_AT_A_TIME=3)
class RoomTests(People):
    """Room is kept for a file while it comes."""

    def run(self, result: Any = None) -> Any:
        with patch("batchweb.body_limits.close_old_connections"):
            return super().run(result)

    async def begun(
        self, declared: int | None, pieces: int = 1, person: User | None = None, clock: Any = lambda: 0.0
    ) -> tuple[ApplicationCommunicator, Taken]:
        """Somebody who has sent so many pieces, of which all was made that could be, and sends more later."""
        taken, asks = Taken(), asyncio.Event()
        limits = LimitBodies(taken, clock)

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            async def more() -> Any:
                if line.input_queue.empty():
                    asks.set()
                return await receive()

            await limits(scope, more, send)

        line = ApplicationCommunicator(watched, await sync_to_async(request)(person or self.alice, declared))
        for _ in range(pieces):
            line.input_queue.put_nowait({"type": "http.request", "body": PIECE, "more_body": True})
        assert line.future  # which begins with that
        await asyncio.wait_for(asks.wait(), 60)
        return line, taken

    async def kept(self) -> list[int]:
        return [size async for size in Incoming.objects.order_by("pk").values_list("size", flat=True)]

    async def test_it_keeps_room_for_what_is_declared(self) -> None:
        line, _ = await self.begun(2 * SMALL)
        assert await self.kept() == [2 * SMALL]
        await gone(line)

    async def test_it_keeps_none_for_a_small_form(self) -> None:
        line, _ = await self.begun(SMALL)
        assert await self.kept() == []
        await gone(line)

    async def test_it_gives_the_room_back_at_the_end(self) -> None:
        line, _ = await self.begun(2 * SMALL)
        await line.send_input({"type": "http.request", "body": b"", "more_body": False})
        await line.receive_output(5)
        await line.receive_output(5)
        await line.send_input({"type": "http.disconnect"})
        await line.wait(5)
        assert await self.kept() == []

    async def test_it_gives_the_room_back_when_nobody_waits_any_more(self) -> None:
        line, _ = await self.begun(2 * SMALL)
        await gone(line)
        assert await self.kept() == []

    async def test_it_refuses_what_does_not_fit_beside_what_is_coming(self) -> None:
        lines = [await self.begun(2 * SMALL) for _ in range(3)]
        assert await self.kept() == [2 * SMALL] * 2
        refused = lines[2][1]
        status, sentence = refused.scope["batchweb.refused"]
        assert (refused.size, status) == (0, 413)
        assert sentence.startswith("This file has 2.1 MB and you have 4.2 MB stored here already or on their way;")
        for line, _ in lines:
            await gone(line)

    async def test_it_keeps_room_for_each_person(self) -> None:
        lines = [await self.begun(2 * SMALL, person=person) for person in (self.alice, self.alice, self.bob)]
        assert await self.kept() == [2 * SMALL] * 3
        for line, _ in lines:
            await gone(line)

    async def test_it_keeps_room_step_by_step_for_what_is_not_declared(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=0), patch("batchweb.body_limits.STEP", SMALL):
            line, _ = await self.begun(None, 47)
        # The first piece beyond a small form asks for a step more, and so does the first beyond that.
        assert await self.kept() == [(SMALL + len(PIECE) + SMALL) + len(PIECE) + SMALL]
        await gone(line)

    async def test_it_stops_what_goes_on_beyond_the_room(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=2), patch("batchweb.body_limits.STEP", 0):
            line, taken = await self.begun(None, 40)
        assert taken.size < 2_000_000 < taken.size + 2 * len(PIECE)
        assert taken.scope["batchweb.refused"].status == 413
        await gone(line)

    async def test_it_takes_so_many_at_a_time(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=0):
            lines = [await self.begun(2 * SMALL) for _ in range(4)]
        sentence = "You are sending 3 files already; 3 at a time are allowed. Wait for one."
        assert lines[3][1].scope["batchweb.refused"].sentence == sentence
        for line, _ in lines:
            await gone(line)

    async def test_it_forgets_who_has_not_been_heard_of(self) -> None:
        await Incoming.objects.acreate(person=self.alice, size=4 * SMALL, heard=timezone.now() - timedelta(minutes=3))
        line, taken = await self.begun(2 * SMALL)
        assert "batchweb.refused" not in taken.scope
        await sync_to_async(keeper.tidy)()
        assert await self.kept() == [2 * SMALL]
        await gone(line)

    async def test_it_hears_that_a_slow_file_still_comes(self) -> None:
        ticks = itertools.count(0, 20)
        line, _ = await self.begun(2 * SMALL, clock=lambda: next(ticks))
        await Incoming.objects.aupdate(heard=timezone.now() - timedelta(minutes=3))
        await line.send_input({"type": "http.request", "body": PIECE, "more_body": True})
        async with asyncio.timeout(60):
            while await Incoming.objects.alive().acount() != 1:
                await asyncio.sleep(0.01)
        await gone(line)

    async def test_it_leaves_the_database_its_part_of_the_disk(self) -> None:
        usage = SimpleNamespace(free=508 * 1_000_000)
        with override_settings(JOBS_DISK_RESERVE_MB=500), patch("shutil.disk_usage", return_value=usage):
            small, _ = await self.begun(2 * SMALL)
            line, taken = await self.begun(2 * SMALL + 1)
        status, sentence = taken.scope["batchweb.refused"]
        assert (status, await self.kept()) == (507, [2 * SMALL])
        assert sentence == "The server has no room left for this file. Nothing was stored."
        for one in (small, line):
            await gone(one)


@override_settings(JOBS_MAX_UPLOAD_BYTES=LIMIT, JOBS_MAX_UPLOAD_SECONDS=3600)
class SlowTests(People):
    """Each look at the clock is one tick later; of a body that comes in pieces there is one look at each."""

    def run(self, result: Any = None) -> Any:
        with patch("batchweb.body_limits.close_old_connections"):
            return super().run(result)

    async def sent(self, ticks: Iterable[float], pieces: int, person: User | None = None) -> Taken:
        """What arrives of so many pieces, after which nothing more comes."""
        taken, clock = Taken(), iter(ticks)
        guard = LimitBodies(taken, lambda: next(clock))
        line = ApplicationCommunicator(guard, await sync_to_async(request)(person, None))
        for _ in range(pieces):
            await line.send_input({"type": "http.request", "body": b"x", "more_body": True})
        await line.receive_output(5)
        line.stop(exceptions=False)
        return taken

    async def test_it_ends_a_body_that_trickles(self) -> None:
        taken = await self.sent(itertools.count(0, 10), 20)
        assert (taken.size, taken.scope["batchweb.too_slow"].seconds) == (5, 60)

    async def test_it_ends_a_body_that_stands_still(self) -> None:
        taken = await self.sent([0, 59.99, 60, 60], 0)
        assert taken.scope["batchweb.too_slow"].seconds == 60

    async def test_it_gives_more_time_to_who_is_signed_in(self) -> None:
        taken = await self.sent(itertools.count(0, 10), 500, self.alice)
        assert taken.scope["batchweb.too_slow"].seconds == 3600
        assert 300 < taken.size < 360

    async def test_it_waits_on_for_who_is_signed_in(self) -> None:
        taken = await self.sent([0, 59.99, 60, 3599.99, 3600], 0, self.alice)
        assert taken.scope["batchweb.too_slow"].seconds == 3600

    async def test_it_gives_nobody_more_time_than_the_setting(self) -> None:
        with override_settings(JOBS_MAX_UPLOAD_SECONDS=30):
            taken = await self.sent(itertools.count(0, 10), 20)
        assert (taken.size, taken.scope["batchweb.too_slow"].seconds) == (2, 30)

    async def test_it_lets_an_answer_take_as_long_as_it_takes(self) -> None:
        taken, times = Taken(), iter([0, 1])
        line = ApplicationCommunicator(LimitBodies(taken, lambda: next(times)), await sync_to_async(request)(None, 1))
        await line.send_input({"type": "http.request", "body": b"x", "more_body": False})
        await line.receive_output(5)
        await line.receive_output(5)
        await line.send_input({"type": "http.disconnect"})
        await line.wait(5)
        assert taken.size == 1


@override_settings(JOBS_MAX_UPLOAD_BYTES=LIMIT)
class AnswerTests(TransactionTestCase):
    """What the whole of batchweb answers."""

    async def answer(
        self,
        person: User | None,
        declared: int | None,
        size: int,
        *headers: tuple[bytes, bytes],
        app: Any = application,
        more: bool = True,
    ) -> tuple[int, dict[bytes, bytes], str]:
        """The status, the headers and the page, after `size` bytes of a body that goes on unless there is no `more`."""
        scope = await sync_to_async(request)(person, declared)
        scope["headers"] += headers
        line = ApplicationCommunicator(app, scope)
        for at in range(0, size, len(PIECE)):
            rest = more or at + len(PIECE) < size
            await line.send_input({"type": "http.request", "body": PIECE[: size - at], "more_body": rest})
        start, body = await line.receive_output(5), await line.receive_output(5)
        await line.send_input({"type": "http.disconnect"})
        await line.wait(5)
        names = {name.lower(): value for name, value in start["headers"]}
        return start["status"], names, body["body"].decode()

    async def test_it_answers_with_a_page(self) -> None:
        alice = await User.objects.acreate(username="alice")
        for person in (None, alice):
            status, headers, page = await self.answer(person, 10**12, len(PIECE))
            assert status == 413
            assert b"content-security-policy" in headers
            assert "The file is too large" in page

    async def test_it_lets_through_what_may_be_sent(self) -> None:
        alice = await User.objects.acreate(username="alice")
        for person, size in ((None, OF_STRANGERS), (alice, LIMIT + ENVELOPE)):
            # Without a token against forgery it gets no further than that.
            assert (await self.answer(person, None, size, more=False))[0] == 403

    async def test_it_counts_what_no_header_tells_the_truth_about(self) -> None:
        alice = await User.objects.acreate(username="alice")
        for person, size in ((None, OF_STRANGERS + 1), (alice, LIMIT + ENVELOPE + 1)):
            for declared in (None, 10):
                assert (await self.answer(person, declared, size))[0] == 413

    async def test_it_says_why_there_is_no_room(self) -> None:
        alice = await User.objects.acreate(username="alice")
        sentence = "This file has 2.1 MB and you have 0 MB stored here already or on their way; 1 MB are allowed."
        with override_settings(JOBS_MAX_STORED_MB=1):
            for headers in ((), ((b"accept", b"application/json"),)):
                status, _, page = await self.answer(alice, 2 * SMALL, len(PIECE), *headers)
                assert status == 413
                assert (json.loads(page)["detail"] if headers else page).count(sentence) == 1

    async def test_it_answers_scripts_with_a_sentence(self) -> None:
        accept = (b"accept", b"application/json")
        status, _, body = await self.answer(None, None, 2 * SMALL, accept)
        assert (status, json.loads(body)) == (
            413,
            {"detail": "The file is too large: up to 3.0\xa0MB can be sent here."},
        )

    async def test_it_says_that_it_took_too_long(self) -> None:
        sentence = "It took more than 60 seconds to send this, which is the limit."
        for headers in ((), ((b"accept", b"application/json"),)):
            clock = itertools.count(0, 10)
            app = LimitBodies(django, lambda clock=clock: next(clock))  # type: ignore[misc]
            with patch("batchweb.body_limits.OF_STRANGERS", SMALL):
                status, given, page = await self.answer(None, None, 10 * len(PIECE), *headers, app=app)
            assert (status, given[b"connection"]) == (408, b"close")
            assert json.loads(page)["detail"] == sentence if headers else sentence in page
