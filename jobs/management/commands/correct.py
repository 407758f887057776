from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.files import File

from jobs import actions, files
from jobs.humanize import counted, items
from jobs.items import corrections
from jobs.management import base
from jobs.models import Job, Upload
from jobs.models.job import Refused
from jobs.models.quota_limits import OverQuota

SHOWN: Final = 10  # problems that are listed


class Command(base.JobCommand):
    help = "Puts the rows of a fixed failed.csv in the places of the failed ones, and tries those again."
    runs_something = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file")
        parser.add_argument("--unchanged", action="store_true", help="also try rows that nobody changed")
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")

    def act(self, job: Job, **options: Any) -> str:
        upload = kept(job, Path(options["file"]))
        try:
            said = self.told(job, upload)
            if options["dry_run"]:
                return said
            self.stdout.write(said)
            count = actions.correct_from(job, upload, unchanged=options["unchanged"])
        finally:
            upload.discard()  # leaves what has become part of the job
        return f"{items(count)} fixed and queued again."

    def told(self, job: Job, upload: Upload) -> str:
        """What the file comes to, in a line; what is wrong with it goes to standard error. Raises Refused."""
        try:
            with corrections.opened(job, upload, None) as rows:
                found = rows.compare()
        except (files.Unreadable, corrections.InvalidCorrection) as error:
            raise Refused(str(error)) from error
        for problem in [*found.first_problems, *found.first_left][:SHOWN]:
            self.stderr.write(f"Row {problem.row:,} of the file: {problem.text}")
        parts = {"changed": found.changed, "unchanged": found.unchanged, "left alone": found.left + found.problems}
        return f"{counted(found.rows)}: {', '.join(f'{count:,} {word}' for word, count in parts.items())}."


def kept(job: Job, path: Path) -> Upload:
    """The file, stored for the job's owner. Raises Refused."""
    try:
        with path.open("rb") as stream:
            return Upload.keep(File(stream), path.name, job.owner)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from error
    except OverQuota as error:
        raise Refused(str(error)) from error
