"""The list of jobs and the page of one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from jobs import dispatch, live, numbers, samples, sql
from jobs.forms import DialsForm
from jobs.models import Job, JobState, Shard
from jobs.models.job import JobQuerySet, Refused
from jobs.models.states import ENDED, WORKABLE
from jobs.views import setup
from jobs.views.access import job_for
from jobs.views.items import page_of_items
from jobs.waiting import Around

WAITING: Final = (JobState.LOADING, JobState.READY, JobState.QUEUED)
TABS: Final = {
    "all": ("All", Q()),
    "running": ("Running", Q(state=JobState.RUNNING)),
    "waiting": ("Waiting", Q(state__in=WAITING)),
    "paused": ("Paused", Q(state=JobState.PAUSED)),
    "failures": ("With failures", Q(Exists(Shard.objects.filter(job=OuterRef("pk"), failed__gt=0)))),
    "finished": ("Finished", Q(state=JobState.FINISHED)),
    "cancelled": ("Cancelled", Q(state=JobState.CANCELLED)),
}
DONE: Final = {
    "start": "Started.",
    "pause": "Paused. What is in flight is still recorded.",
    "resume": "Resumed.",
    "cancel": "Cancelled. The results so far are kept.",
    "delete": "Deleted.",
}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The person's jobs, newest first."""
    tab, words = request.GET.get("tab", "all"), request.GET.get("q", "")
    tab = tab if tab in TABS else "all"
    found = searched(Job.objects.visible_to(request.user), words)
    keys = found.filter(TABS[tab][1]).order_by("-created", "-pk").values_list("pk", flat=True)
    page = Paginator(keys, live.LISTED).get_page(request.GET.get("page"))
    context = {"jobs": rows(list(page)), "tab": tab, "tabs": tabs(found), "page": page, "q": words}
    return render(request, "jobs/list.html", context | {"samples": samples.SAMPLES})


def tabs(found: JobQuerySet) -> list[tuple[str, str, int]]:
    """Key, title and count of each tab, in one query."""
    counts = found.aggregate(**{key: Count("pk", filter=query) for key, (_, query) in TABS.items()})
    return [(key, title, counts[key]) for key, (title, _) in TABS.items()]


def searched(jobs: JobQuerySet, words: str) -> JobQuerySet:
    for word in words.replace("\0", "").split()[:5]:
        jobs = jobs.filter(
            Q(name__icontains=word) | Q(upload__name__icontains=word) | Q(code__istartswith=word.lstrip("#"))
        )
    return jobs


def rows(keys: list[int]) -> list[dict[str, Any]]:
    """The jobs with these primary keys as the list shows them, in the given order."""
    found = numbers.listed(Job.objects.filter(pk__in=keys)).select_related("upload", "owner")
    jobs = {job.pk: job for job in found}
    around = Around()
    return [row(jobs[key], around) for key in keys if key in jobs]


def row(job: Job, around: Around) -> dict[str, Any]:
    shown = numbers.list_row(job, around)
    return shown | {
        "name": job.name,
        "file_name": job.upload.name,
        "processor": job.processor,
        "owner": job.owner,
        "created": job.created,
        "percent": 100 * shown["done"] / job.total if job.total else 0.0,
        "elapsed": job.elapsed() if job.started else None,
        "url": job.get_absolute_url(),
    }


@require_safe
def list_snapshot(request: HttpRequest) -> JsonResponse:
    """The newest jobs' numbers, in the shape of the list's frames."""
    return JsonResponse({"t": "jobs", "rows": live.newest_rows(request.user)})


@require_safe
def detail(request: HttpRequest, code: str) -> HttpResponse:
    """The job's page, with the numbers of this moment in it."""
    with sql.one_moment():
        job = job_for(request, code)
        frame = numbers.stats(job)
    return job_page(request, job, frame)


def job_page(request: HttpRequest, job: Job, frame: dict[str, Any], dials: DialsForm | None = None) -> HttpResponse:
    """The job's page; with `dials` there is a mistake in the panel that changes how it runs, which is open then."""
    context = {
        "job": job,
        "frame": frame,
        "live": job.state not in ENDED,
        "workable": job.state in WORKABLE,
        "activities": job.activities.select_related("by")[:20],
        "dials": dials or DialsForm(job),
        **setup.context(job),
        **page_of_items(request, job, frame),
    }
    return render(request, "jobs/detail.html", context, status=422 if dials else 200)


@require_safe
def snapshot(request: HttpRequest, code: str) -> JsonResponse:
    """The job's numbers of this moment, in the shape of the socket's frames."""
    with sql.one_moment():
        return JsonResponse(numbers.stats(job_for(request, code)))


@require_POST
def act(request: HttpRequest, code: str, verb: str) -> HttpResponse:
    """One verb on one job; what came of it is said on the job's page."""
    job = job_for(request, code)
    try:
        count = dispatch.VERBS[verb](job, request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, DONE.get(verb) or numbers.queued_again(count))
    return redirect("jobs:list" if verb == "delete" else job)
