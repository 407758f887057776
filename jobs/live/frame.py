"""A job's numbers as people see them: the counts that add up, the state in words, why nothing happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

from django.db.models import F, Max, Q, Sum

from jobs.humanize import counted
from jobs.items import row
from jobs.live import throughput
from jobs.live.facts import facts
from jobs.live.status import SILENT, Around, limited, slow, unheard
from jobs.models import Batch, Job, JobState, Shard, latency_histogram
from jobs.models.job import COUNTS, JobQuerySet
from jobs.models.states import UNFINISHED, WORKABLE
from jobs.store import causes

NEWEST: Final = 25
LATEST: Final = 10  # jobs, and
SHARDS: Final = 200  # shards of them, that say how long an item takes
VERBS: Final = ("start", "try", "change", "pause", "resume", "retry", "accept", "cancel", "adjust")
ITEMS: Final = ("pending", "succeeded", "failed", "rejected")


def summary(job: Job, stored: dict[str, int] | None = None) -> dict[str, int]:
    """The counts of a job as pages show them; their sum is always the total."""
    stored = stored or job.counts()
    running = min(stored["running"], stored["pending"])
    left = stored["pending"] - running
    again = stored["retrying"] - stored["rerunning"]
    return {
        "succeeded": stored["succeeded"],
        "failed": stored["failed"],
        "rejected": stored["rejected"],
        "running": running,
        "waiting": 0 if job.ended else left,
        "retrying": 0 if job.ended else min(max(0, again), left),
        "not_attempted": left if job.ended else 0,
        "fallback": stored["fallbacks"],
    }


def label(job: Job, counts: dict[str, int], asked: float | None = None) -> str:
    """The state in one or two words; a job that stops but still has items in flight says so.

    `asked` is for how many seconds its service asks to wait.
    """
    if job.state in WORKABLE and (tried := trying(job)):
        return f"Trying {counted(tried)}"
    if asked and job.state == JobState.RUNNING:
        return "Throttled"
    if counts["running"] and job.state == JobState.PAUSED:
        return "Pausing"
    if counts["running"] and job.state == JobState.CANCELLED:
        return "Cancelling"
    if job.state == JobState.FINISHED and (counts["failed"] or counts["rejected"]):
        return "Finished with failures" if counts["succeeded"] else "Failed"
    return str(job.get_state_display())


def actions(job: Job, counts: dict[str, int]) -> list[str]:
    """The verbs that make sense now, in the order of the buttons."""
    left = counts["waiting"] + counts["not_attempted"] + counts["running"]
    tried = counts["succeeded"] + counts["failed"]
    # Neither while rows are tried nor while what was cancelled is still in flight.
    mendable = not trying(job) and not (job.ended and counts["running"])
    sense = {
        "start": left or tried,
        "try": left,
        "retry": mendable and (counts["failed"] or (job.ended and left)),
        "accept": mendable and counts["failed"],
        "resume": left,
        "adjust": left,
    }
    verbs = [verb for verb in VERBS if job.allows(verb) and sense.get(verb, True)]
    return verbs + offers(job, tried, mendable and counts["failed"] + counts["rejected"])


def offers(job: Job, tried: int, bad: int) -> list[str]:
    """What else there is: results to take home, bad rows to mend, the same file once more where it was not changed."""
    known = job.state not in (JobState.LOADING, JobState.INVALID)
    there = {
        "results": known and (tried or job.state == JobState.FINISHED),
        "mend": bad and job.allows("retry") and job.read_whole,
        "again": known and job.state != JobState.READY and (job.started or job.ended),
    }
    return [name for name, is_there in there.items() if is_there]


def trying(job: Job) -> int:
    """How many rows are being tried before the job as a whole is started."""
    return job.run.items if job.run and job.trying and job.state in UNFINISHED else 0


def why(job: Job, counts: dict[str, int], leased: bool, around: Around | None = None) -> str:
    """Why a job that could go on does not, in a sentence; empty where it does."""
    if job.state not in (JobState.LOADING, *WORKABLE):
        return ""
    around = around or Around()
    if counts["running"]:
        return around.silent(job) or around.returned(job)
    return around.trouble(job) or waits(job, counts, leased, around) or around.returned(job)


def waits(job: Job, counts: dict[str, int], leased: bool, around: Around) -> str:
    """What a job waits for though all is well."""
    if job.state == JobState.QUEUED:
        return around.place(job)
    if job.state == JobState.RUNNING and counts["waiting"]:
        if counts["retrying"] and (trying(job) or counts["waiting"] == counts["retrying"]):
            return "What is left waits for its next attempt."
        return "" if leased else around.returned(job) or around.kept(job) or "Other jobs have their turn."
    return ""


def queued_again(count: int) -> str:
    """What a retry did."""
    return f"{count:,} items queued again." if count != 1 else "1 item queued again."


def stats(job: Job, since: int | None = None, rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One frame with absolute numbers, from number `since` (its own number for a snapshot) to the job's present one.

    All counts come from one reading of the shards, so that they add up also while a worker writes. A page that finds
    another number in `run` (0 before the first) or `readings` missed something, though the state may be the same.
    `running` says which items run now, as the distance of each from the one before; `longest` is (row, seconds) of the
    one that has run longest, `throttled` for how many seconds the service asks to wait, `points` the newest of the
    job's series.
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
        "reason": job.reason,
        "trial": trying(job),
        "running": gaps(position for position, _ in running),
        "longest": longest(running),
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


def progress(
    job: Job,
    counts: dict[str, int],
    shards: Iterable[Mapping[str, Any]],
    running: Sequence[tuple[int, float]],
    asked: float | None,
) -> dict[str, Any]:
    """How fast it is and why not faster.

    There is no time left to tell while only slow items remain or nothing runs for a reason: the service asks to wait,
    no worker is there. What a silent worker did a moment ago does not count.
    """
    rate = sum(shard["rate"] for shard in shards if shard["token"])
    leased = any(shard["token"] for shard in shards)
    durations = latency_histogram.total(shard["histogram"] for shard in shards)
    p95 = latency_histogram.quantile(durations, 0.95)
    lasts = slow(job, counts, running, p95)
    held = why(job, counts, leased)
    if held.endswith(SILENT):
        rate -= unheard(job.shards.all()).aggregate(rate=Sum("rate", default=0.0))["rate"]
    idle = not counts["running"]
    stands = lasts or (asked and idle and job.state == JobState.RUNNING)
    return {
        **({"rate": 0.0, "eta": None} if stands else pace(job, counts, 0.0 if held and idle else rate)),
        "why": held or lasts or limited(job, counts, rate),
        "elapsed": round(job.elapsed(), 2) if job.started else None,
        "p50": latency_histogram.quantile(durations, 0.5),
        "p95": p95,
    }


def gaps(positions: Iterable[int]) -> list[int]:
    """Ascending positions as the distance of each from the one before (the first: from 0), which is short as JSON."""
    found = [0, *positions]
    return [later - sooner for sooner, later in pairwise(found)]


def longest(running: Iterable[tuple[int, float]]) -> tuple[int, float] | None:
    """Row and seconds of the item that has run longest."""
    position, since = min(running, key=itemgetter(1), default=(0, 0.0))
    return (position + 1, round(max(0.0, time.time() - since), 1)) if since else None


def throttled(shards: Iterable[Mapping[str, Any]]) -> float | None:
    """For how many seconds more some worker waits because its service asked for it."""
    until = max((shard["throttled"] or 0.0 for shard in shards if shard["token"]), default=0.0)
    return round(until - time.time(), 1) if until > time.time() else None


def pace(job: Job, counts: dict[str, int], rate: float) -> dict[str, float | None]:
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


def newest(job: Job) -> list[dict[str, Any]]:
    """The newest attempts, from the newest batches."""
    batches = Batch.objects.filter(job=job).exclude(rows="[]").order_by("-seq")[:NEWEST]
    rows: list[dict[str, Any]] = []
    for text in batches.values_list("rows", flat=True):
        rows += json.loads(text)
    row.add_labels(rows[:NEWEST], job)
    return rows[:NEWEST]


# What earlier jobs tell


def typical_seconds(processor: str, owner: Any) -> float | None:
    """The median duration of an attempt in the person's latest jobs of a processor; None where there are none."""
    known = Job.objects.present().filter(owner=owner, processor=processor).exclude(started=None)
    latest = list(known.order_by("-created", "-pk").values_list("pk", flat=True)[:LATEST])
    shards = Shard.objects.filter(job__in=latest).order_by("-pk")[:SHARDS]
    return latency_histogram.quantile(latency_histogram.total(shards.values_list("histogram", flat=True)), 0.5)


