from __future__ import annotations

from jobs.management.base import JobCommand


class Command(JobCommand):
    help = "Starts no new items; what is in flight is recorded."
    action = "pause"
