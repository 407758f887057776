"""Many jobs at a glance: how many are in which state, how fast they are together, what of them failed."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Exists, F, Max, OuterRef, Q, Sum
from django.db.models.functions import Lower, NullIf
from django.utils import timezone

from jobs.live.eta import pace, throttled
from jobs.live.shapes import ListRow
from jobs.live.status import THROTTLED, SystemStatus, label, unheard, waits
from jobs.models import Job, JobState, Series, Shard
from jobs.models.counts import summary
from jobs.models.job import JobQuerySet
from jobs.models.reason import NO_REASON, Code, Reason
from jobs.models.series import QUARTER, QUARTERS, quarter_of
from jobs.models.states import WORKABLE

WAITING: Final = (JobState.LOADING, JobState.READY, JobState.QUEUED)
TABS: Final = {
    "all": ("All", Q()),
    "running": ("Running", Q(state=JobState.RUNNING)),
    "paused": ("Paused", Q(state=JobState.PAUSED)),
    "waiting": ("Waiting", Q(state__in=WAITING)),
    "failures": ("With failures", Q(Exists(Shard.objects.filter(job=OuterRef("pk"), failed__gt=0)))),
    "finished": ("Finished", Q(state=JobState.FINISHED)),
    "cancelled": ("Cancelled", Q(state=JobState.CANCELLED)),
}
SORTS: Final = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "name": "By name",
    "failed": "Most failed first",
    "open": "Least done first",
}
WORDS: Final = 5  # of a search that count
LONGEST: Final = 200  # characters of it that count


def of(owner: int | None) -> JobQuerySet:
    """The jobs of one person and those shared with them, or with None all."""
    return Job.objects.present() if owner is None else Job.objects.of_person(owner)


def searched(jobs: JobQuerySet, words: str) -> JobQuerySet:
    """Those that have every word in their name, their file's name or their code."""
    for word in words[:LONGEST].replace("\0", "").split()[:WORDS]:
        jobs = jobs.filter(
            Q(name__icontains=word) | Q(upload__name__icontains=word) | Q(code__istartswith=word.lstrip("#"))
        )
    return jobs


def ordered(jobs: JobQuerySet, sort: str) -> JobQuerySet:
    """By one of SORTS; where that leaves the order open, the newest first."""
    if sort == "oldest":
        return jobs.order_by("created", "pk")
    if sort == "name":
        return jobs.order_by(Lower("name"), "-created", "-pk")
    if sort == "failed":
        return jobs.annotate(bad=Sum("shards__failed", default=0)).order_by("-bad", "-created", "-pk")
    if sort == "open":
        done = Sum(F("shards__succeeded") + F("shards__failed") + F("shards__rejected"), default=0)
        part = done * 1.0 / NullIf(F("total"), 0)
        return jobs.annotate(part=part).order_by(F("part").asc(nulls_first=True), "-created", "-pk")
    return jobs.order_by("-created", "-pk")


def tabs(jobs: JobQuerySet) -> dict[str, int]:
    """How many of the jobs each tab shows, in one query."""
    return dict(jobs.aggregate(**{key: Count("pk", filter=query) for key, (_, query) in TABS.items()}))


def glance(owner: int | None) -> dict[str, Any]:
    """The counts of the tabs, and what stands above the list: in three queries, however many jobs there are."""
    jobs = of(owner)
    counts = tabs(jobs)
    shards = Shard.objects.filter(job__in=jobs)
    sums = shards.aggregate(failed=Sum("failed", default=0), rate=Sum("rate", filter=~Q(token=""), default=0.0))
    lately = finished_lately(jobs)
    strip = {
        "running": counts["running"],
        "others": others(counts),
        "rate": round(sums["rate"], 1),
        "today": sum(count for quarter, count in lately.items() if quarter >= quarter_of(midnight())),
        "lately": sorted(lately.items()),
        "failed": sums["failed"],
        "failed_in": f"in {counts['failures']:,} job{'' if counts['failures'] == 1 else 's'}" if sums["failed"] else "",
    }
    return {"tabs": counts, "strip": strip}


def finished_lately(jobs: JobQuerySet) -> Counter[int]:
    """Items that finished in each quarter of an hour of the last day: each viewer adds up since their own midnight."""
    since = timezone.now() - timedelta(seconds=QUARTER * QUARTERS)
    kept = Series.objects.filter(at__gte=since, job__in=jobs).values_list("quarters", flat=True)
    found: Counter[int] = Counter()
    for text in kept:
        found.update({quarter: count for quarter, count in json.loads(text) if count and quarter > quarter_of(since)})
    return found


def midnight() -> datetime:
    """When the present day began where the server is."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def others(counts: dict[str, int]) -> str:
    """What does not run, though it may yet."""
    return ", ".join(f"{counts[name]:,} {name}" for name in ("paused", "waiting") if counts[name])


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


def list_row(job: Job, around: SystemStatus) -> ListRow:
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
        "reason": held.frame(),
        "why": held.text,
        "elapsed": round(job.elapsed(), 2) if job.ended and job.started else None,
        "spark": found["spark"] or "",
        "counts": counts,
    }


def list_why(job: Job, counts: dict[str, int], around: SystemStatus, asked: float | None, alone: bool) -> Reason:
    """Why a job in the list does not go on; `alone` says that all who hold items of it are silent."""
    if job.state not in (JobState.LOADING, *WORKABLE):
        return NO_REASON
    if asked and job.state == JobState.RUNNING:
        return THROTTLED
    if counts["running"]:
        return Reason(Code.WORKER_SILENT, "Its worker is silent.") if alone else NO_REASON
    return around.trouble(job) or waits(job, counts, True, around)
