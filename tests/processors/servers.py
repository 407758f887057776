"""Real HTTP servers on this machine, and a network in which public addresses lead to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

import httpcore

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """The address of a server that answers every request by `answer`, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up early is what some tests are about.
        pass


def reply(handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"", **headers: str) -> None:
    """One whole answer; `retry_after` becomes Retry-After."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class Network(httpcore.NetworkBackend):
    """Leads every address to the server at `base`, and notes where connections wanted to go."""

    def __init__(self, base: str, dead: Iterable[str] = ()) -> None:
        self.port = int(base.rpartition(":")[2])
        self.dead = frozenset(dead)
        self.reached: list[str] = []
        self.server_names: list[str | None] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        self.reached.append(host)
        if host in self.dead:
            raise httpcore.ConnectError("no answer")
        return Unencrypted(httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout), self.server_names)


class Unencrypted(httpcore.NetworkStream):
    """Notes for whom a certificate was asked, and goes on in the clear."""

    def __init__(self, inner: httpcore.NetworkStream, server_names: list[str | None]) -> None:
        self.inner = inner
        self.server_names = server_names

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, timeout)

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self.server_names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return None if info == "ssl_object" else self.inner.get_extra_info(info)
