"""The loop of `manage.py keep`: it repairs what died and wakes who sleeps. It needs no broker to do so."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from batchweb import celery_app
from jobs import dispatch, store
from jobs.models import Batch, ItemState, Job, JobState, Shard, Upload, Worker
from jobs.models.cause import normalised, signature
from jobs.store import Lease

logger = logging.getLogger(__name__)

SWEEP_EVERY: Final = 5.0  # seconds
WAKE_EVERY: Final = 1.0  # seconds
TIDY_EVERY: Final = 60.0  # seconds
KEPT_BATCHES: Final = timedelta(minutes=10)
QUEUED_WAKEUPS: Final = 4  # with so many waiting, another one helps nobody
DEATH: Final = "The worker process died three times while this item was among those it worked on."


def keep(stopping: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
    """Runs until `stopping` is set. After a gap in its own running nothing expires for one lease."""
    swept = woken = tidied = 0.0
    patience = clock()
    while not stopping.wait(0.5):
        now = clock()
        if swept and now - swept > 3 * SWEEP_EVERY:
            patience = now + settings.JOBS_LEASE_SECONDS
        try:
            if now - swept >= SWEEP_EVERY:
                swept = now
                sweep(expire=now >= patience)
            if now - woken >= WAKE_EVERY:
                woken = now
                wake()
            if now - tidied >= TIDY_EVERY:
                tidied = now
                tidy()
        except DatabaseError as error:
            logger.warning("The database did not answer (%s); trying again", type(error).__name__)
            connection.close()


def sweep(expire: bool = True) -> None:
    """Returns expired leases, has files read again whose reader died, and ends jobs that have nothing left."""
    for shard in Shard.objects.expired().select_related("job", "worker") if expire else []:
        return_shard(shard)
    for job in Job.objects.filter(state=JobState.LOADING).exclude(load_expires__gt=timezone.now()):
        dispatch.send(dispatch.LOAD, job.pk)
    for job in Job.objects.workable().exclude(shards__pending__gt=0).exclude(shards__token__gt=""):
        job.finish()


@transaction.atomic
def return_shard(shard: Shard) -> int:
    """Takes an expired lease back; what its worker may have been at when it died gets a strike. Returns how many."""
    lease = Lease(shard.pk, shard.number, shard.start, shard.stop, shard.token, shard.start)
    try:
        cells = store.lock_shards([lease])[shard.pk][0]
    except store.LostLease:
        return 0
    lease.claimed = set(json.loads(shard.claimed))
    condemned = store.strike(shard.job_id, sorted(lease.claimed)) if lease.claimed else []
    if condemned:
        condemn(shard, cells, condemned)
    store.save_shard(
        shard.pk, cells, token="", worker_id=None, claimed="[]", running=0, rate=0.0, share=0, expires=None, due=None
    )
    name = shard.worker.name if shard.worker else "a worker"
    shard.job.note("recover", f"{name} went silent; {len(lease.claimed)} items returned to the queue")
    shard.job.announce()
    return len(lease.claimed)


def condemn(shard: Shard, cells: bytearray, positions: list[int]) -> None:
    """Items that took a worker with them three times fail, so that the rest can go on."""
    kind = "worker died"
    mark = signature(kind, DEATH)
    row = (mark, kind, normalised(DEATH), DEATH, len(positions), min(positions), max(positions))
    cause = store.count_causes(shard.job_id, [row])[mark]
    now = timezone.now()
    outcomes = [
        store.Outcome(position, int(ItemState.FAILED), int(ItemState.FAILED), 1, 1, 0.0, now, error_kind=kind, error=DEATH,
                      cause=cause)
        for position in positions
    ]  # fmt: skip
    store.save_outcomes(shard.job_id, shard.job.run_id, shard.worker_id or 0, outcomes)
    for position in positions:
        cells[position - shard.start] = ItemState.FAILED


def wake() -> bool:
    """Sends one wake-up if there is work that nobody does; never adds to a queue that is long already."""
    if not dispatch.candidates() or waiting_wakeups() >= QUEUED_WAKEUPS:
        return False
    return dispatch.send(dispatch.WORK)


def waiting_wakeups() -> int:
    """Messages in the queue of work. A broker that does not answer has none to spare."""
    try:
        with celery_app.connection_for_write() as broker:
            return int(broker.default_channel.queue_declare("work", passive=True).message_count)
    except broker_errors():
        return 0


def broker_errors() -> tuple[type[Exception], ...]:
    """What the broker's driver raises when it cannot be reached, or has no such queue yet."""
    with celery_app.connection_for_write() as broker:
        return (*broker.connection_errors, *broker.channel_errors, OSError)


def tidy() -> None:
    """Removes what nobody needs: uploads without a job, batches that every viewer has passed, workers long gone."""
    Upload.objects.unreferenced().discard()
    old = timezone.now() - KEPT_BATCHES
    for _ in range(20):
        chunk = list(Batch.objects.filter(created__lt=old).values_list("pk", flat=True)[:5000])
        Batch.objects.filter(pk__in=chunk).delete()
        if len(chunk) < 5000:
            break
    Worker.objects.filter(seen__lt=timezone.now() - timedelta(days=7), shards=None).delete()
