from __future__ import annotations

from typing import Any

from jobs import dispatch
from jobs.models import Job
from jobs.terminal import JobCommand


class Command(JobCommand):
    help = "Ends a job; its results so far are kept."

    def act(self, job: Job, **options: Any) -> str:
        dispatch.cancel(job)
        return "Cancelled."
