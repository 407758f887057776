"""The page of a job."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Prefetch, prefetch_related_objects
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from batchweb.concurrency import limited, searches
from jobs import actions
from jobs.forms import RunSettingsForm
from jobs.items.selection import Wanted
from jobs.live import frame as live_frame
from jobs.live import throughput
from jobs.live.shapes import Frame
from jobs.models import Job, Share
from jobs.models.job import Refused
from jobs.models.states import ENDED, WORKABLE
from jobs.store import dialect
from jobs.views import review
from jobs.views.access import for_viewer, job_for, job_to_act_on, job_to_give
from jobs.views.items import page_of_items, searching, shows_newest


@require_safe
@limited(searches, when=searching)
def detail(request: HttpRequest, code: str) -> HttpResponse:
    """The job's page, with the numbers of this moment in it."""
    with dialect.one_moment():
        job = job_for(request, code, "series", "offer__person")
        newest = shows_newest(Wanted.of(request.GET.dict()), job)
        frame = live_frame.stats(job, rows=None if newest else [])
    return job_page(request, job, frame)


def job_page(request: HttpRequest, job: Job, frame: Frame, settings: RunSettingsForm | None = None) -> HttpResponse:
    """The job's page; with `settings` there is a mistake in the panel that changes how it runs, which is open then."""
    prefetch_related_objects([job], Prefetch("shares", Share.objects.select_related("person").order_by("pk")))
    may_act = job.may_act(request.user)
    frame = for_viewer(frame, may_act)
    context = {
        "job": job,
        "frame": frame,
        "may_act": may_act,
        "may_give": job.may_give(request.user),
        "shares": job.shares.all(),
        "own": next((share for share in job.shares.all() if share.person_id == request.user.pk), None),
        "live": job.state not in ENDED,
        "workable": job.state in WORKABLE,
        "activities": job.latest,
        "run_settings": settings or RunSettingsForm(job),
        **review.context(job),
        **page_of_items(request, job, frame),
    }
    return render(request, "jobs/detail.html", context, status=422 if settings else 200)


@require_safe
def snapshot(request: HttpRequest, code: str) -> JsonResponse:
    """The job's numbers of this moment, in the shape of the socket's frames."""
    with dialect.one_moment():
        return JsonResponse(live_frame.stats(job_for(request, code, "series")))


@require_safe
def job_series(request: HttpRequest, code: str) -> JsonResponse:
    """How fast the job was, from its beginning: what the charts of its page draw."""
    return JsonResponse({"t": "series", "points": throughput.points(job_for(request, code))})


@require_POST
def act(request: HttpRequest, code: str, verb: str) -> HttpResponse:
    """One action on one job; what came of it is said on the job's page."""
    action = actions.ACTIONS[verb]
    job = (job_to_give if action.owner else job_to_act_on)(request, code)
    try:
        result = action.run(job, request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{action.done(result)} {action.note}".strip())
    return redirect("jobs:list" if verb == "delete" else job)
