from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from jobs import processors


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        processors.load(settings.JOBS_PROCESSORS)
