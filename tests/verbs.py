"""What each verb does in each state: held here once, for the rows and for every road by which people send a verb."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User

from jobs.models import Activity, Batch, Item, Job, JobState, Run
from tests.base import csv_of, loaded
from tests.steps import part_done

CANCELLED: Final = dict.fromkeys(("loading", "ready", "queued", "running", "paused"), "cancelled")

# Verb → the states it is possible in → where it leads.
TABLE: Final[dict[str, dict[str, str]]] = {
    "start": {"ready": "queued"},
    "try": {"ready": "queued"},
    "change": {"ready": "loading", "invalid": "loading"},
    "adjust": {state: state for state in ("ready", "queued", "running", "paused")},
    "pause": {"queued": "paused", "running": "paused"},
    "resume": {"paused": "queued", "cancelled": "queued"},
    "cancel": CANCELLED,
    "retry": {
        "queued": "queued",
        "running": "running",
        "paused": "paused",
        "finished": "queued",
        "cancelled": "queued",
    },
    "accept": {state: state for state in ("queued", "running", "paused", "finished", "cancelled")},
    "delete": {"invalid": "invalid", "finished": "finished", "cancelled": "cancelled"} | CANCELLED,
}
# What is asked for along with a verb that needs to know.
ASKED: Final[dict[str, dict[str, int]]] = {"adjust": {"workers": 20}}
PAIRS: Final = [(state, verb) for state in JobState.values for verb in TABLE]
ALLOWED: Final = [(state, verb) for state, verb in PAIRS if state in TABLE[verb]]
REFUSED: Final = [(state, verb) for state, verb in PAIRS if state not in TABLE[verb]]


def job_in(state: str, owner: User) -> Job:
    """A job of four rows in that state, of which one has succeeded, one failed and two wait."""
    job = loaded(owner, csv_of(4))
    part_done(job)
    Job.objects.filter(pk=job.pk).update(state=state)
    job.refresh_from_db()
    return job


def everything(job: Job) -> dict[str, Any]:
    """All that is stored of the job, to be compared."""
    shards = job.shards.order_by("number").values()
    return {
        "job": Job.objects.filter(pk=job.pk).values().get(),
        "items": list(Item.objects.filter(job=job).order_by("position").values()),
        "shards": [{**row, "cells": bytes(row["cells"]), "histogram": bytes(row["histogram"])} for row in shards],
        "others": [model.objects.filter(job=job).count() for model in (Run, Activity, Batch)],
    }
