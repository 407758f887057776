"""Reading a job's file into items and shards, one shard in each transaction."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import DataError, transaction
from django.utils import timezone

from jobs import files, processors, store
from jobs.models import ItemState, Job, JobState, Run, Shard
from jobs.processors.storable import harmless
from jobs.store import LostLease

logger = logging.getLogger(__name__)

KEY_COLUMNS: Final = ("custom_id", "id", "key")
LEASE: Final = timedelta(seconds=60)
WIDE: Final = 4  # a job of several tasks gets shards this many times smaller, so that each finds one
SHARD_SIZE: Final = 16_000_000  # characters of payloads, where rows are so large that fewer make a shard

Record = tuple[int, int, str, str, str, str, str]


def load(job: Job) -> bool:
    """Reads the file and moves the job on: to `ready`, to `queued`, or to `invalid` with the sentence that says why.

    Goes on where a reader that died has stopped. False when another reader is at it or the job has moved on.
    """
    token = take(job)
    if not token:
        return False
    try:
        with job.upload.file.open("rb") as stream:
            read_all(job, token, files.read(stream, job.file_shape))
    except files.Unreadable as error:
        return refuse(job, str(error))
    except FileNotFoundError:
        return refuse(job, "The stored file is gone.")
    except (DataError, ValueError):
        # Reading it again would end the same way.
        logger.exception("Job %s: its file cannot be stored", job.code)
        return refuse(job, f"The database refuses a value of the file after row {job.total:,}.")
    except LostLease:
        return False
    return ready(job)


@transaction.atomic
def refuse(job: Job, sentence: str) -> bool:
    """The file cannot be a job."""
    reason = harmless(sentence)[:500]
    moved = job.move(
        JobState.INVALID,
        only=[JobState.LOADING],
        reason=reason,
        load_token="",
        load_expires=None,
        finished=timezone.now(),
    )
    if moved:
        job.note("invalid", reason)
    return moved


def take(job: Job) -> str:
    """A token for reading the job's file, or nothing while somebody else holds a fresh one."""
    token = secrets.token_hex(16)
    now = timezone.now()
    free = Job.objects.filter(pk=job.pk, state=JobState.LOADING).exclude(load_expires__gt=now)
    taken = free.update(load_token=token, load_expires=now + LEASE)
    job.refresh_from_db()
    return token if taken else ""


def read_all(job: Job, token: str, reader: files.Reader) -> None:
    for _ in range(job.total):
        next(reader)
    job.label_column = job.label_column or label_column(job)
    size = settings.JOBS_SHARD_SIZE // (WIDE if len(job.shares()) > 1 else 1)
    for rows in chunks(reader, size):
        job.columns = [harmless(name) for name in reader.columns]
        add_shard(job, token, [record(job, job.total + at, row) for at, row in enumerate(rows)])


def label_column(job: Job) -> str:
    """The column that names an item on pages where nobody chose one: that of the first required input."""
    inputs = processors.get(job.processor).inputs if job.processor in processors.names() else ()
    return next((job.mapping[one.name] for one in inputs if one.required and one.name in job.mapping), "")


def chunks(rows: Iterator[files.Row], size: int) -> Iterator[list[files.Row]]:
    """At most `size` rows at a time, and fewer where they are large."""
    chunk: list[files.Row] = []
    weight = 0
    for row in rows:
        chunk.append(row)
        weight += len(row.payload)
        if len(chunk) >= size or weight >= SHARD_SIZE:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def record(job: Job, position: int, row: files.Row) -> Record:
    """A row as it is stored. A row that cannot be read keeps its place as rejected, with the reason."""
    if row.reason:
        return position, int(ItemState.REJECTED), harmless(row.payload), "", "", "rejected", harmless(row.reason)
    values = files.value(row.payload, job.columns, job.file_shape)
    label = values.get(job.label_column) or next(iter(values.values()), "")
    key = next((values[name] for name in (job.key_column, *KEY_COLUMNS) if values.get(name)), "")
    return position, int(ItemState.PENDING), harmless(row.payload), short(label), short(key), "", ""


def short(value: object) -> str:
    return "" if value is None else harmless(str(value)[:200])


@transaction.atomic
def add_shard(job: Job, token: str, records: Sequence[Record]) -> None:
    """Stores one shard with its items and counts them on the job. Raises LostLease when somebody else reads by now."""
    start = job.total
    job.total += len(records)
    fields = {"total": job.total, "columns": job.columns, "load_expires": timezone.now() + LEASE}
    if not Job.objects.filter(pk=job.pk, state=JobState.LOADING, load_token=token).update(**fields):
        raise LostLease("the file is read by somebody else")
    store.add_items(job.pk, records)
    cells = bytes(state for _, state, *_ in records)
    Shard.objects.create(
        job=job, number=Shard.objects.filter(job=job).count(), start=start, stop=job.total, cells=cells,
        **store.counts(cells),
    )  # fmt: skip


@transaction.atomic
def ready(job: Job) -> bool:
    """The whole file is stored: on to the queue, or to the person who decides."""
    job.lock()
    if not job.autostart:
        return job.move(JobState.READY, only=[JobState.LOADING], load_token="", load_expires=None)
    if job.state != JobState.LOADING:
        return False
    run = job.new_run(Run.Kind.FIRST, job.total, job.owner)
    job.move(JobState.QUEUED, load_token="", load_expires=None, run=run)
    job.note("start", "Started", job.owner)
    return True
