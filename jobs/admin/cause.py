from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString

from jobs import actions as jobs_actions
from jobs.admin.base import Looking, age, link
from jobs.humanize import counted, items
from jobs.models import Cause, Job
from jobs.models.job import Refused

RECENT: Final = 200  # jobs, of whose causes the largest are listed


@admin.register(Cause)
class CauseAdmin(Looking):
    """Failures that look alike: of one job, or the largest ones of the jobs of late."""

    list_display = ("cause", "of_items", "accepted", "first_row", "last_row", "seen", "of_job")
    list_select_related = ("job",)
    search_fields = ("kind", "title")
    search_help_text = "Kind or message"
    ordering = ("-count", "-id")
    sortable_by = ("of_items", "accepted")
    lookups = ("job__id__exact",)
    actions = ("retry", "accept", "unaccept")
    fields = ("job", "kind", "title", "sample", "top_frame", "count", "accepted", "first_row", "last_row", "since")
    readonly_fields = ("first_row", "last_row")

    def get_queryset(self, request: HttpRequest | None) -> QuerySet[Cause]:
        causes = Cause.objects.filter(count__gt=0, job__deleting=None)
        if request is None or any(name.startswith("job__") for name in request.GET) or "/change/" in request.path:
            return causes
        recent = Job.objects.present().order_by("-pk").values("pk")[:RECENT]
        return causes.filter(job__in=list(recent.values_list("pk", flat=True)))

    @admin.display(description="cause")
    def cause(self, cause: Cause) -> str:
        return f"{cause.kind}: {cause.title}"

    @admin.display(description="items", ordering="count")
    def of_items(self, cause: Cause) -> str:
        return f"{cause.count:,}"

    @admin.display(description="first row", ordering="first")
    def first_row(self, cause: Cause) -> str:
        return f"{cause.first + 1:,}"

    @admin.display(description="last row", ordering="last")
    def last_row(self, cause: Cause) -> str:
        return f"{cause.last + 1:,}"

    @admin.display(description="since")
    def seen(self, cause: Cause) -> SafeString | str:
        return age(cause.since)

    @admin.display(description="items of")
    def of_job(self, cause: Cause) -> SafeString:
        return link("jobs_item_changelist", cause.job, job=cause.job.code, state="failed", cause=cause.pk)

    @admin.action(description="Retry their items", permissions=["act"])
    def retry(self, request: HttpRequest, causes: QuerySet[Cause]) -> HttpResponse | None:
        chosen = list(causes.select_related("job"))
        if "sure" not in request.POST:
            title = f"Retry {items(sum(cause.count for cause in chosen))} of {counted(len(chosen), 'cause')}?"
            context = self.page(request, title, causes=chosen)
            return render(request, "admin/jobs/cause/confirm.html", context)
        for cause in chosen:
            self.give(
                request, cause, lambda one: jobs_actions.queued_again(jobs_actions.retry(one.job, request.user, one.pk))
            )
        return None

    @admin.action(description="Accept their items", permissions=["act"])
    def accept(self, request: HttpRequest, causes: QuerySet[Cause]) -> None:
        self.accepting(request, causes, accepted=True)

    @admin.action(description="Take the acceptance back", permissions=["act"])
    def unaccept(self, request: HttpRequest, causes: QuerySet[Cause]) -> None:
        self.accepting(request, causes, accepted=False)

    def accepting(self, request: HttpRequest, causes: QuerySet[Cause], accepted: bool) -> None:
        word = "accepted" if accepted else "no longer accepted"
        for cause in causes.select_related("job"):
            self.give(
                request, cause,
                lambda one: f"{items(jobs_actions.accept(one.job, request.user, one.pk, accepted=accepted))} {word}.",
            )  # fmt: skip

    def give(self, request: HttpRequest, cause: Cause, order: Any) -> None:
        """Gives the order for the items of the cause; what came of it is said, and noted with its job."""
        said = f"{cause.job.name}, {cause.kind}"
        try:
            text = order(cause)
        except Refused as refusal:
            self.message_user(request, f"{said}: {refusal}", messages.WARNING)
            return
        self.log_change(request, cause.job, f"{cause.kind}: {text}")
        self.message_user(request, f"{said}: {text}", messages.SUCCESS)
