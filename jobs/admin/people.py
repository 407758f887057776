from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.base import Listed, age, link
from jobs.limits import counted
from jobs.models import Job, JobState, Quota, Upload
from jobs.models.states import UNFINISHED
from jobs.quotas import MB

# What would let a person who is no superuser become one.
POWERS: Final = ("is_superuser", "is_staff", "groups", "user_permissions")
UNENDED: Final = Subquery(
    Job.objects.present()
    .filter(owner=OuterRef("pk"), state__in=(JobState.LOADING, *UNFINISHED))
    .order_by().values("owner").annotate(n=Count("pk")).values("n")
)  # fmt: skip
STORED: Final = Subquery(
    Upload.objects.filter(~Q(file=""), owner=OuterRef("pk"))
    .order_by().values("owner").annotate(n=Sum("size")).values("n")
)  # fmt: skip

admin.site.unregister(User)


class QuotaInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Quota
    verbose_name_plural = "quota"
    can_delete = False


@admin.register(User)
class PeopleAdmin(UserAdmin):  # type: ignore[type-arg]
    """People, what they have here, and how much they may have."""

    list_display = ("username", "name", "role", "unended", "stored", "may_have", "seen", "is_active")
    list_filter = ("is_staff", "is_superuser", "is_active")
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    inlines = (QuotaInline,)
    readonly_fields = ("last_login", "date_joined")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Users", **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Listed

    def shown(self, keys: list[Any]) -> QuerySet[User]:
        """The people with these keys, with what they have: one query for the page."""
        people = get_user_model().objects.filter(pk__in=keys).select_related("quota")
        return people.annotate(unended_jobs=UNENDED, stored_bytes=STORED)

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        """The form for a new person only asks for a name and a password."""
        return self.inlines if obj else ()

    # The list

    @admin.display(description="name")
    def name(self, person: User) -> str:
        return person.get_full_name() or person.email

    @admin.display(description="may", ordering="is_superuser")
    def role(self, person: User) -> str:
        return "Everything" if person.is_superuser else "Enter the admin" if person.is_staff else "Own jobs"

    @admin.display(description="jobs not ended", ordering=UNENDED)
    def unended(self, person: Any) -> SafeString | str:
        count = person.unended_jobs or 0
        return link("jobs_job_changelist", f"{count:,}", owner__id__exact=person.pk) if count else "0"

    @admin.display(description="stored MB", ordering=STORED)
    def stored(self, person: Any) -> str:
        return f"{(person.stored_bytes or 0) / MB:,.1f}"

    @admin.display(description="may have: jobs, MB")
    def may_have(self, person: User) -> str:
        own = getattr(person, "quota", None) or Quota()
        return ", ".join(f"{allowed.most:,}" if allowed.most else "any" for allowed in (own.jobs, own.megabytes))

    @admin.display(description="signed in", ordering="last_login")
    def seen(self, person: User) -> SafeString | str:
        return age(person.last_login)

    # Who may do what

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        facts = super().get_readonly_fields(request, obj)
        return facts if request.user.is_superuser else (*facts, *POWERS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and may_touch(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and may_touch(request.user, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with them. Nobody goes who has jobs: all their rows would be read to be deleted."""
        kept = [sentence for person in objs if (sentence := why_kept(person))]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: act for name, act in super().get_actions(request).items() if name != "delete_selected"}


def why_kept(person: User) -> str:
    """Why this person cannot be deleted, as far as what is theirs says so."""
    if jobs := Job.objects.filter(owner=person).count():
        return f"{person}: {counted(jobs, 'job')}, to be given to somebody else or deleted before"
    if files := Upload.objects.filter(owner=person).count():
        return f"{person}: {counted(files, 'file')} that jobs need or that are not yet removed"
    return ""


def may_touch(user: Any, person: User | None) -> bool:
    """Whoever could set the password of staff could do what they may: only superusers can, and all their own."""
    return bool(user.is_superuser or person is None or person == user or not person.is_staff)
