from __future__ import annotations

from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import BigIntegerField, Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString

from batchweb.accounts import events, oidc, throttling
from jobs.admin.base import Listed, age, link
from jobs.humanize import counted
from jobs.models import Job, JobState, Quota, Run, SecurityEvent, Upload
from jobs.models.activity import Activity
from jobs.models.quota import OF_JOB, OF_LINE, OF_RUN
from jobs.models.quota_limits import MB
from jobs.models.states import UNFINISHED

# What would let a person who is no superuser become one.
POWERS: Final = ("is_superuser", "is_staff", "groups", "user_permissions")
UNENDED: Final = Subquery(
    Job.objects.present()
    .filter(owner=OuterRef("pk"), state__in=(JobState.LOADING, *UNFINISHED))
    .order_by().values("owner").annotate(n=Count("pk")).values("n")
)  # fmt: skip


def sum_of(column: Any, rows: QuerySet[Any], owner: str = "owner") -> Coalesce:
    """The sum of a column over the rows of each person."""
    sums = rows.filter(**{owner: OuterRef("pk")}).order_by().values(owner).annotate(n=Sum(column)).values("n")
    return Coalesce(Subquery(sums, BigIntegerField()), Value(0))


STORED: Final = (
    sum_of("size", Upload.objects.exclude(file=""))
    + sum_of(OF_JOB, Job.objects.all())
    + sum_of(OF_RUN, Run.objects.all(), "job__owner")
    + sum_of(OF_LINE, Activity.objects.all(), "job__owner")
)

admin.site.unregister(User)


class ProviderInline(admin.TabularInline):  # type: ignore[type-arg]
    """Which account of the company's sign-in is this person's."""

    model = SocialAccount
    fields = ("provider", "uid")
    verbose_name = "account of the company's sign-in"
    extra = 0

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "provider":
            return forms.CharField(initial=oidc.COMPANY, widget=forms.HiddenInput)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


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
    actions = ("unlock", "end_sessions", "remove_second_factors")
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
        company = (ProviderInline,) if settings.OIDC_ISSUER and request.user.is_superuser else ()
        return (*self.inlines, *company) if obj else ()

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
        return f"{int(person.stored_bytes) / MB:,.1f}"

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

    def get_actions(self, request: HttpRequest, *place: Any, **named: Any) -> dict[str, Any]:
        actions = super().get_actions(request, *place, **named)
        found = {name: act for name, act in actions.items() if name != "delete_selected"}
        return found if request.user.is_superuser else {}

    @admin.action(description="Let them try to sign in again at once")
    def unlock(self, request: HttpRequest, people: QuerySet[User]) -> None:
        for person in people:
            throttling.forgive(person.get_username())
            events.note(SecurityEvent.Kind.UNLOCKED, person.get_username(), person=person)
        self.message_user(request, "They may try to sign in again.")

    @admin.action(description="Remove their second factors")
    def remove_second_factors(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """For who lost all of them; whether they must set up a new one the settings say."""
        for factor in Authenticator.objects.filter(user__in=people):
            factor.delete()
        self.message_user(request, "Their second factors are removed.")

    @admin.action(description="Sign them out everywhere")
    def end_sessions(self, request: HttpRequest, people: QuerySet[User]) -> None:
        for person in people:
            if ended := events.end_sessions(person, but=request.session.session_key):
                events.note(SecurityEvent.Kind.SESSION_ENDED, person.get_username(), f"{ended} ended", person=person)
        self.message_user(request, "They are signed out.")


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
