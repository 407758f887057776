"""How the rows of a job are named: the same when its file is read and when rows are corrected."""

from __future__ import annotations

from collections.abc import Mapping

from jobs import files, processors
from jobs.ingest import labels
from jobs.models import Job
from jobs.processors import Processor


def namer(job: Job) -> files.Name:
    """A function from the value of a good row to its label and key."""
    return files.naming(job.file_shape, job.label_column or _label_column(job), (job.key_column, *files.KEY_COLUMNS))


def _label_column(job: Job) -> str:
    """The column that names the job's items where nobody chose one."""
    if job.processor not in processors.names():
        return ""
    return labels.label_column(processors.get(job.processor), job.mapping)


def label_column(processor: Processor, mapping: Mapping[str, str]) -> str:
    """The column that names an item on pages where nobody chose one: that of the first required input."""
    return next((mapping[one.name] for one in processor.inputs if one.required and one.name in mapping), "")
