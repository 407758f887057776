"""What a connection may cost before any application sees it: bytes, seconds, places.

uvicorn bounds none of these. An unfinished head of a request is kept in memory however long it is, a connection that
says nothing stays, and answers to pings pile up for a client that reads none.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

HEAD_BYTES: Final = 32 * 1024  # of a request line with its headers, of what follows a body, of what lies between chunks
LINE_BYTES: Final = 8 * 1024  # of a request's address
HEADERS: Final = 100
PIPELINED: Final = 8  # requests that wait for the answer to an earlier one; no browser sends any
HEAD_SECONDS: Final = 15.0  # from the first byte of a request, or from the connection, to the end of its headers
DRAIN_SECONDS: Final = 60.0  # for the rest of a body whose answer is given already
STALL_SECONDS: Final = 120.0  # in which a client reads nothing of what waits for it
LINGER_BYTES: Final = 1024 * 1024  # after which it is cut off while it still sends
LINGER_SECONDS: Final = 2.0  # in which a client that still sends can read why it is refused
SOCKET_BYTES: Final = 4096  # of a message on a websocket, unpacked
FRAGMENTS: Final = 64  # of one message
QUEUED: Final = 32  # messages that arrived and are not handled yet
CONTROLS: Final = 32  # pings and pongs of a client between two pings of ours; browsers send none

Refusal = tuple[int, str]
NOBODY: Final = ""


class Waiting(Protocol):
    """A connection on which nothing is under way: its client has to say something next."""

    def close_for_another(self) -> None:
        """Gives its place back, and closes it."""


class Connections:
    """Who is connected. An address may have as many connections as are still free, so that there is always room.

    One address alone can take half of all places, two a third each. Proxies speak for many, and count for nobody. Where
    there is no room the connection goes that has waited the longest for its client: of the same address, else of the
    one that has the most.
    """

    def __init__(self, most: int, is_proxy: Callable[[str], bool] = lambda address: False) -> None:
        self.most = most
        self.is_proxy = is_proxy
        self.total = 0
        self.of: Counter[str] = Counter()
        self.waiting: dict[str, dict[Waiting, None]] = {}  # by name, those who have waited the longest first

    def enter(self, address: str) -> str | None:
        """The name under which a connection from this address counts until it leaves; None where no place is left."""
        name = NOBODY if self.is_proxy(address) else network(address)
        if not self._has_room(name):
            self._make_room(name)
        if not self._has_room(name):
            return None
        self.total += 1
        self.of[name] += 1
        return name

    def leave(self, name: str) -> None:
        self.total -= 1
        self.of[name] -= 1
        if not self.of[name]:
            del self.of[name]

    def waits(self, name: str, connection: Waiting) -> None:
        """It is for the client to say something, from now on if it was not already."""
        self.waiting.setdefault(name, {}).setdefault(connection)

    def works(self, name: str, connection: Waiting) -> None:
        """Something is under way on it, or it is over."""
        others = self.waiting.get(name, {})
        others.pop(connection, None)
        if not others:
            self.waiting.pop(name, None)

    def _has_room(self, name: str) -> bool:
        return self.most - self.total > (self.of[name] if name else 0)

    def _make_room(self, name: str) -> None:
        """Closes connections that wait, until an address with fewer than theirs may have one more."""
        while not self._has_room(name) and (most := self._of_most(name)) is not None:
            next(iter(self.waiting[most])).close_for_another()

    def _of_most(self, name: str) -> str | None:
        """Whose connection goes for one of `name`: its own, else of who has the most; None where nobody has more."""
        if name in self.waiting:
            return name
        most = max(self.waiting, key=lambda one: self.of[one], default=None)
        return most if most is not None and self.of[most] > self.of[name] else None


def network(address: str) -> str:
    """What one household or office has: an IPv4 address, or 64 bits of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))


class TooMuch(Exception):
    """A request is refused while it is still read."""


