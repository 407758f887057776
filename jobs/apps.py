from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings

from jobs import checks, processors

__all__ = ["JobsConfig", "checks"]


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        for listener in ("jobs.sessions", "batchweb.accounts.events"):
            import_module(listener)  # it listens to models, which can be imported only now
        processors.load(settings.JOBS_PROCESSORS)
