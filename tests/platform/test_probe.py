from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from batchweb import healthcheck


class Answer(BaseHTTPRequestHandler):
    well = True

    def do_GET(self) -> None:
        self.send_response(200 if (self.path, type(self).well) == ("/healthz", True) else 500)
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
    assert healthcheck.well("127.0.0.1", port)


def test_it_finds_a_server_that_fails_unwell(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answer, "well", False)
    assert not healthcheck.well("127.0.0.1", port)


def test_it_finds_a_closed_port_unwell() -> None:
    assert not healthcheck.well("127.0.0.1", 1)
