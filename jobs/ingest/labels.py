"""How the rows of a job are named, and which of them its processor refuses: the same when they are read and mended."""

from __future__ import annotations

from jobs import files, processors
from jobs.ingest import limits
from jobs.models import Job


def namer(job: Job) -> files.Name:
    """A function from the value of a good row to its label and key."""
    return files.naming(job.file_shape, job.label_column or _label_column(job), (job.key_column, *files.KEY_COLUMNS))


def check(job: Job) -> files.Check | None:
    """Why a good row is rejected all the same: what would fail as invalid input need not be tried."""
    if job.processor not in processors.names():
        return None
    return limits.check_for(processors.get(job.processor), job.file_shape, job.mapping)


def _label_column(job: Job) -> str:
    """The column that names the job's items where nobody chose one."""
    if job.processor not in processors.names():
        return ""
    return limits.label_column(processors.get(job.processor), job.mapping)
