"""What a person takes home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from jobs import problems as found
from jobs import results, streaming
from jobs.choice import Choice, Wrong
from jobs.models import Job, JobState
from jobs.results import Via
from jobs.sql import postgres
from jobs.views.access import job_for

UNREAD: Final = (JobState.LOADING, JobState.INVALID)
FEW: Final = 1_000  # rows of a job that are made at once


@require_safe
def result(request: HttpRequest, code: str, format: str) -> HttpResponseBase:
    """Every row of the input in its order, or the chosen ones, at any moment."""
    if format not in results.FORMATS:
        raise Http404("There is no such format.")
    job = job_for(request, code)
    if job.state in UNREAD:
        return nothing_yet(request, job)
    try:
        choice = Choice.of(asked(request), job)
        name = results.file_name(job, f"-{choice.word}.{format}")
        return fresh(request, job, format, name, choice, partial(results.pieces, job, format, choice))
    except Wrong as wrong:
        return refused(request, job, wrong)


@require_safe
def failed(request: HttpRequest, code: str) -> HttpResponseBase:
    """Exactly the failed rows, or those of a cause or a selection, to be mended."""
    job = job_for(request, code)
    if job.state in UNREAD:
        return nothing_yet(request, job)
    try:
        choice = replace(Choice.of(asked(request) | {"state": ""}, job), state="failed")
    except Wrong as wrong:
        return refused(request, job, wrong)
    name = results.file_name(job, f"-{choice.word.removeprefix('results-')}.csv")

    def make(via: Via) -> Iterator[bytes]:
        return results.encoded(results.failed_chunks(job, choice, via=via))

    return fresh(request, job, "csv", name, choice, make)


@require_safe
def problems(request: HttpRequest, code: str) -> HttpResponseBase:
    """Everything that is wrong with the file, found by reading it again."""
    job = job_for(request, code)
    if not job.upload.file:
        return render(request, "jobs/pruned.html", {"job": job}, status=410)
    pieces = results.encoded(found.chunks(job))
    answer = attachment(request, pieces, results.FORMATS["csv"], results.file_name(job, "-problems.csv"))
    answer["Cache-Control"] = "no-store"
    return answer


def asked(request: HttpRequest) -> dict[str, str]:
    """The question; rows that are marked one by one come as one each."""
    rows = ",".join(filter(None, request.GET.getlist("rows")))
    return request.GET.dict() | ({"rows": rows} if rows else {})


def nothing_yet(request: HttpRequest, job: Job) -> HttpResponse:
    return render(request, "jobs/no_results.html", {"job": job}, status=409)


def refused(request: HttpRequest, job: Job, wrong: Wrong) -> HttpResponse:
    return render(request, "jobs/no_such_rows.html", {"job": job, "sentence": str(wrong)}, status=400)


def fresh(
    request: HttpRequest, job: Job, format: str, name: str, choice: Choice, make: Callable[[Via], Iterator[bytes]]
) -> HttpResponseBase:
    """What `make` gives of rows that come in some way, or nothing where the browser has the same already."""
    tag = results.tag(job, name, choice)
    answer: HttpResponseBase | None = get_conditional_response(request, etag=tag)
    if answer is None:
        # Another process looks up the rows meanwhile, unless it is SQLite.
        via = streaming.ahead if postgres() else iter
        pieces, length = streaming.begun(make(iter)) if job.total <= FEW else (make(via), None)
        answer = attachment(request, pieces, results.FORMATS[format], name)
        if length is not None:
            answer["Content-Length"] = str(length)
    answer["ETag"], answer["Cache-Control"] = tag, "private, no-cache"
    return answer


def attachment(request: HttpRequest, pieces: Iterator[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    """A file to be kept. Whoever asks for its headers alone gets no more."""
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    content = streaming.streamed(iter(()) if request.method == "HEAD" else pieces)
    return StreamingHttpResponse(content, content_type=content_type, headers={"Content-Disposition": disposition})
