"""Whom proxies speak for, and who is not believed."""

from __future__ import annotations

from typing import Any

import pytest

from batchweb.forwarded import Forwarded, Proxies

PROXY, CLIENT, OTHER = "10.0.0.1", "192.0.2.7", "198.51.100.9"
NETWORKS = ("10.0.0.0/8", "::1")


async def seen(count: int, peer: str | None, *headers: tuple[bytes, bytes], kind: str = "http") -> dict[str, Any]:
    """The scope as the application gets it."""
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    scheme = "http" if kind == "http" else "ws"
    scope = {"type": kind, "scheme": scheme, "client": (peer, 1234) if peer else None, "headers": list(headers)}
    await Forwarded(app, Proxies(count, NETWORKS))(scope, None, None)
    return dict(found[0])


def of(*addresses: str) -> tuple[bytes, bytes]:
    return (b"x-forwarded-for", ", ".join(addresses).encode())


@pytest.mark.parametrize(
    ("count", "peer", "told", "expected"),
    [
        (0, PROXY, (CLIENT,), PROXY),
        (1, PROXY, (CLIENT,), CLIENT),
        (1, PROXY, (OTHER, CLIENT), CLIENT),
        (2, PROXY, (OTHER, CLIENT, "10.0.0.2"), CLIENT),
        (2, PROXY, (CLIENT,), CLIENT),
        (1, OTHER, (CLIENT,), OTHER),
        (1, PROXY, (f"{CLIENT}:4711",), CLIENT),
        (1, PROXY, ("[2001:db8::1]:4711",), "2001:db8::1"),
        (1, PROXY, ("2001:db8::1",), "2001:db8::1"),
        (1, PROXY, (f"::ffff:{CLIENT}",), CLIENT),
        (1, f"::ffff:{PROXY}", (CLIENT,), CLIENT),
        (1, "::1", (CLIENT,), CLIENT),
        (1, PROXY, ("nobody\x00",), PROXY),
        (1, PROXY, ("",), PROXY),
        (1, PROXY, (), PROXY),
    ],
    ids=["no proxy", "one", "spoofed", "two", "fewer", "not ours", "port", "brackets", "six", "mapped", "mapped peer",
         "this machine", "odd", "empty", "none"],
)  # fmt: skip
async def test_it_finds_the_address_of_the_client(count: int, peer: str, told: tuple[str, ...], expected: str) -> None:
    headers = [of(*told)] if told else []
    assert (await seen(count, peer, *headers))["client"][0] == expected


async def test_it_reads_several_headers_as_one() -> None:
    assert (await seen(1, PROXY, of(OTHER), of(CLIENT)))["client"][0] == CLIENT


@pytest.mark.parametrize(
    ("count", "peer", "told", "expected"),
    [
        (0, PROXY, b"https", "http"),
        (1, PROXY, b"https", "https"),
        (1, OTHER, b"https", "http"),
        (1, PROXY, b"http, https", "https"),
        (1, PROXY, b"javascript", "http"),
    ],
)
async def test_it_finds_the_scheme(count: int, peer: str, told: bytes, expected: str) -> None:
    assert (await seen(count, peer, (b"x-forwarded-proto", told)))["scheme"] == expected


async def test_it_finds_the_scheme_of_sockets() -> None:
    assert (await seen(1, PROXY, (b"x-forwarded-proto", b"https"), kind="websocket"))["scheme"] == "wss"


@pytest.mark.parametrize("count", [0, 1])
async def test_it_shows_the_headers_to_nobody(count: int) -> None:
    told = [(b"x-forwarded-host", b"evil.example"), (b"forwarded", b"for=1.2.3.4"), of(CLIENT), (b"host", b"here")]
    assert (await seen(count, PROXY, *told))["headers"] == [(b"host", b"here")]


async def test_it_serves_a_client_without_an_address() -> None:
    assert (await seen(1, None, of(CLIENT)))["client"] is None


@pytest.mark.parametrize("text", ["everywhere", "10.0.0.0/99"])
def test_it_wants_networks(text: str) -> None:
    with pytest.raises(ValueError):
        Proxies(1, [text])
