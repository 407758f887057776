from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.items import choice
from jobs.management import base
from jobs.models import Job


class Command(base.JobCommand):
    help = (
        "Writes the ordered result of a job, at any moment. OUT ends in .csv, .jsonl, .ndjson, .json or .xlsx; "
        "- is standard output."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("out")
        parser.add_argument("--state", default="", metavar="STATE", help=f"one of {', '.join(choice.STATES)}")
        base.add_choice(parser)

    def act(self, job: Job, **options: Any) -> str:
        base.write_results(job, options["out"], base.chosen(job, options))
        return "" if options["out"] == base.STANDARD_OUTPUT else base.sentence(job)
