"""The states of jobs and items, and every arrow between them."""

from __future__ import annotations

from typing import Final

from django.db import models


class Refused(Exception):
    """The verb is not possible in the job's state; the message is a sentence for a person."""


class JobState(models.TextChoices):
    LOADING = "loading", "Reading the file"
    READY = "ready", "Ready"
    INVALID = "invalid", "Cannot be read"
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


ENDED: Final = (JobState.FINISHED, JobState.CANCELLED, JobState.INVALID)
WORKABLE: Final = (JobState.QUEUED, JobState.RUNNING)
UNFINISHED: Final = (*WORKABLE, JobState.PAUSED)

# From a state to those that may follow it, and when that happens.
ARROWS: Final[dict[JobState, dict[JobState, str]]] = {
    JobState.LOADING: {
        JobState.READY: "the whole file was read; a person decides what comes next",
        JobState.QUEUED: "the whole file was read, and the person had asked to start right away",
        JobState.INVALID: "the file cannot be a job",
        JobState.CANCELLED: "a person gave up while it was read",
    },
    JobState.READY: {
        JobState.LOADING: "a person chose other options or columns",
        JobState.QUEUED: "a person pressed Start, or tries some rows",
        JobState.CANCELLED: "a person gave up before the start",
    },
    JobState.INVALID: {
        JobState.LOADING: "a person chose other options for the same file",
    },
    JobState.QUEUED: {
        JobState.RUNNING: "a worker took its first shard",
        JobState.READY: "nothing of the trial was left to do",
        JobState.PAUSED: "a person paused it in the queue",
        JobState.FINISHED: "nothing in it was left to do",
        JobState.CANCELLED: "a person gave up while it waited",
    },
    JobState.RUNNING: {
        JobState.READY: "the trial is done",
        JobState.PAUSED: "a person or the failure limit stopped it",
        JobState.FINISHED: "its last item was recorded",
        JobState.CANCELLED: "a person gave up while it ran",
    },
    JobState.PAUSED: {
        JobState.READY: "what was in flight at the pause was the rest of the trial",
        JobState.QUEUED: "a person pressed Resume, no item had run yet or not",
        JobState.FINISHED: "what was in flight at the pause was the rest of it",
        JobState.CANCELLED: "a person gave up while it was paused",
    },
    JobState.FINISHED: {
        JobState.QUEUED: "failed items are tried again",
    },
    JobState.CANCELLED: {
        JobState.QUEUED: "failed items and those never attempted are tried",
    },
}


def sources(target: JobState) -> list[JobState]:
    """The states from which a job may enter `target`."""
    return [state for state, targets in ARROWS.items() if target in targets]


# In which states each action is possible, and the sentence that says so in the others. What it does: jobs.actions.
POSSIBLE: Final[dict[str, tuple[tuple[JobState, ...], str]]] = {
    "start": ((JobState.READY,), "Only a job that is ready can be started."),
    "try": ((JobState.READY,), "Rows can be tried only while the job is ready and has not been started."),
    "change": ((JobState.READY, JobState.INVALID), "The settings can be changed only before the job is started."),
    "pause": (WORKABLE, "Only a job that waits or runs can be paused."),
    "resume": ((JobState.PAUSED, JobState.CANCELLED), "Only a paused or cancelled job can be resumed."),
    "adjust": (
        (JobState.READY, *UNFINISHED),
        "How a job runs can be adjusted from when its file was read until it has ended.",
    ),
    "cancel": (tuple(sources(JobState.CANCELLED)), "The job has ended already."),
    "delete": (tuple(JobState), ""),
    "retry": (
        (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.FINISHED, JobState.CANCELLED),
        "Failed items can be tried again once the job has been started.",
    ),
    "accept": (
        (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.FINISHED, JobState.CANCELLED),
        "Failures can be accepted once the job has been started.",
    ),
}


class ItemState(models.IntegerChoices):
    """What is stored for an item. The numbers are the bytes of a shard's cells and of the frames."""

    PENDING = 0, "Waiting"
    SUCCEEDED = 2, "Succeeded"
    FAILED = 3, "Failed"
    REJECTED = 4, "Rejected"


# Cells and frames know more than rows do: these are drawn from the claimed list, a due time, an ended job.
CELL_RUNNING: Final = 1
CELL_RETRYING: Final = 5
CELL_NOT_ATTEMPTED: Final = 6

# And these stand in shards only: failed, with a fallback beside the failure. Frames say failed.
CELL_FALLBACK: Final = 7
