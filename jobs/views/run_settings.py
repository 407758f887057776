"""Changing how a job runs while it does."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from jobs import actions
from jobs.forms import RunSettingsForm
from jobs.live import frame
from jobs.models import Job
from jobs.models.job import Refused
from jobs.views.access import job_to_act_on, person
from jobs.views.job_detail import job_page


@require_POST
def adjust(request: HttpRequest, code: str) -> HttpResponse:
    """Changes what the person changed in the panel; what came of it is said on the job's page."""
    job = job_to_act_on(request, code)
    form = RunSettingsForm(job, request.POST)
    try:
        if not form.is_valid() and job.allows("adjust"):
            return mistaken(request, job, form)
        told = actions.adjust(job, person(request), **form.changes)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, " ".join(f"{text}." for text in told) or "Nothing was changed.")
    return redirect(job)


def mistaken(request: HttpRequest, job: Job, form: RunSettingsForm) -> HttpResponse:
    """The panel with what is wrong in it: by itself for a page that is open, else with the whole page."""
    if not request.headers.get("HX-Request"):
        return job_page(request, job, frame.stats(job), form)
    context = {"job": job, "run_settings": form, "frame": {"actions": ["adjust"]}}
    return render(request, "jobs/_run_settings.html", context)
