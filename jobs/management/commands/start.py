from __future__ import annotations

from jobs.management.base import JobCommand


class Command(JobCommand):
    help = "Starts a job that is ready; what was tried is kept."
    runs_something = True
    action = "start"
