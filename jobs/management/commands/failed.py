from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from jobs.export import results
from jobs.management import base
from jobs.models import Job


class Command(base.JobCommand):
    help = "Writes exactly the failed rows of a job as CSV, with what went wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("out")
        base.add_choice(parser)

    def act(self, job: Job, **options: Any) -> str:
        choice = replace(base.chosen(job, options), state="failed")
        counts: list[int] = []
        base.write(results.encoded(results.failed_chunks(job, choice, counts.append)), options["out"])
        failed = sum(counts)
        said = f"{failed:,} failed rows." if failed != 1 else "1 failed row."
        return "" if options["out"] == base.STANDARD_OUTPUT else said
