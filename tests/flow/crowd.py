"""One person with many clients, in a process of its own, so that they take nothing from whoever measures.

`python -m tests.flow.crowd URL COOKIE KIND:COUNT:PATH…` asks until its standard input is closed, then prints what came
of each kind as JSON: status → how often. A `search` is hung up after a second, anything else is read to its end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import httpx

PATIENCE = {"search": 1.0}
PAUSE = 0.05  # seconds after a refusal, as long as it takes to press again


async def one(client: httpx.AsyncClient, path: str, seconds: float) -> str:
    """What came of it: a status or a word."""
    try:
        async with client.stream("GET", path, timeout=seconds) as answer:
            async with asyncio.timeout(seconds):
                async for _ in answer.aiter_raw():
                    pass
            return str(answer.status_code)
    except (httpx.TimeoutException, TimeoutError):
        return "hung up"


async def again_and_again(client: httpx.AsyncClient, path: str, seconds: float, came: Counter[str]) -> None:
    while True:
        said = await one(client, path, seconds)
        came[said] += 1
        if said not in ("200", "hung up"):
            await asyncio.sleep(PAUSE)


async def crowd(url: str, cookie: str, orders: list[str]) -> dict[str, Counter[str]]:
    came: dict[str, Counter[str]] = {}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, headers={"Cookie": cookie}, limits=limits) as client:
        tasks = []
        for order in orders:
            kind, count, path = order.split(":", 2)
            counter = came.setdefault(kind, Counter())
            seconds = PATIENCE.get(kind, 120.0)
            tasks += [asyncio.create_task(again_and_again(client, path, seconds, counter)) for _ in range(int(count))]
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return came


if __name__ == "__main__":
    print(json.dumps(asyncio.run(crowd(sys.argv[1], sys.argv[2], sys.argv[3:]))))
