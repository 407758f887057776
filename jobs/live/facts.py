"""What a job is and what was done to it, as the frames of its page carry it."""

from __future__ import annotations

from typing import Final

from jobs import processors
from jobs.live.shapes import ActivityLine, Facts
from jobs.models import Activity, Job

LATEST: Final = 5  # activities in a frame; a page that missed more than these begins its list anew


def facts(job: Job) -> Facts:
    """Names, and how it runs: `settings` by the names of the panel that changes them, `limit` in words or empty."""
    return {
        "name": job.name,
        "file": job.upload.name,
        "processor": processor_label(job.processor),
        "settings": job.settings,
        "limit": str(job.limit),
        "started": job.started.isoformat() if job.started else None,
        "ended": job.finished.isoformat() if job.finished else None,
        "activity": activity(job),
    }


def processor_label(name: str) -> str:
    """What people call the processor, or its name where there is no such one any more."""
    try:
        return processors.get(name).label
    except processors.UnknownProcessor:
        return name


def activity(job: Job) -> list[ActivityLine]:
    """The latest things that were done to it, the newest first: when, what, and by whom (empty: by itself).

    `file` is the number of the run whose corrections came as a file, where one did.
    """
    return [_line(one) for one in job.latest[:LATEST]]


def _line(one: Activity) -> ActivityLine:
    line: ActivityLine = {"id": one.pk, "at": one.at.isoformat(), "text": one.text, "by": str(one.by or "")}
    return {**line, "file": one.correction} if one.correction else line
