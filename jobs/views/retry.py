"""What failed is tried again, or accepted as it is: all of it, one cause, chosen rows, a single one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods

from jobs import actions
from jobs.forms import RetryForm
from jobs.humanize import counted, number
from jobs.items.impact import Aim, reach
from jobs.models import Job
from jobs.models.job import Refused
from jobs.views.access import job_to_act_on, person


@require_http_methods(["GET", "HEAD", "POST"])
def retry(request: HttpRequest, code: str) -> HttpResponse:
    """Asks how, and does it. What came of it is said on the page that it leads back to."""
    job, sent = job_to_act_on(request, code), sent_by(request)
    try:
        aim = Aim.of(sent, job)
        form = RetryForm(job, sent if request.method == "POST" else None, person(request))
        if not form.is_bound or not form.is_valid():
            return asked(request, job, aim, "retry", form)
        told = form.told  # what differs from the job as it is now
        count = actions.retry(
            job, person(request), aim.key, positions=aim.positions,
            settings=form.settings, parameters=form.parameters, seen=form.seen,
        )  # fmt: skip
        messages.success(request, " ".join([actions.queued_again(count), *told]))
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect(way_back(job, sent))


@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, code: str) -> HttpResponse:
    """Notes that failures are known; with `accepted=0` that is taken back. Asks first where no script has."""
    job, sent = job_to_act_on(request, code), sent_by(request)
    try:
        aim = Aim.of(sent, job)
        if request.method != "POST":
            return asked(request, job, aim, "accept")
        accepted = sent.get("accepted") != "0"
        count = actions.accept(job, person(request), aim.key, positions=aim.positions, accepted=accepted)
        failures = counted(count, "failure")
        still = f"{failures} {'is' if count == 1 else 'are'} no longer accepted."
        messages.success(request, f"{failures} accepted." if accepted else still)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect(way_back(job, sent))


def sent_by(request: HttpRequest) -> QueryDict:
    return request.POST if request.method == "POST" else request.GET


def way_back(job: Job, sent: QueryDict) -> str:
    """The page of the item where the button was, else of the job."""
    row = number(sent.get("item", "")) or 0
    if 1 <= row <= job.total:
        return reverse("jobs:item", args=[job.code, row])
    return job.get_absolute_url()


def asked(request: HttpRequest, job: Job, aim: Aim, verb: str, form: RetryForm | None = None) -> HttpResponse:
    """The question as a page of its own, or by itself for a dialog, which asks as htmx does."""
    found = reach(job, aim)
    context: dict[str, Any] = {
        "job": job,
        "aim": aim,
        "what": found.what(aim),
        "left_out": found.left_out(aim) if verb == "retry" else [],
        "count": found.count(aim, verb),
        "why_not": found.why_not(job, aim, verb),
        "form": form,
        "back": way_back(job, sent_by(request)),
        "item": sent_by(request).get("item", ""),
        "alone": "HX-Request" in request.headers,
    }
    status = 422 if form and form.errors else 200
    answer = render(request, f"jobs/_{verb}.html" if context["alone"] else f"jobs/{verb}.html", context, status=status)
    patch_vary_headers(answer, ["HX-Request"])
    return answer
