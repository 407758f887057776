from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs import dispatch, numbers
from jobs.models import Job
from jobs.terminal import JobCommand


class Command(JobCommand):
    help = "Tries the failed items of a job again, and what an ended job never attempted."
    runs_something = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--cause", type=int, help="only those that failed for this cause")

    def act(self, job: Job, **options: Any) -> str:
        return numbers.queued_again(dispatch.retry(job, cause=options["cause"]))
