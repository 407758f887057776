from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs import terminal
from jobs.models import Job


class Command(terminal.JobCommand):
    help = "Writes the ordered result of a job, at any moment. OUT ends in .csv or .jsonl; - is standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("out")

    def act(self, job: Job, **options: Any) -> str:
        terminal.write_results(job, options["out"])
        return "" if options["out"] == terminal.STANDARD_OUTPUT else terminal.sentence(job)
