from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings

from batchweb import checks
from jobs import processors

__all__ = ["JobsConfig", "checks"]


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        for listener in ("jobs.live.revocation", "batchweb.accounts.events"):
            import_module(listener)  # it listens to models, which can be imported only now
        processors.load(settings.JOBS_PROCESSORS)
