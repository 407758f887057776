"""What viewers see of jobs that change: frames, composed once in each web process for all of its viewers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from jobs import events, histogram
from jobs.models import Batch, Job, JobState, Worker
from jobs.models.states import WORKABLE

T = TypeVar("T")

INTERVAL: Final = 0.25  # seconds between two readings of one job
KEPT: Final = 400  # batches kept for viewers that are behind
CHANGES: Final = 50_000  # more changed items than this in one frame: the snapshot is cheaper
NEWEST: Final = 25
CAUSES: Final = 20

# All reading for viewers happens in one thread, so that a process needs one connection for it.
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")


async def in_reader(function: Callable[..., T], *args: Any) -> T:
    """Runs the function with the database in the reader's thread."""

    def call() -> T:
        close_old_connections()
        return function(*args)

    return await sync_to_async(call, thread_sensitive=False, executor=_reader)()


# Numbers


def summary(job: Job, counts: dict[str, int] | None = None) -> dict[str, Any]:
    """The counts of a job as pages show them; their sum is always the total."""
    stored = counts or job.counts()
    pending, running = stored["pending"], min(stored["running"], stored["pending"])
    idle = job.state in (JobState.CANCELLED, JobState.FINISHED, JobState.INVALID)
    left = pending - running
    return {
        "succeeded": stored["succeeded"],
        "failed": stored["failed"],
        "rejected": stored["rejected"],
        "running": running,
        "waiting": 0 if idle else left,
        "retrying": 0 if idle else min(stored["retrying"], left),
        "not_attempted": left if idle else 0,
        "fallback": stored["fallbacks"],
    }


def label(job: Job, counts: dict[str, int]) -> str:
    """The state in one or two words; a job that stops but still has items in flight says so."""
    if counts["running"] and job.state == JobState.PAUSED:
        return "Pausing"
    if counts["running"] and job.state == JobState.CANCELLED:
        return "Cancelling"
    if job.state == JobState.FINISHED and (counts["failed"] or counts["rejected"]):
        return "Finished with failures" if counts["succeeded"] else "Failed"
    return str(job.get_state_display())


def actions(job: Job, counts: dict[str, int]) -> list[str]:
    """The verbs that make sense now, in the order of the buttons."""
    possible = [verb for verb in ("start", "pause", "resume", "retry", "cancel") if job.allows(verb)]
    left = counts["waiting"] + counts["not_attempted"] + counts["running"]
    if not counts["failed"] and not (job.ended and left) and "retry" in possible:
        possible.remove("retry")
    if not left and "resume" in possible:
        possible.remove("resume")
    return possible


def waiting_for(job: Job, rate: float | None) -> str:
    """Why a job that could run makes no progress; empty where it does."""
    if job.state not in WORKABLE or rate:
        return ""
    if not Worker.objects.alive().exists():
        return "No worker is connected. The job waits."
    if job.state == JobState.RUNNING:
        return ""
    ahead = Job.objects.workable().filter(created__lt=job.created).count()
    return (
        "Waiting for a worker."
        if not ahead
        else f"Waiting: {ahead} jobs are ahead."
        if ahead > 1
        else "Waiting: 1 job is ahead."
    )


