from __future__ import annotations

from typing import Any

from jobs import dispatch
from jobs.models import Job
from jobs.terminal import JobCommand


class Command(JobCommand):
    help = "Starts no new items; what is in flight is recorded."

    def act(self, job: Job, **options: Any) -> str:
        dispatch.pause(job)
        return "Paused."
