"""All causes of a job's failures."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs import humanize
from jobs.items import causes as items_causes
from jobs.live import status
from jobs.models import counts as models_counts
from jobs.store import dialect
from jobs.views.access import job_for

PAGE: Final = 50


@require_safe
def causes(request: HttpRequest, code: str) -> HttpResponse:
    """A page of them: the job's own page shows the largest."""
    asked = request.GET.get("page", "")
    with dialect.one_moment():
        job = job_for(request, code)
        counts, number = models_counts.summary(job), items_causes.total(job)
        pages = max(1, -(-number // PAGE))
        page = min(max(1, humanize.number(asked) or 1), pages)
        found = items_causes.listed(job, (page - 1) * PAGE, PAGE)
        frame = {"counts": counts, "actions": status.actions(job, counts)}
    context = {"job": job, "frame": frame, "causes": found, "number": number, "page": page, "pages": pages}
    context["may_act"] = job.may_act(request.user)
    return render(request, "jobs/causes.html", context)
