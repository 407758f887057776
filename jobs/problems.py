"""Everything that is wrong with a job's file, as a download: the file is read again, and nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from jobs import files, loading, sources
from jobs.models import Job

CHUNK: Final = 500  # problems
COLUMNS: Final = ("row", "kind", "reason")


def chunks(job: Job) -> Iterator[str]:
    """Each problem as a record of CSV, in the order of the rows. Wants the stored file to be there.

    Where the file as a whole cannot be read, the last record says why.
    """
    yield files.csv_line(COLUMNS)
    try:
        with job.upload.file.open("rb") as stream:
            yield from records(job, stream)
    except files.Unreadable as error:
        yield files.csv_line(["", "unreadable", str(error)])
    except FileNotFoundError:
        yield files.csv_line(["", "unreadable", "The stored file is gone."])


def records(job: Job, stream: files.Readable) -> Iterator[str]:
    """The problems of the stream, some at a time."""
    reader = sources.read(stream, job.file_shape)
    found = files.Preflight(reader, (job.key_column, *files.KEY_COLUMNS), loading.check(job))
    while problems := list(islice(found, CHUNK)):
        yield "".join(files.csv_line([str(row), kind, reason]) for row, kind, reason in problems)
