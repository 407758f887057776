"""Pages on another host, another port or another scheme are pages of others."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from batchweb.origins import OwnPages, trusted

HOSTS = override_settings(
    ALLOWED_HOSTS=["batch.example.com", "[::1]"],
    CSRF_TRUSTED_ORIGINS=["https://front.example.com", "https://*.trusted.example:8443"],
)


def scope(kind: str, host: str, origin: str, scheme: str = "", **more: Any) -> dict[str, Any]:
    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.pop("headers", {}).items()]
    return {"type": kind, "method": "POST", "headers": headers} | ({"scheme": scheme} if scheme else {}) | more


@HOSTS
@pytest.mark.parametrize(
    ("scheme", "host", "origin", "expected"),
    [
        ("ws", "batch.example.com", "http://batch.example.com", True),
        ("ws", "batch.example.com:8000", "http://batch.example.com:8000", True),
        ("ws", "batch.example.com:80", "http://batch.example.com", True),
        ("wss", "batch.example.com", "https://BATCH.example.com:443", True),
        ("ws", "[::1]:8000", "http://[::1]:8000", True),
        ("ws", "batch.example.com:8000", "http://batch.example.com:8001", False),
        ("ws", "batch.example.com:8000", "http://batch.example.com", False),
        ("ws", "batch.example.com", "https://batch.example.com", False),
        ("wss", "batch.example.com", "http://batch.example.com", False),
        ("ws", "batch.example.com", "http://batch.example.com.evil.example", False),
        ("ws", "batch.example.com", "http://sub.batch.example.com", False),
        ("ws", "evil.example", "http://evil.example", False),
        ("ws", "batch.example.com", "null", False),
        ("ws", "batch.example.com", "", False),
        ("ws", "batch.example.com", "http://batch.example.com:99999", False),
        ("ws", "batch.example.com", "http://[batch.example.com", False),
        ("ws", "batch.example.com", "http://me@batch.example.com", False),
        ("ws", "batch.example.com", "http://batch.example.com/page", False),
        ("ws", "anything", "https://front.example.com", True),
        ("ws", "anything", "http://front.example.com", False),
        ("ws", "anything", "https://a.trusted.example:8443", True),
        ("ws", "anything", "https://a.trusted.example", False),
        ("ws", "anything", "https://trusted.example:8443", False),
    ],
)
def test_it_tells_our_pages_by_scheme_host_and_port(scheme: str, host: str, origin: str, expected: bool) -> None:
    assert trusted(scope("websocket", host, origin, scheme)) is expected


@HOSTS
def test_it_trusts_no_page_that_names_two_origins() -> None:
    asked = scope("websocket", "batch.example.com", "http://batch.example.com")
    asked["headers"].append((b"origin", b"http://evil.example"))
    assert not trusted(asked)


async def status(asked: dict[str, Any]) -> int:
    """What a form is answered with: 200 by the application."""
    answers: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        answers.append(message)

    await OwnPages(app)(asked, None, send)
    return int(answers[0]["status"])


@HOSTS
@pytest.mark.parametrize(
    ("method", "site", "origin", "expected"),
    [
        ("POST", "same-origin", "http://batch.example.com", 200),
        ("POST", "cross-site", "http://evil.example", 403),
        ("POST", "same-site", "http://other.example.com", 403),
        ("DELETE", "cross-site", "", 403),
        ("POST", "cross-site", "https://front.example.com", 200),
        ("POST", "none", "", 200),
        ("POST", "", "", 200),
        ("GET", "cross-site", "", 200),
    ],
)
async def test_it_refuses_forms_of_other_sites(method: str, site: str, origin: str, expected: int) -> None:
    headers = {"sec_fetch_site": site} if site else {}
    asked = scope("http", "batch.example.com", origin, "http", method=method, headers=headers)
    assert await status(asked) == expected
