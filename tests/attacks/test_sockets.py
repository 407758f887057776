"""Websockets: what is sent on them, how many there are, who may have one, and when it ends."""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.attacks import raw
from tests.attacks.attack import Attack
from tests.attacks.speed import first_fast
from tests.attacks.target import Target
from tests.system import csv_of, until

pytestmark = pytest.mark.attacks


@contextmanager
def socket(target: Target, who: str, path: str, origin: str = "") -> Iterator[ClientConnection]:
    """A websocket of this person, from the product's own page unless told else."""
    sent = {"Cookie": raw.cookies(target.as_(who)), "Origin": origin or target.url}
    url = target.url.replace("http", "ws", 1) + path
    with connect(url, additional_headers=sent, compression=None, max_size=None, open_timeout=20) as opened:
        yield opened


FRAMES = {
    "brackets": "[" * 60_000,
    "braces": '{"t":' * 12_000,
    "numbers": "[" + "1," * 29_000 + "1]",
    "small objects": "[" + "{}," * 19_000 + "{}]",
    "digits": '{"t": "hello", "after": ' + "9" * 4_000 + "}",
    "codes": json.dumps({"t": "hello", "codes": ["x" * 10] * 4_000}),
    "no JSON": "\0" * 60_000,
}


@pytest.mark.parametrize("kind", first_fast(FRAMES))
def test_it_drops_large_frames(attack: Attack, kind: str) -> None:
    """A hundred thousand packed frames of up to 60 kB, on six sockets."""
    frames = packed(FRAMES[kind]) * 3_000
    with attack:
        attack.together([partial(flood, attack, "/ws/jobs/", frames, 6)] * 6)


def packed(text: str) -> bytes:
    """One frame of a client, compressed: a few bytes for each kilobyte that the other end makes of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = (packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    length = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
    return b"\xc1" + length + bytes(4) + data  # whole, packed, text; masked by zeros


def flood(attack: Attack, path: str, frames: bytes, times: int) -> None:
    """Sends the frames again and again, until the other end has had enough."""
    head = handshake(attack.target, path, "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover")
    with raw.line(attack.target) as connection, suppress(OSError):
        connection.sendall(head)
        answer = connection.recv(4_096)
        assert raw.status(answer) == 101, answer
        for _ in range(times):
            connection.sendall(frames)
            attack.row.requests += 1
            attack.row.sent += len(frames)
        raw.closed(connection, 3.0)


def handshake(target: Target, path: str, *more: str, who: str = "mallory") -> bytes:
    """The request that opens a socket of this person, by hand."""
    lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{target.port}", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", f"Origin: {target.url}",
             f"Cookie: {raw.cookies(target.as_(who))}", *more)  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_it_takes_more_than_one_socket_each_and_not_all(attack: Attack) -> None:
    """200 sockets of one person, each of which says hello all the time."""
    target = attack.target
    code = target.job("mallory", csv_of(3))

    def talk() -> int:
        closed = suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError)
        with closed, socket(target, "mallory", f"/ws/jobs/{code}/") as opened:
            for _ in range(200):
                opened.send('{"t": "hello", "after": 0}')
            opened.recv(10.0)
            time.sleep(2.0)
            opened.send('{"t": "hidden", "hidden": true}')
            return 1
        return 0

    with attack:
        held = sum(attack.together([talk] * 200, 100))
        attack.row.requests += 200 * 200
        attack.check(held < 150, f"{held} sockets of one person were open")
        with socket(target, "bea", "/ws/jobs/") as other:
            other.send('{"t": "hello", "codes": []}')
            attack.check(json.loads(other.recv(20.0)).get("t"), "somebody else has no live page")


@pytest.mark.fast
def test_it_survives_sockets_that_are_dropped(attack: Attack) -> None:
    """300 handshakes that are left half-way, or as soon as they are done."""
    target = attack.target
    head = handshake(target, "/ws/jobs/")

    def leave() -> None:
        with raw.line(target) as connection:
            connection.sendall(head)
        attack.row.requests += 1

    with attack:
        attack.together([leave] * 300)
    with socket(target, "mallory", "/ws/jobs/") as opened:
        opened.send('{"t": "hello", "codes": []}')
        assert json.loads(opened.recv(20.0))["t"]


ORIGINS = ("http://127.0.0.1:1", "http://evil.example", "http://127.0.0.1", "https://127.0.0.1:PORT", "null",
           "http://127.0.0.1:PORT.evil.example", "http://127.0.0.1.:PORT", "file://",
           "http://localhost:PORT")  # fmt: skip


@pytest.mark.parametrize("origin", first_fast(ORIGINS))
def test_it_opens_no_socket_for_pages_of_others(prey: Target, origin: str) -> None:
    there = socket(prey, "mallory", "/ws/jobs/", origin=origin.replace("PORT", str(prey.port)))
    with pytest.raises((InvalidHandshake, ConnectionClosed, OSError)), there as opened:  # noqa: PT012
        opened.send('{"t": "hello", "codes": []}')
        opened.recv(10.0)


@pytest.mark.fast
def test_it_opens_no_socket_of_somebody_elses_job(prey: Target) -> None:
    code = prey.job("mallory", csv_of(3))
    for path in (f"/ws/jobs/{code}/", "/ws/jobs/nosuchjob/", "/ws/", "/ws/jobs/%00/", "/ws/admin/"):
        there = socket(prey, "eve", path)
        with pytest.raises((InvalidHandshake, ConnectionClosed)), there as opened:  # noqa: PT012
            opened.send('{"t": "hello", "after": 0}')
            opened.recv(10.0)


@pytest.mark.parametrize("how", first_fast(["a share is taken back", "signing out", "the job is deleted"]))
def test_it_closes_a_socket_of_whoever_may_not_look_any_more(prey: Target, how: str) -> None:
    code = prey.job("mallory", csv_of(400), param_seconds=0.2, workers="2")
    mallory, nora = prey.as_("mallory"), prey.client("nora")
    prey.clients_of["nora"] = nora
    prey.post(mallory, f"/jobs/{code}/share/", {"person": "nora", "may": "look"})
    until(lambda: nora.get(f"/jobs/{code}/").status_code == 200, 10, "nora may look")
    with socket(prey, "nora", f"/ws/jobs/{code}/") as opened:
        opened.send('{"t": "hello", "after": 0}')
        opened.recv(10.0)
        end(prey, code, how)
        with pytest.raises(ConnectionClosed):  # noqa: PT012
            for _ in range(200):  # frames that were under way; none comes for ever
                opened.recv(35.0)
    prey.clients_of.pop("nora")
    prey.post(mallory, f"/jobs/{code}/cancel/", {})


def end(prey: Target, code: str, how: str) -> None:
    """Ends what nora may see."""
    mallory, nora = prey.as_("mallory"), prey.as_("nora")
    if how == "signing out":
        prey.post(nora, "/accounts/logout/", {})
    elif how == "the job is deleted":
        prey.post(mallory, f"/jobs/{code}/delete/", {})
    else:
        found = prey.shell("from jobs.models import Share", f"print(Share.objects.get(job__code='{code}').pk)")
        prey.post(mallory, f"/jobs/{code}/share/{found.splitlines()[-1]}/remove/", {})
