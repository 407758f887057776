from __future__ import annotations

from typing import Any

from jobs import actions
from jobs.management.base import JobCommand
from jobs.models import Job


class Command(JobCommand):
    help = "Starts no new items; what is in flight is recorded."

    def act(self, job: Job, **options: Any) -> str:
        actions.pause(job)
        return "Paused."
