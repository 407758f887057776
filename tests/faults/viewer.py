"""Pages that people look at, in a process of their own: `python -m tests.faults.viewer URL COOKIE [PAGES]`.

They keep to the contract of frames, also through lost connections. Lines on standard input are `follow CODE` and
`say`; for `say` one line of JSON says what each page holds.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
import time
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

HEADER = struct.Struct(">BBII")
BACKOFF = (0.5, 4.0)
TROUBLE = (OSError, httpx.HTTPError, WebSocketException, TimeoutError, ValueError)


class Page:
    """One page. `cells` holds what it knows of single items since it last fetched everything anew."""

    def __init__(self, url: str, cookie: str) -> None:
        self.url = url
        self.headers = {"Cookie": f"batchweb_session={cookie}"}
        self.code = ""
        self.frame: dict[str, Any] = {}
        self.step = (-1, -1)
        self.cells: dict[int, int] = {}
        self.fetched = self.connected = 0

    def follow(self, code: str) -> None:
        self.code, self.frame, self.cells, self.fetched, self.connected = code, {}, {}, 0, 0
        threading.Thread(target=self.watch, args=(code,), daemon=True).start()

    def watch(self, code: str) -> None:
        """Looks at one job until another one is to be looked at."""
        wait = BACKOFF[0]
        while self.code == code:
            try:
                self.fetch()
                self.listen(code)
                wait = BACKOFF[0]
            except TROUBLE:
                time.sleep(wait)
                wait = min(2 * wait, BACKOFF[1])

    def fetch(self) -> None:
        answer = httpx.get(f"{self.url}/jobs/{self.code}/snapshot.json", headers=self.headers, timeout=10)
        self.frame = dict(answer.raise_for_status().json())
        self.cells, self.step = {}, (-1, -1)
        self.fetched += 1

    def listen(self, code: str) -> None:
        url = self.url.replace("http", "ws", 1) + f"/ws/jobs/{code}/"
        headers = {**self.headers, "Origin": self.url}
        with connect(url, additional_headers=headers, compression=None, open_timeout=5) as socket:
            self.connected += 1
            self.hello(socket)
            while self.code == code:
                self.take(socket.recv(20.0), socket)

    def hello(self, socket: ClientConnection) -> None:
        socket.send(json.dumps({"t": "hello", "after": self.frame["seq"]}))

    def take(self, message: str | bytes, socket: ClientConnection) -> None:
        if isinstance(message, bytes):
            self.merge(message)
            return
        frame = json.loads(message)
        if frame["t"] == "stats" and frame["from"] == self.frame["seq"]:
            self.step = (frame["from"], frame["seq"])
            self.frame = frame
        elif frame["t"] in ("stats", "resync"):
            self.fetch()
            self.hello(socket)

    def merge(self, message: bytes) -> None:
        _, _, since, seq = HEADER.unpack_from(message)
        if (since, seq) == self.step:
            self.cells |= changes(message[HEADER.size :])

    def says(self) -> dict[str, Any]:
        return {"frame": self.frame, "cells": self.cells, "fetched": self.fetched, "connected": self.connected}


def changes(data: bytes) -> dict[int, int]:
    """Position → state of a cells frame's body."""
    found: dict[int, int] = {}
    position = value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            position += value >> 3
            found[position] = value & 7
            value = shift = 0
    return found


def main(url: str, cookie: str, number: int = 1) -> None:
    pages = [Page(url, cookie) for _ in range(number)]
    for line in sys.stdin:
        order, _, code = line.strip().partition(" ")
        if order == "follow":
            for page in pages:
                page.follow(code)
        else:
            print(json.dumps([page.says() for page in pages]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
