"""Where people reach batchweb: its public address, and the path under which it stands there.

Every address that batchweb makes begins with that path, and every path that comes in is made to begin with it: a proxy
may pass paths on as they are, or without their beginning.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
SEGMENT: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
# Under a path that begins like this nobody could tell whether a proxy has taken it off.
OWN: Final = frozenset({"accounts", "admin", "enter", "healthz", "jobs", "readyz", "static", "ws"})


class Public(NamedTuple):
    """The parts of a public address; all empty where none is set."""

    origin: str = ""
    host: str = ""
    prefix: str = ""

    @property
    def https(self) -> bool:
        return self.origin.startswith("https:")


def public_of(text: str) -> Public:
    """The parts of `https://host/prefix`. Raises ValueError with a sentence."""
    if not text:
        return Public()
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in text:
        raise ValueError(f"it must be an address such as https://batch.example.com/prefix, not “{text[:80]}”.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return Public(f"{parts.scheme}://{host}{'' if standard else f':{parts.port}'}", host, prefix_of(parts.path))


def prefix_of(text: str) -> str:
    """The path as `/a/b`, empty for the root. Raises ValueError with a sentence."""
    segments = text.strip().strip("/").split("/")
    if segments == [""]:
        return ""
    if not all(map(SEGMENT.fullmatch, segments)):
        raise ValueError(f"a path may have letters, digits and . _ ~ - between slashes, not “{text[:80]}”.")
    if segments[0] in OWN:
        raise ValueError(f"it must not begin with /{segments[0]}, under which batchweb has pages of its own.")
    return "/" + "/".join(segments)


class Mounted:
    """Puts the prefix before the paths from which a proxy has taken it, so that what follows sees one form only."""

    def __init__(self, app: App, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and not under(self.prefix, scope["path"]):
            raw = self.prefix.encode() + (scope.get("raw_path") or b"")
            scope = {**scope, "path": self.prefix + scope["path"], "raw_path": raw}
        await self.app(scope, receive, send)


def under(prefix: str, path: str) -> bool:
    return not prefix or path == prefix or path.startswith(f"{prefix}/")
