"""Recounts a job from its rows and says where anything does not add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from django.db.models import Count, Max, Min, Q, Sum

from jobs.models import Batch, Cause, Item, ItemState, Job, JobState, Shard
from jobs.models.states import CELL_FALLBACK, ENDED
from jobs.store import dialect
from jobs.store import shards as store_shards

PENDING: Final = store_shards.PENDING_CELLS


def differences(job: Job) -> Iterator[str]:
    """One sentence for each thing that is wrong, as of one moment; nobody who works on the job is held up."""
    with dialect.one_moment():
        job.refresh_from_db()
        return iter(list(_all(job)))


def _all(job: Job) -> Iterator[str]:
    shards = list(Shard.objects.filter(job=job).order_by("start"))
    yield from _positions(job, shards)
    for shard in shards:
        yield from _shard(job, shard)
        yield from _lease(shard)
    yield from _stored(job)
    yield from _causes(job)
    yield from _state(job)


def _positions(job: Job, shards: list[Shard]) -> Iterator[str]:
    # What an earlier reading left lies behind, and goes when the file is read.
    items = Item.objects.filter(job=job) if job.read_whole else job.read_items()
    found = items.aggregate(n=Count("pk"), low=Min("position"), high=Max("position"))
    if found["n"] != job.total:
        yield f"{found['n']} items are stored, the job counts {job.total}"
    if found["n"] and (found["low"], found["high"]) != (0, found["n"] - 1):
        yield f"positions go from {found['low']} to {found['high']}, not from 0 to {found['n'] - 1}"
    edges = [0, *(shard.stop for shard in shards)]
    if [shard.start for shard in shards] != edges[:-1] or edges[-1] != job.total:
        yield "the shards do not cover the positions"


def _shard(job: Job, shard: Shard) -> Iterator[str]:
    items = Item.objects.filter(job=job, position__gte=shard.start, position__lt=shard.stop)
    cells = bytes(shard.cells)
    rows = bytes(CELL_FALLBACK if s == ItemState.FAILED and f else s for s, f in
                 items.order_by("position").values_list("state", "fallback"))  # fmt: skip
    plain = bytes(ItemState.PENDING if cell in PENDING else cell for cell in cells)
    if rows != plain:
        wrong = [shard.start + at + 1 for at, (a, b) in enumerate(zip(rows, plain, strict=False)) if a != b]
        yield f"shard {shard.number}: the cells differ from the rows ({len(rows)}, {len(plain)}) at rows {wrong[:5]}"
    for name, count in store_shards.counts(cells).items():
        if getattr(shard, name) != count:
            yield f"shard {shard.number}: {name} is {getattr(shard, name)}, the cells say {count}"
    made = items.aggregate(n=Sum("attempts", default=0))["n"]
    if shard.attempts != made:
        yield f"shard {shard.number}: attempts is {shard.attempts}, the rows say {made}"


def _lease(shard: Shard) -> Iterator[str]:
    claimed = json.loads(shard.claimed)
    if not shard.token and (claimed or shard.share or shard.running):
        yield f"shard {shard.number}: it is free, yet something is claimed in it"
    cells = bytes(shard.cells)
    pending = {shard.start + at for at, cell in enumerate(cells) if cell in PENDING}
    wrong = [at + 1 for at in claimed if at not in pending]
    if wrong:
        yield f"shard {shard.number}: rows {wrong[:5]} are claimed, yet not pending in it"


def _stored(job: Job) -> Iterator[str]:
    """How many bytes the rows take."""
    tables = {"jobs_item": ("payload", "result", "fallback"), "jobs_attempt": ("message", "trace", "log"),
              "jobs_correction": ("payload",)}  # fmt: skip
    found = 0
    for table, texts in tables.items():
        sizes = " + ".join(map(dialect.octets, texts))
        read = "" if table != "jobs_item" or job.read_whole else f" AND position < {job.total}"
        ((size,),) = dialect.execute(f"SELECT COALESCE(SUM({sizes}), 0) FROM {table} WHERE job_id = %s{read}", [job.pk])  # noqa: S608
        found += int(size)
    if found != job.stored:
        yield f"the rows take {found} bytes, the job counts {job.stored}"


def _causes(job: Job) -> Iterator[str]:
    failed = Q(items__state=ItemState.FAILED, items__job=job)
    known = Count("items", filter=failed & Q(items__accepted__isnull=False))
    for cause in Cause.objects.filter(job=job).annotate(found=Count("items", filter=failed), known=known):
        if cause.count != cause.found:
            yield f"cause {cause.pk}: count is {cause.count}, the rows say {cause.found}"
        if cause.accepted != cause.known:
            yield f"cause {cause.pk}: accepted is {cause.accepted}, the rows say {cause.known}"
    if Item.objects.filter(job=job, state=ItemState.FAILED, cause=None).exists():
        yield "a failed item has no cause"
    if Item.objects.filter(job=job).exclude(accepted=None).exclude(state=ItemState.FAILED).exists():
        yield "an item is accepted that has not failed"


def _state(job: Job) -> Iterator[str]:
    counts = job.counts()
    leased = Shard.objects.leased().filter(job=job).exists()
    if job.state == JobState.FINISHED and counts["pending"]:
        yield f"the job is finished, and {counts['pending']} items are pending"
    if job.state in ENDED and not leased and counts["running"]:
        yield "the job has ended, and items are running"
    newest = Batch.objects.filter(job=job).aggregate(n=Max("seq"))["n"]
    if newest is not None and newest != job.seq:
        yield f"the newest batch is {newest}, the job is at {job.seq}"
    if counts["succeeded"] and Item.objects.filter(job=job, state=ItemState.SUCCEEDED, finished=None).exists():
        yield "an item succeeded without a time"
