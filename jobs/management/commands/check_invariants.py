from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from jobs import invariants, terminal
from jobs.models import Job


class Command(terminal.Command):
    help = "Recounts everything from the rows; exit status 1 and the difference where something does not add up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", nargs="?", default="", help="one job; all of them if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [terminal.find(options["code"])] if options["code"] else list(Job.objects.order_by("pk"))
        wrong = sum(self.recount(job) for job in jobs)
        self.stdout.write(f"{counted(len(jobs), 'job')} checked, {counted(wrong, 'difference')}.")
        sys.exit(1 if wrong else 0)

    def recount(self, job: Job) -> int:
        """Prints what is wrong with the job, and returns how much that is."""
        with one_moment():
            found = list(invariants.differences(job))
        for difference in found:
            self.stdout.write(f"{job.code}: {difference}")
        return len(found)


@contextmanager
def one_moment() -> Iterator[None]:
    """All readings inside see the same moment, so that a worker which writes meanwhile makes no difference."""
    outermost = not connection.in_atomic_block
    if connection.vendor == "sqlite":
        # A reader of SQLite sees one moment without the write lock that transactions here take otherwise.
        connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
