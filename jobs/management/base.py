"""What the management commands share: finding a job, watching it, writing its result."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from batchweb import installation
from jobs import actions
from jobs.engine.progress import ConsoleBar
from jobs.export import results
from jobs.export.reader import EVERY_ROW
from jobs.items.choice import Choice
from jobs.live import frame as live_frame
from jobs.live import status as live_status
from jobs.live.shapes import Frame
from jobs.models import ItemState, Job, JobState
from jobs.models import counts as models_counts
from jobs.models.job import Refused
from jobs.models.states import ENDED

LOOK_EVERY: Final = 0.25  # seconds
# Exit statuses that scripts rely on.
ALL_SUCCEEDED, SOME_DID_NOT, NOT_DONE = 0, 1, 2
STANDARD_OUTPUT: Final = "-"


def find(code: str) -> Job:
    """The job with this code, or at this address. Raises CommandError."""
    code = code.rstrip("/").rsplit("/", 1)[-1]
    job = Job.objects.present().filter(code=code).select_related("upload", "owner", "run").first()
    if job is None:
        raise CommandError(f"There is no job {code}.", returncode=NOT_DONE)
    return job


def address(job: Job) -> str:
    """The job's page, where people reach it; without a public address in the system that runs in this folder."""
    return (settings.PUBLIC.origin or running_at()).rstrip("/") + job.get_absolute_url()


def running_at() -> str:
    """Where the system of this folder listens."""
    try:
        return Path(settings.ADDRESS_FILE).read_text().strip()
    except OSError:
        return f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"


def watch(job: Job, quiet: bool = False) -> None:
    """Draws a bar on standard error until the job ends or stops. Ctrl-C stops the watching, not the job.

    Raises CommandError.
    """
    frame = look(job)
    # What was done before somebody looked is no part of the rate.
    with ConsoleBar(frame["total"] or None, job.name[:30], initial=done(frame), disable=quiet) as bar:
        try:
            while not draw(bar, job, frame):
                time.sleep(LOOK_EVERY)
                frame = look(job)
        except KeyboardInterrupt:
            raise CommandError("The job goes on without being watched.", returncode=NOT_DONE) from None


def look(job: Job) -> Frame:
    job.refresh_from_db()
    return live_frame.stats(job, rows=[])


def done(frame: Frame) -> int:
    return sum(frame["counts"][name] for name in ("succeeded", "failed", "rejected"))


def draw(bar: ConsoleBar, job: Job, frame: Frame) -> bool:
    """Brings the bar up to date; True when nothing more will come of the job by itself."""
    counts = frame["counts"]
    bar.total = frame["total"] or None
    bar.set_postfix_str(frame["why"] or f"failed={counts['failed']:,}", refresh=False)
    bar.show(done(frame))
    return job.state in (*ENDED, JobState.PAUSED, JobState.READY) and not counts["running"]


def status(job: Job) -> int:
    """0 when every item (of a trial: that it tried) succeeded, 1 when some did not, 2 when the job was not done."""
    if job.state == JobState.READY and job.run:
        left = job.items.filter(position__in=job.run.positions).exclude(state=ItemState.SUCCEEDED)
        return SOME_DID_NOT if left.exists() else ALL_SUCCEEDED
    if job.state != JobState.FINISHED:
        return NOT_DONE
    return ALL_SUCCEEDED if job.counts()["succeeded"] == job.total else SOME_DID_NOT


def sentence(job: Job) -> str:
    """How the job stands, in one line."""
    counts = models_counts.summary(job)
    names = ("succeeded", "failed", "rejected", "running", "waiting", "not_attempted")
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if counts[name]]
    reason = f" {job.reason}" if job.reason else ""
    return f"{live_status.label(job, counts)}: {', '.join(parts) or 'no items'} of {job.total:,}.{reason}"


def write(pieces: Iterator[bytes], out: str) -> None:
    """Writes the pieces to the file `out`, or to standard output for `-`. A file appears whole or not at all.

    Raises CommandError.
    """
    try:
        with opened(out) as file:
            for piece in pieces:
                file.write(piece)
    except BrokenPipeError:
        # Whoever read has seen enough; nothing is left to be flushed into the closed pipe at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}.", returncode=NOT_DONE) from error


@contextmanager
def opened(out: str) -> Iterator[IO[bytes]]:
    """`out` to be written to: beside its place first, unless it is no ordinary file."""
    path = Path(out).resolve()
    if out == STANDARD_OUTPUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
    else:
        with unfinished(path) as file:
            yield file


@contextmanager
def unfinished(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place at `path` when it is complete, and is gone when it never gets so far."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check_writable(out: str) -> None:
    """Raises CommandError where the file `out` can never be written, before anything is done for it."""
    try:
        with opened(out):
            # Leaving by an error keeps what is there now.
            raise InterruptedError
    except InterruptedError:
        return
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}.", returncode=NOT_DONE) from error


def write_results(job: Job, out: str, choice: Choice = EVERY_ROW) -> None:
    """Writes the ordered result in the format that `out` ends in; CSV where that says nothing."""
    format = results.ENDINGS.get(Path(out).suffix.lower(), "csv")
    write(results.pieces(job, format, choice), out)


def add_choice(parser: ArgumentParser) -> None:
    """Which rows: what stands behind the question mark of a download's address."""
    parser.add_argument("--cause", default="", metavar="N", help="rows that failed for this cause only")
    parser.add_argument("--rows", default="", metavar="ROWS", help="these rows only, as 3,17,20-25")
    parser.add_argument("--accepted", default="", metavar="0|1", help="failed rows that were accepted, or were not")


def chosen(job: Job, options: Mapping[str, Any]) -> Choice:
    """Raises Refused with a sentence where there are no such rows."""
    return Choice.of({name: options.get(name) or "" for name in ("state", "cause", "rows", "accepted")}, job)


class Command(BaseCommand):
    """A command that answers with a sentence where others would show a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            reason = str(error).strip().split("\n")[0]
            advice = f"Is batchweb set up in this folder? `{installation.COMMAND} up` does that."
            raise CommandError(f"The database does not answer: {reason}. {advice}", returncode=NOT_DONE) from error


class JobCommand(Command):
    """One action on one job, the same as on its page."""

    action = ""
    runs_something = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", help="the job's code, or its address")
        if self.runs_something:
            parser.add_argument("--watch", action="store_true", help="draw a bar until the job ends")

    def act(self, job: Job, **options: Any) -> str:
        """Does it and returns what to say. Raises Refused."""
        action = actions.ACTIONS[self.action]
        return action.done(action.run(job))

    def handle(self, *args: Any, **options: Any) -> None:
        job = find(options.pop("code"))
        try:
            said = self.act(job, **options)
        except Refused as refusal:
            raise CommandError(str(refusal), returncode=NOT_DONE) from refusal
        if said:
            self.stdout.write(said)
        if options.get("watch"):
            watch(job)
            self.stderr.write(sentence(job))
            sys.exit(status(job))
