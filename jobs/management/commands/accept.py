from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs import actions
from jobs.humanize import items
from jobs.management import options as asked
from jobs.management.base import JobCommand
from jobs.models import Job


class Command(JobCommand):
    help = "Accepts failures that are known: they stay failed, and a retry of all that failed leaves them out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        asked.add_failures(parser)
        parser.add_argument("--undo", action="store_true", help="take the acceptance back")

    def act(self, job: Job, **options: Any) -> str:
        accepted = not options["undo"]
        count = actions.accept(job, **asked.failures(job, options), accepted=accepted)
        return f"{items(count)} accepted." if accepted else f"{items(count)} no longer accepted."
