from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs import dispatch, terminal
from jobs.limits import items
from jobs.models import Job
from jobs.terminal import JobCommand


class Command(JobCommand):
    help = "Tries a few rows of a job that is ready; the rest waits for `start` on the page, or another try."
    runs_something = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--rows", default="first", metavar="WHICH", help="first, random, or row numbers as 3,17,20")
        parser.add_argument("--count", type=int, default=10, metavar="N", help="how many first or random ones")

    def act(self, job: Job, **options: Any) -> str:
        which = options["rows"]
        chosen = [] if which in ("first", "random") else numbers(which)
        count = dispatch.trial(job, rows="chosen" if chosen else which, count=options["count"], chosen=chosen)
        return f"Trying {items(count)}."


def numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise CommandError(
            f"--rows wants first, random, or row numbers as 3,17,20; not “{text}”.", returncode=terminal.NOT_DONE
        )
    return [int(part) for part in parts]
