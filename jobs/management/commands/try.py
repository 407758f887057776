from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs import actions
from jobs.items import trial
from jobs.management.base import JobCommand
from jobs.models import Job


class Command(JobCommand):
    help = "Tries a few rows of a job that is ready; the rest waits for `start`, or another try."
    runs_something = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--rows", default="first", metavar="WHICH", help="first, random, or row numbers as 3,17,20-25"
        )
        parser.add_argument("--count", type=int, default=10, metavar="N", help="how many first or random ones")

    def act(self, job: Job, **options: Any) -> str:
        which, chosen = options["rows"], []
        if which not in ("first", "random"):
            which, chosen = "chosen", trial.row_numbers(which, job.total)
        count = actions.trial(job, rows=which, count=options["count"], chosen=chosen)
        return actions.ACTIONS["try"].done(count)
