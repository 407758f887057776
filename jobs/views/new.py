"""Making a job: the form, the preview of the file, the fields of a processor, the samples."""

from __future__ import annotations

import contextlib
from io import BytesIO
from itertools import islice
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import dispatch, files, processors, samples, sources
from jobs.forms import LIMIT, POLICY, JobForm, defaults, guess
from jobs.models import Job, Upload
from jobs.models.job import ALPHABET, new_code
from jobs.quotas import OverQuota
from jobs.views.access import person

PREVIEW_ROWS: Final = 5
HEAD: Final = 256 * 1024  # bytes that are enough to recognise a file


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form, and the job that it makes."""
    if request.method != "POST":
        return render(request, "jobs/new.html", context(JobForm(owner=person(request))))
    form = JobForm(request.POST, request.FILES, owner=person(request))
    if "refresh" in request.POST:
        return refreshed(request, form)
    valid = form.is_valid()
    upload = form.keep_upload()
    if not valid or upload is None:
        return render(request, "jobs/new.html", context(form) | first_part(form), status=422)
    try:
        url = submitted(request, upload, form.job()).get_absolute_url()
    except OverQuota as error:
        form.add_error(None, str(error))
        return render(request, "jobs/new.html", context(form) | first_part(form), status=422)
    return JsonResponse({"url": url}) if wants_json(request) else redirect(url)


def refreshed(request: HttpRequest, form: JobForm) -> HttpResponse:
    """The form for another processor, for those without scripts: what was typed stays, nothing is checked yet."""
    form.recognise()
    form.keep_upload()
    typed = {name: form.data[name] for name in ("name", *POLICY, *LIMIT) if name in form.data}
    columns = form.shape.columns if form.shape else ()
    fresh = JobForm(owner=form.owner, columns=columns, chosen=form.chosen.name, initial=typed)
    fresh.kept, fresh.shape = form.kept, form.shape
    trouble = {"trouble": form.trouble} if form.files else {}
    return render(request, "jobs/new.html", context(fresh) | first_part(fresh) | trouble)


def submitted(request: HttpRequest, upload: Upload, fields: dict[str, Any]) -> Job:
    """The job that was asked for, made once however often the same form is sent."""
    owner, code = person(request), once(request, upload)
    with contextlib.suppress(IntegrityError), transaction.atomic():
        made = Job.objects.filter(code=code, owner=owner).first()
        return made or dispatch.submit(upload, owner, code=code, **fields)
    return Job.objects.get(code=code, owner=owner)


def once(request: HttpRequest, upload: Upload) -> str:
    """A code for the job that is the same when the very same form is sent again, by a double click or a reload.

    The token against forgery is masked anew for each page that is made, so it tells two forms apart.
    """
    if "csrfmiddlewaretoken" not in request.POST:
        return new_code()
    form = [(name, request.POST.getlist(name)) for name in sorted(request.POST) if name != "upload"]
    digest = salted_hmac("jobs.once", repr((request.user.pk, upload.sha256, form)), algorithm="sha256").digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:12])


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def context(form: JobForm) -> dict[str, Any]:
    return {
        "form": form,
        "processors": processors.all_processors(),
        "chosen": form.chosen,
        "samples": samples.SAMPLES,
        "limit": settings.JOBS_MAX_UPLOAD_BYTES,
        "kept": form.kept,
    }


def first_part(form: JobForm) -> dict[str, Any]:
    """The first rows of the file that a form came back with."""
    if not form.kept or not form.shape:
        return {}
    with contextlib.closing(form.kept.file.open("rb")) as stream:
        return first_rows(stream, form.shape)


def first_rows(stream: files.Readable, shape: files.Shape, complete: bool = True) -> dict[str, Any]:
    """The shape and the first rows as cells. The last row of a part of a file may be cut, and is left out."""
    rows: list[files.Row] = []
    try:
        rows.extend(islice(sources.read(stream, shape), PREVIEW_ROWS + 1))
    except files.Unreadable:
        complete = True  # the row that is cut could not be read and is not among them
    whole = rows if complete else rows[:-1]
    cells = [
        ([] if row.reason else files.cells(row.payload, shape, shape.columns), row.reason)
        for row in whole[:PREVIEW_ROWS]
    ]
    return {"shape": shape, "columns": shape.columns, "rows": cells}


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What was understood of the first part of a file."""
    head = request.FILES.get("head")
    data = head.read(HEAD) if head else b""
    size = request.POST.get("size", "")
    complete = size.isdecimal() and len(size) < 20 and int(size) <= len(data)
    try:
        shape = sources.sniff(data, request.POST.get("name", "")[:255], complete=complete)
    except files.Unreadable as error:
        return render(request, "jobs/new.html#preview", {"trouble": str(error)})
    form = JobForm(owner=person(request), columns=shape.columns, chosen=request.POST.get("processor", ""))
    shown = first_rows(BytesIO(data), shape, complete)
    return render(request, "jobs/new.html#preview", shown | {"form": form, "chosen": form.chosen})


@require_safe
def processor_fields(request: HttpRequest) -> HttpResponse:
    """The mapping and the parameters of one processor."""
    columns = request.GET.getlist("column")[: sources.limits().columns]
    form = JobForm(owner=person(request), columns=columns, chosen=request.GET.get("processor", ""))
    return render(
        request, "jobs/new.html#processor", {"form": form, "chosen": form.chosen, "columns": columns, "swapped": True}
    )


@require_POST
def sample(request: HttpRequest) -> HttpResponse:
    """A job from one of the sample files."""
    found = samples.find(request.POST.get("name", ""))
    if found is None:
        raise Http404("There is no such sample.")
    data, processor = found.path.read_bytes(), processors.get(found.processor)
    shape = sources.sniff(data, found.name, complete=True)
    fields = {
        "processor": processor.name,
        "parameters": processor.clean({}),
        "shape": shape.to_dict(),
        "columns": list(shape.columns),
        "mapping": guess(processor, shape.columns),
    }
    try:
        upload = Upload.keep(ContentFile(data, name=found.name), found.name, person(request))
        job = submitted(request, upload, fields | defaults(processor))
    except OverQuota as error:
        trouble = {"trouble": str(error)}
        return render(request, "jobs/new.html", context(JobForm(owner=person(request))) | trouble, status=422)
    messages.success(request, f"Started {found.title}.")
    return redirect(job)
