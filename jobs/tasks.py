"""What Celery runs: read a file, work. Messages are wake-ups; what is to be done stands in the database."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from typing import Final

from celery import shared_task
from django.conf import settings

from jobs import dispatch, engine, loading, presence
from jobs.models import Job, JobState
from jobs.recorder import HOLD, Recorder
from jobs.store import LostLease

logger = logging.getLogger(__name__)

RECYCLE_EXIT: Final = 0


@shared_task(name="jobs.load_file")
def load_file(job: int) -> None:
    """Reads the file of the job with this primary key, and sends workers if it is to start at once."""
    found = Job.objects.filter(pk=job, state=JobState.LOADING).select_related("upload", "owner").first()
    if found and loading.load(found):
        found.refresh_from_db()
        if found.state == JobState.QUEUED:
            dispatch.send_work(found)
            found.finish()


@shared_task(name="jobs.work")
def work() -> None:
    """Works on whatever is due by fair share until nothing is left to do."""
    me = presence.here()
    while not presence.stopping():
        recorder = dispatch.claim(me, presence.stopping)
        if recorder is None:
            return
        take_turn(recorder)


def take_turn(recorder: Recorder) -> None:
    """Runs the engine over one job's items until its turn is over, and closes the job if that was the last of it."""
    lost = 0

    def beat(pulse: engine.Pulse) -> object:
        nonlocal lost
        lost = pulse.lost
        return recorder.beat(pulse)

    with closing(recorder.call):
        try:
            while recorder.prepare():
                for attempt in engine.run(
                    recorder.feed(), recorder.call, recorder.policy, executor=recorder.executor, beat=beat, hold=HOLD
                ):
                    recorder.add(attempt)
            recorder.close()
        except LostLease as error:
            logger.warning(
                "Job %s: %s went to another worker; its unsaved results are dropped", recorder.job.code, error
            )
    recorder.job.finish()
    if lost >= settings.JOBS_LOST_THREADS:
        # A thread cannot be killed: the process that holds hung ones ends, and the pool starts a fresh one.
        logger.warning("%d threads hang; this worker process is replaced", lost)
        os._exit(RECYCLE_EXIT)
