from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpcore
import pytest

from jobs.engine import RetryLater, run
from jobs.processors import Call, Failed, Task
from jobs.processors.fetch_url import SIZE, WAITS, Fetcher, FetchUrl, Hosts, Postponements, _unreachable
from jobs.processors.guarded import Deadline, Guard
from tests.processors.attempts import IMPATIENT, ONCE, context, final, kinds, values
from tests.processors.servers import Answer, Network, reply, serving

PAGE = b"<html><head><title>A page</title></head></html>"


def answer(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 200, PAGE, Content_Type="text/html")


@contextmanager
def fetching(
    server: Answer = answer, seconds: float = 5.0, clock: Callable[[], float] = time.perf_counter
) -> Iterator[tuple[Callable[..., dict[str, Any]], str]]:
    """A way to process one address without a guard, and the server's base address."""
    known = FetchUrl(clock)
    with serving(server) as base:
        client = Fetcher(Guard(private=True), seconds)
        try:
            yield lambda url, **more: known.process({"url": url}, context(known, client, **more)), base
        finally:
            client.close()


def failure(server: Answer, seconds: float = 5.0, path: str = "/") -> Failed:
    with fetching(server, seconds) as (fetch, base), pytest.raises(Failed) as caught:
        fetch(base + path)
    return caught.value


def test_it_notes_what_it_fetched() -> None:
    with fetching() as (fetch, base):
        result = fetch(f"  {base}/a?b=c ")
    seconds = result.pop("seconds")
    assert seconds > 0
    assert result == {"status": 200, "final_url": f"{base}/a?b=c", "title": "A page", "bytes": len(PAGE)}


def test_it_works_as_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "1")
    with serving(answer) as base:
        results = values(final(Call("fetch-url", {}), [{"url": f"{base}/{number}"} for number in range(20)]))
    assert [result["final_url"] for result in results] == [f"{base}/{number}" for number in range(20)]


def test_it_unpacks_a_page() -> None:
    packed = gzip.compress(PAGE)
    with fetching(lambda handler: reply(handler, 200, packed, Content_Encoding="gzip")) as (fetch, base):
        assert fetch(base)["bytes"] == len(PAGE)


def test_it_follows_redirects() -> None:
    def server(handler: BaseHTTPRequestHandler) -> None:
        hops = int(handler.path.strip("/") or 0)
        if hops:
            return reply(handler, 302, Location=f"./{hops - 1}")
        return answer(handler)

    with fetching(server) as (fetch, base):
        assert fetch(f"{base}/10")["final_url"] == f"{base}/0"


def test_it_ends_redirects_that_do_not_end() -> None:
    def server(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 307, Location="/again")

    assert failure(server).failure_kind == "too many redirects"


def test_it_keeps_no_cookies() -> None:
    seen: list[str | None] = []

    def server(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Cookie"])
        reply(handler, 200, Set_Cookie="who=me")

    with fetching(server) as (fetch, base):
        fetch(base)
        fetch(base)
    assert seen == [None, None]


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503, 999])
def test_it_fails_with_the_status_of_the_page(status: int) -> None:
    assert failure(lambda handler: reply(handler, status)).failure_kind == f"http {status}"


def test_it_says_what_the_status_means() -> None:
    assert str(failure(lambda handler: reply(handler, 404))) == "The page answered 404 Not Found."


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_when_the_page_asks_to(status: int) -> None:
    asking = fetching(lambda handler: reply(handler, status, Retry_After="7"))
    with asking as (fetch, base), pytest.raises(RetryLater) as caught:
        fetch(base)
    assert caught.value.seconds == 7.0


def test_it_fails_in_the_end_when_a_page_asks_to_wait_for_ever() -> None:
    hours = itertools.count(0, 3600.0)
    with fetching(lambda handler: reply(handler, 429, Retry_After="1"), clock=lambda: next(hours)) as (fetch, base):
        for _ in range(WAITS):
            with pytest.raises(RetryLater):
                fetch(base)
        with pytest.raises(Failed) as caught:
            fetch(base)
    assert caught.value.failure_kind == "http 429"


def test_it_leaves_a_host_alone_that_asked_for_it() -> None:
    asked: list[str] = []

    def server(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        reply(handler, 429, Retry_After="7")

    with fetching(server, clock=lambda: 100.0) as (fetch, base):
        for page in ("/a", "/b"):
            with pytest.raises(RetryLater) as caught:
                fetch(base + page)
            assert (caught.value.seconds, caught.value.alone) == (7.0, True)
    assert asked == ["/a"]


def test_it_fetches_from_other_hosts_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "1")
    with serving(lambda handler: reply(handler, 429, Retry_After="1")) as busy, serving(answer) as idle:
        rows = [{"url": busy if number % 4 == 0 else idle} for number in range(20)]
        attempts = run(enumerate(Task(row) for row in rows), Call("fetch-url", {}), ONCE, hold=0)
        done = [attempt.position for attempt in attempts if attempt.failure is None]
    assert sorted(done) == [number for number in range(20) if number % 4]


def test_it_asks_a_host_again_after_its_pause() -> None:
    now = [100.0]
    hosts = Hosts(lambda: now[0])
    hosts.refused("http://a.example/x", 10)
    assert (hosts.wait("http://a.example/y"), hosts.wait("http://b.example/")) == (10, 0)
    now[0] = 110
    assert hosts.wait("http://a.example/y") == 0


