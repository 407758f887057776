"""The administrators' place: look for jobs, see how they stand, try again what failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import dispatch, numbers, processors
from jobs.models import Activity, Job, Worker
from jobs.models.job import Refused

HIDDEN: Final = "••••••"


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the system writes: people look at them, and act through verbs."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff may look, as on the pages; to act takes the permission to change."""
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*(field.name for field in self.model._meta.fields), *self.readonly_fields]


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("name", "condition", "owner", "processor", "progress", "failed", "total", "created", "page")
    list_filter = ("state", "processor", ("owner", admin.RelatedOnlyFieldListFilter), "created")
    search_fields = ("name", "code", "upload__name")
    search_help_text = "Name, code or file"
    list_select_related = ("owner",)
    list_per_page = 50
    actions = ("retry_failed", "pause", "resume", "cancel", "delete_jobs")
    readonly_fields = ("counted", "settings")
    fields = ("name", "code", "state", "reason", "counted", "owner", "processor", "settings", "workers", "attempts",
              "timeout", "rate", "created", "started", "finished")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return numbers.listed(Job.objects.present()).select_related("owner")

    @admin.display(description="state", ordering="state")
    def condition(self, job: Job) -> str:
        return numbers.label(job, numbers.summary(job))

    @admin.display(description="succeeded", ordering="sum_succeeded")
    def progress(self, job: Job) -> SafeString:
        succeeded = job.counts()["succeeded"]
        share = 100 * succeeded // job.total if job.total else 0
        return format_html('<progress max="100" value="{}"></progress> {}', share, f"{succeeded:,}")

    @admin.display(ordering="sum_failed")
    def failed(self, job: Job) -> int:
        return job.counts()["failed"]

    @admin.display(description="page")
    def page(self, job: Job) -> SafeString:
        return format_html('<a href="{}">Open</a>', reverse("jobs:detail", args=[job.code]))

    @admin.display(description="items")
    def counted(self, job: Job) -> str:
        """The equation of the job's page."""
        counts = numbers.summary(job)
        names = ("succeeded", "failed", "rejected", "running", "waiting", "not_attempted")
        return f"{job.total:,} = " + " + ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in names)

    @admin.display(description="parameters")
    def settings(self, job: Job) -> str:
        """The processor's parameters, secret ones unread."""
        return json.dumps({name: HIDDEN if name in secrets(job) else v for name, v in job.parameters.items()})

    @admin.action(description="Retry failed items", permissions=["change"])
    def retry_failed(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.retry, numbers.queued_again)

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.pause, lambda _: "Paused.")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.resume, lambda _: "Resumed.")

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.cancel, lambda _: "Cancelled.")

    @admin.action(description="Delete", permissions=["change"])
    def delete_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, dispatch.delete, lambda _: "Deleted.")

    def _each(
        self, request: HttpRequest, jobs: QuerySet[Job], verb: Callable[..., Any], said: Callable[[Any], str]
    ) -> None:
        """The verb on each job; what came of it goes to the person and into the admin's history."""
        for job in Job.objects.filter(pk__in=[job.pk for job in jobs]).order_by("pk"):
            try:
                text = said(verb(job, request.user))
            except Refused as refusal:
                self.message_user(request, f"{job.name}: {refusal}", messages.WARNING)
                continue
            self.log_change(request, job, text)
            self.message_user(request, f"{job.name}: {text}", messages.SUCCESS)


def secrets(job: Job) -> set[str]:
    """The names of the job's parameters that nobody may read; all of them where its processor is gone."""
    try:
        return {one.name for one in processors.get(job.processor).parameters if one.secret}
    except processors.UnknownProcessor:
        return set(job.parameters)


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("name", "processes", "started", "seen")


@admin.register(Activity)
class ActivityAdmin(ReadOnly):
    list_display = ("at", "job", "text", "by")
    list_select_related = ("job", "by")
    list_filter = ("verb",)


class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """People. Whoever has jobs cannot be deleted: a job goes by its own verb, in chunks, or to somebody else."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with them; nothing is counted or collected of jobs, which may have millions of items."""
        owners = User.objects.filter(pk__in=[person.pk for person in objs]).annotate(owned=Count("jobs"))
        kept = [
            f"{one}: {one.owned:,} job{'' if one.owned == 1 else 's'}, to be given to somebody else or deleted before"
            for one in owners.filter(owned__gt=0).order_by("username")
        ]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)


admin.site.unregister(User)
admin.site.register(User, PersonAdmin)

admin.site.site_header = admin.site.site_title = "batchweb"
admin.site.index_title = "Administration"
