"""What stands between a file that was read and the start: the report on it, and the trial of some rows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs.humanize import about
from jobs.ingest.report import advice
from jobs.items import trial as items_trial
from jobs.items.row import shown
from jobs.live import frame as live_frame
from jobs.live import status
from jobs.models import Job, JobState
from jobs.views.access import for_viewer, job_for


def context(job: Job) -> dict[str, Any]:
    """What the partial shows; a person is `deciding` also while rows are tried, and `trying` is how many these are."""
    trying = status.trying(job)
    trial = items_trial.summary(job) if job.state == JobState.READY else None
    return {
        "deciding": job.state == JobState.READY or trying,
        "trying": trying,
        "report": advice(job.report, job.columns) if job.state != JobState.LOADING else None,
        "used": set(job.mapping.values()),
        "trial": trial,
        "takes": about(trial.whole) if trial and trial.whole is not None else "",
        "tried": [shown(item, job) for item in trial.items] if trial else [],
    }


@require_safe
def setup(request: HttpRequest, code: str) -> HttpResponse:
    """The report and the trial by themselves, for the page that is open already."""
    job = job_for(request, code)
    may_act = job.may_act(request.user)
    frame = for_viewer(live_frame.stats(job, rows=[]), may_act)
    return render(request, "jobs/_setup.html", {"job": job, "frame": frame, "may_act": may_act, **context(job)})
