from __future__ import annotations

import json
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from batchweb import concurrency
from jobs.admin import actions as admin_actions
from jobs.admin.base import Looking, age, link
from jobs.export import archive
from jobs.export.streaming import attachment
from jobs.humanize import number
from jobs.ingest.report import advice
from jobs.items import causes
from jobs.live import job_list, status
from jobs.live.facts import processor_label
from jobs.models import Job, Shard, parameters, run_settings
from jobs.models import counts as models_counts
from jobs.models.job import JobQuerySet

HIDDEN: Final = "••••••"
LATEST: Final = 30  # runs and activities on a job's page
NAMES: Final = ("succeeded", "failed", "rejected", "running", "waiting", "not_attempted")
FAILED: Final = Subquery(
    Shard.objects.filter(job=OuterRef("pk")).order_by().values("job").annotate(n=Sum("failed")).values("n")
)


@admin.register(Job)
class JobAdmin(Looking):
    """Jobs: how they stand, and every verb over several of them or on the page of one."""

    list_display = ("job", "condition", "progress", "of_items", "failed", "owner", "age")
    list_filter = ("state", "processor", ("owner", admin.RelatedOnlyFieldListFilter), "created")
    search_fields = ("name", "code", "upload__name")
    search_help_text = "Name, code or file"
    list_select_related = ("owner", "upload", "run")
    ordering = ("-created",)
    actions = (*admin_actions.ACTIONS, "export")

    def get_queryset(self, request: HttpRequest | None) -> JobQuerySet:
        return Job.objects.present()

    def shown(self, keys: list[Any]) -> JobQuerySet:
        return job_list.listed(Job.objects.filter(pk__in=keys)).select_related(*self.list_select_related)

    # The list

    @admin.display(description="job", ordering="name")
    def job(self, job: Job) -> str:
        return render_to_string("admin/jobs/cells/job.html", {"job": job, "processor": processor_label(job.processor)})

    @admin.display(description="state", ordering="state")
    def condition(self, job: Job) -> str:
        return render_to_string("admin/jobs/cells/state.html", {"row": state_of(job)})

    @admin.display(description="progress")
    def progress(self, job: Job) -> str:
        return render_to_string("admin/jobs/cells/progress.html", {"row": state_of(job)})

    @admin.display(description="items", ordering="total")
    def of_items(self, job: Job) -> str:
        return f"{job.total:,}"

    @admin.display(ordering=FAILED)
    def failed(self, job: Job) -> SafeString | str:
        count = job.counts()["failed"]
        return link("jobs_item_changelist", f"{count:,}", job=job.code, state="failed") if count else "0"

    @admin.display(ordering="created")
    def age(self, job: Job) -> SafeString | str:
        return age(job.created)

    # The page of one

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Everything about one job, and the buttons for what can be done to it. Nothing of it is written here."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        job = self.one(request, object_id)
        return render(request, "admin/jobs/job/page.html", self.page(request, job.name, **self.about(job)))

    def one(self, request: HttpRequest, object_id: str) -> Job:
        if not self.has_view_permission(request):
            raise Http404
        job = self.shown([number(object_id) or 0]).filter(deleting=None).first()
        if job is None:
            raise Http404("There is no such job.")
        return job

    def about(self, job: Job) -> dict[str, Any]:
        shown = state_of(job)
        counts = shown["counts"]
        able = {*status.actions(job, counts), "delete"}
        return {
            "job": job,
            **shown,
            "row": shown,
            "equation": [(name, name.replace("_", " "), counts[name]) for name in NAMES],
            "able": able,
            "buttons": buttons(able, counts),
            "report": advice(job.report, job.columns),
            "settings": settings(job),
            "causes": job.causes.filter(count__gt=0).order_by("-count", "pk")[: causes.MOST],
            "runs": [(run, policy(run.policy)) for run in job.runs.select_related("by").order_by("-number")[:LATEST]],
            "activities": job.activities.told()[:LATEST],
            "shares": job.shares.select_related("person", "by").order_by("person__username"),
        }

    # What is done

    @admin.action(description="Export results", permissions=["view"])
    def export(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponseBase | None:
        """The ordered result of one job as its file, of several as an archive of these."""
        chosen = list(jobs.order_by("pk")[: admin_actions.MOST + 1])
        if len(chosen) > admin_actions.MOST:
            self.message_user(request, f"Choose {admin_actions.MOST:,} jobs at most at a time.", messages.ERROR)
            return None
        if len(chosen) == 1:
            return HttpResponseRedirect(reverse("jobs:results", args=[chosen[0].code, "csv"]))

        def archived() -> HttpResponseBase:
            return attachment(request, archive.zipped(chosen), "application/zip", "results.zip", *chosen)

        return concurrency.answer(concurrency.downloads, request, archived)


def state_of(job: Job) -> dict[str, Any]:
    """What the badge and the bar of a job need."""
    counts = models_counts.summary(job)
    return {
        "state": job.state,
        "reason": job.stopped_for.frame(),
        "label": status.label(job, counts),
        "counts": counts,
        "total": job.total,
        "done": counts["succeeded"] + counts["failed"] + counts["rejected"],
    }


def buttons(able: set[str], counts: dict[str, int]) -> list[tuple[str, str]]:
    """The actions that make sense for the job now, with their words."""
    offered = (
        ("retry_failed", "retry", f"Retry {counts['failed'] + counts['not_attempted']:,} items"),
        ("pause", "pause", "Pause"),
        ("resume", "resume", "Resume"),
        ("cancel", "cancel", "Cancel"),
        ("delete_jobs", "delete", "Delete"),
    )
    return [(action, words) for action, verb, words in offered if verb in able]


def settings(job: Job) -> list[tuple[str, Any]]:
    """How the job runs, in words; what is secret unread."""
    secret = parameters.secret_names(job.processor, job.parameters)
    typed = [(name, HIDDEN if name in secret else said(value)) for name, value in job.parameters.items()]
    mapped = [(f"input {name}", f"column {column}") for name, column in job.mapping.items()]
    adjustable = [
        (run_settings.NAMES[name].removeprefix("the "), run_settings.said(name, getattr(job, name)))
        for name in run_settings.POLICY
    ]
    limit = f"pauses when {job.limit}" if job.limit else "none"
    return [*mapped, *typed, *adjustable, ("failure limit", limit)]


def policy(stored: dict[str, Any]) -> str:
    """The policy of a run, in words."""
    return ", ".join(f"{name} {run_settings.said(name, value)}" for name, value in stored.items())


def said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
