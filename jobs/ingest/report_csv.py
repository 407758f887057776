"""Everything that is wrong with a job's file, as a download: a child reads it again, and nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from jobs import files
from jobs.ingest import inspection, validation
from jobs.models import Job

CHUNK: Final = 500  # rows of the file
COLUMNS: Final = ("row", "kind", "reason")
BLANK: Final = "blank line"


def chunks(job: Job, person: int | None) -> Iterator[str]:
    """Each problem as a record of CSV, in the order of the rows, for this person. Requires the stored file to be there.

    There is a chunk for so many rows of the file, often an empty one, so that whoever sends them can stop in between.
    Where the file as a whole cannot be read, the last record says why.
    """
    yield files.csv_line(COLUMNS)
    found = records(job, person)
    while some := list(islice(found, CHUNK)):
        yield "".join(some)


def records(job: Job, person: int | None) -> Iterator[str]:
    """What is to be written of each row; nothing of most."""
    try:
        size = job.upload.size
        with job.upload.opened() as stream, inspection.reading(stream, job.file_shape, size, person) as reader:
            for found in problems(job, reader):
                yield "".join(map(files.csv_line, found))
    except files.Unreadable as error:
        yield files.csv_line(["", "unreadable", str(error)])
    except FileNotFoundError:
        yield files.csv_line(["", "unreadable", "The stored file is gone."])


def problems(job: Job, reader: files.Rows) -> Iterator[list[list[str]]]:
    """The cells of what there is to say about each row: the blank lines before it, and its own problems."""
    preflight = files.Preflight(reader, (job.key_column, *files.KEY_COLUMNS), validation.check(job))
    known = 0
    for found in preflight.by_row():
        cells = [[str(row), kind, reason] for row, kind, reason in found]
        if reader.blank > known:
            cells.insert(0, blank(reader.blank - known, before=reader.rows))
            known = reader.blank
        yield cells
    if reader.blank > known:
        yield [blank(reader.blank - known, after=reader.rows)]


def blank(count: int, *, before: int = 0, after: int = 0) -> list[str]:
    """Blank lines are no rows, so they stand between two of them. Numbers of rows are from 1."""
    place = f"between rows {before - 1:,} and {before:,}"
    place = f"after row {after:,}" if after else "before row 1" if before == 1 else place
    return ["", BLANK, f"{count:,} lines {place}" if count > 1 else place]
