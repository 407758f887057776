"""What a connection may cost, on real sockets."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from batchweb import protocols
from batchweb.protocols import Connections, network
from tests.batchweb.serving import Running, everything, serving
from tests.system import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSE = GET + b"Connection: close\r\n\r\n"
PIECE = b"a" * 65_536
ENDLESS = 1_000 * [PIECE]  # 65 MB
SOON = 0.3


@pytest.fixture(scope="module")
def web() -> Iterator[Running]:
    with serving() as running:
        running.open.set()
        yield running


@pytest.fixture
def hurried() -> Iterator[None]:
    """All deadlines come soon."""
    with ExitStack() as stack:
        for name in ("HEAD_SECONDS", "DRAIN_SECONDS", "STALL_SECONDS", "LINGER_SECONDS"):
            stack.enter_context(patch.object(protocols, name, SOON))
        yield


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def sentence(answer: bytes) -> str:
    return answer.partition(b"\r\n\r\n")[2].decode()


def test_it_answers_an_ordinary_request(web: Running) -> None:
    assert status(web.answer(CLOSE)) == 200


def test_it_lets_no_answer_wait_for_an_acknowledgement(web: Running) -> None:
    options: list[int] = []

    def entered(places: Connections, address: str) -> str | None:
        (connection,) = web.server.server_state.connections
        options.append(connection.transport.get_extra_info("socket").getsockopt(IPPROTO_TCP, TCP_NODELAY))
        return enter(places, address)

    enter = Connections.enter
    until(lambda: not web.server.server_state.connections, 20, "the others are gone")
    with patch.object(Connections, "enter", entered):
        assert status(web.answer(CLOSE)) == 200
    assert options == [1]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([GET, b"X: ", *ENDLESS], 431),
        ([GET, *(b"X-%d: %s\r\n" % (at, PIECE[:1000]) for at in range(60_000))], 431),
        ([GET, *(b"X-%d:\r\n" % at for at in range(150)), b"\r\n"], 431),
        ([GET, b"X: ", PIECE, b"\r\n\r\n"], 431),
        ([GET, *ENDLESS], 431),
        ([b"GET /", *ENDLESS], 414),
        ([b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"], 414),
        ([b"\r\n" * 32_768] * 100, 431),
        ([CHUNKED, b"1;", *ENDLESS], 431),
        ([CHUNKED, b"0\r\nX: ", *ENDLESS], 431),
        ([b"nonsense\r\n\r\n"], 400),
        ([b"GET /\xff HTTP/1.1\r\n\r\n"], 400),
        ([GET, b"Cookie: a\0b\r\n\r\n"], 400),
        ([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 40], 429),
    ],
    ids=["one header", "many headers", "many short headers", "a header at once", "a name", "an address", "long address",
         "blank lines", "chunk extension", "trailer", "no http", "odd path", "nul", "pipelined"],
)  # fmt: skip
def test_it_refuses_with_a_sentence(pieces: list[bytes], expected: int) -> None:
    with patch.object(protocols, "LINGER_SECONDS", SOON), serving() as web:
        if expected != 429:
            web.open.set()
        else:
            pieces = [b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", *pieces]
        answer = web.answer(*pieces)
        assert status(answer) == expected, answer[:200]
        assert sentence(answer).endswith(".\n")
        assert b"Connection: close" in answer


def test_it_answers_nothing_after_a_refusal() -> None:
    with serving() as web, web.connect() as client:
        client.sendall((GET.replace(b" / ", b" /wait ") + b"\r\n") * 40)
        first = client.recv(10_000)
        web.open.set()
        answers = first + everything(client)
    assert (status(answers), answers.count(b"HTTP/1.1 ")) == (429, 1)


def test_it_holds_little_of_headers_without_an_end(web: Running) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    web.answer(GET, b"X: ", *ENDLESS)
    assert process.memory_info().rss - before < 20_000_000


def test_it_takes_a_body_of_any_size_in_any_pieces(web: Running) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n"
    assert status(web.answer(head, b"x" * 5_000_000)) == 200
    chunked = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close")
    assert status(web.answer(chunked, b"1\r\nx\r\n" * 100_000, b"0\r\n\r\n")) == 200


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("pieces", "expected"),
    [([], 0), ([b"\r\n"], 0), ([b"G"], 408), ([GET], 408), ([GET + b"X: a"], 408)],
    ids=["nothing", "a blank line", "a letter", "headers", "half a header"],
)
def test_it_closes_a_connection_that_says_no_more(web: Running, pieces: list[bytes], expected: int) -> None:
    assert status(web.answer(*pieces)) == expected


@pytest.mark.usefixtures("hurried")
def test_it_closes_a_connection_that_trickles_headers(web: Running) -> None:
    with web.connect() as client:
        client.sendall(GET)
        for at in itertools.count():
            try:
                client.sendall(b"X-%d: y\r\n" % at)
            except OSError:
                break
            client.settimeout(0.02)
            try:
                if not client.recv(1000):
                    break
            except TimeoutError:
                continue


@pytest.mark.usefixtures("hurried")
def test_it_drops_a_body_only_for_a_while_after_the_answer() -> None:
    with serving() as web, web.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert status(client.recv(1000)) == 200  # it did not wait for the body
        client.sendall(b"x")
        assert everything(client) in (b"", b"ok")


@pytest.mark.usefixtures("hurried")
def test_it_lets_an_answer_take_longer_than_headers_may() -> None:
    with serving() as web, web.connect() as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        client.settimeout(4 * SOON)
        with pytest.raises(TimeoutError):
            client.recv(1)
        web.open.set()
        client.settimeout(20)
        assert status(everything(client)) == 200


@pytest.mark.usefixtures("hurried")
def test_it_cuts_off_who_does_not_read_the_answer(web: Running) -> None:
    with web.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: not web.places.total, 20, "the connection is closed")


def test_it_counts_a_connection_until_it_ends(web: Running) -> None:
    until(lambda: not web.places.total, 20, "the others are gone")
    with web.connect() as client:
        client.sendall(GET + b"\r\n")
        assert status(client.recv(1000)) == 200
        assert web.places.total == 1
    until(lambda: not web.places.total, 20, "it is gone")
    assert not web.places.of


def test_it_refuses_an_address_that_has_as_many_as_are_free() -> None:
    with serving(most=10) as web, ExitStack() as stack:
        held = [stack.enter_context(web.connect()) for _ in range(5)]
        for client in held:
            client.sendall(GET.replace(b" / ", b" /wait ") + b"\r\n")
        until(lambda: len(web.seen) == 5, 20, "all are under way")
        answer = web.answer()
        assert (status(answer), "Too many connections" in sentence(answer)) == (503, True)
        held[0].close()
        until(lambda: web.places.total == 4, 20, "one has left")
        web.open.set()
        assert status(web.answer(CLOSE)) == 200


class Idle:
    """A connection whose client says nothing."""

    def __init__(self, places: Connections, address: str) -> None:
        self.places, self.name, self.closed = places, address, False
        assert places.enter(address) == address
        places.waits(address, self)

    def close_for_another(self) -> None:
        self.closed = True
        self.places.works(self.name, self)
        self.places.leave(self.name)


def test_it_closes_the_oldest_idle_one_of_the_same_address_for_another() -> None:
    places = Connections(10)
    idle = [Idle(places, "1.1.1.1") for _ in range(5)]
    assert places.enter("1.1.1.1") == "1.1.1.1"
    assert [one.closed for one in idle] == [True, False, False, False, False]


def test_it_closes_one_of_who_has_most_for_another_address() -> None:
    places = Connections(7)
    many, few = [Idle(places, "1.1.1.1") for _ in range(4)], [Idle(places, "2.2.2.2") for _ in range(2)]
    assert places.enter("3.3.3.3")
    assert places.enter("4.4.4.4")
    assert ([one.closed for one in many], any(one.closed for one in few)) == ([True, False, False, False], False)


def test_it_closes_none_for_who_has_as_many() -> None:
    places = Connections(4)
    assert places.enter("1.1.1.1")
    for address in ("2.2.2.2", "3.3.3.3", "4.4.4.4"):
        Idle(places, address)
    assert places.enter("1.1.1.1") is None


def test_it_closes_nothing_that_is_under_way() -> None:
    places = Connections(4)
    working = [Idle(places, "1.1.1.1") for _ in range(2)]
    for one in working:
        places.works("1.1.1.1", one)
    assert places.enter("1.1.1.1") is None


def test_it_answers_where_idle_connections_have_taken_all_places() -> None:
    with serving(most=10) as web, ExitStack() as stack:
        web.open.set()
        for at in range(20):
            client = stack.enter_context(web.connect())
            client.sendall((b"", b"GET / HT", GET + b"\r\n")[at % 3])
        assert status(web.answer(CLOSE)) == 200


def test_it_leaves_room_for_others() -> None:
    places = Connections(100)
    for address in ("1.1.1.1", "2.2.2.2", "3.3.3.3"):
        while places.enter(address) is not None:
            pass
    assert places.of == {"1.1.1.1": 50, "2.2.2.2": 25, "3.3.3.3": 13}
    assert places.enter("4.4.4.4")


def test_it_counts_proxies_for_nobody() -> None:
    places = Connections(10, lambda address: address == "10.0.0.1")
    assert [places.enter("10.0.0.1") for _ in range(11)] == [""] * 10 + [None]
    assert places.enter("1.1.1.1") is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unix", "unix"),
    ],
)
def test_it_takes_a_network_for_one(address: str, expected: str) -> None:
    assert network(address) == expected


def opened(web: Running, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{web.port}/", open_timeout=20, close_timeout=5, **options)


def closed_with(client: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(20)
    return closed.value.rcvd.code if closed.value.rcvd else None


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_it_closes_a_socket_whose_message_is_too_large(web: Running, compression: str | None) -> None:
    web.seen.clear()
    with opened(web, compression=compression) as client:
        client.send("[" * 4096)
        until(lambda: web.seen, 20, "it is heard")
        client.send("[" * 60_000)
        assert closed_with(client) == 1009
    assert web.seen == ["[" * 4096]


def test_it_closes_a_socket_whose_message_has_too_many_pieces(web: Running) -> None:
    with opened(web) as client:
        # A client's own frames, as its library writes only whole texts: empty pieces without an end.
        client.socket.sendall(frame(0x01, b"a", last=False) + frame(0x00, b"", last=False) * 1000)
        assert closed_with(client) == 1009


def test_it_closes_a_socket_that_sends_faster_than_it_is_heard() -> None:
    with serving() as web, opened(web, compression=None) as client:
        client.socket.sendall(frame(0x01, b"{}") * 5000)
        assert closed_with(client) == 1008
        assert len(web.seen) <= 1


def test_it_closes_a_socket_that_pings_without_end(web: Running) -> None:
    for opcode in (0x09, 0x0A):
        with opened(web) as client:
            client.socket.sendall(frame(opcode, b"p" * 125) * 5000)
            assert closed_with(client) == 1008


def test_it_answers_the_pings_of_a_client(web: Running) -> None:
    with opened(web) as client:
        assert all(client.ping().wait(20) for _ in range(protocols.CONTROLS))


def frame(opcode: int, data: bytes, last: bool = True) -> bytes:
    """A frame of a client, masked with zeros."""
    return struct.pack("!BB", opcode | (0x80 if last else 0), 0x80 | len(data)) + b"\0\0\0\0" + data


def test_it_gives_a_sockets_place_back(web: Running) -> None:
    until(lambda: not web.places.total, 20, "the others are gone")
    with opened(web) as client:
        client.send(json.dumps({"t": "hello"}))
        assert web.places.total == 1
    until(lambda: not web.places.total, 20, "it is gone")


@pytest.mark.parametrize(
    "more",
    [b"", b"Sec-WebSocket-Key: short\r\n", b"Sec-WebSocket-Version: 99\r\n", b"Cookie: " + b"a" * 9000 + b"\r\n",
     b"X: \xff\xfe\r\n", b"Origin: a\r\nOrigin: b\r\n"],
    ids=["no key", "short key", "version", "long cookie", "bytes", "two origins"],
)  # fmt: skip
def test_it_ends_an_odd_handshake(web: Running, more: bytes) -> None:
    until(lambda: not web.places.total, 20, "the others are gone")
    answer = web.answer(GET, b"Connection: Upgrade\r\nUpgrade: websocket\r\n", more, b"\r\n")
    assert status(answer) in (0, 400, 426, 431)
    until(lambda: not web.places.total, 20, "the connection is gone")
    assert status(web.answer(CLOSE)) == 200
