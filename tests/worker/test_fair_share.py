"""The workers of a wide job, while its tasks come and go."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import engine
from jobs.models import Job, Shard
from jobs.worker import fair_share, recorder
from jobs.worker.recorder import Recorder
from tests.base import csv_of, loaded
from tests.steps import feed, recorder_for, success

IDLE = engine.Pulse({}, 0, None, 0)


@pytest.fixture
def job(alice: User, settings: Any) -> Job:
    """Of 200 workers, with plenty of shards for four tasks."""
    settings.JOBS_SHARD_SIZE = 40
    return loaded(alice, csv_of(1000), workers=200)


def beat(taken: Recorder, in_flight: int = 0) -> Any:
    """One beat of the engine and the save that follows."""
    answer = taken.beat(engine.Pulse(dict.fromkeys(range(in_flight), 0.0), 0, None, 0))
    taken.flush()
    return answer


def turn_the_dial(job: Job, *recorders: Recorder, **fields: Any) -> None:
    Job.objects.filter(pk=job.pk).update(**fields)
    for taken in recorders:
        taken._looked -= recorder.LOOK_EVERY


def shares(job: Job) -> list[int]:
    return sorted(job.shards.filter(share__gt=0).values_list("share", flat=True))


def test_it_begins_with_what_it_has_when_all_come(job: Job) -> None:
    recorder_for(job)
    assert shares(job) == [50]


def test_it_grows_when_it_is_alone(job: Job) -> None:
    policy = beat(recorder_for(job))
    assert (policy.workers, shares(job)) == (197, [197])


def test_it_lets_another_in_beside_one_that_has_grown(job: Job) -> None:
    first = recorder_for(job)
    beat(first)
    recorder_for(job, "host:2")
    assert shares(job) == [1, 197]


def test_it_shrinks_before_another_grows(job: Job) -> None:
    first = recorder_for(job)
    beat(first)
    second = recorder_for(job, "host:2")
    assert beat(second) is None
    assert beat(first).workers == 99
    assert beat(second).workers == 99
    assert shares(job) == [99, 99]


def test_it_gives_workers_up_when_they_are_idle(job: Job) -> None:
    first = recorder_for(job)
    beat(first)
    second = recorder_for(job, "host:2")
    assert beat(first, in_flight=150).workers == 99
    assert shares(job) == [1, 150]
    assert beat(second).workers == 48
    beat(first, in_flight=99)
    assert beat(second).workers == 99


def test_it_takes_over_from_a_task_that_has_ended(job: Job) -> None:
    tasks = [recorder_for(job, f"host:{number}") for number in range(4)]
    assert shares(job) == [50] * 4
    tasks[3].close()
    for taken in tasks[:3]:
        beat(taken)
    assert shares(job) == [66] * 3


def test_it_never_has_more_than_the_job(job: Job) -> None:
    tasks: list[Recorder] = []
    for number in range(12):
        if len(tasks) < 4:
            tasks.append(recorder_for(job, f"host:{number}"))
        if number % 5 == 4:
            tasks.pop(0).close()
        for taken in tasks[:: 1 if number % 2 else -1]:
            beat(taken, taken.share)
            assert sum(shares(job)) <= 200


def test_it_leaves_its_share_where_its_lease_was_lost(job: Job) -> None:
    first = recorder_for(job)
    lead = first.leases[-1]
    Shard.objects.filter(pk=lead.shard).update(token="somebody else")
    assert fair_share.settle(job, lead, 50) == 50


def test_it_follows_the_dial_of_a_wide_job(job: Job) -> None:
    tasks = [recorder_for(job, f"host:{number}") for number in range(4)]
    turn_the_dial(job, *tasks, workers=100)
    assert [beat(taken).workers for taken in tasks] == [25] * 4
    turn_the_dial(job, *tasks, workers=200)
    assert [beat(taken).workers for taken in tasks] == [50] * 4


def test_it_widens_a_narrow_job_without_an_interruption(alice: User) -> None:
    taken = recorder_for(loaded(alice, csv_of(20), workers=40))
    turn_the_dial(taken.job, taken, workers=120)
    assert beat(taken).workers == 118


def test_it_comes_back_as_one_task_when_a_rate_is_set(job: Job) -> None:
    taken = recorder_for(job)
    turn_the_dial(job, taken, rate=5.0)
    assert beat(taken) is engine.STOP


def test_it_asks_nothing_where_one_task_has_all_workers(alice: User, django_assert_num_queries: Any) -> None:
    taken = recorder_for(loaded(alice, csv_of(20), workers=10))
    taken._saved = taken._looked = time.monotonic()
    with django_assert_num_queries(0):
        taken.beat(IDLE)


def test_it_keeps_its_share_while_it_works(job: Job) -> None:
    taken = recorder_for(job)
    beat(taken)
    for _ in range(3):
        feed(taken, *(success(position) for position, _, _ in [next(taken.feed()) for _ in range(30)]))
    assert shares(job) == [197]
