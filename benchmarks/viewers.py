"""Many websockets on one job, in a process of their own: `python -m benchmarks.viewers URL COOKIE CODE COUNT`.

Prints `open` when all are connected, and when the job has ended one JSON object: `ends` counts each last frame,
`heard` holds [number of a frame, when it came], in seconds since the epoch, of all sockets together.

Frames are noted as they come off the line and looked at no closer than a page's contract asks, since this process
shares the machine with what it measures.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from functools import lru_cache
from typing import Any, Final

import httpx
import uvloop
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

ENDED = ("finished", "cancelled")
AT_ONCE = 50  # sockets that knock together
PATIENCE = 120.0  # seconds for all of them to see the end of the job
# A frame of which no more needs to be known: numbers of a job that goes on.
GOES_ON: Final = re.compile(rb'\{"t":"stats","job":"\w+","from":(\d+),"seq":(\d+),"state":"(?:ready|queued|running)"')


class Viewer(asyncio.Protocol):
    """One page: its socket, the number that it is at, and the frame that it ends with."""

    def __init__(self, everybody: Viewers) -> None:
        self.everybody = everybody
        self.protocol = ClientProtocol(everybody.uri)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.seq = -1

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        request = self.protocol.connect()
        request.headers.update({**self.everybody.cookie, "Origin": self.everybody.url})
        self.protocol.send_request(request)
        self.flush()

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.opened.set_result(None)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.heard(bytes(event.data), now)
        self.flush()  # the answers to pings

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in (self.opened, self.ended):
            if not waiting.done():
                waiting.set_exception(ConnectionError("The socket was closed"))

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)

    def say(self, message: dict[str, Any]) -> None:
        self.protocol.send_text(json.dumps(message).encode())
        self.flush()

    def heard(self, text: bytes, now: float) -> None:
        if found := GOES_ON.match(text):
            self.step(int(found[1]), int(found[2]), now)
            return
        news = parsed(text)
        if news["t"] == "resync":
            self.refresh()
        elif news["t"] == "stats" and self.step(news["from"], news["seq"], now):
            self.shows(news)

    def step(self, since: int, seq: int, now: float) -> bool:
        """Whether the frame could be applied. What is told again tells nothing of how long news take."""
        if since > self.seq:
            self.refresh()
            return False
        if seq > self.seq:
            self.everybody.heard.append((seq, now))
        self.seq = max(seq, self.seq)
        return seq >= self.seq

    def shows(self, frame: dict[str, Any]) -> None:
        if frame["state"] in ENDED and not frame["counts"]["running"] and not self.ended.done():
            self.ended.set_result(json.dumps([frame["seq"], frame["state"], frame["counts"]]))

    def refresh(self) -> None:
        self.fetching = asyncio.create_task(self.fetch())

    async def fetch(self) -> None:
        frame = await self.everybody.snapshot()
        self.seq = frame["seq"]
        self.shows(frame)


class Viewers:
    """`count` pages of one person that follow one job, each by the contract of frames."""

    def __init__(self, url: str, cookie: str, code: str, count: int) -> None:
        self.url, self.code, self.count = url, code, count
        self.uri = parse_uri(f"{url.replace('http', 'ws', 1)}/ws/jobs/{code}/")
        self.cookie = {"Cookie": f"batchweb_session={cookie}"}
        self.heard: list[tuple[int, float]] = []
        self.knocking = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers=self.cookie, timeout=60) as self.client:
            everybody = await asyncio.gather(*(self.follow() for _ in range(self.count)))
            print("open", flush=True)
            ends = await asyncio.wait_for(asyncio.gather(*(viewer.ended for viewer in everybody)), PATIENCE)
        print(json.dumps({"ends": Counter(ends), "heard": self.heard}), flush=True)

    async def follow(self) -> Viewer:
        """A page that has its snapshot and its socket."""
        async with self.knocking:
            place = self.uri.host, self.uri.port
            _, viewer = await asyncio.get_running_loop().create_connection(lambda: Viewer(self), *place)
            await viewer.opened
            await viewer.fetch()
        viewer.say({"t": "hello", "after": viewer.seq})
        return viewer

    async def snapshot(self) -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{self.code}/snapshot.json")
        return dict(answer.raise_for_status().json())


@lru_cache(maxsize=16)
def parsed(text: bytes) -> Any:
    """The frame; those that are sent to everybody are read once."""
    return json.loads(text)


if __name__ == "__main__":
    url, cookie, code, count = sys.argv[1:]
    uvloop.run(Viewers(url, cookie, code, int(count)).run())
