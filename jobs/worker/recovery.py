"""Takes back what dead workers held: their shards, and the items that may have killed them (poison items)."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs import events
from jobs.humanize import items
from jobs.models import ItemState, Job, JobState, Shard, Worker
from jobs.models.shard import ShardQuerySet
from jobs.store import causes, leases, outcomes
from jobs.store import items as store_items
from jobs.store import shards as store_shards
from jobs.store.items import FATAL_STRIKES
from jobs.store.leases import Lease, LockedShard
from jobs.store.outcomes import AttemptRow, Outcome

DEATH_KIND: Final = "worker died"
DEATH: Final = "The worker process died three times while this item was among those it worked on."


def return_expired() -> int:
    """Takes back what nobody has been heard of in time to hold; returns how many items may have been started."""
    return _return_all(Shard.objects.expired(), expired=True)


def reclaim(worker: str, process: int | None = None) -> int:
    """Takes back what a worker held that is known to be dead, or one of its processes; returns the same.

    The lease of a file that it read expires. Another token keeps out who is not quite dead, and says still that the
    file was not read to its end.
    """
    held = Shard.objects.leased().filter(worker__name=worker)
    read = Job.objects.filter(state=JobState.LOADING, load_worker=worker, load_expires__gt=Now())
    if process:
        held, read = held.filter(process=process), read.filter(load_process=process)
    told = Worker.objects.filter(name=worker, stopping=True).exists()
    read.update(load_token=leases.new_token(), load_expires=Now(), **({"load_tries": 0} if told else {}))
    return _return_all(held, expired=False)


def _return_all(shards: ShardQuerySet, expired: bool) -> int:
    return sum(return_shard(shard, expired) for shard in shards.select_related("job", "worker"))


@transaction.atomic
def return_shard(shard: Shard, expired: bool = True) -> int:
    """Takes a lease back; what its worker may have been at when it died gets a strike. Returns how many items.

    With `expired` only if it has expired meanwhile still. A worker that was told to stop did not die of its items.
    """
    lease = Lease(shard.pk, shard.number, shard.start, shard.stop, shard.token, shard.start)
    held = leases.lock_shards([lease], expired=expired).get(shard.pk)
    if held is None:
        return 0
    told = shard.worker is not None and shard.worker.stopping
    struck = store_items.strike(shard.job_id, sorted(held.claimed)) if held.claimed and not told else []
    poisonous = [death(position, tries) for position, tries in struck]
    if poisonous:
        fail_poison_items(shard, held, poisonous)
    store_shards.save_shard(shard.pk, held.cells, attempts=held.attempts, **store_shards.given_back(None))
    note(shard, len(held.claimed) - len(poisonous), told, expired)
    shard.job.announce(events.encode({outcome.position: outcome.state for outcome in poisonous}))
    # A lease of an earlier round was taken before a person let the job go on: its death is not held against it again.
    shard.job.count_ends(map(outcomes.end, poisonous), shard.limit_round)
    return len(held.claimed)


def note(shard: Shard, count: int, told: bool, expired: bool) -> None:
    """Says in the job's activity what became of the worker, and how many of its items are tried again."""
    name = f"Worker {shard.worker}" if shard.worker else "A worker"
    fate = "stopped" if told else "went silent" if expired else "died"
    silent = shard.worker if expired and not told else None
    shard.job.note("recover", f"{name} {fate}; {items(count)} went back to the queue", silent=silent, items=count)


def death(position: int, tries: int) -> Outcome:
    """What becomes of an item that took a worker with it once too often."""
    failed = int(ItemState.FAILED)
    return Outcome(
        position, failed, failed, tries + FATAL_STRIKES, FATAL_STRIKES, 0.0, timezone.now(),
        error_kind=DEATH_KIND, error=DEATH,
    )  # fmt: skip


def fail_poison_items(shard: Shard, held: LockedShard, poisonous: list[Outcome]) -> None:
    """Such items fail, so that the rest can go on."""
    job, run, worker = shard.job_id, shard.job.run_id, shard.worker_id or 0
    causes.count(job, poisonous)
    store_items.save_outcomes(job, run, worker, poisonous)
    now = timezone.now()
    last = [AttemptRow(o.position, o.tries, now, 0.0, o.error_kind, o.error, "", "", None) for o in poisonous]
    store_items.save_attempts(job, run, worker, last)
    store_items.add_stored(job, outcomes.size_of_attempts(last))
    for outcome in poisonous:
        held.cells[outcome.position - shard.start] = outcome.cell
        held.attempts += outcome.made
