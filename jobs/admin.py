"""The administrators' place: look for jobs, see how they stand, try again what failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from jobs import dispatch, live
from jobs.models import Activity, Job, Worker
from jobs.models.job import Refused


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the system writes: people look at them, and act through verbs."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in self.model._meta.fields]


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("name", "state", "owner", "processor", "progress", "failed", "total", "created", "page")
    list_filter = ("state", "processor", "owner", "created")
    search_fields = ("name", "code", "upload__name")
    list_select_related = ("owner",)
    show_full_result_count = False
    actions = ("retry_failed", "pause", "resume", "cancel")
    fields = ("name", "code", "state", "reason", "owner", "processor", "parameters", "workers", "attempts", "timeout",
              "rate", "total", "created", "started", "finished")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return Job.objects.with_counts().select_related("owner")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj)

    @admin.display(description="succeeded")
    def progress(self, job: Job) -> str:
        counts = live.summary(job)
        share = 100 * counts["succeeded"] / job.total if job.total else 0
        return format_html('<progress max="100" value="{}"></progress> {}', round(share), f"{counts['succeeded']:,}")

    @admin.display(ordering="sum_failed")
    def failed(self, job: Job) -> int:
        return job.counts()["failed"]

    @admin.display(description="page")
    def page(self, job: Job) -> str:
        return format_html('<a href="{}">Open</a>', reverse("jobs:detail", args=[job.code]))

    @admin.action(description="Retry failed items", permissions=["change"])
    def retry_failed(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.retry, lambda count: f"{count} failed items queued again")

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.pause, lambda _: "paused")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.resume, lambda _: "resumed")

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.cancel, lambda _: "cancelled")

    def _each(
        self, request: HttpRequest, jobs: QuerySet[Job], verb: Callable[..., Any], said: Callable[[Any], str]
    ) -> None:
        """The verb on each job; what came of it goes to the person and into the admin's history."""
        for job in Job.objects.filter(pk__in=jobs.values("pk")):
            try:
                text = said(verb(job, request.user))
            except Refused as refusal:
                self.message_user(request, f"{job.name}: {refusal}", messages.WARNING)
                continue
            self.log_change(request, job, text)
            self.message_user(request, f"{job.name}: {text}.", messages.SUCCESS)


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("name", "processes", "started", "seen")


@admin.register(Activity)
class ActivityAdmin(ReadOnly):
    list_display = ("at", "job", "text", "by")
    list_select_related = ("job", "by")
    list_filter = ("verb",)
    show_full_result_count = False


admin.site.site_header = admin.site.site_title = "batchweb"
admin.site.index_title = "Administration"
