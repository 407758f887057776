from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from jobs import checks, processors

__all__ = ["JobsConfig", "checks"]


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        processors.load(settings.JOBS_PROCESSORS)
