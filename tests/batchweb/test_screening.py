"""What never reaches Django: the question whether the server lives, and odd characters."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import override_settings

from batchweb import asgi
from batchweb.screening import Screen, is_foreign


def scope(path: str, method: str = "GET", kind: str = "http", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    own = [(b"host", b"nobody.knows.this"), *headers]
    return {"type": kind, "http_version": "1.1", "method": method, "path": path, "headers": own, "query_string": b""}


async def answer(path: str, method: str = "GET", app: Any = asgi.application) -> tuple[int, bytes]:
    line = ApplicationCommunicator(app, scope(path, method))
    await line.send_input({"type": "http.request"})
    start = await line.receive_output(5)
    return start["status"], (await line.receive_output(5))["body"]


@override_settings(SECURE_SSL_REDIRECT=True, ALLOWED_HOSTS=[])
async def test_it_says_that_it_lives_to_whoever_asks() -> None:
    assert await answer("/healthz") == (200, b"ok")
    assert (await answer("/healthz", "HEAD"))[0] == 200
    assert (await answer("/healthz", "POST"))[0] == 405


async def test_it_needs_no_thread_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert (await answer("/healthz"))[0] == 200


@pytest.mark.parametrize("path", ["/jobs/a\0b/", "/\n", "/admin/\x7f/", "/\x1b[2J"])
async def test_it_refuses_odd_characters_in_addresses(path: str) -> None:
    status, body = await answer(path)
    assert (status, body.endswith(b".")) == (400, True)
    line = ApplicationCommunicator(asgi.application, scope(path, kind="websocket"))
    await line.send_input({"type": "websocket.connect"})
    assert (await line.receive_output(5))["type"] == "websocket.close"


async def test_it_answers_where_something_breaks_before_django() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("nobody expects this")

    status, body = await answer("/jobs/", app=Screen(broken))
    assert (status, b"Try again" in body, b"nobody expects" in body) == (500, True, False)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded; charset=utf-7",
        'application/x-www-form-urlencoded; Charset="zip"',
        "application/x-www-form-urlencoded;a=b;\tcharset = hex_codec",
        "application/x-www-form-urlencoded; charset*=x''y",
        "multipart/form-data; boundary*=utf-9''x",
        "multipart/form-data; boundary=x; charset=rot13",
    ],
)
async def test_it_refuses_foreign_character_sets(content_type: str) -> None:
    line = ApplicationCommunicator(
        asgi.application, scope("/accounts/login/", "POST", "http", (b"content-type", content_type.encode()))
    )
    await line.send_input({"type": "http.request"})
    assert (await line.receive_output(5))["status"] == 415
    assert (await line.receive_output(5))["body"].endswith(b".")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        'text/plain; charset="us-ascii"',
        "multipart/form-data; boundary=----a*b",
    ],
)
def test_it_takes_those_that_browsers_send(content_type: str) -> None:
    assert not is_foreign(content_type.encode())


@pytest.mark.parametrize(
    ("cookies", "left"),
    [
        (b"a=1; b=2", b"a=1; b=2"),
        (rb'a=1; session="x\000y"; b=2', b"a=1; b=2"),
        (rb'a="\012"', b""),
        (rb'a="\177"; b="\054"', rb' b="\054"'),
    ],
)
async def test_it_drops_cookies_that_hold_odd_characters(cookies: bytes, left: bytes) -> None:
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(dict(scope["headers"])[b"cookie"])

    await Screen(app)(scope("/", "GET", "http", (b"cookie", cookies)), None, None)
    assert found == [left]
