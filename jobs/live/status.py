"""Why jobs wait, in sentences: from the heartbeats, the keeper's notes and the order of turns in the database."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from django.db.models import Exists, Sum
from django.db.models.functions import Now
from django.utils import timezone

from jobs.humanize import items
from jobs.models import Job, JobState, Part, Shard, Worker
from jobs.models.part import BROKER
from jobs.models.run_settings import per_second
from jobs.models.shard import ShardQuerySet
from jobs.models.worker import SEEN_WITHIN, WorkerQuerySet

TOLD_FOR: Final = timedelta(seconds=30)  # how long a page says what went back to the queue
SLOW: Final = 2.0  # times as long as 95 of 100 items take, and so many seconds: from there on an item is slow
NEARLY: Final = 0.8  # of its rate, from where on a job is limited by it
SILENT: Final = "will go back to the queue."  # how the sentence about a silent worker ends
LAST: Final = "the last one stays free for everybody else."
BROKER_AWAY: Final = "The broker cannot be reached; trying again."


def ago(moment: datetime) -> str:
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    return f"{seconds:,} s ago" if seconds < 120 else f"{seconds // 60:,} min ago"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th … 11th, 12th, 13th … 21st."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return f"{number:,}{({1: 'st', 2: 'nd', 3: 'rd'}).get(last, 'th')}"


def trouble(workers: WorkerQuerySet) -> str:
    """That none of them lives or that the broker is away, where it is so."""
    away = workers.alive().values_list(Exists(Part.away(BROKER)), flat=True).first()
    if away is not None:
        return BROKER_AWAY if away else ""
    last = workers.order_by("-seen").first()
    return f"No worker is running{f'; the last one was seen {ago(last.seen)}' if last else ''}. The job waits."


def unheard(shards: ShardQuerySet) -> ShardQuerySet:
    """What workers hold that have not been heard of."""
    return shards.leased().filter(worker__seen__lt=Now() - SEEN_WITHIN)


def slow(job: Job, counts: Mapping[str, int], running: Sequence[tuple[int, float]], p95: float | None) -> str:
    """That only slow items remain; `running` are their positions and since when they run, in seconds of the epoch."""
    if job.state != JobState.RUNNING or counts["waiting"] or not running:
        return ""
    longest, youngest = (pick(running, key=lambda pair: pair[1]) for pick in (min, max))
    if time.time() - youngest[1] <= SLOW * max(p95 or 0.0, 1.0):
        return ""
    if len(running) == 1:
        return f"1 slow item remains: row {longest[0] + 1:,}."
    return f"{len(running):,} slow items remain, the longest is row {longest[0] + 1:,}."


def limited(job: Job, counts: Mapping[str, int], rate: float) -> str:
    """That the job could go faster if its own rate did not hold it back; `rate` is what it does."""
    free = counts["waiting"] and counts["running"] < job.workers
    if job.state != JobState.RUNNING or not job.rate or not free or rate < NEARLY * job.rate:
        return ""
    return f"Limited by the rate of {per_second(job.rate)}."


class Around:
    """What surrounds jobs at one moment. Each thing is read when it is first asked for, once for all of them."""

    def trouble(self, job: Job) -> str:
        """Why no job can go on, or no file of one be read."""
        return self._nobody_reads if job.state == JobState.LOADING else self._nobody_works

    @cached_property
    def _nobody_works(self) -> str:
        return trouble(Worker.objects.of("work"))

    @cached_property
    def _nobody_reads(self) -> str:
        return trouble(Worker.objects.of("load"))

    @cached_property
    def _most(self) -> int:
        return Worker.objects.of("work").for_one()

    @cached_property
    def _tasks(self) -> dict[int, int]:
        return {}

    @cached_property
    def _places(self) -> dict[int, int]:
        return {job.pk: place for place, job in enumerate(Job.objects.in_turn(), 1)}

    def place(self, job: Job) -> str:
        """Where a job stands among those that wait, in the order in which they will be served."""
        place = self._places.get(job.pk)
        return f"Queued, {ordinal(place)} in line." if place else self.kept(job) or "Waiting for a worker."

    def kept(self, job: Job) -> str:
        """That the job waits because its owner has all processes but the one that is kept for others."""
        if job.owner_id not in self._tasks:
            self._tasks[job.owner_id] = Shard.objects.tasks_of(job.owner_id)
        tasks, most = self._tasks[job.owner_id], self._most
        if tasks < most:
            return ""
        return f"Waiting: other jobs of the same person use {tasks:,} of {most + 1:,} worker processes; {LAST}"

    def silent(self, job: Job) -> str:
        """Which worker that holds items of the job has not been heard of."""
        held = unheard(job.shards.all())
        found = (
            held.values_list("worker__name", "worker__seen").annotate(items=Sum("running")).order_by("-items").first()
        )
        if not found:
            return ""
        name, seen, count = found
        return f"Worker {name} was last seen {ago(seen)}; its {items(count)} {SILENT}"

    def returned(self, job: Job) -> str:
        """What went back to the queue a moment ago, and from whom."""
        lately = job.activities.filter(verb="recover", at__gte=timezone.now() - TOLD_FOR)
        noted = lately.select_related("silent").first()
        if noted and noted.silent:
            seen = ago(noted.silent.seen)
            return f"Worker {noted.silent} was last seen {seen}; {items(noted.items)} went back to the queue."
        return f"{noted}." if noted else ""
