"""A chat endpoint that takes its time and, where it is told so, refuses what comes too fast.

`python -m benchmarks.chat_server PORT SECONDS`. GET /answered says how often it answered with which status, and begins
to count anew; PUT /allowed sets how many requests it takes in any one second (0 for no limit).
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "a shorter query"}}]}


class ChatServer:
    """The ASGI application. A refused request is answered at once, with whole seconds to wait, as the standard says."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.allowed = 0
        self.taken: deque[float] = deque()
        self.answered: Counter[int] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = await whole(receive)
        if scope["path"] == "/allowed":
            self.allowed, self.taken = int(body), deque()
            await reply(send, 200, self.allowed)
        elif scope["path"] == "/answered":
            await reply(send, 200, self.answered)
            self.answered = Counter()
        else:
            await self.chat(send)

    async def chat(self, send: Send) -> None:
        wait = self.refusal(time.monotonic())
        self.answered[429 if wait else 200] += 1
        if wait:
            await reply(send, 429, {"error": {"message": "Too many requests."}}, wait)
        else:
            await asyncio.sleep(self.seconds)
            await reply(send, 200, ANSWER)

    def refusal(self, now: float) -> int:
        """Whole seconds to wait when the last second is full; else 0, and the request is taken."""
        while self.taken and self.taken[0] <= now - 1:
            self.taken.popleft()
        if self.allowed and len(self.taken) >= self.allowed:
            return math.ceil(self.taken[0] + 1 - now)
        self.taken.append(now)
        return 0


async def whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def reply(send: Send, status: int, value: Any, retry_after: int = 0) -> None:
    headers = [(b"content-type", b"application/json")]
    if retry_after:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


if __name__ == "__main__":
    server = ChatServer(float(sys.argv[2]))
    uvicorn.run(server, port=int(sys.argv[1]), lifespan="off", log_level="warning", backlog=512)
