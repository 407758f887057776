from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from jobs import checks, processors

__all__ = ["JobsConfig", "checks"]


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from jobs import sessions  # noqa: F401 - it listens, and models can be imported only now

        processors.load(settings.JOBS_PROCESSORS)
