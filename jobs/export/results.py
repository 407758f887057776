"""A job's one ordered result, in each format, streamed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from jobs import files
from jobs.export import reader
from jobs.export.reader import EVERY_ROW
from jobs.files.flattening import WHOLE, Key
from jobs.files.writers import Row
from jobs.items.choice import Choice
from jobs.items.row_ranges import InvalidSelection
from jobs.models import Job

Chunks: TypeAlias = Iterator[list[Row]]
Via: TypeAlias = Callable[[Chunks], Chunks]

FORMATS: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
ENDINGS: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".xlsx": "xlsx"}
WRITTEN: Final = 1  # grows when the same rows are written otherwise than before
FAILED: Final = Choice("failed")


def pieces(job: Job, format: str, choice: Choice = EVERY_ROW, via: Via = iter) -> Iterator[bytes]:
    """The chosen rows in their order, as the bytes of a file in one of FORMATS. Raises InvalidSelection.

    The rows come in chunks through `via`, which may read them ahead.
    """
    rows = via(reader.results(job, choice))
    return _workbook(job, rows) if format == "xlsx" else encoded(TEXTS[format](job, rows))


def encoded(chunks: Iterator[str]) -> Iterator[bytes]:
    return (chunk.encode() for chunk in chunks)


def chunks(job: Job, format: str, choice: Choice = EVERY_ROW) -> Iterator[str]:
    """The chosen rows in their order, as text: csv, jsonl or json."""
    return TEXTS[format](job, reader.results(job, choice))


def _csv(job: Job, rows: Chunks) -> Iterator[str]:
    keys = columns(job)
    yield files.csv_line(files.result_header(job.columns, keys))
    yield from map(files.Table(job.columns, keys, job.file_shape).csv, rows)


def _jsonl(job: Job, rows: Chunks) -> Iterator[str]:
    for some in rows:
        yield files.jsonl_chunk(some, job.columns, job.file_shape)


def _json(job: Job, rows: Chunks) -> Iterator[str]:
    before = "[\n"
    for some in rows:
        yield before + ",\n".join(files.json_objects(some, job.columns, job.file_shape))
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


TEXTS: Final[Mapping[str, Callable[[Job, Chunks], Iterator[str]]]] = {"csv": _csv, "jsonl": _jsonl, "json": _json}


def _workbook(job: Job, rows: Chunks) -> Iterator[bytes]:
    """The same columns as in CSV, as a workbook; nothing in it is a formula, so nothing is guarded.

    Raises InvalidSelection.
    """
    keys = columns(job)
    header = files.result_header(job.columns, keys)
    if len(header) > files.COLUMNS:
        raise InvalidSelection(f"A workbook has {files.COLUMNS:,} columns at most, and these are {len(header):,}.")
    table = files.Table(job.columns, keys, job.file_shape)
    return files.workbook(header, map(table.records, rows))


def columns(job: Job) -> list[Key]:
    """The keys that are columns of its results.

    What nobody knows yet will have a place, too: a job at work may come upon new keys after the header was written.
    """
    keys = job.keys
    return keys if WHOLE in keys or at_rest(job) else [*keys, WHOLE]


def at_rest(job: Job) -> bool:
    """Whether it has ended, and all that was in flight has come back."""
    return job.ended and not job.shards.leased().exists()


def failed_chunks(
    job: Job, choice: Choice = FAILED, tell: Callable[[int], object] = bool, via: Via = iter
) -> Iterator[str]:
    """Exactly the failed rows as CSV: the file's own columns, then what went wrong. Tells how many, chunk by chunk."""
    yield files.csv_line(files.failure_header(job.columns))
    for rows in via(reader.results(job, choice)):
        tell(len(rows))
        yield files.failed_chunk(rows, job.columns, job.file_shape)


def tag(job: Job, *what: object) -> str:
    """An ETag of `what` is made of the job: the same as long as the same comes of it.

    A weak one, for while the job runs its rows may be newer than their tag, never older.
    """
    facts = (WRITTEN, job.code, job.state, job.seq, job.readings, job.total, at_rest(job), *what)
    return f'W/"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}"'


def file_name(job: Job, suffix: str) -> str:
    """A name for the download, made of the job's name without anything that a file system minds."""
    stem = re.sub(r"\.(csv|tsv|jsonl|json|txt|xlsx)$", "", job.name, flags=re.IGNORECASE)
    return (re.sub(r"[^\w.-]+", "-", stem).strip("-.") or job.code)[:80] + suffix
