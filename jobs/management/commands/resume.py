from __future__ import annotations

from jobs.management.base import JobCommand


class Command(JobCommand):
    help = "Goes on with what was not attempted."
    runs_something = True
    action = "resume"
