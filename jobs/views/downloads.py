"""What a person takes home."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from jobs import problems as found
from jobs import results
from jobs.models import Job, JobState
from jobs.views.access import job_for

UNREAD: Final = (JobState.LOADING, JobState.INVALID)


@require_safe
def result(request: HttpRequest, code: str, format: str) -> HttpResponseBase:
    """Every row of the input in its order, at any moment once the file was read."""
    if format not in results.FORMATS:
        raise Http404("There is no such format.")
    job = job_for(request, code)
    if job.state in UNREAD:
        return nothing_yet(request, job)
    text = results.streamed(results.chunks(job, format))
    return attachment(text, results.FORMATS[format], results.file_name(job, f"-results.{format}"))


@require_safe
def failed(request: HttpRequest, code: str) -> HttpResponseBase:
    """Exactly the failed rows, to be mended."""
    job = job_for(request, code)
    if job.state in UNREAD:
        return nothing_yet(request, job)
    text = results.streamed(results.failed_chunks(job))
    return attachment(text, results.FORMATS["csv"], results.file_name(job, "-failed.csv"))


@require_safe
def problems(request: HttpRequest, code: str) -> HttpResponseBase:
    """Everything that is wrong with the file, found by reading it again."""
    job = job_for(request, code)
    if not job.upload.file:
        return render(request, "jobs/pruned.html", {"job": job}, status=410)
    text = results.streamed(found.chunks(job))
    return attachment(text, results.FORMATS["csv"], results.file_name(job, "-problems.csv"))


def nothing_yet(request: HttpRequest, job: Job) -> HttpResponse:
    return render(request, "jobs/no_results.html", {"job": job}, status=409)


def attachment(text: AsyncIterator[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return StreamingHttpResponse(text, content_type=content_type, headers=headers)
