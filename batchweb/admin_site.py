"""The administrators' site: its name, what comes first, and what no address of it may ask of the database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite, FieldListFilter, ListFilter, ModelAdmin
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.contrib.contenttypes.views import shortcut
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db import DataError, models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from jobs.humanize import DIGITS, number

FIRST: Final = ("jobs.Job", "jobs.Item", "jobs.Cause", "jobs.Worker", "jobs.Activity", "jobs.SecurityEvent",
                "auth.User", "auth.Group")  # fmt: skip
LONGEST: Final = 200  # characters of a search
WORDS: Final = 10  # each of them is looked for in each field
SORTED: Final = 10_000  # rows; more are shown in their usual order only
PLAIN: Final = ("", "__exact", "__isnull", "__isempty")
DATES: Final = (*PLAIN, "__gte", "__lt")
HIERARCHY: Final = (*DATES, "__year", "__month", "__day")
PARTS: Final = re.compile("__(year|month|day)$")


class Search(ChangeListSearchForm):
    """What is typed above a list: short, for each word is looked for in each field of each row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SEARCH_VAR].validators.append(short)


def short(text: str) -> None:
    """Raises ValidationError for a search that is too long."""
    if len(text) > LONGEST:
        raise ValidationError(f"A search may have {LONGEST} characters; this one has {len(text):,}.")
    if len(text.split()) > WORDS:
        raise ValidationError(f"A search may have {WORDS} words; this one has {len(text.split())}.")


class Guarded(ModelAdmin):  # type: ignore[type-arg]
    """Comes before every place that is registered, so that none can be asked more than it offers.

    An address may filter by what the place has as list filters, and by the names in its `lookups`, where it has some.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Django lets an address look into every column, and so anybody spell out what no page shows."""
        return lookup in set(self._declared(request)) and sound(value) and (PARTS.search(lookup) is None or year(value))

    def _declared(self, request: HttpRequest | None) -> Iterator[str]:
        yield from getattr(self, "lookups", ())
        for one in self.get_list_filter(request):  # type: ignore[arg-type]
            yield from offered(self.model, one)
        if self.date_hierarchy:
            yield from (self.date_hierarchy + way for way in HIERARCHY)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; None also for a key that no database takes."""
        if "\0" in object_id or (from_field in (None, self.opts.pk.name) and not self._is_key(object_id)):
            return None
        return super().get_object(request, object_id, from_field)

    def _is_key(self, text: str) -> bool:
        return number(text) is not None if isinstance(self.opts.pk, models.IntegerField) else sound(text)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if not all(map(self._is_key, request.POST.getlist("_selected_action"))):
            raise SuspiciousOperation("What was chosen are no rows.")
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, DataError) as error:
            if request.method == "POST":
                raise
            raise SuspiciousOperation("The address asks for what no column holds.") from error

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        listed: Any = super().get_changelist(request, **kwargs)
        guarded: type[ChangeList] = bounded(listed)
        return guarded

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """The list refuses a longer search with a sentence; who asks by another way gets as much as this."""
        return super().get_search_results(request, queryset, " ".join(search_term[:LONGEST].split()[:WORDS]))


def sound(value: Any) -> bool:
    """Whether every database takes the value: no NUL, and no number of more than 64 bits."""
    digits = str(value).strip().lstrip("+-")
    return "\0" not in str(value) and not (digits.isdecimal() and len(digits) > DIGITS)


def year(value: Any) -> bool:
    """Whether it may be a year, a month or a day."""
    return str(value).isdecimal() and len(str(value)) <= 4


def offered(model: type[models.Model], one: Any) -> Iterator[str]:
    """What an address may say so that the list filter `one` works: its own parameter, or its field in a few ways."""
    if isinstance(one, type) and issubclass(one, ListFilter) and not issubclass(one, FieldListFilter):
        yield getattr(one, "parameter_name", "") or ""
        return
    path: str = one[0] if isinstance(one, (list, tuple)) else one
    field = get_fields_from_path(model, path)[-1]
    yield from (path + way for way in (DATES if isinstance(field, models.DateField) else PLAIN))
    if field.is_relation and field.related_model:
        key = field.target_field.name if hasattr(field, "target_field") else "pk"
        yield from (f"{path}__{name}__exact" for name in (key, "pk"))


def bounded(base: Any) -> Any:
    """The same list, which refuses long searches, and sorts by any column only what is not too much to be sorted."""

    class Bounded(base):  # type: ignore[misc]
        search_form_class = Search
        params: dict[str, Any]

        def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
            found, _ = self.model_admin.get_search_results(request, queryset.order_by(), self.query)
            if "o" in self.params and found[SORTED : SORTED + 1].exists():
                messages.warning(request, f"Filter the list to {SORTED:,} rows at most to have it sorted otherwise.")
                self.params = {name: value for name, value in self.params.items() if name != "o"}
            ordering: list[Any] = super().get_ordering(request, queryset)
            return ordering

    return Bounded


@lru_cache(maxsize=256)
def guarded(place: type[ModelAdmin[Any]]) -> type[ModelAdmin[Any]]:
    """The same place, guarded."""
    if issubclass(place, Guarded):
        return place
    return type(place.__name__, (Guarded, place), {"__module__": place.__module__, "__doc__": place.__doc__})


class Site(AdminSite):
    site_header = site_title = "batchweb"
    index_title = "Administration"
    site_url = f"{settings.PATH_PREFIX}/"

    @method_decorator([login_not_required, never_cache])
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Everybody signs in at the same page, with the same limits and the same second factor."""
        index = reverse("admin:index")
        if self.has_permission(request):
            return redirect(index)
        return redirect_to_login(request.GET.get("next") or index, reverse("login"))

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        super().register(model_or_iterable, guarded(admin_class or ModelAdmin), **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Django's own, but for the way to an object's page: theirs compares an address with itself at each stroke."""
        theirs = [one for one in super().get_urls() if getattr(one, "name", "") != "view_on_site"]
        page = path("r/<int:content_type_id>/<str:object_id>/", self.admin_view(shortcut), name="view_on_site")
        return [page, *theirs]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        places = {name: place for place, name in enumerate(FIRST)}

        def place(model: Any) -> int:
            return places.get(model["model"]._meta.label, len(places))

        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=place)
        return sorted(apps, key=lambda app: place(app["models"][0]))
