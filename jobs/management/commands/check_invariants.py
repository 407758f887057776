from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from jobs import invariants, terminal
from jobs.models import Job


class Command(BaseCommand):
    help = "Recounts everything from the rows; exit status 1 and the difference where something does not add up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", nargs="?", default="", help="one job; all of them if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [terminal.find(options["code"])] if options["code"] else Job.objects.order_by("pk")
        checked = wrong = 0
        for job in jobs:
            checked += 1
            for difference in invariants.differences(job):
                wrong += 1
                self.stdout.write(f"{job.code}: {difference}")
        self.stdout.write(f"{checked:,} jobs checked, {wrong:,} differences.")
        sys.exit(bool(wrong))