# The list


def listed(jobs: JobQuerySet) -> JobQuerySet:
    """The jobs with all that their rows in the list need, in two queries."""
    leased = ~Q(shards__token="")
    silent = leased & Q(shards__worker__in=set(unheard(Shard.objects.all()).values_list("worker", flat=True)))
    counted_ones = jobs.with_counts().annotate(
        sum_rate=Sum("shards__rate", filter=leased, default=0.0),
        silent_rate=Sum("shards__rate", filter=silent),
        throttled=Max("shards__throttled", filter=leased),
        spark=F("series__spark"),
    )
    return counted_ones.select_related("run")


def list_row(job: Job, around: Around) -> dict[str, Any]:
    """A job from `listed()` as the live list shows it; `around` is asked once for all of its rows."""
    counts, found = summary(job), vars(job)
    asked = throttled([{"token": True, "throttled": found["throttled"]}])
    alone = found["silent_rate"] is not None and found["silent_rate"] >= found["sum_rate"]
    held = list_why(job, counts, around, asked, alone)
    return {
        "code": job.code,
        "seq": job.seq,
        "state": job.state,
        "label": label(job, counts, asked),
        "done": counts["succeeded"] + counts["failed"] + counts["rejected"],
        "failed": counts["failed"],
        "total": job.total,
        **pace(job, counts, 0.0 if held else found["sum_rate"] - (found["silent_rate"] or 0.0)),
        "why": held,
        "elapsed": round(job.elapsed(), 2) if job.ended and job.started else None,
        "spark": found["spark"] or "",
        "counts": counts,
    }


def list_why(job: Job, counts: dict[str, int], around: Around, asked: float | None, alone: bool) -> str:
    """Why a job in the list does not go on; `alone` says that all who hold items of it are silent."""
    if job.state not in (JobState.LOADING, *WORKABLE):
        return ""
    if asked and job.state == JobState.RUNNING:
        return "The service asks to wait."
    if counts["running"]:
        return "Its worker is silent." if alone else ""
    return around.trouble(job) or waits(job, counts, True, around)
