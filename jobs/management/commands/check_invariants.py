from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from jobs.humanize import counted
from jobs.maintenance import invariants
from jobs.management import base
from jobs.models import Job


class Command(base.Command):
    help = "Recounts everything from the rows; exit status 1 and the difference where something does not add up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", nargs="?", default="", help="one job; all of them if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [base.find(options["code"])] if options["code"] else list(Job.objects.order_by("pk"))
        wrong = sum(self.recount(job) for job in jobs)
        self.stdout.write(f"{counted(len(jobs), 'job')} checked, {counted(wrong, 'difference')}.")
        sys.exit(1 if wrong else 0)

    def recount(self, job: Job) -> int:
        """Prints what is wrong with the job, and returns how much that is."""
        found = list(invariants.differences(job))
        for difference in found:
            self.stdout.write(f"{job.code}: {difference}")
        return len(found)
