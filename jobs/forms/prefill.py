"""What the form is filled in with when a job is changed or run again."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from jobs import files
from jobs.forms.file import DELIMITERS, OTHER
from jobs.forms.job import NAMES, chosen_one
from jobs.ingest import inspection
from jobs.models import Job, Upload, parameters


def filled_in(job: Job, person: User) -> dict[str, Any]:
    """The fields of a form for this person that describe this job. Secrets stay where they are."""
    processor = chosen_one(job.processor)
    shown = {one.name for one in processor.parameters}
    fields = {name: getattr(job, name) for name in ("name", *NAMES)} | job.settings
    public = parameters.public(job.processor, job.parameters)
    fields |= {f"param_{name}": value for name, value in public.items() if name in shown}
    if processor.name == job.processor:
        fields |= {f"map_{one.name}": job.mapping.get(one.name, "") for one in processor.inputs}
    return fields | options(job, person)


def options(job: Job, person: User) -> dict[str, str]:
    """The options under which the job's file is read as it was; those that would be guessed so are left to that."""
    shape = job.file_shape
    found = automatic(job.upload, person)
    said = {"encoding": shape.encoding, "sheet": shape.sheet} | ({"format": shape.format} if shape.format else {})
    if shape.format in ("csv", "xlsx"):
        said["header"] = "yes" if shape.header else "no"
    if shape.format == "csv":
        said["delimiter"] = shape.delimiter
    guessed: dict[str, str] = {}
    if found:
        guessed = {name: getattr(found, name) for name in ("format", "encoding", "sheet", "delimiter")}
        guessed["header"] = "yes" if found.header else "no"
    return spelled({name: value for name, value in said.items() if value and value != guessed.get(name)})


def spelled(said: dict[str, str]) -> dict[str, str]:
    """The options as fields; a rare delimiter has one of its own."""
    fields = {f"file_{name}": value for name, value in said.items()}
    if said.get("delimiter", ",") not in dict(DELIMITERS):
        fields |= {"file_delimiter": OTHER, "file_delimiter_other": said["delimiter"]}
    return fields


def automatic(upload: Upload, person: User) -> files.Shape | None:
    """How the file is read when nothing is said about it."""
    try:
        with upload.opened() as stored:
            return inspection.of_file(stored, upload.name, {}, upload.size, person.pk).shape
    except (files.Unreadable, OSError, ValueError):
        return None
