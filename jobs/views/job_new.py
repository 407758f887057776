"""Making a job: the form, the same filled in from another job, the samples."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.crypto import get_random_string, salted_hmac
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST

from batchweb.refusals import refusal
from jobs import actions, processors
from jobs.forms import GONE, LIMIT, NAMES, POLICY, JobForm, defaults, filled_in, guess, options_of
from jobs.ingest import inspection, limits, samples
from jobs.ingest.uploads import same_content
from jobs.models import Job, Quota, Upload
from jobs.models.job import ALPHABET, Refused, new_code
from jobs.models.quota_limits import OverQuota
from jobs.models.states import POSSIBLE
from jobs.views.access import job_for, job_to_act_on, person
from jobs.views.hints import of_form
from jobs.views.preview import shown

DELETED: Final = "This job was deleted, or given to somebody who does not share it with you. Nothing was made anew."
MADE: Final = 'This form has made <a href="{}" dir="auto">{}</a> already. Press the button once more to make another.'
FORMS: Final = 20  # of which a session remembers what they made
PRUNED: Final = "The file of that job was removed. Choose it again; the rest is filled in."


class Deleted(Exception):
    """The job that was to be made was made before, and is not here for this person any more."""


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form, and the job that it makes; with `?again=CODE` filled in from that job."""
    if request.method != "POST":
        inspection.warm_up()
        before = job_for(request, request.GET["again"]) if request.GET.get("again") else None
        return page(request, blank(request, before), like=before)
    code = made_by(request)
    made = Job.objects.visible_to(request.user).filter(code=code).first() if code else None
    if code and made is None:
        return refusal(request, 410, DELETED)
    form = JobForm(request.POST, request.FILES, owner=person(request))
    if "refresh" in request.POST:
        return refreshed(request, form)
    upload = checked(form)
    if upload is None:
        return page(request, form, status=422)
    if made and made.code != once(request, upload):
        form.add_error(None, format_html(MADE, made.get_absolute_url(), made.name))
        return page(request, form, status=422)
    return ordered(request, form, upload)


def ordered(request: HttpRequest, form: JobForm, upload: Upload) -> HttpResponse:
    """Makes the job that a form without mistakes asks for, and goes on to it."""
    try:
        job = submitted(request, upload, form.job(), start=starts(request))
    except Deleted:
        return refusal(request, 410, DELETED)
    except (OverQuota, Job.DoesNotExist) as why_not:
        form.add_error(None, str(why_not) if isinstance(why_not, OverQuota) else GONE)
        return page(request, form, status=422)
    remember(request, job)
    return gone_on(request, job)


def made_by(request: HttpRequest) -> str:
    """The code of the job that this very form, which may have been changed since, has made before; else nothing."""
    return str(dict(request.session.get("forms", ())).get(request.POST.get("form", ""), ""))


def remember(request: HttpRequest, job: Job) -> None:
    """Notes which job the form made, for whoever comes back to it and sends it again."""
    if form := request.POST.get("form", "")[:40]:
        others = [one for one in request.session.get("forms", ()) if one[0] != form]
        request.session["forms"] = [*others, (form, job.code)][-FORMS:]


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, code: str) -> HttpResponse:
    """The same form with the settings of a job that has not begun, and the job with other ones."""
    job = job_to_act_on(request, code)
    if not job.allows("change"):
        messages.error(request, POSSIBLE["change"][1])
        return redirect(job)
    if request.method != "POST":
        return page(request, blank(request, job, changed=True), changed=job)
    form = JobForm(request.POST, request.FILES, owner=person(request), before=job)
    if "refresh" in request.POST:
        return refreshed(request, form, changed=job)
    upload = checked(form)
    if upload is None:
        return page(request, form, status=422, changed=job)
    try:
        actions.change(job, request.user, start=starts(request), upload=upload, **form.job())
    except IntegrityError:
        form.add_error(None, GONE)
        return page(request, form, status=422, changed=job)
    except Refused as why_not:
        messages.error(request, str(why_not))
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


def blank(request: HttpRequest, before: Job | None, changed: bool = False) -> JobForm:
    """A form that nobody has sent yet, filled in from a job where there is one."""
    if before is None:
        return JobForm(owner=person(request))
    known = before.columns if before.upload.file else ()
    form = JobForm(
        owner=person(request), columns=known, chosen=before.processor, initial=filled_in(before, person(request)),
        before=before if changed else None,
    )  # fmt: skip
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
        "room": Quota.told(person(request)),
        "kept": form.kept,
        "changed": changed,
        "same": same_content(fresh, person(request)) if fresh else None,
        "pruned": PRUNED if job and not job.upload.file else "",
        "retype": bool(like and like.secrets_for(like.processor)),
        "trouble": trouble,
        "preview": preview,
        "token": get_random_string(20),
        "hints": of_form(request, form, preview.amount if preview else None),
    }
    return render(request, "jobs/new.html", context, status=status)


def submitted(request: HttpRequest, upload: Upload, fields: dict[str, Any], start: bool = True) -> Job:
    """The job that was asked for, made once however often the same form is sent.

    Raises OverQuota, Deleted where it was made and is not here any more, DoesNotExist where its file is not.
    """
    owner, code = person(request), once(request, upload)
    same = Job.objects.filter(code=code)
    with contextlib.suppress(IntegrityError), transaction.atomic():
        if not same.exists():
            return actions.submit(upload, owner, start=start, code=code, **fields)
    if made := same.visible_to(owner).first():
        return made
    raise Deleted if same.exists() else Job.DoesNotExist


def once(request: HttpRequest, upload: Upload) -> str:
    """A code for the job that is the same when the very same form is sent again, by a double click or a reload.

    The token against forgery is masked anew for each page that is made, so it tells two forms apart, as `form` does.
    """
    if not {"csrfmiddlewaretoken", "form"} & request.POST.keys():
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
    shape = limits.sniff(data, found.name, complete=True)
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
    except OverQuota as why_not:
        return page(request, JobForm(owner=person(request)), status=422, trouble=str(why_not))
    except Deleted:
        return refusal(request, 410, DELETED)
    messages.success(request, f"Started {found.title}.")
    return redirect(job)
