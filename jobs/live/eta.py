"""How fast a job gets on, how long it still takes, and why it is not faster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db.models import Sum

from jobs.humanize import per_second
from jobs.live.shapes import Pace, Progress
from jobs.live.status import THROTTLED, trying, unheard, why
from jobs.models import Job, JobState, Shard, latency_histogram
from jobs.models.reason import NO_REASON, Code, Reason
from jobs.models.states import WORKABLE

LATEST: Final = 10  # jobs, and
SHARDS: Final = 200  # shards of them, that say how long an item takes
SLOW: Final = 2.0  # times as long as 95 of 100 items take, and so many seconds: from there on an item is slow
STANDS: Final[Pace] = {"rate": 0.0, "eta": None}
NEARLY: Final = 0.8  # of its rate, from where on a job is limited by it


def progress(
    job: Job,
    counts: dict[str, int],
    shards: Iterable[Mapping[str, Any]],
    running: Sequence[tuple[int, float]],
    asked: float | None,
) -> Progress:
    """How fast it is and why not faster: why it was stopped, or what it waits for, or what holds it back.

    There is no time left to tell while only slow items remain or nothing runs for a reason: the service asks to wait,
    no worker is there. What a silent worker did a moment ago does not count.
    """
    rate = sum(shard["rate"] for shard in shards if shard["token"])
    leased = any(shard["token"] for shard in shards)
    durations = latency_histogram.total(shard["histogram"] for shard in shards)
    p95 = latency_histogram.quantile(durations, 0.95)
    lasts = slow(job, counts, running, p95)
    held = why(job, counts, leased)
    if held.code == Code.WORKER_SILENT:
        rate -= unheard(job.shards.all()).aggregate(rate=Sum("rate", default=0.0))["rate"]
    idle = not counts["running"]
    asks = bool(asked) and job.state == JobState.RUNNING
    stands = lasts or (asks and idle)
    why_not = held or lasts or limited(job, counts, rate)
    told = THROTTLED if asks and held.code != Code.NO_WORKER else why_not
    return {
        **(STANDS if stands else pace(job, counts, 0.0 if held and idle else rate)),
        "reason": (told if job.state in (JobState.LOADING, *WORKABLE) else job.stopped_for).frame(),
        "why": why_not.text,
        "elapsed": round(job.elapsed(), 2) if job.started else None,
        "p50": latency_histogram.quantile(durations, 0.5),
        "p95": p95,
    }


def throttled(shards: Iterable[Mapping[str, Any]]) -> float | None:
    """For how many seconds more some worker waits because its service asked for it."""
    until = max((shard["throttled"] or 0.0 for shard in shards if shard["token"]), default=0.0)
    return round(until - time.time(), 1) if until > time.time() else None


def pace(job: Job, counts: dict[str, int], rate: float) -> Pace:
    """Items a second and seconds left, where they are known."""
    if not rate or job.state not in WORKABLE:
        return {"rate": None, "eta": None}
    if trying(job):
        return {"rate": round(rate, 2), "eta": None}
    return {"rate": round(rate, 2), "eta": round((counts["waiting"] + counts["running"]) / rate, 1)}


def rate(job: Job) -> float:
    """Items that finish a second, as the workers that are at it say."""
    found: float = job.shards.leased().aggregate(rate=Sum("rate", default=0.0))["rate"]
    return found


def typical_seconds(processor: str, owner: Any) -> float | None:
    """The median duration of an attempt in the person's latest jobs of a processor; None where there are none."""
    known = Job.objects.present().filter(owner=owner, processor=processor).exclude(started=None)
    latest = list(known.order_by("-created", "-pk").values_list("pk", flat=True)[:LATEST])
    shards = Shard.objects.filter(job__in=latest).order_by("-pk")[:SHARDS]
    return latency_histogram.quantile(latency_histogram.total(shards.values_list("histogram", flat=True)), 0.5)


def slow(job: Job, counts: Mapping[str, int], running: Sequence[tuple[int, float]], p95: float | None) -> Reason:
    """That only slow items remain; `running` are their positions and since when they run, in seconds of the epoch."""
    if job.state != JobState.RUNNING or counts["waiting"] or not running:
        return NO_REASON
    longest, youngest = (pick(running, key=lambda pair: pair[1]) for pick in (min, max))
    if time.time() - youngest[1] <= SLOW * max(p95 or 0.0, 1.0):
        return NO_REASON
    row = f"row {longest[0] + 1:,}."
    many = f"{len(running):,} slow items remain, the longest is {row}"
    return Reason(Code.SLOW_ITEMS, f"1 slow item remains: {row}" if len(running) == 1 else many)


def limited(job: Job, counts: Mapping[str, int], rate: float) -> Reason:
    """That the job could go faster if its own rate did not hold it back; `rate` is what it does."""
    free = counts["waiting"] and counts["running"] < job.workers
    if job.state != JobState.RUNNING or not job.rate or not free or rate < NEARLY * job.rate:
        return NO_REASON
    return Reason(Code.RATE_LIMIT, f"Limited by the rate of {per_second(job.rate)}.")
