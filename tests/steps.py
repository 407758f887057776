"""What tests need to take a job through its life step by step, without an engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs import engine, events
from jobs.files.flattening import Key
from jobs.maintenance import invariants, keeper
from jobs.models import Batch, Item, Job, Shard, Worker
from jobs.models.states import CELL_FALLBACK, ItemState
from jobs.worker import claim
from jobs.worker.recorder import Recorder

PROCESSES = 9  # of each worker: enough for one person to take as many tasks as a story wants


def recorder_for(job: Job, name: str = "host:1", stopping: Callable[[], bool] = lambda: False) -> Recorder:
    """A recorder that holds the job's first free shard, with its first items claimed."""
    recorder = claim.claim_in(job, Worker.saw(name, PROCESSES), stopping)
    assert recorder is not None
    recorder.prepare()
    return recorder


def success(position: int, text: str = '{"a": 1}', keys: tuple[Key, ...] = ("a",), **fields: Any) -> engine.Attempt:
    return engine.Attempt(position, fields.pop("number", 1), time.time(), 0.01, value=(text, keys), **fields)


def failure(
    position: int, kind: str = "ValueError", message: str = "It broke.", number: int = 1, **fields: Any
) -> engine.Attempt:
    return engine.Attempt(
        position, number, time.time(), 0.01, failure=engine.Failure(kind, message, "Traceback"), **fields
    )


def feed(recorder: Recorder, *attempts: engine.Attempt) -> None:
    """Hands the attempts in and has them stored."""
    for attempt in attempts:
        recorder.add(attempt)
    recorder.flush()


def part_done(job: Job) -> None:
    """Row 1 succeeds and row 2 fails; the rest is as it was."""
    recorder = recorder_for(job)
    feed(recorder, success(0), failure(1))
    recorder.close()
    job.refresh_from_db()


def expire(job: Job) -> None:
    """Whoever holds shards of the job has not been heard of for a minute."""
    Shard.objects.filter(job=job).exclude(token="").update(expires=timezone.now() - timedelta(minutes=1))


def die(job: Job) -> None:
    """The job's workers die over what they have claimed, and the keeper finds out."""
    expire(job)
    keeper.sweep()


def claimed(job: Job) -> set[int]:
    return {int(at) for shard in job.shards.all() for at in shard.claimed.strip("[]").split(",") if at}


def wrong(job: Job) -> list[str]:
    return list(invariants.differences(job))


def replayed(job: Job) -> dict[int, int]:
    """Position → state, as a viewer knows it who saw every frame from the first on."""
    deltas: Iterable[Any] = Batch.objects.filter(job=job).order_by("seq").values_list("delta", flat=True)
    return events.merge(bytes(delta) for delta in deltas)


def cells(job: Job) -> list[int]:
    """The stored cells, as frames show them."""
    stored = b"".join(bytes(shard.cells) for shard in job.shards.order_by("number"))
    return [int(ItemState.FAILED) if cell == CELL_FALLBACK else cell for cell in stored]


def row(job: Job, position: int) -> Any:
    """The stored item. Untyped, since a test knows which of its fields are set."""
    return Item.objects.get(job=job, position=position)
