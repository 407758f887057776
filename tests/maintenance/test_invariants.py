from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions
from jobs.models import Batch, Cause, Item, Job, JobState, Shard
from tests.base import csv_of, worked
from tests.steps import recorder_for, wrong

# Each kind of damage, and what is said about it.
DAMAGE: dict[str, tuple[Callable[[Job], Any], str]] = {
    "an item is gone": (lambda job: items(job, 3).delete(), "11 items are stored, the job counts 12"),
    "the last item is gone": (lambda job: items(job, 11).delete(), "11 items are stored, the job counts 12"),
    "a position is wrong": (lambda job: items(job, 11).update(position=40), "positions go from 0 to 40"),
    "the total is wrong": (lambda job: one(job).update(total=13), "12 items are stored, the job counts 13"),
    "a shard is gone": (lambda job: shards(job).filter(number=1).delete(), "do not cover the positions"),
    "a range is wrong": (lambda job: shift(job), "do not cover the positions"),
    "a state is wrong": (lambda job: items(job, 4).update(state=3), "the cells differ from the rows"),
    "a cell is wrong": (lambda job: shards(job).filter(number=0).update(cells=b"\2\2\4\2\2\2"), "at rows [2, 3]"),
    "cells are missing": (lambda job: shards(job).filter(number=0).update(cells=b"\2"), "the cells differ"),
    "attempts are wrong": (lambda job: shards(job).filter(number=0).update(attempts=99), "attempts is 99"),
    "a free shard is claimed": (lambda job: shards(job).update(claimed="[3]"), "it is free, yet something is claimed"),
    "a free shard has a share": (lambda job: shards(job).update(share=3), "it is free, yet something is claimed"),
    "a cause counts wrong": (lambda job: Cause.objects.filter(job=job).update(count=7), "count is 7, the rows say 1"),
    "too many are accepted": (lambda job: Cause.objects.filter(job=job).update(accepted=1), "accepted is 1, the rows"),
    "a success is accepted": (lambda job: items(job, 4).update(accepted=timezone.now()), "that has not failed"),
    "a cause is missing": (lambda job: items(job, 1).update(cause=None), "a failed item has no cause"),
    "a number is missing": (lambda job: one(job).update(seq=999), "the job is at 999"),
    "a batch is missing": (lambda job: Batch.objects.filter(job=job, seq=job.seq).delete(), "the newest batch is"),
    "a time is missing": (lambda job: items(job, 4).update(finished=None), "an item succeeded without a time"),
}  # fmt: skip


def one(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk)


def items(job: Job, position: int) -> Any:
    return Item.objects.filter(job=job, position=position)


def shards(job: Job) -> Any:
    return Shard.objects.filter(job=job)


def shift(job: Job) -> None:
    Shard.objects.filter(job=job, number=1).update(start=7, stop=13)


@pytest.fixture
def job(alice: User, settings: Any) -> Job:
    """Two shards of six rows, of which the second row failed."""
    settings.JOBS_SHARD_SIZE = 6
    return worked(alice, csv_of(12, lambda at: "fail:E" if at == 1 else "ok"))


def test_it_finds_nothing_wrong_with_a_sound_job(job: Job) -> None:
    assert wrong(job) == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_it_finds_that(kind: str, job: Job) -> None:
    damage, said = DAMAGE[kind]
    damage(job)
    assert any(said in sentence for sentence in wrong(job)), wrong(job)


@pytest.mark.parametrize("name", ["succeeded", "failed", "retrying", "fallbacks"])
def test_it_finds_a_wrong_count(name: str, job: Job) -> None:
    # The constraint of the table allows only what adds up.
    other = "succeeded" if name != "succeeded" else "failed"
    changes = {name: 2, other: 4} if name in ("succeeded", "failed") else {name: 2}
    Shard.objects.filter(job=job, number=0).update(**changes)
    assert any(f"{name} is 2" in sentence for sentence in wrong(job)), wrong(job)


def test_it_finds_a_finished_job_with_pending_items(job: Job) -> None:
    Item.objects.filter(job=job, position=1).update(state=0, cause=None)
    Shard.objects.filter(job=job, number=0).update(cells=b"\2\0\2\2\2\2", pending=1, failed=0)
    assert "the job is finished, and 1 items are pending" in wrong(job)


def test_it_finds_running_items_in_an_ended_job(job: Job) -> None:
    Shard.objects.filter(job=job).update(running=3)
    assert "the job has ended, and items are running" in wrong(job)


def test_it_finds_claimed_items_that_are_done(alice: User) -> None:
    job = worked(alice, csv_of(12, lambda at: "fail:E" if at == 1 else "ok"))
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    Shard.objects.filter(job=job).update(token="x", claimed="[1, 4]")
    assert any("rows [2, 5] are claimed" in sentence for sentence in wrong(job))


def test_it_finds_nothing_wrong_in_the_middle_of_a_turn(alice: User) -> None:
    job = worked(alice, csv_of(12, lambda at: "fail:E" if at == 1 else "ok"))
    actions.retry(job, alice)
    recorder_for(job)
    assert wrong(job) == []
