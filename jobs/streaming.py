"""How downloads are sent: a piece at a time, from threads of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final

from asgiref.sync import sync_to_async
from django.db import close_old_connections

SMALL: Final = 1_000_000  # bytes that are made before they are sent, so that their number is known

# So that a slow download holds up neither pages nor frames. A thread makes one piece and is free for others while that
# is sent, so nobody can hold one by reading slowly or not at all.
_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="download")


async def streamed(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces one by one: under ASGI Django would collect a synchronous iterator whole before it sends any of it."""

    def following() -> bytes | None:
        close_old_connections()
        return next(pieces, None)

    step = sync_to_async(following, thread_sensitive=False, executor=_readers)
    while (piece := await step()) is not None:
        yield piece


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
