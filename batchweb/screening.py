"""What is answered before Django: the sign of life, and what no page and no database should see."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# Cookies may hold control characters as \ and three octal digits, which Django decodes.
ESCAPED: Final = re.compile(rb"\\(?:0[0-3][0-7]|177)")
PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
ODD: Final = "The address of this page holds characters that no address has here."
# As Django's parsers would look for it, who take any codec of Python's for a character set and break down over some.
CHARSET: Final = re.compile(rb";[ \t]*+charset[ \t]*+=[ \t]*+\"?([^;\" \t]*+)", re.IGNORECASE)
CHARSETS: Final = (b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1")
EXTENDED: Final = re.compile(rb";[^;=*]*+\*[^;=]*+=")  # boundary*=utf-8''x, which no browser sends
BROKEN: Final = "Something broke here over this request. Try again; if it stays, tell whoever runs this server when."
FOREIGN: Final = "This request says that its text is in a character set that is not read here. Send UTF-8."


class Screen:
    """Answers /healthz from the event loop, so that it needs no thread, no database and no host name.

    It says nothing about database or workers, so that a slow one does not restart the web server.
    """

    def __init__(self, app: App, prefix: str = "") -> None:
        self.app = app
        self.health = f"{prefix}/healthz"

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == self.health:
            await health(scope, send)
        elif CONTROL.search(scope["path"]):
            await refuse(scope, receive, send)
        elif any(name == b"content-type" and is_foreign(value) for name, value in scope["headers"]):
            await answer(send, 415, FOREIGN, (b"connection", b"close"))
        else:
            await self.guarded({**scope, "headers": list(map(clean, scope["headers"]))}, receive, send)

    async def guarded(self, scope: Scope, receive: Any, send: Any) -> None:
        """Passes the request on; answers with a sentence where something breaks in front of Django's own pages."""
        begun = False

        async def sent(message: Scope) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sent)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            logger.exception("%s %r broke down", scope["method"], scope["path"][:200])
            await answer(send, 500, BROKEN, (b"connection", b"close"))


async def health(scope: Scope, send: Any) -> None:
    if scope["method"] in ("GET", "HEAD"):
        await answer(send, 200, "ok")
    else:
        await answer(send, 405, "Only GET and HEAD are answered here.", (b"allow", b"GET, HEAD"))


async def refuse(scope: Scope, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await answer(send, 400, ODD, (b"connection", b"close"))
    else:
        await receive()
        await send({"type": "websocket.close"})


async def answer(send: Any, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
    body = text.encode()
    headers = [PLAIN, (b"cache-control", b"no-store"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_foreign(content_type: bytes) -> bool:
    """Whether a content type names a character set other than the usual ones, or spells a parameter in one."""
    named = CHARSET.findall(content_type)
    return bool(EXTENDED.search(content_type)) or any(name.lower() not in CHARSETS for name in named)


def clean(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The header, cookies without those that hold control characters: other sites on this host may have set them."""
    name, value = header
    if name != b"cookie" or b"\\" not in value:
        return header
    return name, b";".join(pair for pair in value.split(b";") if not ESCAPED.search(pair))
