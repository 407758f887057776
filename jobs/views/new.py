"""Making a job: the form, the same filled in from another job, the samples."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_http_methods, require_POST

from jobs import dispatch, processors, samples, sources
from jobs.forms import GONE, LIMIT, NAMES, POLICY, JobForm, defaults, filled_in, guess, options_of, secrets_of
from jobs.models import Job, Upload
from jobs.models.job import ALPHABET, VERBS, Refused, new_code
from jobs.quotas import OverQuota
from jobs.views.access import job_for, job_to_act_on, person
from jobs.views.hints import of_form
from jobs.views.preview import shown
from jobs.views.uploads import same_content

PRUNED: Final = "The file of that job was removed. Choose it again; the rest is filled in."


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form, and the job that it makes; with `?again=CODE` filled in from that job."""
    if request.method != "POST":
        before = job_for(request, request.GET["again"]) if request.GET.get("again") else None
        return page(request, blank(request, before), like=before)
    form = JobForm(request.POST, request.FILES, owner=person(request))
    if "refresh" in request.POST:
        return refreshed(request, form)
    upload = checked(form)
    if upload is None:
        return page(request, form, status=422)
    try:
        job = submitted(request, upload, form.job(), start=starts(request))
    except (OverQuota, Job.DoesNotExist) as refusal:
        form.add_error(None, str(refusal) if isinstance(refusal, OverQuota) else GONE)
        return page(request, form, status=422)
    return gone_on(request, job)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, code: str) -> HttpResponse:
    """The same form with the settings of a job that has not begun, and the job with other ones."""
    job = job_to_act_on(request, code)
    if not job.allows("change"):
        messages.error(request, VERBS["change"][1])
        return redirect(job)
    if request.method != "POST":
        return page(request, blank(request, job, secrets_of(job, job.processor)), changed=job)
    secrets = secrets_of(job, request.POST.get("processor", ""))
    form = JobForm(request.POST, request.FILES, owner=person(request), secrets=secrets)
    if "refresh" in request.POST:
        return refreshed(request, form, changed=job)
    upload = checked(form)
    if upload is None:
        return page(request, form, status=422, changed=job)
    other = {} if upload == job.upload else {"upload": upload}
    try:
        dispatch.change(job, request.user, start=starts(request), **form.job(), **other)
    except IntegrityError:
        form.add_error(None, GONE)
        return page(request, form, status=422, changed=job)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return gone_on(request, job)


def starts(request: HttpRequest) -> bool:
    """Whether the job goes on by itself once its file is read."""
    return request.POST.get("then") != "check"


def checked(form: JobForm) -> Upload | None:
    """The stored file of a form in which nothing is wrong."""
    form.is_valid()
    upload = form.keep_upload()
    return upload if form.is_valid() else None


def gone_on(request: HttpRequest, job: Job) -> HttpResponse:
    url = job.get_absolute_url()
    return JsonResponse({"url": url}) if wants_json(request) else redirect(url)


def blank(request: HttpRequest, before: Job | None, secrets: Mapping[str, Any] | None = None) -> JobForm:
    """A form that nobody has sent yet, filled in from a job where there is one."""
    if before is None:
        return JobForm(owner=person(request))
    known = before.columns if before.upload.file else ()
    form = JobForm(
        owner=person(request), columns=known, chosen=before.processor, initial=filled_in(before), secrets=secrets
    )
    if before.upload.file:
        form.kept, form.shape = before.upload, before.file_shape
    return form


def refreshed(request: HttpRequest, form: JobForm, **about: Any) -> HttpResponse:
    """The form for another file or processor, for those without scripts: what was typed stays, nothing is checked."""
    form.recognise()
    form.keep_upload()
    names = ("name", *NAMES, *POLICY, *LIMIT)
    typed = {name: form.data[name] for name in names if name in form.data} | options_of(form.data)
    columns = form.shape.columns if form.shape else ()
    fresh = JobForm(owner=form.owner, columns=columns, chosen=form.chosen.name, initial=typed)
    fresh.kept, fresh.shape = form.kept, form.shape
    fresh.blame(form.wrong)
    return page(request, fresh, trouble=form.trouble if form.sent else "", **about)


def page(
    request: HttpRequest, form: JobForm, *, status: int = 200, trouble: str = "", like: Job | None = None,
    changed: Job | None = None,
) -> HttpResponse:  # fmt: skip
    """The page with this form: of a new job, of one `like` another, or of the one to be `changed`."""
    job = like or changed
    fresh = form.kept if form.kept and not (job and job.upload == form.kept) else None
    preview = shown(form)
    context = {
        "form": form,
        "processors": processors.all_processors(),
        "chosen": form.chosen,
        "limit": settings.JOBS_MAX_UPLOAD_BYTES,
        "kept": form.kept,
        "changed": changed,
        "same": same_content(fresh, person(request)) if fresh else None,
        "pruned": PRUNED if job and not job.upload.file else "",
        "retype": bool(like and secrets_of(like, like.processor)),
        "trouble": trouble,
        "preview": preview,
        "hints": of_form(request, form, preview.amount if preview else None),
    }
    return render(request, "jobs/new.html", context, status=status)


def submitted(request: HttpRequest, upload: Upload, fields: dict[str, Any], start: bool = True) -> Job:
    """The job that was asked for, made once however often the same form is sent."""
    owner, code = person(request), once(request, upload)
    with contextlib.suppress(IntegrityError), transaction.atomic():
        made = Job.objects.filter(code=code, owner=owner).first()
        return made or dispatch.submit(upload, owner, start=start, code=code, **fields)
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
    except OverQuota as refusal:
        return page(request, JobForm(owner=person(request)), status=422, trouble=str(refusal))
    messages.success(request, f"Started {found.title}.")
    return redirect(job)
