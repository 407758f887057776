from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs import actions
from jobs.management import options as asked
from jobs.management.base import JobCommand
from jobs.models import Job
from jobs.models.job import Refused
from jobs.models.run_settings import LIMIT, POLICY


class Command(JobCommand):
    help = "Changes how a job runs, from now on. Write none for what shall have no limit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        asked.add_dials(parser, (*POLICY, *LIMIT))

    def act(self, job: Job, **options: Any) -> str:
        names = (*POLICY, *LIMIT)
        if all(options[name] is None for name in names):
            raise Refused("Say what to change, as --workers 20.")
        told = actions.adjust(job, **asked.changes(job, options, names))
        return "\n".join(f"{text}." for text in told) or "Nothing was changed."
