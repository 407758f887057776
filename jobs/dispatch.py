"""The verbs that also send somebody to work, and the choice of what is worked on next.

A message carries no payload: it only says that there is something to do. Where the broker cannot be reached, the
keeper sends the message later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from batchweb import celery_app
from jobs import events, picks, quotas, store
from jobs.models import Job, JobState, Quota, Run, Upload, Worker
from jobs.models.job import NEW_ROUND, Refused
from jobs.recorder import Recorder

logger = logging.getLogger(__name__)

WORK: Final = "jobs.work"
LOAD: Final = "jobs.load_file"
AT_ONCE: Final = 1.0  # seconds
LISTED: Final = 50_000  # more changed items than this are not listed for viewers, who fetch everything anew


def send(name: str, *args: Any) -> bool:
    """Sends the task called `name`; False when the broker cannot be reached.

    A person waits meanwhile: a connection that had died fails at once and is worth another try, a broker that hangs
    is not.
    """
    begun = time.monotonic()
    error = try_to_send(name, args)
    if error and time.monotonic() - begun < AT_ONCE:
        error = try_to_send(name, args)
    if error:
        logger.warning("The broker cannot be reached (%s); the keeper sends %s later", type(error).__name__, name)
    return error is None


def try_to_send(name: str, args: tuple[Any, ...]) -> Exception | None:
    """What went wrong, if anything."""
    try:
        celery_app.send_task(name, args=args, queue="load" if name == LOAD else "work", retry=False)
    except (OperationalError, OSError) as error:
        return error
    return None


def queued(queue: str) -> int | None:
    """How many messages wait in a queue of the broker; None where it does not answer."""
    with celery_app.connection_for_write() as broker:
        errors: tuple[type[BaseException], ...] = (*broker.connection_errors, OSError)
        try:
            # Tries once; whoever asks for a channel first waits for the broker for ever.
            broker.connect()
            channel: Any = broker.channel()
            return int(channel.queue_declare(queue, passive=True).message_count)
        except broker.channel_errors:
            return 0  # nobody has sent anything to this queue yet
        except errors:
            return None


def send_each(name: str, count: int) -> None:
    """Sends so many wake-ups; none after one that did not arrive."""
    for _ in range(count):
        if not send(name):
            return


def send_work(job: Job) -> None:
    """On commit, one wake-up for each task that the job is split over; none if nothing is left to do in it."""
    if job.finish():
        return
    transaction.on_commit(partial(send_each, WORK, job.most_tasks))


@transaction.atomic
def submit(upload: Upload, owner: Any, *, start: bool = True, **fields: Any) -> Job:
    """Makes a job in `loading`. With `start` it goes on by itself once the file is read. Raises OverQuota."""
    room_for_job(owner)
    fields.setdefault("name", upload.name)
    job = Job.objects.create(upload=upload, owner=owner, autostart=start, **fields)
    job.note("create", f"Created from {upload.name}", owner)
    transaction.on_commit(partial(send, LOAD, job.pk))
    return job


def room_for_job(owner: Any) -> None:
    """Raises OverQuota where this person may have no more jobs that have not ended. Wants a transaction."""
    quotas.room_for_job(owner, Job.objects.unfinished_of(owner), Quota.of(owner).jobs)


@transaction.atomic
def start(job: Job, by: Any = None) -> None:
    store.lock_job_shards(job.pk)
    job.refuse_unless("start")
    _enter(job)
    _let_go(job)
    job.start(by)
    send_work(job)


@transaction.atomic
def trial(job: Job, by: Any = None, rows: str = "first", count: int = 10, chosen: Sequence[int] = ()) -> int:
    """Works on a few rows of a job that is ready: the first, random or chosen ones (from 1); returns how many.

    Raises Refused also where these cannot be tried. Only shards with rows of the trial may be worked on meanwhile.
    """
    store.lock_job_shards(job.pk)
    job.refuse_unless("try")
    _enter(job)
    _let_go(job)
    positions = picks.pick(job, rows, count, chosen)
    store.hold_back(job.pk, positions)
    job.try_out(positions, by)
    send_work(job)
    return len(positions)


@transaction.atomic
def change(job: Job, by: Any = None, *, start: bool = False, **fields: Any) -> None:
    """Has the file read anew under other settings; see `Job.change`."""
    store.lock_job_shards(job.pk)
    job.refuse_unless("change")
    _enter(job)
    job.change(by, autostart=start, **fields)
    transaction.on_commit(partial(send, LOAD, job.pk))


def _enter(job: Job) -> None:
    """Refuses a job that does not wait or run yet where its owner has as many of these as one may have."""
    try:
        room_for_job(job.owner)
    except quotas.OverQuota as error:
        raise Refused(str(error)) from error


def _let_go(job: Job) -> None:
    """What a trial held back may be worked on. Wants the job and its shards locked."""
    tried = list(job.runs.filter(kind=Run.Kind.TRIAL).values_list("positions", flat=True))
    if tried:
        store.let_go(job.pk, list(chain.from_iterable(tried)))


@transaction.atomic
def resume(job: Job, by: Any = None) -> None:
    store.lock_job_shards(job.pk)
    job.refuse_unless("resume")
    if job.ended:
        _enter(job)
        _let_go(job)
    job.resume(by)
    send_work(job)


@transaction.atomic
def adjust(job: Job, by: Any = None, **dials: Any) -> list[str]:
    """Changes how a job runs from now on; see `Job.adjust`. More workers may be more than one task needs."""
    told = job.adjust(by, **dials)
    if told and job.workable:
        send_work(job)
    return told


def pause(job: Job, by: Any = None) -> None:
    job.pause(by)


def cancel(job: Job, by: Any = None) -> None:
    job.cancel(by)


@transaction.atomic
def delete(job: Job, by: Any = None) -> None:
    """Ends the job and takes it out of sight. Its rows and files go in chunks, by `retention.erase`.

    No shard keeps its token, and the reader of the file neither: what somebody still writes for it finds no row.
    """
    shards = store.lock_job_shards(job.pk)
    job.refuse_unless("delete")
    if job.allows("cancel"):
        job.cancel(by)
    for shard in shards:
        store.save_shard(shard, **store.given_back(None))
    Job.objects.filter(pk=job.pk).update(deleting=timezone.now(), load_token="", load_expires=None)
    job.announce()


@transaction.atomic
def retry(job: Job, by: Any = None, cause: int | None = None) -> int:
    """Tries the failed items (of one cause) again, and what an ended job never attempted; returns how many.

    Pressed twice or by two people, each item is taken once: who comes second is refused for want of failed items.
    """
    # The shards come first, so that nothing fails or finishes between the counting and the new run.
    store.lock_job_shards(job.pk)
    job.refuse_unless("retry")
    if job.ended:
        _enter(job)
        _let_go(job)
    positions = store.retry_failed(job.pk, cause)
    left = job.counts()["pending"] if job.ended and not cause else len(positions)
    if not left:
        raise Refused("There is no failed item to try again.")
    run = job.new_run(Run.Kind.RETRY, left, by)
    if job.ended:
        job.move(JobState.QUEUED, run=run, reason="", finished=None, spent=0.0, **NEW_ROUND)
    else:
        Job.objects.filter(pk=job.pk).update(run=run, **NEW_ROUND)
    job.announce(events.encode(dict.fromkeys(positions, 0)) if len(positions) <= LISTED else None)
    job.note("retry", f"Retried {left:,} item{'s' if left != 1 else ''}", by)
    send_work(job)
    return left


VERBS: Final[Mapping[str, Callable[..., Any]]] = {
    "start": start, "try": trial, "change": change, "adjust": adjust, "pause": pause, "resume": resume,
    "cancel": cancel, "retry": retry, "delete": delete,
}  # fmt: skip


# What is worked on next


def candidates() -> list[Job]:
    """Jobs that one more worker could work on now, in the order of their turns."""
    return Job.objects.in_turn()


def claim(worker: Worker, stopping: Callable[[], bool]) -> Recorder | None:
    """A recorder that holds the first shard of the job whose turn it is; None when there is nothing to do."""
    for job in candidates():
        taken = claim_or_pause(job, worker, stopping)
        if taken:
            return taken
    return None


def claim_or_pause(job: Job, worker: Worker, stopping: Callable[[], bool]) -> Recorder | None:
    """Pauses a job that cannot be set up, with the reason: it would come first for ever and keep others waiting."""
    try:
        return claim_in(job, worker, stopping)
    except (LookupError, ValueError, TypeError, ImportError) as error:
        logger.exception("Job %s cannot be set up", job.code)
        reason = str(error) or type(error).__name__
    try:
        job.pause(reason=f"The job cannot run: {reason}")
    except Refused:
        logger.warning("Job %s was stopped already", job.code)
    return None


@transaction.atomic
def claim_in(job: Job, worker: Worker, stopping: Callable[[], bool]) -> Recorder | None:
    """Takes a share of the job's workers and its first free shard, if both are to be had."""
    job.lock()
    share = job.room(*job.workers_leased())
    if not job.workable or not share:
        return None
    lease = store.claim_shard(job.pk, worker.pk, share, settings.JOBS_LEASE_SECONDS)
    if lease is None:
        return None
    recorder = Recorder(job, worker, lease, share, stopping=stopping)
    job.begin()
    return recorder
