"""The administrators' site: its name, and what people work with before what is set up once."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest

FIRST: Final = ("jobs.Job", "jobs.Item", "jobs.Cause", "jobs.Worker", "jobs.Activity", "auth.User", "auth.Group")


class Site(AdminSite):
    site_header = site_title = "batchweb"
    index_title = "Administration"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        places = {name: place for place, name in enumerate(FIRST)}

        def place(model: Any) -> int:
            return places.get(model["model"]._meta.label, len(places))

        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=place)
        return sorted(apps, key=lambda app: place(app["models"][0]))
