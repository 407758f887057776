from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from batchweb import probe


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        right = (self.path, self.headers["Host"]) == ("/healthz", "example.org")
        self.send_response(200 if right else 400)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()


def test_it_finds_a_server_that_answers_well(port: int) -> None:
    assert probe.well("127.0.0.1", port, "example.org")


def test_it_finds_a_server_that_refuses_unwell(port: int) -> None:
    assert not probe.well("127.0.0.1", port, "example.com")


def test_it_finds_a_closed_port_unwell() -> None:
    assert not probe.well("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("allowed", "name"),
    [
        (["a.org", "b.org"], "a.org"),
        ([".a.org"], "a.org"),
        (["*"], "localhost"),
        ([], "localhost"),
        ([""], "localhost"),
    ],
)
def test_it_speaks_a_name_that_is_let_in(allowed: list[str], name: str) -> None:
    assert probe.spoken(allowed) == name
