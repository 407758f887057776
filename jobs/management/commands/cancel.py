from __future__ import annotations

from jobs.management.base import JobCommand


class Command(JobCommand):
    help = "Ends a job; its results so far are kept."
    action = "cancel"
