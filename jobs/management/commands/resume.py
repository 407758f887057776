from __future__ import annotations

from typing import Any

from jobs import dispatch
from jobs.models import Job
from jobs.terminal import JobCommand


class Command(JobCommand):
    help = "Goes on with what was not attempted."
    runs_something = True

    def act(self, job: Job, **options: Any) -> str:
        dispatch.resume(job)
        return "Resumed."
