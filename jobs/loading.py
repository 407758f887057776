"""Reading a job's file into items and shards, one shard in each transaction."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, islice
from typing import Any, Final

from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs import files, naming, presence, sources, store
from jobs.inserting import insert
from jobs.models import ItemState, Job, JobState, Run, Shard
from jobs.processors.storable import harmless
from jobs.sql import postgres
from jobs.store import LostLease

logger = logging.getLogger(__name__)

WIDE: Final = 4  # a job of several tasks gets shards this many times smaller, so that each finds one
SHARD_SIZE: Final = 4_000_000  # characters of payloads, where rows are so large that fewer make a shard
NEWS: Final = 0.25  # seconds between two words to viewers
SKIPPED: Final = 100_000  # rows that take no second to pass over

PENDING_COLUMNS: Final = ("job_id", "position", "payload", "label", "key")
REJECTED_COLUMNS: Final = ("job_id", "position", "payload", "state", "error_kind", "error")
REJECTED: Final = int(ItemState.REJECTED)

Pending = tuple[int, int, str, str, str]
# What is kept of the report on a file: the rest stands in the job already.
STORED: Final = ("rows", "bad_total", "blank", "duplicates", "groups", "types")
Looked = tuple[int, str, str, str, str]  # position, payload, reason, label, key


@dataclass(slots=True)
class Intake:
    """What goes from the reader into one shard: positions from `start` to before `stop`, at most `size` of them."""

    job: int
    reader: files.Reader
    size: int
    number: int
    start: int
    stop: int
    rejected: list[tuple[int, int, str, int, str, str]] = field(default_factory=list)

    def pending(self, rows: Iterator[Looked]) -> Iterator[Pending]:
        """Takes the shard's rows, fewer where they are large, and yields those that can be processed.

        Those that cannot keep their place as rejected, with the reason.
        """
        weight = 0
        for position, payload, reason, label, key in rows:
            if reason:
                self.rejected.append((self.job, position, payload, REJECTED, "rejected", harmless(reason)))
            else:
                yield self.job, position, payload, label, key
            self.stop = position + 1
            weight += len(payload)
            if self.stop - self.start == self.size or weight >= SHARD_SIZE:
                return

    def cells(self) -> bytes:
        """One byte of state for each row."""
        cells = bytearray(self.stop - self.start)
        for _, position, *_ in self.rejected:
            cells[position - self.start] = REJECTED
        return bytes(cells)


def load(job: Job) -> bool:
    """Reads the file and moves the job on: to `ready`, to `queued`, or to `invalid` with the sentence that says why.

    Goes on where a reader that died has stopped. False when another reader is at it or the job has moved on.
    """
    token = take(job)
    if not token:
        return False
    try:
        clear(job, token)
        with job.upload.file.open("rb") as stream:
            report = read_all(job, token, sources.read(stream, job.file_shape))
    except files.Unreadable as error:
        return refuse(job, token, str(error))
    except FileNotFoundError:
        return refuse(job, token, "The stored file is gone.")
    except (DataError, ValueError):
        # Reading it again would end the same way.
        logger.exception("Job %s: its file cannot be stored", job.code)
        return refuse(job, token, f"The database refuses a value of the file after row {job.total:,}.")
    except LostLease:
        return False
    try:
        return ready(job, token, report)
    except (DataError, IntegrityError, ValueError):
        logger.exception("Job %s: its settings cannot be stored", job.code)
        return refuse(job, token, "The database refuses a value of the job's settings.")


@transaction.atomic
def refuse(job: Job, token: str, sentence: str) -> bool:
    """The file cannot be a job."""
    if not still_reads(job, token):
        return False
    reason = harmless(sentence)[:500]
    job.move(JobState.INVALID, reason=reason, load_token="", load_expires=None, finished=timezone.now())
    job.note("invalid", reason)
    return True


def still_reads(job: Job, token: str) -> bool:
    """Locks the job; whether it is for this reader to say what became of the file."""
    job.lock()
    return job.state == JobState.LOADING and job.load_token == token


def take(job: Job) -> str:
    """A token for reading the job's file, or nothing while somebody else holds a fresh one."""
    token = store.new_token()
    free = Job.objects.filter(pk=job.pk, state=JobState.LOADING).exclude(load_expires__gt=Now())
    me = {"load_worker": presence.name(), "load_process": os.getpid()}
    taken = free.update(load_token=token, load_expires=Now() + lease(), **me)
    job.refresh_from_db()
    return token if taken else ""


