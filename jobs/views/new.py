"""Making a job: the form, the preview of the file, the fields of a processor, the samples."""

from __future__ import annotations

import contextlib
from io import BytesIO
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.base import File
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs import dispatch, files, processors, samples
from jobs.forms import HEAD, JobForm, guess
from jobs.models import Job, Upload
from jobs.views.access import person


def new(request: HttpRequest) -> HttpResponse:
    """The form, and the job that it makes."""
    if request.method != "POST":
        return render(request, "jobs/new.html", context(JobForm(owner=person(request))))
    form = JobForm(request.POST, request.FILES, owner=person(request))
    if form.is_valid():
        job = submit(form)
        url = job.get_absolute_url()
        return JsonResponse({"url": url}) if wants_json(request) else redirect(url)
    form.kept = form.keep_upload()  # type: ignore[attr-defined]
    return render(request, "jobs/new.html", context(form) | shown(form), status=422)


def submit(form: JobForm) -> Job:
    """The job that a valid form describes."""
    upload = form.keep_upload()
    assert upload
    assert form.shape
    data = form.cleaned_data
    return dispatch.submit(
        upload, form.owner, name=data["name"] or upload.name, processor=form.chosen.name,
        parameters=data["parameters"], mapping=data["mapping"], shape=form.shape.to_dict(),
        columns=list(form.shape.columns), workers=data["workers"], attempts=data["attempts"],
        timeout=data["timeout"], rate=data["rate"],
    )  # fmt: skip


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def context(form: JobForm) -> dict[str, Any]:
    return {
        "form": form,
        "processors": processors.all_processors(),
        "chosen": form.chosen,
        "samples": samples.SAMPLES,
        "limit": settings.JOBS_MAX_UPLOAD_BYTES,
        "kept": getattr(form, "kept", None),
    }


def shown(form: JobForm) -> dict[str, Any]:
    """The first rows of the file that a form came back with."""
    kept = getattr(form, "kept", None)
    if not kept or not form.shape:
        return {}
    with kept.file.open("rb") as stream:
        return first_rows(stream.read(HEAD), form.shape)


def first_rows(head: bytes, shape: files.Shape) -> dict[str, Any]:
    """The preview: the shape and its first five rows as cells. The last line of a head may be cut and is left out."""
    rows: list[files.Row] = []
    with contextlib.suppress(files.Unreadable):
        rows.extend(islice(files.read(BytesIO(head), shape), 5))
    shown = [([] if row.reason else files.cells(row.payload, shape, shape.columns), row.reason) for row in rows]
    return {"shape": shape, "columns": shape.columns, "rows": shown}


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What was understood of the first part of a file."""
    head = request.FILES.get("head")
    data = head.read(HEAD) if head else b""
    size = request.POST.get("size", "")
    complete = size.isdecimal() and int(size) <= len(data)
    try:
        shape = files.sniff(data, request.POST.get("name", "")[:255], complete=complete)
    except files.Unreadable as error:
        return render(request, "jobs/new.html#preview", {"trouble": str(error)})
    form = JobForm(owner=person(request), columns=shape.columns, chosen=request.POST.get("processor", ""))
    return render(request, "jobs/new.html#preview", first_rows(data, shape) | {"form": form, "chosen": form.chosen})


@require_GET
def processor_fields(request: HttpRequest) -> HttpResponse:
    """The mapping and the parameters of one processor."""
    columns = request.GET.getlist("column")[:2000]
    form = JobForm(owner=person(request), columns=columns, chosen=request.GET.get("processor", ""))
    return render(request, "jobs/new.html#processor", {"form": form, "chosen": form.chosen, "columns": columns})


@require_POST
def sample(request: HttpRequest) -> HttpResponse:
    """A job from one of the sample files."""
    found = samples.find(request.POST.get("name", ""))
    if found is None:
        raise Http404("There is no such sample.")
    owner = person(request)
    with found.path.open("rb") as stream:
        upload = Upload.keep(File(stream), found.path.name, owner)
    shape = files.sniff(found.path.read_bytes(), found.path.name, complete=True)
    processor = processors.get(found.processor)
    job = dispatch.submit(
        upload, owner, processor=processor.name, parameters=processor.clean({}), shape=shape.to_dict(),
        mapping=guess(processor, shape.columns), columns=list(shape.columns), workers=processor.policy.workers,
        attempts=processor.policy.attempts,
    )  # fmt: skip
    messages.success(request, f"Started {found.title}.")
    return redirect(job)
