"""What a person takes home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from batchweb import concurrency
from batchweb.concurrency import downloads, limited
from batchweb.refusals import refusal
from jobs.export import results, streaming
from jobs.export.reader import Changed
from jobs.export.results import Via
from jobs.ingest import report_csv as found
from jobs.items.choice import Choice
from jobs.items.row_ranges import InvalidSelection
from jobs.models import Job, JobState
from jobs.store.dialect import postgres
from jobs.views.access import job_for

UNREAD: Final = (JobState.LOADING, JobState.INVALID)
LARGE: Final = 500_000  # bytes of a row, on the average of a job
WIDE: Final = 200  # columns of a workbook, of each cell of which much is in memory
FEW: Final = 1_000  # rows of a job that are made at once


@require_safe
@limited(downloads)
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
    except InvalidSelection as wrong:
        return refused(request, job, wrong)


@require_safe
@limited(downloads)
def failed(request: HttpRequest, code: str) -> HttpResponseBase:
    """Exactly the failed rows, or those of a cause or a selection, to be fixed."""
    job = job_for(request, code)
    if job.state in UNREAD:
        return nothing_yet(request, job)
    try:
        choice = replace(Choice.of(asked(request) | {"state": ""}, job), state="failed")
    except InvalidSelection as wrong:
        return refused(request, job, wrong)
    name = results.file_name(job, f"-{choice.word.removeprefix('results-')}.csv")

    def make(via: Via) -> Iterator[bytes]:
        return results.encoded(results.failed_chunks(job, choice, via=via))

    return fresh(request, job, "csv", name, choice, make)


@require_safe
@limited(downloads)
def problems(request: HttpRequest, code: str) -> HttpResponseBase:
    """Everything that is wrong with the file, found by reading it again."""
    job = job_for(request, code)
    if not job.upload.file:
        return render(request, "jobs/pruned.html", {"job": job}, status=410)
    pieces = results.encoded(found.chunks(job, request.user.pk))
    return streaming.attachment(request, pieces, results.FORMATS["csv"], results.file_name(job, "-problems.csv"), job)


def asked(request: HttpRequest) -> dict[str, str]:
    """The question; rows that are marked one by one come as one each."""
    rows = ",".join(filter(None, request.GET.getlist("rows")))
    return request.GET.dict() | ({"rows": rows} if rows else {})


def nothing_yet(request: HttpRequest, job: Job) -> HttpResponse:
    return render(request, "jobs/no_results.html", {"job": job}, status=409)


def refused(request: HttpRequest, job: Job, wrong: InvalidSelection) -> HttpResponse:
    return render(request, "jobs/no_such_rows.html", {"job": job, "sentence": str(wrong)}, status=400)


def fresh(
    request: HttpRequest, job: Job, format: str, name: str, choice: Choice, make: Callable[[Via], Iterator[bytes]]
) -> HttpResponseBase:
    """What `make` gives of rows that come in some way, or nothing where the browser has the same already."""
    tag = results.tag(job, name, choice)
    answer: HttpResponseBase | None = get_conditional_response(request, etag=tag)
    if answer is None:
        making = partial(made, request, job, format, name, make)
        try:
            is_large = job.stored > LARGE * job.total or (format == "xlsx" and len(job.columns) > WIDE)
            answer = concurrency.answer(concurrency.large_downloads, request, making) if is_large else making()
        except Changed as changed:
            return refusal(request, 410, str(changed))
    answer["ETag"], answer["Cache-Control"] = tag, "private, no-cache"
    return answer


def made(
    request: HttpRequest, job: Job, format: str, name: str, make: Callable[[Via], Iterator[bytes]]
) -> HttpResponseBase:
    """The file as it is made while it is sent. Raises Changed."""
    # Another process looks up the rows meanwhile, unless it is SQLite.
    via = streaming.ahead if postgres() else iter
    pieces, length = streaming.begun(make(iter)) if job.total <= FEW else (make(via), None)
    answer = streaming.attachment(request, pieces, results.FORMATS[format], name, job)
    if length is not None:
        answer["Content-Length"] = str(length)
    return answer
