"""CorrectedItem rows that come back as a file: shown as what they change, then put in the places of the old ones."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from batchweb import concurrency
from jobs import actions, files
from jobs.humanize import items, number
from jobs.ingest.uploads import NotKept, keep
from jobs.items import corrections as items_corrections
from jobs.models import Job, Upload
from jobs.models.job import Refused
from jobs.views.access import job_to_act_on, person

GONE = "The file is not here any more: nobody looked at it for an hour. Send it again."


@require_http_methods(["GET", "HEAD", "POST"])
def corrections(request: HttpRequest, code: str) -> HttpResponseBase:
    """The page that takes a file of fixed rows, and shows what one that was sent would change."""
    job = job_to_act_on(request, code)
    if request.method == "POST":
        try:
            upload = keep(request.FILES.get("file"), person(request))
        except NotKept as refusal:
            return page(request, job, {"error": str(refusal)}, refusal.status)
        return redirect(f"{reverse('jobs:corrections', args=[code])}?file={upload.pk}")
    if "file" not in request.GET:
        return page(request, job, {})
    stored = sent(request, job, request.GET["file"])
    return concurrency.answer(concurrency.comparisons, request, lambda: compared(request, job, stored))


def compared(request: HttpRequest, job: Job, upload: Upload | None) -> HttpResponseBase:
    """What the file would change, or why it cannot be one of corrections."""
    if upload is None:
        return page(request, job, {"error": GONE}, 410)
    Upload.objects.filter(pk=upload.pk).use()
    try:
        with items_corrections.opened(job, upload, person(request).pk) as rows:
            return page(request, job, {"upload": upload, "found": rows.compare()})
    except (files.Unreadable, items_corrections.InvalidCorrection) as error:
        return page(request, job, {"error": str(error), "name": upload.name}, 422)


def page(request: HttpRequest, job: Job, context: dict[str, Any], status: int = 200) -> HttpResponse:
    possible = job.allows("retry") and job.read_whole
    context |= {"job": job, "possible": possible, "counts": job.counts()}
    return render(request, "jobs/corrections.html", context, status=status)


def sent(request: HttpRequest, job: Job, key: str) -> Upload | None:
    """The file that this person sent; once it corrects the job, it is the job's owner's."""
    if number(key) is None:
        return None
    mine = Q(owner=person(request)) | Q(runs__job=job, runs__by=person(request))
    return Upload.objects.filter(mine, pk=key).first()


@require_POST
def correct(request: HttpRequest, code: str) -> HttpResponse:
    """Puts the fixed rows in place; what came of it is said on the job's page."""
    job = job_to_act_on(request, code)
    upload = sent(request, job, request.POST.get("file", ""))
    if upload is None:
        return page(request, job, {"error": GONE}, 410)
    try:
        count = actions.correct_from(job, upload, person(request), unchanged=bool(request.POST.get("unchanged")))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect(f"{reverse('jobs:corrections', args=[code])}?file={upload.pk}")
    messages.success(request, f"{items(count)} fixed and queued again.")
    return redirect(job)
