from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs import actions
from jobs.management import options as asked
from jobs.management.base import JobCommand
from jobs.models import Job
from jobs.models.job import Refused
from jobs.models.run_settings import POLICY


class Command(JobCommand):
    help = "Tries the failed items of a job again, and what an ended job never attempted."
    runs_something = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        asked.add_failures(parser)
        asked.add_dials(parser, POLICY)
        asked.add_parameters(parser)

    def act(self, job: Job, **options: Any) -> str:
        try:
            parameters = asked.pairs(options["param"], "--param")
        except ValueError as error:
            raise Refused(str(error)) from error
        settings = asked.changes(job, options, POLICY)
        return actions.queued_again(
            actions.retry(job, **asked.failures(job, options), settings=settings, parameters=parameters)
        )