class Http(HttpToolsProtocol):
    """uvicorn's HTTP, bounded. Whoever goes beyond is told so in a sentence, and the connection is closed."""

    def __init__(self, *args: Any, places: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self.places = places
        self.place: str | None = None
        self.unused = 0  # bytes since the parser began a request or handed on a piece of a body
        self.head = 0
        self.in_head = False
        self.open: list[RequestResponseCycle] = []  # not answered yet, the first of which the application works on
        self.refusal: Refusal | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.stalled: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.place = self.places.enter(self.client[0] if self.client else NOBODY)
        if self.place is None:
            self.answer(503, "Too many connections are open. Close some, or try again in a minute.")
            self.refusal = (503, "")
            transport.close()
        else:
            self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.timer = stop(self.timer)
        self.stalled = stop(self.stalled)
        self.give_back()

    def give_back(self) -> None:
        if self.place is not None:
            self.places.works(self.place, self)
            self.places.leave(self.place)
            self.place = None

    def close_for_another(self) -> None:
        self.give_back()
        self.timer = stop(self.timer)
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection, its place included, to the websocket, whose library reads lines of 8 kB."""
        if any(len(name) + len(value) + 4 > LINE_BYTES for name, value in self.headers):
            self.refuse(431, "A header of this request is too long: up to 8 kB are read for a websocket.")
            return
        self.timer = stop(self.timer)
        if self.place is not None:
            self.places.works(self.place, self)
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, Socket):
            protocol.gone = self.give_back

    # Bytes

    def data_received(self, data: bytes) -> None:
        self.unused += len(data)
        if self.refusal:
            if self.unused > LINGER_BYTES:
                self.transport.abort()
            return
        super().data_received(data)
        if self.unused > HEAD_BYTES:
            self.refuse(431, "The headers of this request are too long: up to 32 kB are read.")
        if self.transport.get_protocol() is self:
            self.watch()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            raise self.too_much(429, "Too many requests were sent without waiting for an answer.")
        self.unused = self.head = 0
        self.in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > LINE_BYTES:
            raise self.too_much(414, "The address of this request is too long: up to 8 kB are read.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head += len(name) + len(value)
        if self.head > HEAD_BYTES or len(self.headers) >= HEADERS:
            raise self.too_much(431, "This request has too many headers: up to 100 with 32 kB are read.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.in_head = False
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.open = [*(cycle for cycle in self.open if not cycle.response_complete), self.cycle]

    def on_body(self, body: bytes) -> None:
        self.unused = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.place is not None and all(cycle.response_complete for cycle in self.open):
            self.places.waits(self.place, self)

    def too_much(self, status: int, sentence: str) -> TooMuch:
        """Raised in a callback it stops the parser, which makes `send_400_response` be called."""
        self.refusal = (status, sentence)
        return TooMuch(sentence)

    def send_400_response(self, msg: str) -> None:
        status, sentence = self.refusal or (400, "This is no HTTP request that the server understands.")
        self.refuse(status, sentence)

    def refuse(self, status: int, sentence: str) -> None:
        """Answers and closes; what still comes is dropped for a moment, else the answer would be lost with it."""
        self.refusal = (status, sentence)
        if self.transport.is_closing():
            return
        if not self.hang_up():
            self.answer(status, sentence)
        self.timer = stop(self.timer)
        self.timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def hang_up(self) -> bool:
        """Tells the application that nobody listens any more; returns whether an answer of its is on its way."""
        self.pipeline.clear()
        unanswered = [cycle for cycle in self.open if not cycle.response_complete]
        for cycle in unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        return any(cycle.response_started for cycle in unanswered)

    def answer(self, status: int, sentence: str) -> None:
        body = f"{sentence}\n".encode()
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    # Seconds

    def watch(self) -> None:
        """Gives the client a time for what it is to send next; while it waits for an answer there is none."""
        if self.refusal or self.place is None:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.places.works(self.place, self)
            self.timer = stop(self.timer)
            if self.cycle.more_body and not self.cycle.response_started:
                self.places.waits(self.place, self)  # for the rest of the body, from now on
        elif self.timer is None:
            self.places.waits(self.place, self)
            draining = self.cycle is not None and self.cycle.more_body and not self.in_head
            self.timer = self.loop.call_later(DRAIN_SECONDS if draining else HEAD_SECONDS, self.too_slow)

    def too_slow(self) -> None:
        self.timer = None
        if self.in_head:
            self.refuse(408, "The headers of this request took too long to arrive.")
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled = self.stalled or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stalled = stop(self.stalled)


class Socket(WebSocketsSansIOProtocol):
    """uvicorn's websocket, bounded."""

    gone: Callable[[], None] | None = None
    controls = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.gone:
            self.gone()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """A handshake that cannot be read ends without an answer, for none can be formed."""
        if self.conn.close_sent is None:
            self.close_sent = True
            self.transport.close()
        else:
            super().handle_parser_exception()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= FRAGMENTS:
            self.fail(CloseCode.MESSAGE_TOO_BIG, "This message comes in too many pieces.")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.queue.qsize() >= QUEUED:
            self.fail(CloseCode.POLICY_VIOLATION, "Too many messages at once.")
        else:
            super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answers, but not to a client that does not read the answers."""
        output = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(output))
        self.count()

    def handle_pong(self, event: Frame) -> None:
        waited = self.pending_ping_payload is not None
        super().handle_pong(event)
        if waited and self.pending_ping_payload is None:
            self.controls = 0
        else:
            self.count()

    def count(self) -> None:
        self.controls += 1
        if self.controls > CONTROLS:
            self.fail(CloseCode.POLICY_VIOLATION, "Too many pings.")

    def fail(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()


def stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Cancels the timer, and returns what stands in its place: none."""
    if timer is not None:
        timer.cancel()
    return None
