"""One row of a job is fixed by hand, and tried again."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from jobs import actions
from jobs.forms import EditForm
from jobs.forms.item_edit import LARGEST, fingerprint
from jobs.items import corrections
from jobs.items.row import state_of
from jobs.models import Item
from jobs.models.job import Refused
from jobs.models.states import POSSIBLE
from jobs.store.requeue import CorrectedItem
from jobs.views.access import item_to_act_on, person
from jobs.views.items import item_page, verbs

TOO_LARGE = "This row is too large to be edited on a page. Take the failed rows home, and upload them fixed."


class Overtaken(Exception):
    """Somebody else has fixed the row."""


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, code: str, row: int) -> HttpResponse:
    """The item with its input as a form, and the fixed item on its way."""
    item = item_to_act_on(request, code, row)
    why_not = fixed(item)
    if request.method != "POST" and why_not:
        messages.error(request, why_not)
        return redirect("jobs:item", code, row)
    form = form_of(item, request)
    if form.is_bound and form.is_valid() and saved(request, form, why_not):
        messages.success(request, f"Row {row:,} was edited and is tried again.")
        return redirect("jobs:item", code, row)
    return item_page(request, item, form)


def form_of(item: Item, request: HttpRequest) -> EditForm:
    old = dict(zip(item.job.columns, corrections.old_cells(item.job, item), strict=False))
    return EditForm(item, old, request.POST if request.method == "POST" else None)


def fixed(item: Item) -> str:
    """Why the row cannot be edited, in a sentence; empty where it can."""
    if not item.job.allows("retry"):
        return POSSIBLE["retry"][1]
    if "edit" not in verbs(item.job, state_of(item, item.job)):
        return f"Row {item.row:,} has succeeded, or waits or runs: only a row that failed can be edited."
    large = item.cut or len(item.payload.encode("utf-8", "replace")) > LARGEST or corrections.too_many(item.job, item)
    return TOO_LARGE if large else ""


def saved(request: HttpRequest, form: EditForm, why_not: str) -> bool:
    """Whether the row was fixed and is tried again; the form says why not."""
    item = form.item
    found = corrections.fix(item.job, item, form.cells)
    if isinstance(found, corrections.SkippedRow):
        why_not = why_not or found.text
    elif not found.cells:
        why_not = why_not or "Nothing is changed yet. To try the row as it is, use “Retry this row”."
    if why_not or isinstance(found, corrections.SkippedRow):
        form.add_error(None, why_not)
        return False
    return corrected(request, form, found.fixed)


def corrected(request: HttpRequest, form: EditForm, fixed: CorrectedItem) -> bool:
    item = form.item
    try:
        actions.correct(item.job, as_seen(item, fixed), person(request))
    except Overtaken:
        item.refresh_from_db(fields=["payload"])
        form.old = dict(zip(item.job.columns, corrections.old_cells(item.job, item), strict=False))
        form.overtaken()
    except Refused as refusal:
        form.add_error(None, str(refusal))
    return form.is_valid()


def as_seen(item: Item, fixed: CorrectedItem) -> Iterator[CorrectedItem]:
    """The fixed row, if it is still as the person saw it. It is asked for while nobody else can change it.

    Raises Overtaken.
    """
    now = Item.objects.values_list("payload", flat=True).get(job=item.job, position=item.position)
    if fingerprint(now) != fingerprint(item.payload):
        raise Overtaken
    yield fixed
