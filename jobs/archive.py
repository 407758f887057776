"""The results of several jobs as one archive, made while it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from io import RawIOBase
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.utils import timezone

from jobs import results
from jobs.models import Job


class Outlet(RawIOBase):
    """What the archive is written to: it holds no more than was written since it was last emptied."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.chunks.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data = b"".join(self.chunks)
        self.chunks.clear()
        return data


def zipped(jobs: Iterable[Job]) -> Iterator[bytes]:
    """A ZIP file with the ordered result of each job as CSV, in pieces; of any size, in the memory of one chunk."""
    outlet = Outlet()
    now = timezone.localtime()
    with ZipFile(outlet, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for job in jobs:
            for _ in packed(archive, job, now):
                yield outlet.taken()
    yield outlet.taken()


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
