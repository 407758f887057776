from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import dispatch
from jobs.models import Activity, Batch, Item, Job, JobState, Run
from jobs.models.job import Refused
from jobs.models.states import ARROWS, ENDED, ItemState, sources
from tests.base import csv_of, loaded
from tests.rows.steps import part_done, wrong

# Verb → the states it is possible in → where it leads.
TABLE: dict[str, dict[str, str]] = {
    "start": {"ready": "queued"},
    "pause": {"queued": "paused", "running": "paused"},
    "resume": {"paused": "queued", "cancelled": "queued"},
    "cancel": dict.fromkeys(("loading", "ready", "queued", "running", "paused"), "cancelled"),
    "retry": {
        "queued": "queued",
        "running": "running",
        "paused": "paused",
        "finished": "queued",
        "cancelled": "queued",
    },
}
PAIRS = [(state, verb) for state in JobState.values for verb in TABLE]


def job_in(state: str, alice: User) -> Job:
    """A job of four rows in that state, of which one has succeeded, one failed and two wait."""
    job = loaded(alice, csv_of(4))
    part_done(job)
    Job.objects.filter(pk=job.pk).update(state=state)
    job.refresh_from_db()
    return job


def everything(job: Job) -> dict[str, Any]:
    return {
        "job": Job.objects.filter(pk=job.pk).values().get(),
        "items": list(Item.objects.filter(job=job).order_by("position").values()),
        "shards": [
            {**row, "cells": bytes(row["cells"])} for row in job.shards.order_by("number").values("cells", "pk")
        ],
        "others": [model.objects.filter(job=job).count() for model in (Run, Activity, Batch)],
    }


@pytest.mark.parametrize(("state", "verb"), [pair for pair in PAIRS if pair[0] in TABLE[pair[1]]])
def test_it_allows(state: str, verb: str, alice: User, sent: list[str]) -> None:
    job = job_in(state, alice)
    dispatch.VERBS[verb](job, alice)
    job.refresh_from_db()
    assert job.state == TABLE[verb][state]


@pytest.mark.parametrize(("state", "verb"), [pair for pair in PAIRS if pair[0] not in TABLE[pair[1]]])
def test_it_refuses_and_changes_nothing(state: str, verb: str, alice: User, sent: list[str]) -> None:
    job = job_in(state, alice)
    before = everything(job)
    with pytest.raises(Refused, match=r"^[A-Z].*\.$"):
        dispatch.VERBS[verb](job, alice)
    assert everything(job) == before
    assert sent == []


@pytest.mark.parametrize(("state", "verb"), PAIRS)
def test_it_offers_just_what_it_allows(state: str, verb: str) -> None:
    assert Job(state=state).allows(verb) == (state in TABLE[verb])


@pytest.mark.parametrize("state", JobState.values)
@pytest.mark.parametrize("to", JobState.values)
def test_it_moves_along_arrows_only(state: str, to: str, alice: User) -> None:
    job = job_in(state, alice)
    assert job.move(JobState(to)) == (to in ARROWS[JobState(state)])
    job.refresh_from_db()
    assert job.state == (to if to in ARROWS[JobState(state)] else state)


@pytest.mark.parametrize("state", JobState)
def test_it_says_of_each_arrow_when_it_is_taken(state: JobState) -> None:
    assert all(len(when) > 10 for when in ARROWS[state].values())


@pytest.mark.parametrize("state", JobState)
def test_it_leads_every_state_to_an_end(state: JobState) -> None:
    reached, new = {state}, {state}
    while new := {target for one in new for target in ARROWS[one]} - reached:
        reached |= new
    assert reached & set(ENDED)


def test_it_knows_where_an_arrow_comes_from() -> None:
    assert sources(JobState.RUNNING) == [JobState.QUEUED]


def test_it_moves_once_from_two_stale_copies(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    other = Job.objects.get(pk=job.pk)
    assert job.move(JobState.PAUSED)
    assert not other.move(JobState.PAUSED)


def test_it_moves_only_from_the_states_named(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    assert not job.move(JobState.CANCELLED, only=[JobState.READY])


def test_it_numbers_item_states_like_frames() -> None:
    assert [int(state) for state in ItemState] == [0, 2, 3, 4]


def test_it_refuses_to_resume_when_nothing_is_left(alice: User, sent: list[str]) -> None:
    job = loaded(alice, csv_of(2))
    part_done(job)
    Job.objects.filter(pk=job.pk).update(state=JobState.PAUSED)
    with pytest.raises(Refused, match="nothing to go on with"):
        dispatch.resume(job, alice)


@pytest.mark.parametrize("verb", ["resume", "retry"])
def test_it_refuses_to_run_half_a_file(verb: str, alice: User, sent: list[str]) -> None:
    job = loaded(alice, csv_of(4), start=False)
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED, load_token="somebody")
    with pytest.raises(Refused, match="not read to its end"):
        dispatch.VERBS[verb](job, alice)


def test_it_finishes_a_paused_job_that_has_nothing_left(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    part_done(job)
    Job.objects.filter(pk=job.pk).update(state=JobState.PAUSED)
    assert job.finish()
    assert (job.state, wrong(job)) == (JobState.FINISHED, [])


def test_it_finishes_once(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    part_done(job)
    assert job.finish()
    assert not Job.objects.get(pk=job.pk).finish()
