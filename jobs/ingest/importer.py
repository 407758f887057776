"""Reading a job's file into items and shards, one shard in each transaction."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from batchweb import celery_pool
from jobs import files
from jobs.ingest import labels, limits, validation
from jobs.models import ItemState, Job, JobState, Quota, Run, Shard, Worker, quota_limits
from jobs.models.quota_limits import Allowed, OverQuota
from jobs.models.reason import Code, Reason
from jobs.processors.storable import harmless
from jobs.store import items, leases, shards
from jobs.store.bulk_insert import insert
from jobs.store.dialect import postgres
from jobs.store.leases import LostLease

logger = logging.getLogger(__name__)

WIDE: Final = 4  # a job of several tasks gets shards this many times smaller, so that each finds one
SHARD_SIZE: Final = 4_000_000  # bytes of payloads, where rows are so large that fewer make a shard
ASK_EVERY: Final = 1.0  # seconds between two looks at what the owner has stored
NEWS: Final = 0.25  # seconds between two words to viewers
SKIPPED: Final = 100_000  # rows that take no second to pass over
FEW: Final = 1_000  # of these, between two looks at the time
TRIES: Final = 3  # readers that may end over the same rows of a file
DEADLY: Final = "The file cannot be read: {} times its reader ran out of time or memory{}."

PENDING_COLUMNS: Final = ("job_id", "position", "payload", "label", "key")
REJECTED_COLUMNS: Final = ("job_id", "position", "payload", "state", "error_kind", "error")
REJECTED: Final = int(ItemState.REJECTED)

Pending = tuple[int, int, str, str, str]
# What is kept of the report on a file: the rest stands in the job already.
STORED: Final = ("rows", "bad_total", "blank", "duplicates", "groups", "types")
Looked = tuple[int, str, str, str, str]  # position, payload, reason, label, key


@dataclass(slots=True)
class ShardReader:
    """What goes from the reader into one shard: positions from `start` to before `stop`, at most `size` of them."""

    job: int
    reader: files.Reader
    size: int
    number: int
    start: int
    stop: int
    rejected: list[tuple[int, int, str, int, str, str]] = field(default_factory=list)
    weight: int = 0

    def pending(self, rows: Iterator[Looked]) -> Iterator[Pending]:
        """Takes the shard's rows, fewer where they are large, and yields those that can be processed.

        Those that cannot keep their place as rejected, with the reason.
        """
        for position, payload, reason, label, key in rows:
            if reason:
                self.rejected.append((self.job, position, payload, REJECTED, "rejected", harmless(reason)))
            else:
                yield self.job, position, payload, label, key
            self.stop = position + 1
            self.weight += quota_limits.size_of((payload,))
            if self.stop - self.start == self.size or self.weight >= SHARD_SIZE:
                return

    def cells(self) -> bytes:
        """One byte of state for each row."""
        cells = bytearray(self.stop - self.start)
        for _, position, *_ in self.rejected:
            cells[position - self.start] = REJECTED
        return bytes(cells)


class GaveWay(Exception):
    """Other people's files wait, and this one is read on later."""


class ReadingTurn:
    """How long a file is read before other people's files have their turn.

    As long as it took to pass over what was stored before, if that was longer: else nothing would be gained by it.
    """

    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        self.job = job
        self.clock = clock
        self.begun = clock()
        self.ends = 0.0

    def begin(self) -> None:
        """What was stored before is passed over."""
        now = self.clock()
        self.ends = now + max(settings.JOBS_TURN_SECONDS, now - self.begun)

    def is_over(self) -> bool:
        """Whether it has ended and others wait; if nobody does, another one begins."""
        if self.clock() < self.ends:
            return False
        self.ends = self.clock() + settings.JOBS_TURN_SECONDS
        return any(job.owner_id != self.job.owner_id for job in Job.objects.unread())


