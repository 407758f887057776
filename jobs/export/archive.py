"""The results of several jobs as one archive, made while it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.utils import timezone

from jobs import files
from jobs.export import results
from jobs.models import Job


def zipped(jobs: Iterable[Job]) -> Iterator[bytes]:
    """A ZIP file with the ordered result of each job as CSV, in pieces; of any size, in the memory of one chunk."""
    pipe = files.Pipe()
    now = timezone.localtime()
    with ZipFile(pipe, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for job in jobs:
            for _ in packed(archive, job, now):
                yield pipe.take()
    yield pipe.take()


def packed(archive: ZipFile, job: Job, now: datetime) -> Iterator[None]:
    """Writes the job's result to the archive; stops after each piece."""
    with archive.open(entry(job, now), "w", force_zip64=True) as file:
        for text in results.chunks(job, "csv"):
            file.write(text.encode())
            yield


def entry(job: Job, now: datetime) -> ZipInfo:
    """A name that no other job's file has."""
    made = ZipInfo(results.file_name(job, f"-{job.code}-results.csv"), now.timetuple()[:6])
    made.compress_type = ZIP_DEFLATED
    return made
