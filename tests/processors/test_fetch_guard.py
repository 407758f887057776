"""What a file may say to make fetch-url reach what is not its business."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from jobs.processors import Call, Failed
from jobs.processors.addresses import Resolve
from jobs.processors.fetch_url import Fetcher
from jobs.processors.guarded import PORTS, Guard
from tests.processors.attempts import final, kinds
from tests.processors.servers import Answer, Network, reply, serving

PUBLIC = "93.184.216.34"


class Names:
    """A resolver that says what it is told, one answer after the other and the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def world(names: Resolve, server: Answer = reply) -> Iterator[tuple[Fetcher, Network]]:
    """A guarded client in a network where every address leads to one server."""
    with serving(server) as base:
        network = Network(base)
        client = Fetcher(Guard(resolver=names), 5.0, network)
        try:
            yield client, network
        finally:
            client.close()


def refusal(client: Fetcher, url: str) -> str:
    with pytest.raises(Failed) as caught:
        client.get(url)
    assert caught.value.failure_kind == "refused address"
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://100.100.100.200/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://127。0。0。1/",
        "http://１２７.0.0.1/",
        "http://a@127.0.0.1/",
        "http://example.org@127.0.0.1/",
        "http://user:secret@example.org/",
        "http://@127.0.0.1/",
        "http://example.org:22/",
        "http://example.org:6379/",
        "https://example.org:8443/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "ftp://example.org/",
        "data:text/html,x",
        "//127.0.0.1/",
        "/etc/passwd",
        "example.org",
        "http://",
        "http:///",
        "http://[::1",
        "http://exa mple.org/\n",
        "http://example.org:99999/",
    ],
)
def test_it_refuses_an_address_without_a_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "0")
    attempt = final(Call("fetch-url", {}), [{"url": url}])[0]
    assert attempt.failure is not None
    assert attempt.failure.kind in ("refused address", "name not found")
    assert "not fetched" in attempt.failure.message or "no address" in attempt.failure.message


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://0x7f.1/", "http://2130706433/", "http://[::1]/"])
def test_it_says_why_it_refuses_what_is_at_home(url: str) -> None:
    attempt = final(Call("fetch-url", {}), [{"url": url}])[0]
    assert attempt.failure is not None
    assert attempt.failure.message == "This address is not fetched. It does not lead to the public internet."


def test_it_refuses_a_name_that_leads_home() -> None:
    with world(Names(["10.0.0.5"])) as (client, network):
        assert refusal(client, "http://intranet.test/").endswith("It does not lead to the public internet.")
    assert network.reached == []


def test_it_refuses_a_name_when_one_answer_of_many_leads_home() -> None:
    with world(Names([PUBLIC, "2606:4700::1", "127.0.0.1"])) as (client, network):
        refusal(client, "http://mixed.test/")
    assert network.reached == []


def test_it_does_not_tell_where_a_refused_name_leads() -> None:
    with world(Names(["10.0.0.5"])) as (client, _):
        assert "10.0.0.5" not in refusal(client, "http://intranet.test/")


def test_it_connects_to_the_address_that_it_checked() -> None:
    with world(Names([PUBLIC], ["127.0.0.1"])) as (client, network):
        client.get("http://rebinding.test/")
    assert network.reached == [PUBLIC]


def test_it_asks_for_the_name_once_for_each_connection() -> None:
    names = Names([PUBLIC])
    with world(names) as (client, network):
        client.get("http://example.test/")
    assert names.asked == ["example.test"] * len(network.reached)


def test_it_checks_again_when_it_connects_again() -> None:
    with world(Names([PUBLIC], ["127.0.0.1"])) as (client, network):
        client.get("http://rebinding.test/")
        refusal(client, "http://rebinding.test/")
    assert network.reached == [PUBLIC]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "http://a@example.test/",
        "//example.test:22/",
        "http://[::1",
    ],
)
def test_it_checks_where_a_redirect_leads(target: str) -> None:
    def names(host: str, port: int) -> list[str]:
        return [PUBLIC] if host == "example.test" else ["127.0.0.1"]

    with world(names, lambda handler: reply(handler, 302, Location=target)) as (client, network):
        refusal(client, "http://example.test/")
    assert network.reached == [PUBLIC]


def test_it_checks_a_name_again_after_a_redirect() -> None:
    def server(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 301, Location="http://rebinding.test/again")

    with world(Names([PUBLIC], ["169.254.169.254"]), server) as (client, network):
        refusal(client, "http://rebinding.test/")
    assert network.reached == [PUBLIC]


def test_it_keeps_the_name_in_the_host_header() -> None:
    seen: list[str | None] = []

    def server(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Host"])
        reply(handler)

    with world(Names([PUBLIC]), server) as (client, _):
        client.get("http://Example.test/")
    assert seen == ["example.test"]


def test_it_asks_for_the_certificate_of_the_name() -> None:
    with world(Names([PUBLIC])) as (client, network):
        client.get("https://example.test/")
    assert (network.reached, network.server_names) == ([PUBLIC], ["example.test"])


def test_it_refuses_a_name_without_an_answer() -> None:
    with world(Names([])) as (client, _), pytest.raises(Failed, match="The host has no address"):
        client.get("http://example.test/")


def test_it_lets_the_one_who_runs_it_allow_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PORTS", "8080, 8443")
    seen: list[frozenset[int]] = []
    plain = Guard.__init__

    def noting(self: Guard, *, private: bool = False, ports: frozenset[int] = PORTS) -> None:
        seen.append(ports)
        plain(self, private=private, ports=ports)

    monkeypatch.setattr(Guard, "__init__", noting)
    final(Call("fetch-url", {}), [{"url": "http://127.0.0.1/"}])
    assert seen == [frozenset({80, 443, 8080, 8443})]


@pytest.mark.parametrize("switch", ["", "0", "no", "false"])
def test_it_is_on_unless_it_is_switched_off(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", switch)
    with serving(reply) as base:
        assert kinds(final(Call("fetch-url", {}), [{"url": base}])) == ["refused address"]


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "1")
    with serving(reply) as base:
        assert kinds(final(Call("fetch-url", {}), [{"url": base}])) == [""]


def test_it_fetches_nothing_but_the_web_even_when_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "1")
    assert kinds(final(Call("fetch-url", {}), [{"url": "file:///etc/passwd"}])) == ["refused address"]
