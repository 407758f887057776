"""How downloads are sent: a piece at a time, from threads of their own, for as long as somebody may have them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Final, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

from batchweb import kernel
from batchweb.auth import person_of
from jobs.models import Job

T = TypeVar("T")

SMALL: Final = 1_000_000  # bytes that are made before they are sent, so that their number is known
MADE: Final = 1_000_000  # bytes that are made by a thread before another download has its turn
LOOK: Final = 1.0  # seconds after which it is asked anew whether they may
KEPT: Final = 1.0  # seconds for which these threads stay connected: from part to part, not while a database restarts

MAKERS: Final = (
    2  # threads that compute beside those of pages, which have one turn in three then; with four p99 was 1.3 s
)

# So that a slow download holds up neither pages nor frames. A thread makes one part and is free for others while that
# is sent, so nobody can hold one by reading slowly or not at all.
_makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="download")
_readers = ThreadPoolExecutor(MAKERS, thread_name_prefix="download-rows")


class Withdrawn(Exception):
    """Whoever takes this home may no longer have it. The connection is cut, so that no file looks whole."""

    expected = True  # nobody's defect


def while_allowed(pieces: Iterator[bytes], allowed: Callable[[], bool]) -> Iterator[bytes]:
    """The same pieces. Raises Withdrawn as soon as `allowed`, which is asked every second, says so."""
    asked = time.monotonic()
    for piece in pieces:
        if time.monotonic() - asked >= LOOK:
            if not allowed():
                raise Withdrawn("A download was ended: whoever took it may no longer see it.")
            asked = time.monotonic()
        yield piece


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


def attachment(
    request: HttpRequest, pieces: Iterator[bytes], content_type: str, name: str, *jobs: Job
) -> StreamingHttpResponse:
    """A file of these jobs to be kept, for as long as they may be seen. Whoever asks for its headers gets no more."""
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    pieces = iter(()) if request.method == "HEAD" else while_allowed(pieces, still_seen(request, *jobs))
    content = streamed(pieces)
    return StreamingHttpResponse(content, content_type=content_type, headers={"Content-Disposition": disposition})


def still_seen(request: HttpRequest, *jobs: Job) -> Callable[[], bool]:
    """Asks whether who is signed in there may see these jobs now: rights and sessions may end while a file is sent."""
    session, keys = request.session.session_key, {job.pk for job in jobs}

    def asked() -> bool:
        now = person_of(session)
        return now.is_authenticated and Job.objects.visible_to(now).filter(pk__in=keys).count() == len(keys)

    return asked


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
        _makers.submit(_closed, pieces)


def _closed(pieces: Iterator[bytes]) -> None:
    """Ends what is behind them, which may take a moment: a child that reads a file, a cursor of the database."""
    with suppress(AttributeError, ValueError):  # It is no generator, or another thread makes the last part just now.
        _connected(pieces.close)  # type: ignore[attr-defined]
    kernel.give_back_memory()


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