class QuotaMeter:
    """How much more the job's owner may store. What is stored beside it counts within a second."""

    def __init__(self, owner: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.owner = owner
        self.clock = clock
        self.allowed = Allowed(0, "")
        self.used = 0
        self.asked = -ASK_EVERY

    def take(self, size: int) -> None:
        """Counts so many bytes. Raises OverQuota where they do not fit."""
        if self.clock() - self.asked >= ASK_EVERY:
            self.asked, self.used, self.allowed = self.clock(), Quota.used(self.owner), Quota.of(self.owner).megabytes
        quota_limits.room_for_rows(self.used, size, self.allowed)
        self.used += size


def load(job: Job) -> bool:
    """Reads the file and moves the job on: to `ready`, to `queued`, or to `invalid` with the sentence that says why.

    Goes on where a reader that died has stopped. False when another reader is at it or the job has moved on.
    """
    token = take(job)
    if not token:
        return False
    if job.load_tries > TRIES:
        return refuse(job, token, DEADLY.format(TRIES, f" after row {job.total:,}" if job.total else ""))
    try:
        clear(job, token)
        with job.upload.opened() as stream, bounded() as restart:
            report = read_all(job, token, limits.read(stream, job.file_shape), restart=restart)
    except (GaveWay, LostLease):
        return False
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError):
            # That the database is away is not the file's fault.
            Job.objects.filter(pk=job.pk, load_token=token).update(load_tries=0)
        raise
    except MemoryError:
        return refuse(job, token, "Reading the file takes more memory than this server has for it.")
    except files.Unreadable as error:
        return refuse(job, token, str(error))
    except FileNotFoundError:
        return refuse(job, token, "The stored file is gone.")
    except OverQuota as error:
        forget(job, token)
        return refuse(job, token, str(error))
    except (DataError, ValueError):
        # Reading it again would end the same way.
        logger.exception("Job %s: its file cannot be stored", job.code)
        return refuse(job, token, f"The database refuses a value of the file after row {job.total:,}.")
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
    reason = Reason(Code.UNREADABLE, harmless(sentence))
    job.move(JobState.INVALID, reason=reason, load_token="", load_expires=None, finished=timezone.now())
    job.note("invalid", reason.text)
    return True


def still_reads(job: Job, token: str) -> bool:
    """Locks the job; whether it is for this reader to say what became of the file."""
    job.lock()
    return job.state == JobState.LOADING and job.load_token == token


@transaction.atomic
def take(job: Job) -> str:
    """A token for reading the job's file, or nothing while somebody else holds a fresh one.

    Nothing either where the job's owner has all readers but the last one, which belongs to no single owner.
    """
    job.lock()
    quota_limits.one_at_a_time(job.owner_id)
    others = Job.objects.reading().filter(owner=job.owner_id).exclude(pk=job.pk)
    if others.count() >= Worker.objects.of("load").for_one():
        return ""
    token = leases.new_token()
    free = Job.objects.filter(pk=job.pk, state=JobState.LOADING).exclude(pk__in=Job.objects.reading().values("pk"))
    me = {"load_worker": celery_pool.name(), "load_process": os.getpid(), "load_tries": F("load_tries") + 1}
    taken = free.update(load_token=token, load_expires=Now() + lease(), **me)
    job.refresh_from_db()
    return token if taken else ""


def give_way(job: Job, token: str) -> None:
    """Somebody else may read on; another token says still that the file was not read to its end."""
    ours = Job.objects.filter(pk=job.pk, load_token=token)
    ours.update(load_token=leases.new_token(), load_expires=Now(), load_tries=0)


@contextmanager
def bounded() -> Iterator[Callable[[], object]]:
    """Ends this process where it computes too long without calling what is given, which counts afresh.

    What reads a file may stand in one call of a library that nothing interrupts: the system's own timer does. It counts
    time of the processor, so that neither a slow disk nor a busy machine makes a difference.
    """
    seconds = settings.JOBS_READ_SECONDS if celery_pool.pooled() else 0
    restart = partial(signal.setitimer, signal.ITIMER_PROF, seconds)
    restart()
    try:
        yield restart
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def lease() -> timedelta:
    """How long a reader may be silent: longer than it may compute without getting further.

    Else another one would begin with what takes this one so long. That a reader died is known sooner.
    """
    return timedelta(seconds=settings.JOBS_LEASE_SECONDS + 2 * settings.JOBS_READ_SECONDS)


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
            left = items.remove_rows(job.pk, job.total)


