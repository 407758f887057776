"""How long jobs are kept, and how they go: in chunks, so that one of a million items locks nothing for long."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs import actions
from jobs.humanize import duration
from jobs.models import Batch, Job, JobState, Shard, Upload
from jobs.models.states import ENDED
from jobs.store import dialect, items

logger = logging.getLogger(__name__)

CHUNK: Final = 2_000  # rows
HISTORY: Final = {"jobs_attempt": ("message", "trace", "log"), "jobs_correction": ("payload",)}
AT_ONCE: Final = 4.0  # seconds that the keeper gives to it before it looks after other things


def period() -> timedelta | None:
    """How long the setting keeps ended jobs; None for ever. Raises ValueError."""
    return duration(settings.RETENTION) if settings.RETENTION else None


def outdated(older_than: timedelta, keep_results: bool = False) -> QuerySet[Job]:
    """Jobs that ended so long ago, or were made so long ago and never started.

    With `keep_results` those of which more than the results is left.
    """
    held = Shard.objects.leased().filter(job=OuterRef("pk"))
    over = Job.objects.present().filter(state__in=(*ENDED, JobState.READY))
    ended = over.annotate(end=Coalesce("finished", "created"))
    found = ended.filter(~Exists(held), end__lt=timezone.now() - older_than).order_by("end")
    return found.filter(pruned=None) if keep_results else found


def keep_up() -> None:
    """The keeper's part: removes what was deleted, and what the setting no longer keeps."""
    until = time.monotonic() + AT_ONCE
    # Whoever worked on a deleted job finds out by its next look; one that does not by the end of a lease is dead.
    noticed = timezone.now() - timedelta(seconds=settings.JOBS_LEASE_SECONDS)
    for job in Job.objects.filter(deleting__lt=noticed).order_by("deleting"):
        if not erase(job, until):
            return
    keep, results = period(), settings.RETENTION_KEEP_RESULTS
    for job in outdated(keep, results)[:100] if keep else ():
        if not prune(job, results, until):
            return


def prune(job: Job, keep_results: bool, until: float | None = None) -> bool:
    """Removes the job, or all but its results; False where the time was not enough."""
    if keep_results and job.ended:
        return trim(job, until)
    actions.delete(job)
    return erase(job, until)


def erase(job: Job, until: float | None = None) -> bool:
    """Removes the rows of a deleted job, and its file if no other job refers to it; False if time ran out."""
    for shard in job.shards.order_by("number"):
        with transaction.atomic():
            remove_history(shard)
            dialect.execute(
                "DELETE FROM jobs_item WHERE job_id = %s AND position >= %s AND position < %s", within(shard)
            )
            shard.delete()
        if until and time.monotonic() > until:
            return False
    # What a reading under other settings left.
    while items.remove_rows(job.pk, 0):
        if until and time.monotonic() > until:
            return False
    remove_batches(job)
    uploads = [job.upload, *corrections(job)]
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(run=None)
        Job.objects.filter(pk=job.pk).delete()
    for upload in uploads:
        if not upload.discard():
            upload.follow()
    logger.info("Job %s was removed", job.code)
    return True


def trim(job: Job, until: float | None = None) -> bool:
    """Removes all but the results: attempts with their logs, batches, and the uploaded files, whose rows are kept."""
    for shard in job.shards.order_by("number"):
        with transaction.atomic():
            items.add_stored(job.pk, -remove_history(shard))
        if until and time.monotonic() > until:
            return False
    remove_batches(job)
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(pruned=timezone.now())
        for upload in (job.upload, *corrections(job)):
            drop_file(upload)
    return True


def within(shard: Shard) -> list[int]:
    return [shard.job_id, shard.start, shard.stop]


def remove_history(shard: Shard) -> int:
    """Attempts with their logs, and what payloads were before they were fixed; returns how many bytes they took."""
    size = 0
    for table, texts in HISTORY.items():
        sizes = " + ".join(map(dialect.octets, texts))
        rows = dialect.execute(
            f"DELETE FROM {table} WHERE job_id = %s AND position >= %s AND position < %s RETURNING {sizes}",  # noqa: S608
            within(shard),
        )
        size += sum(row[0] for row in rows)
    return size


def corrections(job: Job) -> list[Upload]:
    """The files of corrections that were uploaded into the job."""
    return list(Upload.objects.filter(runs__job=job).distinct())


def remove_batches(job: Job) -> None:
    while keys := list(Batch.objects.filter(job=job).values_list("pk", flat=True)[:CHUNK]):
        Batch.objects.filter(pk__in=keys).delete()


def drop_file(upload: Upload) -> None:
    """Removes the file of which every job has read its rows and keeps only results; its name stays."""
    wanted = Q(upload=upload) | Q(runs__upload=upload)
    if not upload.file or Job.objects.filter(wanted, pruned=None).exists():
        return
    storage, path = upload.file.storage, str(upload.file.name)
    Upload.objects.filter(pk=upload.pk).update(file="")
    transaction.on_commit(lambda: storage.delete(path), robust=True)
