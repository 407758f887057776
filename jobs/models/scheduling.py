"""Whose turn it is, and how many workers a task may have: fair shares between owners, their jobs, and their tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Exists, Max, OuterRef, Q, Sum

from jobs.models.shard import Shard
from jobs.models.worker import ANY, Worker

if TYPE_CHECKING:
    from jobs.models.job import Job
    from jobs.models.jobset import JobQuerySet

WORKERS_PER_TASK: Final = 50
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def in_turn(waiting: JobQuerySet, leaving: int | None = None) -> list[Job]:
    """Jobs that one more worker could work on now, whose turn it is first.

    The owner with the fewest workers at work comes first, then who was served longest ago, then so their jobs.
    `leaving` is the owner of a task that asks whether to make room: it does not count.
    """
    jobs = list(waiting.filter(Exists(Shard.objects.claimable().filter(job=OuterRef("pk")))))
    leased = Shard.objects.leased().filter(share__gt=0).values_list("job", "job__owner")
    used: dict[int, tuple[int, int]] = {}
    busy: dict[int, int] = defaultdict(int)
    held = Counter({leaving: -1})
    alive = Count("pk", filter=Q(worker__in=Worker.objects.alive()))
    for key, owner, workers, tasks, living in leased.annotate(workers=Sum("share"), tasks=Count("pk"), alive=alive):
        used[key] = workers, tasks
        busy[owner] += workers
        held[owner] += living
    most = Worker.objects.of("work").for_one()
    jobs = [job for job in jobs if held[job.owner_id] < most and room(job, *used.get(job.pk, (0, 0)), most)]
    served = _served(waiting, {job.owner_id for job in jobs})

    def turn(job: Job) -> tuple[Any, ...]:
        last = served.get(job.owner_id) or LONG_AGO
        return busy[job.owner_id], last, used.get(job.pk, (0, 0)), job.served or LONG_AGO, job.pk

    return sorted(jobs, key=turn)


def _served(waiting: JobQuerySet, owners: set[int]) -> dict[int, datetime | None]:
    """When these people were served last; of one alone it makes no difference."""
    jobs = waiting.model.objects.filter(owner__in=owners)
    return dict(jobs.values_list("owner").annotate(Max("served"))) if len(owners) > 1 else {}


def most_tasks(job: Job) -> int:
    """Over how many tasks it is split at most: one up to 50 workers, and with a rate always one."""
    return 1 if job.rate else max(1, -(-job.workers // WORKERS_PER_TASK))


def room(job: Job, used: int, tasks: int, most: int = ANY) -> int:
    """How many workers one more task begins with, beside `tasks` that have `used` of them; 0 if it must not begin.

    No more than it would have if all came. `most` is how many tasks its owner may have at all.
    """
    come = min(most_tasks(job), most)
    if tasks >= come:
        return 0
    return max(0, min(-(-job.workers // come), spare(job, used, tasks + 1, most)))


def spare(job: Job, used: int, tasks: int, most: int = ANY) -> int:
    """How many workers nobody uses, but for one that is left for each task that may yet come."""
    return job.workers - used - max(0, min(most_tasks(job), most) - tasks)


def fair_share(job: Job, tasks: int, most: int = ANY) -> int:
    """What each of `tasks` tasks may have."""
    return max(1, spare(job, 0, tasks, most) // tasks)


def workers_leased(job: Job) -> tuple[int, int]:
    """How many of its workers living leases use, and how many tasks these are."""
    used = job.shards.filter(share__gt=0).aggregate(workers=Sum("share", default=0), tasks=Count("pk"))
    return used["workers"], used["tasks"]
