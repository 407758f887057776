"""How downloads are sent: a piece at a time, from threads of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Final, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection

T = TypeVar("T")

SMALL: Final = 1_000_000  # bytes that are made before they are sent, so that their number is known
MADE: Final = 1_000_000  # bytes that are made by a thread before another download has its turn
KEPT: Final = 1.0  # seconds for which these threads stay connected: from part to part, not while a database restarts

# So that a slow download holds up neither pages nor frames. A thread makes one part and is free for others while that
# is sent, so nobody can hold one by reading slowly or not at all.
_makers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="download")
_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="download-rows")


def _connected(does: Callable[[], T]) -> T:
    """What it returns. Only Django's own threads close their connections by themselves."""
    close_old_connections()
    try:
        return does()
    finally:
        connection.close_at = time.monotonic() + KEPT


def ahead(chunks: Iterator[T]) -> Iterator[T]:
    """The same; while one of them is used, another thread waits for the next."""

    def following() -> T | None:
        return _connected(lambda: next(chunks, None))

    coming = _readers.submit(following)
    while (chunk := coming.result()) is not None:
        coming = _readers.submit(following)
        yield chunk


async def streamed(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, several together: under ASGI Django would collect a synchronous iterator whole before it sends any.

    The first one goes out as soon as it is there. While a part is sent the next one is made.
    """
    size = 0

    def part() -> bytes:
        made = bytearray()
        for piece in pieces:
            made += piece
            if len(made) >= size:
                break
        return bytes(made)

    make = sync_to_async(partial(_connected, part), thread_sensitive=False, executor=_makers)
    coming = asyncio.ensure_future(make())
    try:
        while made := await coming:
            size = MADE
            coming = asyncio.ensure_future(make())
            yield made
    finally:
        coming.cancel()


def begun(pieces: Iterator[bytes]) -> tuple[Iterator[bytes], int | None]:
    """The same pieces, some of them made already, and their length in bytes where that were all."""
    made: list[bytes] = []
    length = 0
    for piece in pieces:
        made.append(piece)
        length += len(piece)
        if length > SMALL:
            return chain(made, pieces), None
    return iter(made), length
