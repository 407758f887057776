from __future__ import annotations

from typing import Any

from jobs import actions
from jobs.management.base import JobCommand
from jobs.models import Job


class Command(JobCommand):
    help = "Goes on with what was not attempted."
    runs_something = True

    def act(self, job: Job, **options: Any) -> str:
        actions.resume(job)
        return "Resumed."
