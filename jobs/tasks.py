"""What Celery runs: read a file, work. Messages are wake-ups; what is to be done stands in the database."""

from __future__ import annotations

import logging
import os
import resource
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

from celery import shared_task, signals
from django.conf import settings

from batchweb import celery_pool
from jobs import actions, engine
from jobs.engine import redaction
from jobs.ingest import importer
from jobs.models import Job, JobState
from jobs.store import outcomes
from jobs.worker import broker, claim, heartbeat, shutdown
from jobs.worker.recorder import OutOfTime, Recorder

logger = logging.getLogger(__name__)

RECYCLE_EXIT: Final = 0
DEFECT_EXIT: Final = 1
NICE: Final = 5  # pages come before jobs where both want the processor


@signals.worker_process_init.connect
def bound_memory(**kwargs: Any) -> None:
    """Lets an item that wants more than a process may have fail, instead of the whole machine. Children inherit it."""
    if limit := settings.JOBS_MEMORY_MB * 1024**2:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


@signals.worker_process_init.connect
def give_way(**kwargs: Any) -> None:
    """Lets the web server have the processor first, however much there is to do. Children inherit it."""
    os.nice(NICE)


@signals.worker_process_init.connect
def guard_output(**kwargs: Any) -> None:
    """Lets nothing that a processor prints tell the secrets that it was given."""
    redaction.guard_output()


@shared_task(name="jobs.load_file")
def load_file(job: int) -> None:
    """Reads the file of the job with this primary key, if its turn is now, and then those that wait for a reader."""
    found = Job.objects.filter(pk=job, state=JobState.LOADING).first()
    tried: set[int] = set()
    served: Counter[int] = Counter()
    while found and not shutdown.stopping():
        read(found)
        # One that could not be taken is taken by somebody else, or by whoever is sent next.
        tried.add(found.pk)
        served[found.owner_id] += 1
        others = (one for one in Job.objects.unread() if one.pk not in tried)
        found = min(others, key=lambda one: served[one.owner_id], default=None)


def read(job: Job) -> None:
    """Reads the file of a job, and sends workers if it is to start at once."""
    if importer.load(job):
        job.refresh_from_db()
        if job.state == JobState.QUEUED:
            actions.send_work(job)


@shared_task(name="jobs.work")
def work() -> None:
    """Works on whatever is due by fair share until nothing is left to do."""
    me = heartbeat.here()
    while not shutdown.stopping():
        recorder = claim.claim(me, shutdown.stopping)
        if recorder is None:
            return
        with ended_by_defects():
            take_turn(recorder)
        replace_if_hung()


@contextmanager
def ended_by_defects() -> Iterator[None]:
    """Lets an error that nobody foresaw end this process of a pool, as a crash would.

    What it holds is taken back at once then; else that would stand still until the lease expires.
    """
    try:
        yield
    except Exception:
        if not celery_pool.pooled():
            raise
        logger.exception("This worker process broke down and is replaced")
        os._exit(DEFECT_EXIT)


def take_turn(recorder: Recorder) -> None:
    """Works on one job's items until the turn is over, and closes the job if that was the last of it."""
    # A job that was deleted meanwhile has nothing left to be done.
    with closing(recorder.call), suppress(OutOfTime, Job.DoesNotExist):
        while recorder.prepare():
            run(recorder)
        recorder.close()
    with suppress(Job.DoesNotExist):
        recorder.job.finish()


def run(recorder: Recorder) -> None:
    """One run of the engine over what the recorder feeds it."""
    attempts = engine.run(
        recorder.feed(), recorder.call, recorder.policy,
        executor=recorder.executor, beat=recorder.beat, hold=outcomes.HOLD,
    )  # fmt: skip
    with closing(attempts):
        for attempt in attempts:
            recorder.add(attempt)


def replace_if_hung() -> None:
    """Ends this process when too many of its threads hang: they cannot be killed, and the pool starts a fresh one."""
    hung = sum(thread.name.startswith("batch") for thread in threading.enumerate())
    if hung >= settings.JOBS_LOST_THREADS:
        logger.warning("%d threads hang; this worker process is replaced", hung)
        # Another process goes on at once; the keeper would wake one a second later.
        broker.send(broker.WORK)
        os._exit(RECYCLE_EXIT)
