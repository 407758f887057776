from __future__ import annotations

from typing import Any

from jobs import dispatch
from jobs.models import Job
from jobs.terminal import JobCommand


class Command(JobCommand):
    help = "Starts a job that is ready; what was tried is kept."
    runs_something = True

    def act(self, job: Job, **options: Any) -> str:
        dispatch.start(job)
        return "Started."
