"""The list of jobs and the page of one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs import dispatch, live, processors, samples
from jobs.models import Job, JobState, Shard
from jobs.models.job import JobQuerySet, Refused
from jobs.models.states import ENDED, WORKABLE
from jobs.views.access import job_for
from jobs.views.items import page_of_items

PAGE: Final = 25
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
}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The person's jobs, newest first."""
    tab = request.GET.get("tab", "all")
    tab = tab if tab in TABS else "all"
    found = searched(Job.objects.visible_to(request.user), request.GET.get("q", ""))
    page = Paginator(found.filter(TABS[tab][1]).order_by("-created", "-pk").values_list("pk", flat=True), PAGE)
    shown = page.get_page(request.GET.get("page"))
    return render(
        request,
        "jobs/list.html",
        {
            "jobs": rows(list(shown)),
            "tab": tab,
            "tabs": [(key, title, found.filter(query).count()) for key, (title, query) in TABS.items()],
            "page": shown,
            "q": request.GET.get("q", ""),
            "samples": samples.SAMPLES,
        },
    )


def searched(jobs: JobQuerySet, words: str) -> JobQuerySet:
    for word in words.split()[:5]:
        jobs = jobs.filter(
            Q(name__icontains=word) | Q(upload__name__icontains=word) | Q(code__istartswith=word.lstrip("#"))
        )
    return jobs


def rows(keys: list[int]) -> list[dict[str, Any]]:
    """The jobs with these primary keys as the list shows them, in the given order."""
    jobs = {job.pk: job for job in Job.objects.with_counts().filter(pk__in=keys).select_related("upload", "owner")}
    return [row(jobs[key]) for key in keys if key in jobs]


def row(job: Job) -> dict[str, Any]:
    shown = live.list_row(job)
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


@require_GET
def list_snapshot(request: HttpRequest) -> JsonResponse:
    """The newest jobs' numbers, in the shape of the list's frames."""
    keys = list(Job.objects.visible_to(request.user).order_by("-created", "-pk").values_list("pk", flat=True)[:100])
    jobs = Job.objects.with_counts().filter(pk__in=keys)
    return JsonResponse({"t": "jobs", "rows": [live.list_row(job) for job in jobs]})


@require_GET
def detail(request: HttpRequest, code: str) -> HttpResponse:
    """The job's page, with the numbers of this moment in it."""
    job = job_for(request, code)
    return render(
        request,
        "jobs/detail.html",
        {
            "job": job,
            "frame": live.stats(job),
            "processor": processor_label(job),
            "live": job.state not in ENDED,
            "workable": job.state in WORKABLE,
            "activities": job.activities.select_related("by")[:20],  # type: ignore[attr-defined]
            **page_of_items(request, job),
        },
    )


def processor_label(job: Job) -> str:
    try:
        return processors.get(job.processor).label
    except processors.UnknownProcessor:
        return job.processor


@require_GET
def snapshot(request: HttpRequest, code: str) -> JsonResponse:
    """The job's numbers of this moment, in the shape of the socket's frames."""
    return JsonResponse(live.stats(job_for(request, code)))


@require_POST
def act(request: HttpRequest, code: str, verb: str) -> HttpResponse:
    """One verb on one job; what came of it is said on the job's page."""
    job = job_for(request, code)
    try:
        count = dispatch.VERBS[verb](job, request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, DONE.get(verb) or f"{count:,} item{'s' if count != 1 else ''} queued again.")
    return redirect(job)
