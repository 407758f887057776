"""The list of jobs: found, sorted and paged by what the address says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs.ingest import samples
from jobs.live import hub, job_list
from jobs.live.facts import processor_label
from jobs.live.status import SystemStatus
from jobs.models import Job, Offer
from jobs.models.job import JobQuerySet

OFFERS: Final = 50  # on a page


@dataclass(frozen=True)
class Wanted:
    """What the address asks for; odd questions are taken for none."""

    tab: str
    q: str
    processor: str
    sort: str
    page: str

    @classmethod
    def read(cls, query: QueryDict) -> Wanted:
        tab, sort = query.get("tab", ""), query.get("sort", "")
        return cls(
            tab if tab in job_list.TABS else "all",
            query.get("q", ""),
            query.get("processor", "").replace("\0", ""),
            sort if sort in job_list.SORTS else "newest",
            query.get("page", "1"),
        )

    @property
    def filtered(self) -> bool:
        """Whether the counts of the tabs are those of some jobs only."""
        return bool(self.q.strip() or self.processor)

    @property
    def fresh(self) -> bool:
        """Whether a job that is made now would come first."""
        return (self.tab, self.sort, self.page, self.filtered) == ("all", "newest", "1", False)

    def found(self, jobs: JobQuerySet) -> JobQuerySet:
        """The jobs that the search and the choice of a processor leave."""
        found = job_list.searched(jobs, self.q)
        return found.filter(processor=self.processor) if self.processor else found

    def page_of(self, found: JobQuerySet) -> Page[int]:
        """The keys of the jobs on this page."""
        shown = job_list.ordered(found.filter(job_list.TABS[self.tab][1]), self.sort)
        return Paginator(shown.values_list("pk", flat=True), hub.LISTED).get_page(self.page)


def whose(request: HttpRequest) -> int | None:
    """The person whose jobs are listed; None for all jobs, which staff sees."""
    return None if request.user.is_staff else request.user.pk


def glance(request: HttpRequest, wanted: Wanted, found: JobQuerySet) -> dict[str, Any]:
    seen = job_list.glance(whose(request))
    return seen | {"tabs": job_list.tabs(found)} if wanted.filtered else seen


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The person's jobs."""
    wanted, visible = Wanted.read(request.GET), job_list.of(whose(request))
    found = wanted.found(visible)
    page, seen = wanted.page_of(found), glance(request, wanted, found)
    used = visible.order_by("processor").values_list("processor", flat=True).distinct()
    context = {
        "jobs": rows(list(page)),
        "wanted": wanted,
        "tabs": [(key, title, seen["tabs"][key]) for key, (title, _) in job_list.TABS.items()],
        "strip": seen["strip"],
        "page": page,
        "processors": [(name, processor_label(name)) for name in used],
        "sorts": job_list.SORTS.items(),
        "samples": samples.SAMPLES,
        "offers": Offer.objects.filter(person=request.user.pk, job__deleting=None).select_related("job", "by")[:OFFERS],
    }
    return render(request, "jobs/list.html", context)


@require_safe
def list_snapshot(request: HttpRequest) -> JsonResponse:
    """The numbers of the jobs on one page of the list, in the shape of the list's frames."""
    wanted = Wanted.read(request.GET)
    found = wanted.found(job_list.of(whose(request)))
    shown = hub.rows_of(Job.objects.filter(pk__in=list(wanted.page_of(found))))
    return JsonResponse({"t": "jobs", "page": True, "rows": shown, **glance(request, wanted, found)})


def rows(keys: list[int]) -> list[dict[str, Any]]:
    """The jobs with these primary keys as the list shows them, in the given order."""
    found = job_list.listed(Job.objects.filter(pk__in=keys)).select_related("upload", "owner")
    jobs = {job.pk: job for job in found}
    around = SystemStatus()
    return [row(jobs[key], around) for key in keys if key in jobs]


def row(job: Job, around: SystemStatus) -> dict[str, Any]:
    shown = job_list.list_row(job, around)
    return shown | {
        "name": job.name,
        "file_name": job.upload.name,
        "processor": job.processor,
        "owner": job.owner,
        "created": job.created,
        "url": job.get_absolute_url(),
    }
