"""The verbs that also send somebody to work, and the choice of what is worked on next.

A message carries no payload: it only says that there is something to do. Where the broker cannot be reached, the
keeper sends the message later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone
from kombu.exceptions import OperationalError

from batchweb import celery_app
from jobs import recorder, store
from jobs.models import Job, JobState, Run, Upload, Worker
from jobs.models.job import Refused

logger = logging.getLogger(__name__)

WORK: Final = "jobs.work"
LOAD: Final = "jobs.load_file"


def send(name: str, *args: Any) -> bool:
    """Sends the task called `name`; False when the broker cannot be reached."""
    try:
        celery_app.send_task(name, args=args, queue="load" if name == LOAD else "work")
    except (OperationalError, OSError) as error:
        logger.warning("The broker cannot be reached (%s); the keeper sends %s later", type(error).__name__, name)
        return False
    return True


def send_work(job: Job) -> None:
    """On commit, one wake-up for each task that the job is split over."""
    for _ in job.shares():
        transaction.on_commit(lambda: send(WORK))


@transaction.atomic
def submit(upload: Upload, owner: Any, *, start: bool = True, **fields: Any) -> Job:
    """Makes a job in `loading`. With `start` it goes on by itself once the file is read."""
    fields.setdefault("name", upload.name)
    job = Job.objects.create(upload=upload, owner=owner, autostart=start, **fields)
    job.note("create", f"Created from {upload.name}", owner)
    transaction.on_commit(lambda: send(LOAD, job.pk))
    return job


@transaction.atomic
def start(job: Job, by: Any = None) -> None:
    job.start(by)
    send_work(job)


@transaction.atomic
def resume(job: Job, by: Any = None) -> None:
    job.resume(by)
    send_work(job)


def pause(job: Job, by: Any = None) -> None:
    job.pause(by)


def cancel(job: Job, by: Any = None) -> None:
    job.cancel(by)


@transaction.atomic
def retry(job: Job, by: Any = None, cause: int | None = None) -> int:
    """Tries the failed items (of one cause) again, and what an ended job never attempted; returns how many.

    Pressed twice or by two people, each item is taken once: who comes second is refused for want of failed items.
    """
    job.refuse_unless("retry")
    ended = job.ended
    positions = store.retry_failed(job.pk, cause)
    left = job.counts()["pending"] if ended and not cause else len(positions)
    if not left:
        raise Refused("There is no failed item to try again.")
    run = job.new_run(Run.Kind.RETRY, left, by)
    Job.objects.filter(pk=job.pk).update(run=run)
    if ended:
        job.move(JobState.QUEUED, only=[JobState.FINISHED, JobState.CANCELLED], reason="", finished=None, spent=0.0)
    job.announce(delta=None if positions else b"")
    job.note("retry", f"Retried {left} items" if left != 1 else "Retried 1 item", by)
    send_work(job)
    return left


VERBS: Final[Mapping[str, Callable[..., Any]]] = {
    "start": start, "pause": pause, "resume": resume, "cancel": cancel, "retry": retry
}  # fmt: skip


# What is worked on next


def candidates() -> list[Job]:
    """Jobs with something to do now: whoever has the least at work comes first, then who waited longest."""
    due = Q(shards__due=None) | Q(shards__due__lte=timezone.now())
    free = Q(shards__token="", shards__pending__gt=0)
    owners = dict(
        Job.objects.workable().values_list("owner").annotate(busy=Count("shards", filter=~Q(shards__token="")))
    )
    jobs = (
        Job.objects.workable()
        .annotate(free=Count("shards", filter=free & due), used=Sum("shards__share", default=0))
        .filter(free__gt=0)
        .order_by("used", F("served").asc(nulls_first=True), "pk")
    )
    return sorted(jobs[:100], key=lambda job: owners.get(job.owner_id, 0))


def claim(worker: Worker, stopping: Callable[[], bool]) -> recorder.Recorder | None:
    """A recorder that holds the first shard of the job whose turn it is; None when there is nothing to do."""
    for job in candidates():
        taken = claim_in(job, worker, stopping)
        if taken:
            return taken
    return None


@transaction.atomic
def claim_in(job: Job, worker: Worker, stopping: Callable[[], bool]) -> recorder.Recorder | None:
    """Takes a share of the job's workers and its first free shard, if both are to be had."""
    job = Job.objects.select_for_update(of=("self",)).select_related("run").get(pk=job.pk)
    shares = job.shares()
    used = job.workers_leased()
    share = min(shares[0], job.workers - used)
    if not job.workable or share < 1 or (len(shares) == 1 and used):
        return None
    lease = store.claim_shard(job.pk, worker.pk, share, settings.JOBS_LEASE_SECONDS)
    if lease is None:
        return None
    job.begin()
    return recorder.Recorder(job, worker, lease, share, stopping=stopping)
