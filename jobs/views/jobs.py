"""The page of a job."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from jobs import dispatch, numbers, processors, series
from jobs.models.job import Refused
from jobs.models.states import ENDED, WORKABLE
from jobs.views import setup
from jobs.views.access import job_for
from jobs.views.items import page_of_items

DONE: Final = {
    "start": "Started.",
    "pause": "Paused. What is in flight is still recorded.",
    "resume": "Resumed.",
    "cancel": "Cancelled. The results so far are kept.",
    "delete": "Deleted.",
}


@require_safe
def detail(request: HttpRequest, code: str) -> HttpResponse:
    """The job's page, with the numbers of this moment in it."""
    job = job_for(request, code)
    return render(
        request,
        "jobs/detail.html",
        {
            "job": job,
            "frame": numbers.stats(job),
            "processor": processor_title(job.processor),
            "live": job.state not in ENDED,
            "workable": job.state in WORKABLE,
            "activities": job.activities.select_related("by")[:20],
            **setup.context(job),
            **page_of_items(request, job),
        },
    )


def processor_title(name: str) -> str:
    """What people call the processor, or its name where there is no such one any more."""
    try:
        return processors.get(name).label
    except processors.UnknownProcessor:
        return name


@require_safe
def snapshot(request: HttpRequest, code: str) -> JsonResponse:
    """The job's numbers of this moment, in the shape of the socket's frames."""
    return JsonResponse(numbers.stats(job_for(request, code)))


@require_safe
def job_series(request: HttpRequest, code: str) -> JsonResponse:
    """How fast the job was, from its beginning: what the charts of its page draw."""
    return JsonResponse({"t": "series", "points": series.points(job_for(request, code))})


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
