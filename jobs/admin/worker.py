from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.admin.base import NONE, Looking, age, link
from jobs.models import Job, JobState, Shard, Worker
from jobs.models.worker import SEEN_WITHIN


@dataclass
class Load:
    """What one worker is at."""

    running: int = 0
    share: int = 0
    rate: float = 0.0
    jobs: dict[int, str] = field(default_factory=dict)


class AliveFilter(admin.SimpleListFilter):
    title = "whether it is seen"
    parameter_name = "alive"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Seen now"), ("no", "Gone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        alive = Worker.objects.alive()
        if self.value() == "yes":
            return queryset.filter(pk__in=alive)
        return queryset.exclude(pk__in=alive) if self.value() == "no" else queryset


@admin.register(Worker)
class WorkerAdmin(Looking):
    """Workers that were seen, and what each of them is at."""

    list_display = ("name", "state", "age", "takes", "processes", "running", "share", "rate", "at")
    list_filter = (AliveFilter,)
    search_fields = ("name",)
    ordering = ("-seen",)
    sortable_by = ("name", "age", "processes")
    fields = ("name", "processes", "queues", "started", "seen", "stopping")

    def shown(self, keys: list[Any]) -> Any:
        """The workers, each with its `load`: one query for all leases, one for all files that are read."""
        workers = list(Worker.objects.filter(pk__in=keys))
        loads = loads_of(workers)
        for worker in workers:
            worker.load = loads[worker.pk]  # type: ignore[attr-defined]
        return workers

    @admin.display(description="state")
    def state(self, worker: Worker) -> str:
        alive = timezone.now() - worker.seen <= SEEN_WITHIN
        state, label = ("succeeded", "Alive") if alive else ("cancelled", "Gone")
        if worker.stopping:
            state, label = ("paused", "Stopping") if alive else ("cancelled", "Stopped")
        return render_to_string("components/badge.html", {"state": state, "label": label})

    @admin.display(description="last seen", ordering="seen")
    def age(self, worker: Worker) -> SafeString | str:
        return age(worker.seen)

    @admin.display(description="takes")
    def takes(self, worker: Worker) -> str:
        return worker.queues.replace(",", ", ")

    @admin.display(description="items running")
    def running(self, worker: Any) -> str:
        return f"{worker.load.running:,}"

    @admin.display(description="threads given")
    def share(self, worker: Any) -> str:
        return f"{worker.load.share:,}"

    @admin.display(description="items/s")
    def rate(self, worker: Any) -> str:
        return f"{worker.load.rate:,.1f}" if worker.load.rate else NONE

    @admin.display(description="works on")
    def at(self, worker: Any) -> SafeString | str:
        links = [(link("jobs_job_change", name, key),) for key, name in worker.load.jobs.items()]
        return format_html_join(", ", "{}", links) if links else NONE


def loads_of(workers: Iterable[Worker]) -> dict[int, Load]:
    """Worker → what it is at, from the leases that it holds and the files that it reads."""
    keys = {worker.name: worker.pk for worker in workers}
    loads: defaultdict[int, Load] = defaultdict(Load)
    held = Shard.objects.leased().filter(worker__in=keys.values(), job__deleting=None)
    sums = held.values_list("worker", "job", "job__name").annotate(Sum("running"), Sum("share"), Sum("rate"))
    for worker, job, name, running, share, rate in sums.order_by():
        load = loads[worker]
        load.running, load.share, load.rate = load.running + running, load.share + share, load.rate + rate
        load.jobs[job] = name
    read = Job.objects.present().filter(state=JobState.LOADING, load_worker__in=keys)
    for worker_name, job, name in read.values_list("load_worker", "pk", "name"):
        loads[keys[worker_name]].jobs[job] = name
    return loads
