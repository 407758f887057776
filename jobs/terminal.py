"""What the management commands share: finding a job, watching it, writing its result."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from jobs import live, results
from jobs.models import Job, JobState
from jobs.models.job import Refused
from jobs.models.states import ENDED

LOOK_EVERY: Final = 0.25  # seconds
# Exit statuses that scripts rely on.
ALL_SUCCEEDED, SOME_DID_NOT, NOT_DONE = 0, 1, 2


def find(code: str) -> Job:
    """The job with this code, or at this address. Raises CommandError."""
    code = code.rstrip("/").rsplit("/", 1)[-1]
    job = Job.objects.filter(code=code).select_related("upload", "owner", "run").first()
    if job is None:
        raise CommandError(f"There is no job {code}.", returncode=NOT_DONE)
    return job


def address(job: Job) -> str:
    """The job's page in the system that runs in this folder."""
    try:
        base = Path(settings.ADDRESS_FILE).read_text().strip()
    except OSError:
        base = "http://127.0.0.1:8000"
    return base.rstrip("/") + job.get_absolute_url()


def watch(job: Job, quiet: bool = False) -> None:
    """Draws a bar on standard error until the job ends or stops."""
    with tqdm(total=job.total or None, desc=job.name[:30], unit=" items", disable=quiet) as bar:
        while True:
            job.refresh_from_db()
            counts = live.summary(job)
            bar.total = job.total or None
            bar.set_postfix(failed=counts["failed"], refresh=False)
            bar.update(counts["succeeded"] + counts["failed"] + counts["rejected"] - bar.n)
            bar.refresh()
            if job.state in (*ENDED, JobState.PAUSED, JobState.READY) and not counts["running"]:
                return
            time.sleep(LOOK_EVERY)


def status(job: Job) -> int:
    """0 when every item succeeded, 1 when some did not, 2 when the job was not done."""
    if job.state != JobState.FINISHED:
        return NOT_DONE
    return ALL_SUCCEEDED if job.counts()["succeeded"] == job.total else SOME_DID_NOT


def sentence(job: Job) -> str:
    """How the job stands, in one line."""
    counts = live.summary(job)
    names = ("succeeded", "failed", "rejected", "running", "waiting", "not_attempted")
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if counts[name]]
    reason = f" {job.reason}" if job.reason else ""
    return f"{job.get_state_display()}: {', '.join(parts) or 'no items'} of {job.total:,}.{reason}"


def write(chunks: Iterator[str], out: str) -> None:
    """Writes the text to the file `out`, or to standard output for `-`. A file appears whole or not at all."""
    if out == "-":
        for chunk in chunks:
            sys.stdout.write(chunk)
        return
    path = Path(out)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            for chunk in chunks:
                file.write(chunk)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CommandError(f"{out} cannot be written: {error.strerror}.", returncode=NOT_DONE) from error


def write_results(job: Job, out: str) -> None:
    suffix = "jsonl" if out.lower().endswith((".jsonl", ".ndjson")) else "csv"
    write(results.chunks(job, suffix), out)


class JobCommand(BaseCommand):
    """One verb on one job, the same as on its page."""

    verb = ""
    runs_something = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", help="the job's code, or its address")
        if self.runs_something:
            parser.add_argument("--watch", action="store_true", help="draw a bar until the job ends")

    def act(self, job: Job, **options: Any) -> str:
        """Does it and returns what to say."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        job = find(options.pop("code"))
        try:
            self.stdout.write(self.act(job, **options))
        except Refused as refusal:
            raise CommandError(str(refusal), returncode=NOT_DONE) from refusal
        if options.get("watch"):
            watch(job)
            self.stdout.write(sentence(job))
            sys.exit(status(job))
