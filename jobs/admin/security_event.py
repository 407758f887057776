from __future__ import annotations

from typing import Any, Final

from allauth.account.admin import EmailAddress
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.base import Looking, age
from jobs.models import SecurityEvent

# They show secrets of second factors, or let somebody add what this product does not use.
OF_ALLAUTH: Final = (EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken)
for model in OF_ALLAUTH:
    admin.site.unregister(model)


class KindFilter(admin.SimpleListFilter):
    """What happened, from a fixed list."""

    title = "what happened"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label).capitalize()) for value, label in SecurityEvent.Kind.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(SecurityEvent)
class SecurityEventAdmin(Looking):
    """Who signed in from where, what failed, and whose rights were changed by whom. Superusers and who may view it."""

    list_display = ("when", "what", "name", "address", "text", "by")
    list_display_links = ("what",)
    list_filter = (KindFilter,)
    search_fields = ("name__iexact", "address__exact")
    search_help_text = "A user name, or an address"
    ordering = ("-id",)
    sortable_by = ()
    fields = ("at", "kind", "name", "address", "text", "by")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm("jobs.view_securityevent")

    @admin.display(description="when")
    def when(self, event: SecurityEvent) -> SafeString | str:
        return age(event.at)

    @admin.display(description="what")
    def what(self, event: SecurityEvent) -> str:
        return str(event.get_kind_display()).capitalize()