def stats(job: Job, since: int | None = None, rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One frame with absolute numbers, from number `since` (its own number for a snapshot) to the job's present one."""
    shards = list(job.shards.values_list("histogram", "rate"))
    counts_stored = job.counts()
    counts = summary(job, counts_stored)
    durations = histogram.total(data for data, _ in shards)
    rate = sum(rate for _, rate in shards) or None
    left = counts["waiting"] + counts["running"]
    return {
        "t": "stats",
        "job": job.code,
        "from": job.seq if since is None else since,
        "seq": job.seq,
        "state": job.state,
        "label": label(job, counts),
        "reason": job.reason,
        "counts": counts,
        "total": job.total,
        "rate": round(rate, 2) if rate else None,
        "eta": round(left / rate, 1) if rate and job.state in WORKABLE else None,
        "why": waiting_for(job, rate),
        "elapsed": round(job.elapsed(), 2) if job.started else None,
        "p50": histogram.quantile(durations, 0.5),
        "p95": histogram.quantile(durations, 0.95),
        "attempts": counts_stored["attempts"],
        "started": job.started.isoformat() if job.started else None,
        "rows": newest(job) if rows is None else rows,
        "causes": causes(job) if counts["failed"] else [],
        "actions": actions(job, counts),
    }


def newest(job: Job) -> list[dict[str, Any]]:
    """The newest attempts, from the newest batches."""
    rows: list[dict[str, Any]] = []
    for text in (
        Batch.objects.filter(job=job).exclude(rows="[]").order_by("-seq").values_list("rows", flat=True)[:NEWEST]
    ):
        rows += json.loads(text)
        if len(rows) >= NEWEST:
            break
    return rows[:NEWEST]


def causes(job: Job) -> list[dict[str, Any]]:
    found = job.causes.filter(count__gt=0).order_by("-count", "pk")[:CAUSES]  # type: ignore[attr-defined]
    return [{"id": c.pk, "kind": c.kind, "title": c.title, "count": c.count} for c in found]


def list_row(job: Job) -> dict[str, Any]:
    """A job as the live list shows it. Wants a job from `with_counts()`."""
    counts = summary(job)
    rate = sum(job.shards.exclude(token="").values_list("rate", flat=True)) if job.state == JobState.RUNNING else 0
    left = counts["waiting"] + counts["running"]
    return {
        "code": job.code,
        "state": job.state,
        "label": label(job, counts),
        "done": counts["succeeded"] + counts["failed"] + counts["rejected"],
        "failed": counts["failed"],
        "total": job.total,
        "rate": round(rate, 2) if rate else None,
        "eta": round(left / rate, 1) if rate else None,
        "counts": counts,
    }


def list_rows(codes: list[str]) -> list[dict[str, Any]]:
    return [list_row(job) for job in Job.objects.with_counts().filter(code__in=codes)]


# One reading for all viewers


@dataclass
class Head:
    """The newest state of one job that this process has read, and the batches that led there."""

    code: str
    frame: dict[str, Any]
    read_at: float
    batches: deque[tuple[int, bytes | None, list[dict[str, Any]]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    encoded: dict[int, tuple[str, bytes | None]] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        return int(self.frame["seq"])


def read_head(code: str, before: Head | None) -> Head | None:
    """Reads the job's numbers, and the batches since the last reading; None when the job is gone."""
    job = Job.objects.filter(code=code).first()
    if job is None:
        return None
    head = Head(code, stats(job, rows=[]), time.monotonic())
    if before:
        head.batches.extend(before.batches)
    known = before.seq if before else max(0, head.seq - KEPT)
    found = Batch.objects.filter(job=job, seq__gt=known, seq__lte=head.seq).order_by("seq")[:KEPT]
    for seq, delta, rows in found.values_list("seq", "delta", "rows"):
        head.batches.append((seq, None if delta is None else bytes(delta), json.loads(rows)))
    return head


def frames(head: Head, since: int) -> tuple[str, bytes | None]:
    """What a viewer at number `since` needs: the stats frame (or a call to resync) and the cells frame, if any.

    Encoded once for all viewers with the same `since`.
    """
    if since not in head.encoded:
        head.encoded[since] = _frames(head, since)
    return head.encoded[since]


def _frames(head: Head, since: int) -> tuple[str, bytes | None]:
    news = [batch for batch in head.batches if batch[0] > since]
    whole = [batch[0] for batch in news] == list(range(since + 1, head.seq + 1))
    if not whole or any(delta is None for _, delta, _ in news):
        return json.dumps({"t": "resync", "seq": head.seq}), None
    changes = events.merge(delta for _, delta, _ in news if delta)
    if len(changes) > CHANGES:
        return json.dumps({"t": "resync", "seq": head.seq}), None
    rows = [row for _, _, batch in reversed(news) for row in batch][:NEWEST]
    text = json.dumps(head.frame | {"from": since, "rows": rows}, separators=(",", ":"))
    return text, events.cells_frame(since, head.seq, changes) if changes else None


class Hub:
    """Reads each watched job at most four times a second, however many watch it."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._reading: dict[str, asyncio.Task[Head | None]] = {}
        self._viewers: dict[str, int] = {}

    def join(self, code: str) -> None:
        self._viewers[code] = self._viewers.get(code, 0) + 1

    def leave(self, code: str) -> None:
        self._viewers[code] = self._viewers.get(code, 1) - 1
        if self._viewers[code] <= 0:
            del self._viewers[code]
            self._heads.pop(code, None)

    async def head(self, code: str) -> Head | None:
        """The job's newest state, read now unless that was done a moment ago; None when the job is gone."""
        task = self._reading.get(code)
        if task is None:
            task = self._reading[code] = asyncio.ensure_future(self._read(code))
            task.add_done_callback(lambda _: self._reading.pop(code, None))
        return await asyncio.shield(task)

    async def _read(self, code: str) -> Head | None:
        before = self._heads.get(code)
        if before:
            await asyncio.sleep(max(0.0, before.read_at + INTERVAL - time.monotonic()))
        head = await in_reader(read_head, code, before)
        if head and code in self._viewers:
            self._heads[code] = head
        return head


hub = Hub()