def forget(job: Job, token: str) -> None:
    """Removes what this reading has stored."""
    with transaction.atomic():
        prolong(job, token)
        job.shards.all().delete()
        Job.objects.filter(pk=job.pk).update(total=0, stored=0)
    job.total = 0
    clear(job, token)


def skip_stored(job: Job, token: str, look: Iterator[Looked], restart: Callable[[], object]) -> None:
    """Passes over the rows that a reader before has stored."""
    for at in range(0, job.total, FEW):
        deque(islice(look, min(FEW, job.total - at)), maxlen=0)
        restart()
        if at % SKIPPED == 0:
            prolong(job, token)


def looked_at(reader: files.Reader, name: files.Name, findings: files.Findings) -> Iterator[Looked]:
    """Each row with its position, and either why it is rejected or its label and key."""
    for position, row in enumerate(reader):
        payload, reason, value = row
        label, key = ("", "") if reason else name(value)
        if problems := findings.look(position + 1, row, key):
            reason = next((problem.reason for problem in problems if problem.bad), "")
        yield position, payload, reason, label, key
        del row, payload, value  # no longer in memory while the next row is read, which may be large too


def read_all(
    job: Job, token: str, reader: files.Reader, clock: Callable[[], float] = time.monotonic, *,
    restart: Callable[[], object] = bool,
) -> dict[str, Any]:  # fmt: skip
    """Stores what is not stored yet, shard by shard; viewers hear of it now and then. Returns what was found.

    Calls `restart` wherever it got further. Raises GaveWay.
    """
    turn = ReadingTurn(job, time.monotonic)
    findings = files.Findings(validation.check(job))
    rows = looked_at(reader, labels.namer(job), findings)
    skip_stored(job, token, rows, restart)
    turn.begin()
    size = settings.JOBS_SHARD_SIZE // (WIDE if job.most_tasks > 1 else 1)
    told, room = clock(), QuotaMeter(job.owner)
    for number, first in enumerate(rows, job.shards.count()):
        news = clock() - told >= NEWS
        told = clock() if news else told
        intake = ShardReader(job.pk, reader, size, number, first[0], first[0])
        add_shard(job, token, intake, intake.pending(chain((first,), rows)), room, news)
        restart()
        if turn.is_over():
            give_way(job, token)
            raise GaveWay
    return stored(findings.report(reader))


def stored(report: files.Report) -> dict[str, Any]:
    """What pages show of it; what a file says may hold what PostgreSQL refuses."""
    found = report.to_dict()
    for problem in chain.from_iterable(group["first"] for group in found["groups"]):
        problem["reason"] = harmless(problem["reason"])
    return {name: found[name] for name in STORED}


def add_shard(
    job: Job, token: str, intake: ShardReader, pending: Iterable[Pending], room: QuotaMeter, news: bool = False
) -> None:
    """Stores one shard with its items and counts them on the job; with `news` viewers are told.

    Raises LostLease when somebody else reads by now, and OverQuota where there is no room for it.
    """
    # SQLite has one lock for all writers: it is taken when all there is to do is writing. PostgreSQL stores the first
    # rows while the others are read.
    rows = pending if postgres() else list(pending)
    with transaction.atomic():
        prolong(job, token)
        insert("jobs_item", PENDING_COLUMNS, rows)
        if intake.rejected:
            insert("jobs_item", REJECTED_COLUMNS, intake.rejected)
        room.take(intake.weight + quota_limits.ROW * (intake.stop - intake.start))
        cells = intake.cells()
        Shard.objects.create(
            job=job, number=intake.number, start=intake.start, stop=intake.stop, cells=cells, **shards.counts(cells)
        )  # fmt: skip
        columns = [harmless(name) for name in intake.reader.columns]
        size = F("stored") + intake.weight
        Job.objects.filter(pk=job.pk).update(total=intake.stop, columns=columns, stored=size, load_tries=0)
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
