from __future__ import annotations

from typing import Any

from jobs import actions
from jobs.management.base import JobCommand
from jobs.models import Job


class Command(JobCommand):
    help = "Ends a job; its results so far are kept."

    def act(self, job: Job, **options: Any) -> str:
        actions.cancel(job)
        return "Cancelled."