def test_it_forgets_the_pause_of_a_host_that_answers() -> None:
    hosts = Hosts(lambda: 100.0)
    hosts.refused("http://a.example/x", 10)
    hosts.answered("http://a.example/z")
    assert hosts.wait("http://a.example/y") == 0


def test_it_waits_in_vain_for_an_hour_at_most() -> None:
    now = [100.0]
    hosts = Hosts(lambda: now[0])
    for _ in range(13):
        hosts.refused("http://a.example/", 300)
        now[0] += 290
    assert hosts.wait("http://a.example/") == 0


def test_it_remembers_a_bounded_number_of_hosts() -> None:
    hosts = Hosts(lambda: 100.0, most=2)
    for name in "abc":
        hosts.refused(f"http://{name}.example/", 10)
    assert [hosts.wait(f"http://{name}.example/") for name in "abc"] == [0, 10, 10]


@pytest.mark.parametrize("address", ["", "no address", "http://[", "http://\x00/"])
def test_it_knows_no_pause_for_what_is_no_address(address: str) -> None:
    assert Hosts().wait(address) == 0


def test_it_counts_the_waits_of_each_item() -> None:
    known = FetchUrl()
    patience = Postponements(most=1)
    assert [patience.left(context(known, position=position)) for position in (1, 1, 2)] == [True, False, True]


def test_it_forgets_the_oldest_of_very_many_waits() -> None:
    known = FetchUrl()
    patience = Postponements(most=1, items=2)
    assert [patience.left(context(known, position=position)) for position in (1, 2, 3, 1)] == [True] * 4


def test_it_tries_again_after_a_passing_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "1")
    statuses = [502, 502, 200]
    with serving(lambda handler: reply(handler, statuses.pop(0))) as base:
        assert kinds(final(Call("fetch-url", {}), [{"url": base}], IMPATIENT)) == [""]


def test_it_names_every_passing_failure_in_its_policy() -> None:
    assert {"connection failed", "timed out", "http 503"} <= set(FetchUrl.policy.retry_on)


def test_it_does_not_read_more_than_it_may() -> None:
    def server(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    with fetching(server) as (fetch, base):
        assert fetch(base)["bytes"] == SIZE


def test_it_unpacks_no_bomb() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    with fetching(lambda handler: reply(handler, 200, bomb, Content_Encoding="gzip")) as (fetch, base):
        assert fetch(base)["bytes"] == SIZE


@pytest.mark.parametrize("where", ["headers", "body"])
def test_it_gives_up_on_a_server_that_dribbles(where: str) -> None:
    def server(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"\r\n" if where == "body" else b"X: "))
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.02)

    # The server never ends by itself.
    assert failure(server, seconds=0.3).failure_kind == "timed out"


def test_it_gives_up_on_a_server_that_says_nothing() -> None:
    assert str(failure(lambda handler: time.sleep(1), seconds=0.2)) == "The page took longer than 0.2 seconds."


def test_it_fails_for_now_when_nobody_answers() -> None:
    with serving(answer) as base:
        pass
    with fetching() as (fetch, _), pytest.raises(Failed) as caught:
        fetch(base)
    assert caught.value.failure_kind == "connection failed"


@pytest.mark.parametrize("noise", [b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_it_fails_for_now_when_the_answer_is_no_http(noise: bytes) -> None:
    def server(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(noise)

    assert failure(server).failure_kind == "connection failed"


def test_it_fails_for_good_when_a_certificate_is_wrong() -> None:
    error = httpcore.ConnectError("no")
    error.__cause__ = ssl.SSLCertVerificationError("expired")
    assert _unreachable(error).failure_kind == "bad certificate"


def test_it_fails_when_a_server_of_https_speaks_http() -> None:
    with fetching() as (fetch, base), pytest.raises(Failed) as caught:
        fetch(base.replace("http:", "https:"))
    assert caught.value.failure_kind == "connection failed"


def test_it_asks_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with fetching() as (fetch, base):
        assert fetch(base)["status"] == 200


def test_it_takes_the_time_limit_from_its_parameter() -> None:
    known = FetchUrl()
    client = known.open(known.clean({"time_limit": "0.2"}))
    assert client._seconds == 0.2
    known.close(client)


def test_it_looks_up_hosts_through_the_system() -> None:
    assert Guard(private=True).addresses("localhost", 80)


def test_it_counts_all_waits_together() -> None:
    now = [0.0]
    deadline = Deadline(lambda: now[0])
    deadline.start(10)
    now[0] = 9.0
    assert deadline.left() == 1.0


def test_it_says_when_a_name_is_not_known() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(Failed, match="The host has no address"):
        Guard(resolver=nowhere).addresses("example.test", 80)


def test_it_says_when_a_name_may_be_known_later() -> None:
    def later(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(Failed) as caught:
        Guard(resolver=later).addresses("example.test", 80)
    assert caught.value.failure_kind in FetchUrl.policy.retry_on


def test_it_goes_to_the_next_address_when_one_is_dead() -> None:
    with serving(answer) as base:
        network = Network(base, dead=["93.184.216.34"])
        guard = Guard(resolver=lambda host, port: ["93.184.216.34", "8.8.8.8"])
        client = Fetcher(guard, 5.0, network)
        assert client.get("http://example.test/").status == 200
        client.close()
    assert network.reached == ["93.184.216.34", "8.8.8.8"]
