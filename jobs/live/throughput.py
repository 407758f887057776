"""How fast jobs are: the keeper adds a point to the series of each job that is worked on, about once a second.

It reads the shards' counts and takes no lock that those who work want. What it misses while it is away becomes one
longer interval, of which the rates are right all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, cast

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from jobs import events
from jobs.models import Job, JobState, Series, Shard, latency_histogram
from jobs.models.series import Counted, Point

AT_ONCE: Final = 200  # jobs looked at in one turn; the others come next
LATELY: Final = timedelta(minutes=1)  # in which a job that began is known from its beginning, and one that ended ends
NEWEST: Final = 8  # points in a frame: more than a page that is told every five seconds can have missed
NOTHING: Final[Mapping[str, int]] = {"done": 0, "bad": 0, "made": 0, "leases": 0}
WRITTEN: Final = [field.name for field in Series._meta.fields if not field.primary_key]


def newest(job: Job) -> list[Point]:
    """What a frame carries, oldest first; see `Point`."""
    return points(job)[-NEWEST:]


def points(job: Job) -> list[Point]:
    """The job's speed from its beginning, oldest first."""
    # Whoever reads the series along with the job has its whole row; what a worker adds later is not in it.
    read = Job._meta.get_field("series").is_cached(job)
    stored = getattr(job, "series", None) if read else Series.objects.filter(job=job).only("points").first()
    return stored.load() if stored else []


# What the keeper does


def sample(now: datetime | None = None) -> None:
    """Adds the points that are due. Four queries, however many jobs there are."""
    now = now or timezone.now()
    jobs = list(wanted(now))
    sums = counted(job.pk for job in jobs)
    durations = dict(histograms([job.pk for job in jobs if sums[job.pk]["made"] != known(job)]))
    followed = [advanced(job, now, sums[job.pk], durations.get(job.pk)) for job in jobs]
    Series.objects.bulk_create(followed, update_conflicts=True, unique_fields=["job"], update_fields=WRITTEN)
    for series in followed:
        if not series.due:
            # It has ended or rests: nobody else tells the pages of its last point.
            events.wake(series.job.code, series.job.seq, series.job.owner_id)


def wanted(now: datetime) -> Iterable[Job]:
    """Jobs that run and whose next point is due, that ceased to run, or that ended before anybody looked at them."""
    due = Q(series=None) | Q(series__due=None) | Q(series__due__lte=now)
    ceased = ~Q(state=JobState.RUNNING) & Q(series__due__isnull=False)
    quick = Q(started__isnull=False, finished__gte=now - LATELY) & (Q(series=None) | Q(series__at__lt=F("finished")))
    found = Job.objects.present().filter((Q(state=JobState.RUNNING) & due) | ceased | quick)
    return found.select_related("series", "run").order_by(F("series__at").asc(nulls_first=True))[:AT_ONCE]


def counted(jobs: Iterable[int]) -> dict[int, Mapping[str, int]]:
    """By job what is done, what of it failed, the attempts made, and how many leases live."""
    found = dict.fromkeys(jobs, NOTHING)
    sums = Shard.objects.filter(job__in=found).values("job").annotate(
        done=Sum(F("succeeded") + F("failed")), bad=Sum("failed"), made=Sum("attempts"),
        leases=Count("pk", filter=~Q(token="")),
    )  # fmt: skip
    for row in sums:
        found[row["job"]] = cast(Mapping[str, int], row)
    return found


def known(job: Job) -> int:
    """The attempts that were made by the last point."""
    return job.series.attempts if hasattr(job, "series") else 0


def histograms(jobs: list[int]) -> Iterator[tuple[int, bytes]]:
    stored = Shard.objects.filter(job__in=jobs).order_by("job").values_list("job", "histogram")
    for job, rows in groupby(stored.iterator(), key=itemgetter(0)):
        yield job, latency_histogram.total(data for _, data in rows).tobytes()


def advanced(job: Job, now: datetime, sums: Mapping[str, int], durations: bytes | None) -> Series:
    """The job's series with another point, if that is due. It rests once nobody works on the job any more."""
    series: Series = job.series if hasattr(job, "series") else begun(job, now, sums, durations)
    series.enter(job.readings, job.run)
    since = job.since or (series.at if series.due else (job.finished or now) - timedelta(seconds=job.spent))
    rests = job.state != JobState.RUNNING and not sums["leases"]
    if rests or now >= series.next_from(since):
        until = job.finished if job.finished and series.at < job.finished <= now else now
        histogram_now: Any = series.histogram if durations is None else durations
        series.advance(until, since, Counted(sums["done"], sums["bad"], sums["made"], bytes(histogram_now)))
    series.due = None if rests else series.next_from(since)
    return series


def begun(job: Job, now: datetime, sums: Mapping[str, int], durations: bytes | None) -> Series:
    """A series without points: from the job's start, or where that is long ago, from now on."""
    if job.started and job.started > now - LATELY:
        return Series(job=job, at=job.started, readings=job.readings)
    kept = {"done": sums["done"], "failed": sums["bad"], "attempts": sums["made"], "histogram": durations or b""}
    return Series(job=job, at=now, readings=job.readings, run=job.run.number if job.run else 0, **kept)
