"""`manage.py prune --older-than 30d`: removes jobs that ended long ago."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.humanize import duration
from jobs.maintenance import retention
from jobs.management import base
from jobs.models.job import Refused


class Command(base.Command):
    help = "Removes jobs that ended long ago, in chunks. Jobs that have not ended stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--older-than", required=True, metavar="TIME", help="hours, days or weeks: 12h, 30d, 2w")
        parser.add_argument(
            "--keep-results", action="store_true", help="remove only attempts, logs and uploaded files; results stay"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        keep, dry = options["keep_results"], options["dry_run"]
        try:
            jobs = list(retention.outdated(duration(options["older_than"]), keep))
        except ValueError as error:
            raise CommandError(str(error), returncode=base.NOT_DONE) from error
        gone = 0
        for job in jobs:
            self.stdout.write(f"{job.code}  {job.name}  {job.total:,} items")
            try:
                gone += dry or retention.prune(job, keep)
            except Refused as refusal:
                self.stderr.write(f"{job.code}: {refusal}")
        did = f"{'would be ' if dry else ''}{'reduced to their results' if keep else 'removed'}"
        self.stdout.write(f"{gone:,} job{'s' if gone != 1 else ''} {did}.")
