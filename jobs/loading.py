"""Reading a job's file into items and shards, one shard in each transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs import files, store
from jobs.models import ItemState, Job, JobState, Run, Shard
from jobs.store import LostLease

KEY_COLUMNS: Final = ("custom_id", "id", "key")
LEASE: Final = timedelta(seconds=60)
WIDE: Final = 4  # a job of several tasks gets shards this many times smaller, so that each finds one

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
        job.move(JobState.INVALID, only=[JobState.LOADING], reason=str(error)[:500], finished=timezone.now())
        return True
    except LostLease:
        return False
    return ready(job)


def take(job: Job) -> str:
    """A token for reading the job's file, or nothing while somebody else holds a fresh one."""
    token = secrets.token_hex(16)
    now = timezone.now()
    free = Job.objects.filter(pk=job.pk, state=JobState.LOADING).exclude(load_expires__gt=now)
    taken = free.update(load_token=token, load_expires=now + LEASE)
    job.refresh_from_db()
    return token if taken else ""


def read_all(job: Job, token: str, reader: files.Reader) -> None:
    size = settings.JOBS_SHARD_SIZE // (WIDE if len(job.shares()) > 1 else 1)
    rows: Iterator[files.Row] = islice(reader, job.total, None)
    while chunk := list(islice(rows, size)):
        records = [record(job, job.total + at, row) for at, row in enumerate(chunk)]
        add_shard(job, token, records, reader.columns)


def record(job: Job, position: int, row: files.Row) -> Record:
    """A row as it is stored. A row that cannot be read keeps its place as rejected, with the reason."""
    if row.reason:
        return position, int(ItemState.REJECTED), row.payload, "", "", "rejected", row.reason
    values = files.value(row.payload, job.columns, job.file_shape)
    label = values.get(job.label_column or next(iter(job.mapping.values()), "")) or next(iter(values.values()), "")
    key = next((values[name] for name in (job.key_column, *KEY_COLUMNS) if values.get(name)), "")
    return position, int(ItemState.PENDING), row.payload, short(label), short(key), "", ""


def short(value: object) -> str:
    return "" if value is None else str(value)[:200]


@transaction.atomic
def add_shard(job: Job, token: str, records: Sequence[Record], columns: Sequence[str]) -> None:
    """Stores one shard with its items and counts them on the job. Raises LostLease when somebody else reads by now."""
    start = job.total
    job.total += len(records)
    fields = {"total": job.total, "columns": list(columns), "load_expires": timezone.now() + LEASE}
    if not Job.objects.filter(pk=job.pk, state=JobState.LOADING, load_token=token).update(**fields):
        raise LostLease("the file is read by somebody else")
    store.add_items(job.pk, records)
    cells = bytes(state for _, state, *_ in records)
    Shard.objects.create(
        job=job, number=Shard.objects.filter(job=job).count(), start=start, stop=job.total, cells=cells,
        **{name: count for name, count in store.counts(cells).items()},
    )  # fmt: skip


@transaction.atomic
def ready(job: Job) -> bool:
    """The whole file is stored: on to the queue, or to the person who decides."""
    job.refresh_from_db()
    if not job.autostart:
        return job.move(JobState.READY, only=[JobState.LOADING], load_token="")
    run = job.new_run(Run.Kind.FIRST, job.total, job.owner)
    moved = job.move(JobState.QUEUED, only=[JobState.LOADING], load_token="", run=run)
    if moved:
        job.note("start", "Started", job.owner)
    return moved
