"""Who did what to a job, from its beginning, and the files of corrections that came with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from batchweb.concurrency import downloads, limited
from jobs.export.streaming import attachment
from jobs.humanize import number
from jobs.models import Upload
from jobs.views.access import job_for

PAGE: Final = 50
CHUNK: Final = 256 * 1024  # bytes


@require_safe
def activity(request: HttpRequest, code: str) -> HttpResponseBase:
    """A page of all that was done to the job, the newest first; with `?before=KEY` what was done before that."""
    job = job_for(request, code)
    wanted = number(request.GET.get("before", ""))
    found = list(job.activities.told(wanted)[: PAGE + 1])
    context = {"job": job, "activities": found[:PAGE], "first": wanted is None}
    context["older"] = found[PAGE - 1].pk if len(found) > PAGE else None
    return render(request, "jobs/activity.html", context)


@require_safe
@limited(downloads)
def correction_file(request: HttpRequest, code: str, number: int) -> HttpResponseBase:
    """The file of corrections that a run was ordered with, as it was sent."""
    job = job_for(request, code)
    upload = get_object_or_404(job.runs.exclude(upload=None).select_related("upload"), number=number).upload
    if not upload or not upload.file:
        return render(request, "jobs/pruned.html", {"job": job}, status=410)
    if not upload.file.storage.exists(str(upload.file.name)):
        raise Http404("The file is not here any more.")
    answer = attachment(request, sent(upload), "application/octet-stream", upload.name, job)
    answer["Content-Length"] = str(upload.size)
    return answer


def sent(upload: Upload) -> Iterator[bytes]:
    """The bytes of the file; it is closed at the end, and when nobody listens any more."""
    with closing(upload.opened()) as stored:
        while chunk := stored.read(CHUNK):
            yield chunk
