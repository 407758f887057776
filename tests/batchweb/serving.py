"""A web server of the product's own kind on a real socket, in a thread, in front of an application of the test's."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from batchweb.protocols import SOCKET_BYTES, Connections, Http, Socket
from tests.system import until


class Running:
    """The server, its address, and what its application has seen."""

    def __init__(self, most: int, proxy: str) -> None:
        self.places = Connections(most, lambda address: address == proxy)
        self.seen: list[Any] = []
        self.open = threading.Event()  # an application that was asked for /wait answers once this is set
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        config = uvicorn.Config(
            self.app, http=partial(Http, places=self.places), ws=Socket, ws_max_size=SOCKET_BYTES,  # type: ignore[arg-type]
            interface="asgi3", lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            log_level="error",
        )  # fmt: skip
        self.server = uvicorn.Server(config)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.talk(receive, send)
            return
        self.seen.append(scope)
        while scope["path"] == "/wait" and not self.open.is_set():
            await asyncio.sleep(0.01)
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        size = 50_000_000 if scope["path"] == "/large" else 2
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        for _ in range(size // 50_000):
            await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
        await send({"type": "http.response.body", "body": b"ok" if size == 2 else b""})

    async def talk(self, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.seen.append(message.get("text") or message.get("bytes"))
            while not self.open.is_set():
                await asyncio.sleep(0.01)

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        client.settimeout(20)
        return client

    def answer(self, *pieces: bytes) -> bytes:
        """All that comes back on a connection on which these pieces are sent."""
        with self.connect() as client:
            try:
                for piece in pieces:
                    client.sendall(piece)
            except OSError:
                pass  # it was closed meanwhile; what was answered can be read still
            return everything(client)


def everything(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except ConnectionError:
        pass
    return got


@contextmanager
def serving(most: int = 100, proxy: str = "") -> Iterator[Running]:
    running = Running(most, proxy)
    thread = threading.Thread(target=running.server.run, args=([running.listener],), daemon=True)
    thread.start()
    until(lambda: running.server.started, 20, "the server listens")
    try:
        yield running
    finally:
        running.open.set()
        running.server.should_exit = running.server.force_exit = True
        thread.join(20)
        assert not thread.is_alive()