def lease() -> timedelta:
    """How long a reader may be silent."""
    return timedelta(seconds=settings.JOBS_LEASE_SECONDS)


def prolong(job: Job, token: str) -> None:
    """Says that the reader lives. Raises LostLease when somebody else reads by now, or nobody is to."""
    ours = Job.objects.filter(pk=job.pk, state=JobState.LOADING, load_token=token)
    if not ours.update(load_expires=Now() + lease()):
        raise LostLease("the file is read by somebody else")


def clear(job: Job, token: str) -> None:
    """Removes the rows of an earlier reading, under other settings."""
    left = True
    while left:
        with transaction.atomic():
            prolong(job, token)
            left = store.remove_rows(job.pk, job.total)


def skip_stored(job: Job, token: str, look: Iterator[Looked]) -> None:
    """Passes over the rows that a reader before has stored."""
    for at in range(0, job.total, SKIPPED):
        deque(islice(look, min(SKIPPED, job.total - at)), maxlen=0)
        prolong(job, token)


def looked_at(reader: files.Reader, name: files.Name, findings: files.Findings) -> Iterator[Looked]:
    """Each row with its position, and either why it is rejected or its label and key."""
    for position, row in enumerate(reader):
        payload, reason, value = row
        label, key = ("", "") if reason else name(value)
        if problems := findings.look(position + 1, row, key):
            reason = next((problem.reason for problem in problems if problem.bad), "")
        yield position, payload, reason, label, key


def read_all(job: Job, token: str, reader: files.Reader, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Stores what is not stored yet, shard by shard; viewers hear of it now and then. Returns what was found."""
    findings = files.Findings(naming.check(job))
    rows = looked_at(reader, naming.namer(job), findings)
    skip_stored(job, token, rows)
    size = settings.JOBS_SHARD_SIZE // (WIDE if job.most_tasks > 1 else 1)
    told = clock()
    for number, first in enumerate(rows, job.shards.count()):
        news = clock() - told >= NEWS
        told = clock() if news else told
        intake = Intake(job.pk, reader, size, number, first[0], first[0])
        add_shard(job, token, intake, intake.pending(chain((first,), rows)), news)
    return stored(findings.report(reader))


def stored(report: files.Report) -> dict[str, Any]:
    """What pages show of it; what a file says may hold what PostgreSQL refuses."""
    found = report.to_dict()
    for problem in chain.from_iterable(group["first"] for group in found["groups"]):
        problem["reason"] = harmless(problem["reason"])
    return {name: found[name] for name in STORED}


def add_shard(job: Job, token: str, intake: Intake, pending: Iterable[Pending], news: bool = False) -> None:
    """Stores one shard with its items and counts them on the job; with `news` viewers are told.

    Raises LostLease when somebody else reads by now.
    """
    # SQLite has one lock for all writers: it is taken when all there is to do is writing. PostgreSQL stores the first
    # rows while the others are read.
    rows = pending if postgres() else list(pending)
    with transaction.atomic():
        prolong(job, token)
        insert("jobs_item", PENDING_COLUMNS, rows)
        if intake.rejected:
            insert("jobs_item", REJECTED_COLUMNS, intake.rejected)
        cells = intake.cells()
        Shard.objects.create(
            job=job, number=intake.number, start=intake.start, stop=intake.stop, cells=cells, **store.counts(cells)
        )  # fmt: skip
        columns = [harmless(name) for name in intake.reader.columns]
        Job.objects.filter(pk=job.pk).update(total=intake.stop, columns=columns)
        if news:
            job.announce()
    job.total, job.columns = intake.stop, columns


@transaction.atomic
def ready(job: Job, token: str, report: dict[str, Any]) -> bool:
    """The whole file is stored: on to the queue, or to the person who decides."""
    if not still_reads(job, token):
        return False
    read: dict[str, Any] = {"report": report, "load_token": "", "load_expires": None}
    if not job.autostart:
        return job.move(JobState.READY, **read)
    run = job.new_run(Run.Kind.FIRST, job.counts()["pending"], job.owner)
    job.move(JobState.QUEUED, run=run, **read)
    job.note("start", "Started", job.owner)
    return True
