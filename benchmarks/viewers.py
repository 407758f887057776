"""Many websockets on one job, in a process of their own: `python -m benchmarks.viewers URL COOKIE CODE COUNT`.

Prints `open` when all are connected, and when the job has ended one JSON object: `ends` counts each last frame,
`heard` holds [number of a frame, when it came], in seconds since the epoch, of all sockets together.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

ENDED = ("finished", "cancelled")
AT_ONCE = 50  # sockets that knock together
PATIENCE = 120.0  # seconds without a frame


class Viewers:
    """`count` pages of one person that follow one job, each by the contract of frames."""

    def __init__(self, url: str, cookie: str, code: str, count: int) -> None:
        self.url, self.code, self.count = url, code, count
        self.cookie = {"Cookie": f"batchweb_session={cookie}"}
        self.ends: Counter[str] = Counter()
        self.heard: list[tuple[int, float]] = []
        self.knocking = asyncio.Semaphore(AT_ONCE)
        self.connected = 0

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers=self.cookie, timeout=60) as self.client:
            await asyncio.gather(*(self.follow() for _ in range(self.count)))
        print(json.dumps({"ends": self.ends, "heard": self.heard}), flush=True)

    async def follow(self) -> None:
        address = f"{self.url.replace('http', 'ws', 1)}/ws/jobs/{self.code}/"
        headers = self.cookie | {"Origin": self.url}
        async with self.knocking:
            line = await connect(address, additional_headers=headers, compression=None, open_timeout=60)
        self.connected += 1
        if self.connected == self.count:
            print("open", flush=True)
        async with line:
            self.ends[await self.last(line)] += 1

    async def last(self, line: ClientConnection) -> str:
        """What the page of this socket shows in the end."""
        frame = await self.snapshot()
        await line.send(json.dumps({"t": "hello", "after": frame["seq"]}))
        while frame["state"] not in ENDED or frame["counts"]["running"]:
            message = await asyncio.wait_for(line.recv(), PATIENCE)
            if isinstance(message, bytes):
                continue
            news = json.loads(message)
            if news["t"] == "resync" or (news["t"] == "stats" and news["from"] > frame["seq"]):
                frame = await self.snapshot()
            elif news["t"] == "stats":
                frame = news
                self.heard.append((news["seq"], time.time()))
        return json.dumps([frame["seq"], frame["state"], frame["counts"]])

    async def snapshot(self) -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{self.code}/snapshot.json")
        return dict(answer.raise_for_status().json())


if __name__ == "__main__":
    url, cookie, code, count = sys.argv[1:]
    asyncio.run(Viewers(url, cookie, code, int(count)).run())
