"""Who a request comes from when proxies stand in front: told by those that are ours, and by nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
SCHEMES: Final = {b"http", b"https"}


class Proxies:
    """The proxies in front: how many in a row, and from which addresses they speak."""

    def __init__(self, count: int, networks: Iterable[str]) -> None:
        """Raises ValueError for what is no address and no network."""
        self.count = count
        self.networks = [ip_network(text.strip(), strict=False) for text in networks if text.strip()]

    def __contains__(self, address: str) -> bool:
        if not self.count or not (text := plain(address.encode())):
            return False
        found = ip_address(text)
        return any(found in network for network in self.networks)


class Forwarded:
    """Puts the true address and scheme into the scope, and takes out the headers, so that nobody else believes them.

    Each proxy appends the address that it saw to X-Forwarded-For. With n proxies of ours the n-th from the end is what
    the first of them saw; what stands before it came from outside.
    """

    def __init__(self, app: App, proxies: Proxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "headers": kept(scope["headers"]), **self.told(scope)}
        await self.app(scope, receive, send)

    def told(self, scope: Scope) -> dict[str, Any]:
        """What the proxies tell of the request, as parts of the scope."""
        if not scope.get("client") or scope["client"][0] not in self.proxies:
            return {}
        found: dict[str, Any] = {}
        if address := plain(self.seen(scope, b"x-forwarded-for")):
            found["client"] = (address, 0)
        if (scheme := self.seen(scope, b"x-forwarded-proto").lower()) in SCHEMES:
            found["scheme"] = scheme.decode().replace("http", "ws" if scope["type"] == "websocket" else "http")
        return found

    def seen(self, scope: Scope, header: bytes) -> bytes:
        """What the first of our proxies saw. With fewer entries than proxies, the first entry."""
        values = b",".join(value for name, value in scope["headers"] if name == header).split(b",")
        return values[-min(self.proxies.count, len(values))].strip()


def kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if not pair[0].startswith(b"x-forwarded-") and pair[0] != b"forwarded"]


def plain(text: bytes) -> str:
    """The address alone, of `1.2.3.4`, `1.2.3.4:56`, `::1`, `[::1]:56`; empty for anything else."""
    host = text.decode("latin-1")
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    return str(found.ipv4_mapped or found) if isinstance(found, IPv6Address) else str(found)
