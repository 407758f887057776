"""What all these places share: people look, act through verbs, and nothing huge is counted."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import DataError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from batchweb import refusals
from batchweb.concurrency import limited, searches
from jobs.humanize import units
from jobs.models.permissions import ACT

COUNTED: Final = 10_000  # rows; nobody pages further, so nobody counts further
NONE: Final = "–"


def filtered(request: HttpRequest) -> bool:
    """Whether a list is asked for that has to be looked for. What is sent from a list is an order."""
    return request.method != "POST" and bool(request.GET)


class Bounded(Paginator):  # type: ignore[type-arg]
    """Counts no more rows than anybody pages through."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:COUNTED].count())


class Listed(ChangeList):
    """Finds which rows are on the page first, and reads what the page shows of these only."""

    def __init__(self, request: HttpRequest, *about: Any, **more: Any) -> None:
        # Django asks with whatever the address says: numbers that no column holds, patterns that are too long.
        try:
            super().__init__(request, *about, **more)
        except (OverflowError, DataError, OperationalError) as error:
            if refusals.said(error, refusals.deadline_of(request)):
                raise
            raise IncorrectLookupParameters from error

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count  # else it would offer to show all, as if some were left out
        keys = [row.pk for row in self.result_list]
        place: Any = self.model_admin
        rows = {row.pk: row for row in place.shown(keys)}
        self.result_list = [rows[key] for key in keys if key in rows]


class Looking(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the system writes. All staff sees them, as on pages; who may change jobs acts on them by verbs."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = Bounded
    list_per_page = 50
    list_max_show_all = 50

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ACT)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Listed

    @method_decorator(limited(searches, when=filtered))
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, "subtitle": None, **(extra_context or {})})

    def shown(self, keys: list[Any]) -> QuerySet[Any]:
        """The rows with these keys, with all that the list shows of them."""
        return self.get_queryset(None).filter(pk__in=keys).select_related(*self.list_select_related or ())  # type: ignore[arg-type,misc]

    def page(self, request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
        """The context of a page of our own."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "may_act": self.has_act_permission(request),
            **more,
        }


def age(moment: datetime | None) -> SafeString | str:
    """How long ago in one unit, as “3 min”; when exactly, where the pointer rests on it."""
    if moment is None:
        return NONE
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    exact = timezone.localtime(moment)
    said = " ".join(units(seconds).split(" ")[:2])
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', exact.isoformat(), f"{exact:%d %b %Y %H:%M:%S %Z}", said
    )


def link(name: str, text: Any, *args: Any, **query: Any) -> SafeString:
    """A link to the page of the admin that is called `name`."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{name}", args=args, query=query or None), text)
