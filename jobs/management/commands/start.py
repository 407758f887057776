from __future__ import annotations

from typing import Any

from jobs import actions
from jobs.management.base import JobCommand
from jobs.models import Job


class Command(JobCommand):
    help = "Starts a job that is ready; what was tried is kept."
    runs_something = True

    def act(self, job: Job, **options: Any) -> str:
        actions.start(job)
        return "Started."
