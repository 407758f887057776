"""Which pages may open sockets and send forms: our own, by scheme, host and port, and CSRF_TRUSTED_ORIGINS.

Channels' own validator compares host names only, and a page on another port is another page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from batchweb.addressing import note, of_origin

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
PAGES: Final = {"ws": "http", "wss": "https"}
SAFE: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
FORBIDDEN: Final = b"This form was sent by a page of another site.\n"


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class OwnPages:
    """Refuses sockets that are not opened by a page of ours, and forms that a browser says come from elsewhere.

    A form without such a word is Django's to judge, by its token.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket" and not trusted(scope):
            note_refusal(scope)
            await receive()
            await send({"type": "websocket.close"})
        elif scope["type"] == "http" and foreign_form(scope):
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": FORBIDDEN})
        else:
            await self.app(scope, receive, send)


def note_refusal(scope: Scope) -> None:
    """A browser always says where its page stands, and a proxy may have made us stand elsewhere."""
    if origin := header(scope, b"origin"):
        note(of_origin(origin, PAGES.get(scope.get("scheme", ""), "http"), header(scope, b"host")))


def foreign_form(scope: Scope) -> bool:
    if scope["method"] in SAFE:
        return False
    return header(scope, b"sec-fetch-site") in ("cross-site", "same-site") and not trusted(scope)


def trusted(scope: Scope) -> bool:
    """Whether the page that asks is one of ours."""
    return is_ours(header(scope, b"origin"), own(scope))


def is_own_page(request: HttpRequest, origin: str) -> bool:
    """Whether a page of this origin is one of ours, as who sent the request sees them."""
    return is_ours(origin, origin_of(f"{request.scheme}://{request.get_host()}"))


def link_origin(request: HttpRequest) -> str:
    """Where links in mails begin: at the public address, else where the request came in.

    A request may name any port, so that is taken from the server, unless the origin is a trusted one.
    """
    host = request.get_host()
    here = origin_of(f"{request.scheme}://{host}")
    if settings.PUBLIC.origin or here in configured():
        return settings.PUBLIC.origin or f"{request.scheme}://{host}"
    port = "" if settings.PROXIES.count else request.get_port()
    usual = not port.isdigit() or int(port) == PORTS[request.scheme or "http"]
    return f"{request.scheme}://{split_domain_port(host)[0]}{'' if usual else f':{port}'}"


def is_ours(text: str, here: Origin | None) -> bool:
    origin = origin_of(text)
    return origin is not None and (origin == here or any(matches(origin, one) for one in configured()))


def configured() -> list[Origin]:
    return [origin for text in settings.CSRF_TRUSTED_ORIGINS if (origin := origin_of(text))]


def matches(origin: Origin, pattern: Origin) -> bool:
    """Whether it is the origin, or one under it where the pattern begins with `*.`."""
    if not pattern.host.startswith("*."):
        return origin == pattern
    under = origin.host.endswith(pattern.host[1:])
    return under and (origin.scheme, origin.port) == (pattern.scheme, pattern.port)


def own(scope: Scope) -> Origin | None:
    """Where the page stands that this request was sent to; None under a host name that is not ours."""
    host = header(scope, b"host")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return None
    scheme = scope.get("scheme") or ("ws" if scope["type"] == "websocket" else "http")
    return origin_of(f"{PAGES.get(scheme, scheme)}://{host}")


def origin_of(text: str) -> Origin | None:
    """The parts of an origin as browsers write it; None for anything else."""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return None
    if not host or scheme not in PORTS or parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return Origin(scheme, host, PORTS[scheme] if port is None else port)


def header(scope: Scope, wanted: bytes) -> str:
    """The header's value; empty where there is none, or more than one."""
    found = [value for name, value in scope["headers"] if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else ""
