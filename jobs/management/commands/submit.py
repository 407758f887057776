"""`manage.py submit FILE --processor NAME`: makes a job of a file, the same as the page does."""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.base import File
from django.core.management.base import CommandError

from batchweb import installation
from jobs import actions, files
from jobs.files.shape import Given
from jobs.forms import LIMIT, POLICY, defaults
from jobs.forms.policy import FASTEST
from jobs.ingest import limits
from jobs.management import base
from jobs.management import options as asked
from jobs.models import Job, JobState, Upload
from jobs.models.failure_limit import SAMPLE
from jobs.models.quota_limits import OverQuota
from jobs.processors import Processor


class Command(base.Command):
    help = "Makes a job of a file and starts it. Prints the job's address."

    def add_arguments(self, parser: ArgumentParser) -> None:
        asked.add_file(parser)
        asked.add_processor(parser, required=True)
        parser.add_argument("--label", default="", metavar="COLUMN", help="the column that names an item on pages")
        parser.add_argument("--name", default="", help="what the job is called; the file's name unless given")
        parser.add_argument("--workers", type=int, metavar="N", help="items at a time, up to JOBS_MAX_WORKERS")
        parser.add_argument("--attempts", type=int, metavar="N", help="how often an item is tried")
        parser.add_argument("--timeout", type=float, metavar="S", help="seconds for one attempt; 0 for no limit")
        parser.add_argument("--rate", type=float, metavar="R", help="starts per second")
        parser.add_argument(
            "--limit-share", type=float, metavar="P", help="pause when more than P %% of the items fail"
        )
        parser.add_argument(
            "--limit-sample", type=int, metavar="N", help=f"least items for such a share; {SAMPLE} unless given"
        )
        parser.add_argument("--limit-count", type=int, metavar="N", help="pause after N failures")
        parser.add_argument(
            "--limit-streak", type=int, metavar="K", help="pause after K failures of one cause in a row"
        )
        parser.add_argument("--user", default="", metavar="NAME", help="the owner; else the first administrator")
        parser.add_argument("--check", action="store_true", help="read and check the file only; the job stays ready")
        parser.add_argument("--watch", action="store_true", help="draw a bar until the job ends")
        parser.add_argument("--results", default="", metavar="OUT", help="write the ordered result, as `results` does")

    def handle(self, *args: Any, **options: Any) -> None:
        job = self.submit(options)
        self.stdout.write(base.address(job))
        if options["watch"] or options["results"]:
            base.watch(job, quiet=not options["watch"])
            self.stderr.write(base.sentence(job))
            if options["results"]:
                base.write_results(job, options["results"])
            sys.exit(0 if options["check"] and job.state == JobState.READY else base.status(job))

    def submit(self, options: dict[str, Any]) -> Job:
        """The job that the options describe. Raises CommandError with a sentence where it cannot be made."""
        path = Path(options["file"])
        try:
            fields = described(path, options)
            owner = owner_of(options["user"])
            if options["results"]:
                base.check_writable(options["results"])
            return made(path, owner, start=not options["check"], **fields)
        except (files.Unreadable, ValueError) as error:
            raise CommandError(str(error), returncode=base.NOT_DONE) from error


def described(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    """The fields of the job. Raises Unreadable, or ValueError with a sentence."""
    if options["check"] and options["results"]:
        raise ValueError("There is no result with --check: leave out one of --check and --results.")
    processor = asked.known(options["processor"])
    parameters = processor.clean(asked.pairs(options["param"], "--param"))
    shape = recognise(path, asked.given(options))
    asked.check_sheet(shape, options["sheet"])
    mapping = asked.mapped(processor, shape, asked.pairs(options["map"], "--map"))
    chosen = {f"{name}_column": asked.known_column(shape, options[name]) for name in ("label", "key")}
    policy = policy_of(processor, options) | limit_of(options)
    return {
        "name": options["name"], "processor": processor.name, "parameters": parameters, "mapping": mapping,
        "shape": shape.to_dict(), "columns": list(shape.columns), **chosen, **policy,
    }  # fmt: skip


def made(path: Path, owner: Any, *, start: bool, name: str, **fields: Any) -> Job:
    """The job, with the file stored. Raises OverQuota, and then keeps nothing."""
    with path.open("rb") as stream:
        upload = Upload.keep(File(stream), path.name, owner)
    try:
        return actions.submit(upload, owner, start=start, name=name or upload.name, **fields)
    except OverQuota:
        upload.discard()
        raise


def recognise(path: Path, given: Given) -> files.Shape:
    """The shape of the file at `path`. Raises Unreadable, also where there is no such file or it is too large."""
    limit = settings.JOBS_MAX_UPLOAD_BYTES
    try:
        if (size := path.stat().st_size) > limit:
            raise files.Unreadable(f"{path.name} has {size:,} bytes; the limit here is {limit:,} (JOBS_MAX_UPLOAD_MB).")
        with path.open("rb") as stream:
            return limits.recognise(stream, path.name, **given)
    except OSError as error:
        raise files.Unreadable(f"{path} cannot be read: {error.strerror}.") from error


def policy_of(processor: Processor, options: dict[str, Any]) -> dict[str, Any]:
    """Workers, attempts, timeout and rate: as given, else the processor's own. Raises ValueError."""
    policy = defaults(processor) | {name: options[name] for name in POLICY if options[name] is not None}
    workers, attempts, timeout, rate = (policy[name] for name in POLICY)
    if not 1 <= workers <= settings.JOBS_MAX_WORKERS:
        raise ValueError(f"--workers must be from 1 to {settings.JOBS_MAX_WORKERS}, not {workers}.")
    if not 1 <= attempts <= 20:
        raise ValueError(f"--attempts must be from 1 to 20, not {attempts}.")
    if not 0 <= timeout < math.inf:
        raise ValueError(f"--timeout must be 0 or more, not {timeout:g}.")
    if rate is not None and not 0 < rate <= FASTEST:
        raise ValueError(f"--rate must be above 0 and up to {FASTEST:,}, not {rate:g}.")
    return policy | {"timeout": timeout or None}


def limit_of(options: dict[str, Any]) -> dict[str, Any]:
    """The failure limit, as far as one was given. Raises ValueError."""
    given = {name: options[name] for name in LIMIT if options[name] is not None}
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if name == "limit_share" and not 0 <= value < 100:
            raise ValueError(f"{option} must be from 0 to below 100, not {value:g}.")
        if name != "limit_share" and not 1 <= value < 2**31:
            raise ValueError(f"{option} must be 1 or more, not {value}.")
    return given


def owner_of(name: str) -> Any:
    people = get_user_model().objects
    owner = people.filter(username=name).first() if name else people.filter(is_superuser=True).order_by("pk").first()
    if owner is None:
        missing = (
            f"There is no person called “{name}”."
            if name
            else f"There is no administrator yet; `{installation.COMMAND} up` makes one."
        )
        raise CommandError(missing, returncode=base.NOT_DONE)
    return owner
