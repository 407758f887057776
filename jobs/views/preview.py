"""What the form of a job shows before it is sent: the first rows of the file, the fields of a processor, the hints."""

from __future__ import annotations

from contextlib import closing
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from jobs import files
from jobs.forms import GONE, JobForm, given_by, options_of, upload_for
from jobs.humanize import number
from jobs.ingest import inspection, limits
from jobs.ingest.preview import HEAD, Preview
from jobs.views.access import person

LATER = "The preview comes when the file is here."


def shown(form: JobForm) -> Preview | None:
    """The first rows of the file that a form came back with."""
    if not form.kept or not form.shape:
        return None
    try:
        with closing(form.kept.opened()) as stream:
            found = inspection.of_shape(stream, form.kept.name, form.shape, form.kept.size, form.owner.pk)
    except (files.Unreadable, FileNotFoundError):
        return None
    form.offer("sheet", found.sheets)
    return found.preview


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What was understood of a stored file, or of the first part of one that is still being sent."""
    chosen = request.POST.get("processor", "")
    form = JobForm(owner=person(request), chosen=chosen, initial=options_of(request.POST))
    try:
        found = of_upload(request, form) if request.POST.get("upload") else of_head(request, form)
    except files.Partial:
        return fragments(request, form, {"later": LATER})
    except FileNotFoundError:
        return fragments(request, form, {"trouble": GONE})
    except files.Unreadable as error:
        return fragments(request, form, {"trouble": str(error)})
    form.set_columns(found.columns)
    return fragments(request, form, {"preview": found})


def fragments(request: HttpRequest, form: JobForm, more: dict[str, Any]) -> HttpResponse:
    """The file's part of the page and the processor's, whose columns follow from it."""
    context = more | {"form": form, "chosen": form.chosen}
    names = ("preview", "processor")
    return HttpResponse("".join(render_to_string(f"jobs/new.html#{name}", context, request) for name in names))


def of_head(request: HttpRequest, form: JobForm) -> Preview:
    """Raises Unreadable, and Partial where all of the file is needed."""
    head = request.FILES.get("head")
    data = head.read(HEAD) if head else b""
    name, said = request.POST.get("name", "")[:255], request.POST.get("size", "")
    known = number(said)
    size = len(data) + 1 if known is None else known
    return taken(form, inspection.of_head(data, name, given_by(request.POST), size, form.owner.pk))


def of_upload(request: HttpRequest, form: JobForm) -> Preview:
    """Raises Unreadable; 404 for a file that is not this person's to look into."""
    found = upload_for(person(request), request.POST["upload"])
    if found is None:
        raise Http404("There is no such file.")
    with closing(found.opened()) as stream:
        given = given_by(request.POST)
        return taken(form, inspection.of_file(stream, found.name, given, found.size, form.owner.pk, rows=True))


def taken(form: JobForm, found: inspection.Inspection) -> Preview:
    form.take(found)
    return cast(Preview, found.preview)


@require_safe
def processor_fields(request: HttpRequest) -> HttpResponse:
    """The mapping and the parameters of one processor."""
    columns = request.GET.getlist("column")[: limits.limits().columns]
    form = JobForm(owner=person(request), columns=columns, chosen=request.GET.get("processor", ""))
    return render(request, "jobs/new.html#processor", {"form": form, "chosen": form.chosen})
