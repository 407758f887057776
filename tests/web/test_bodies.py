"""Bodies that are too large are cut off before they reach the disk."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, TransactionTestCase, override_settings

from batchweb.asgi import application
from batchweb.bodies import ENVELOPE, SMALL, LimitBodies
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


@override_settings(JOBS_MAX_UPLOAD_BYTES=LIMIT)
class BodyTests(People):
    def run(self, result: Any = None) -> Any:
        with patch("batchweb.bodies.close_old_connections"):  # it would close the one that holds the test's transaction
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
        for size, person in ((0, None), (SMALL, None), (LIMIT + ENVELOPE, self.alice)):
            taken = await self.sent(size, person, size)
            assert taken.size == size
            assert "batchweb.too_large" not in taken.scope

    async def test_it_stops_who_is_not_signed_in_early(self) -> None:
        taken = await self.sent(2 * SMALL, None)
        assert taken.size <= SMALL
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


@override_settings(JOBS_MAX_UPLOAD_BYTES=LIMIT)
class AnswerTests(TransactionTestCase):
    async def test_it_answers_with_a_page(self) -> None:
        alice = await User.objects.acreate(username="alice")
        for person in (None, alice):
            line = ApplicationCommunicator(application, await sync_to_async(request)(person, 10**12))
            await line.send_input({"type": "http.request", "body": PIECE, "more_body": True})
            start = await line.receive_output(5)
            assert start["status"] == 413
            assert b"content-security-policy" in {name.lower() for name, _ in start["headers"]}
            assert b"The file is too large" in (await line.receive_output(5))["body"]
            await line.send_input({"type": "http.disconnect"})
            await line.wait(5)
