"""A job's numbers as people see them: the counts that add up, the state in words, why nothing happens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from jobs.items import causes, row
from jobs.live import throughput
from jobs.live.eta import progress, throttled
from jobs.live.facts import facts
from jobs.live.shapes import Frame
from jobs.live.status import actions, label, trying
from jobs.models import Batch, Job
from jobs.models.counts import summary
from jobs.models.job import COUNTS
from jobs.store.outcomes import RecentRow

NEWEST: Final = 25
ITEMS: Final = ("pending", "succeeded", "failed", "rejected")


def stats(job: Job, since: int | None = None, rows: list[RecentRow] | None = None) -> Frame:
    """One frame with absolute numbers, from number `since` (its own number for a snapshot) to the job's present one.

    All counts come from one reading of the shards, so that they add up also while a worker writes. A page that finds
    another number in `run` (0 before the first) or `readings` missed something, though the state may be the same.
    `running` says which items run now, as the distance of each from the one before, `throttled` for how many
    seconds the service asks to wait, `points` are the newest of the job's series.
    """
    shards = list(job.shards.values("histogram", "rate", "token", "in_flight", "throttled", *COUNTS))
    stored = {name: sum(shard[name] for shard in shards) for name in COUNTS}
    counts = summary(job, stored)
    running = sorted(pair for shard in shards if shard["running"] for pair in json.loads(shard["in_flight"]))
    asked = throttled(shards)
    return {
        "t": "stats",
        "job": job.code,
        "from": job.seq if since is None else since,
        "seq": job.seq,
        "state": job.state,
        "label": label(job, counts, asked),
        "trial": trying(job),
        "running": gaps(position for position, _ in running),
        "throttled": asked,
        "run": job.run.number if job.run else 0,
        "readings": job.readings,
        "counts": counts,
        "total": sum(stored[name] for name in ITEMS),
        **progress(job, counts, shards, running, asked),
        "attempts": stored["attempts"],
        **facts(job),
        "points": throughput.newest(job),
        "rows": newest(job) if rows is None else rows,
        **causes.largest(job, counts["failed"]),
        "actions": actions(job, counts),
    }


def gaps(positions: Iterable[int]) -> list[int]:
    """Ascending positions as the distance of each from the one before (the first: from 0), which is short as JSON."""
    found = [0, *positions]
    return [later - sooner for sooner, later in pairwise(found)]


def newest(job: Job) -> list[RecentRow]:
    """The newest attempts, from the newest batches."""
    batches = Batch.objects.filter(job=job).exclude(rows="[]").order_by("-seq")[:NEWEST]
    rows: list[RecentRow] = []
    for text in batches.values_list("rows", flat=True):
        rows += json.loads(text)
    row.add_labels(rows[:NEWEST], job)
    return rows[:NEWEST]
