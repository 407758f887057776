"""Claims work: whose turn it is, and the first lease of a turn."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import transaction

from jobs.models import Job, Shard, Worker, quota_limits
from jobs.models.job import Refused
from jobs.models.reason import Code, Reason
from jobs.store import leases
from jobs.worker.recorder import Recorder

logger = logging.getLogger(__name__)


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
        job.pause(reason=Reason(Code.CANNOT_RUN, f"The job cannot run: {reason}"))
    except Refused:
        logger.warning("Job %s was stopped already", job.code)
    return None


@transaction.atomic
def claim_in(job: Job, worker: Worker, stopping: Callable[[], bool]) -> Recorder | None:
    """Takes a share of the job's workers and its first free shard, if both are to be had.

    The last worker process belongs to no single owner: two that would take one for the same person wait here for each
    other.
    """
    job.lock()
    quota_limits.one_at_a_time(job.owner_id)
    most = Worker.objects.of("work").for_one()
    share = job.room(*job.workers_leased(), most)
    if not job.workable or not share or Shard.objects.tasks_of(job.owner_id) >= most:
        return None
    lease = leases.claim_shard(job.pk, worker.pk, share, settings.JOBS_LEASE_SECONDS)
    if lease is None:
        return None
    recorder = Recorder(job, worker, lease, share, stopping=stopping)
    job.begin()
    return recorder
