from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from jobs import dispatch
from jobs.dials import LIMIT, POLICY
from jobs.forms import DialsForm
from jobs.models import Job
from jobs.models.job import Refused
from jobs.terminal import JobCommand

OPTIONS: Final = {
    "workers": ("N", "items at a time, up to JOBS_MAX_WORKERS"),
    "attempts": ("N", "how often an item is tried"),
    "timeout": ("S", "seconds for one attempt"),
    "rate": ("R", "starts per second"),
    "limit_share": ("P", "pause when more than P %% of the items fail"),
    "limit_sample": ("N", "least items for such a share"),
    "limit_count": ("N", "pause after N failures"),
    "limit_streak": ("K", "pause after K failures of one cause in a row"),
}


class Command(JobCommand):
    help = "Changes how a job runs, from now on. Write none for what shall have no limit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        for name, (letter, text) in OPTIONS.items():
            parser.add_argument(option(name), metavar=letter, help=text)

    def act(self, job: Job, **options: Any) -> str:
        asked = {name: options[name] for name in (*POLICY, *LIMIT) if options[name] is not None}
        if not asked:
            raise Refused("Say what to change, as --workers 20.")
        form = DialsForm(job, {name: "" if text == "none" else text for name, text in asked.items()})
        for name, errors in form.errors.items():
            raise Refused(f"{option(name)} {asked[name]}: {errors[0]}")
        told = dispatch.adjust(job, **form.changes)
        return "\n".join(f"{text}." for text in told) or "Nothing was changed."


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
