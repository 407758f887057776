from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin.base import Looking, age, link
from jobs.models import Activity

VERBS: Final = (
    "create", "invalid", "start", "try", "tried", "change", "adjust", "pause", "resume", "cancel", "finish", "retry",
    "accept", "correct", "recover", "share", "unshare", "rename", "give", "offer",
)  # fmt: skip


class DoneFilter(admin.SimpleListFilter):
    """What was done, from a fixed list: to ask the rows for all that there is would read every one of them."""

    title = "what was done"
    parameter_name = "verb"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(verb, verb.capitalize()) for verb in VERBS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(verb=self.value()) if self.value() else queryset


@admin.register(Activity)
class ActivityAdmin(Looking):
    """Who did what, to which job."""

    list_display = ("when", "of_job", "what", "who")
    list_display_links = None
    list_select_related = ("job", "by", "run__upload")
    list_filter = (DoneFilter,)
    ordering = ("-id",)
    sortable_by = ()
    lookups = ("job__id__exact",)
    fields = ("at", "job", "text", "by", "run", "items")

    def get_queryset(self, request: HttpRequest | None) -> QuerySet[Activity]:
        return Activity.objects.filter(job__deleting=None)

    @admin.display(description="when")
    def when(self, activity: Activity) -> SafeString | str:
        return age(activity.at)

    @admin.display(description="job")
    def of_job(self, activity: Activity) -> SafeString:
        return link("jobs_job_change", activity.job, activity.job_id)

    @admin.display(description="text")
    def what(self, activity: Activity) -> SafeString | str:
        """With the file of corrections, where it came as one."""
        if not activity.correction:
            return activity.text
        where = reverse("jobs:correction_file", args=[activity.job.code, activity.correction])
        return format_html('{} <a href="{}" download>the file</a>', activity.text, where)

    @admin.display(description="by")
    def who(self, activity: Activity) -> str:
        return str(activity.by or "itself")
