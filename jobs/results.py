"""A job's one ordered result, streamed from the rows in chunks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from jobs import files
from jobs.models import ItemState, Job

CHUNK: Final = 2_000  # rows
FIRST: Final = 100  # rows of the first chunk, which shows how large they are
SIZE: Final = 4_000_000  # characters that a chunk should hold at most
FORMATS: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8"}
FAILURE_COLUMNS: Final = ("row", "error_kind", "error", "attempts")

# Downloads have threads of their own, so that a slow one holds up neither pages nor frames.
_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="download")


def chunks(job: Job, format: str) -> Iterator[str]:
    """Every row of the input in its order, as text of `format`."""
    write = {"csv": files.csv_chunk, "jsonl": files.jsonl_chunk}[format]
    if format == "csv":
        yield files.csv_line(files.result_header(job.columns, job.result_keys))
    for rows in results(job):
        yield write(rows, job.columns, job.result_keys, job.file_shape)


def failed_chunks(job: Job) -> Iterator[str]:
    """Exactly the failed rows as CSV: the file's own columns, then what went wrong."""
    yield files.csv_line(
        [*job.columns, *(name if name not in job.columns else f"batchweb.{name}" for name in FAILURE_COLUMNS)]
    )
    for rows in results(job, [ItemState.FAILED]):
        yield "".join(files.csv_line(map(str, failure(job, row))) for row in rows)


def failure(job: Job, row: files.Result) -> list[object]:
    cells = files.cells(row.payload, job.file_shape, job.columns)
    return [*cells, row.row, row.error_kind, row.error, row.attempts]


def results(job: Job, states: Sequence[int] = ()) -> Iterator[list[files.Result]]:
    """The rows in chunks, in order; of all states unless some are named."""
    after = -1
    items = job.read_items().filter(state__in=states) if states else job.read_items()
    fields = (
        "position", "state", "payload", "result", "fallback", "error_kind", "error", "attempts", "seconds", "key"
    )  # fmt: skip
    pending = "not attempted" if job.ended else "pending"
    limit = FIRST
    while found := list(items.filter(position__gt=after).order_by("position").values_list(*fields)[:limit]):
        after = found[-1][0]
        size = sum(len(row[2]) + len(row[3]) + len(row[4]) for row in found)
        limit = max(1, min(CHUNK, 4 * limit, SIZE * len(found) // max(size, 1)))
        yield [
            files.Result(
                position + 1, pending if state == ItemState.PENDING else ItemState(state).name.lower(), payload,
                result or fallback, kind, error, attempts, seconds, key
            )
            for position, state, payload, result, fallback, kind, error, attempts, seconds, key in found
        ]  # fmt: skip


async def streamed(text: Iterator[str] | Iterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks one by one: under ASGI Django would collect a synchronous iterator whole before it sends any of it."""

    def following() -> str | bytes | None:
        close_old_connections()
        return next(text, None)

    step = sync_to_async(following, thread_sensitive=False, executor=_readers)
    while (chunk := await step()) is not None:
        yield chunk.encode() if isinstance(chunk, str) else chunk


def file_name(job: Job, suffix: str) -> str:
    """A name for the download, made of the job's name without anything that a file system minds."""
    stem = re.sub(r"\.(csv|tsv|jsonl|json|txt|xlsx)$", "", job.name, flags=re.IGNORECASE)
    return (re.sub(r"[^\w.-]+", "-", stem).strip("-.") or job.code)[:80] + suffix
