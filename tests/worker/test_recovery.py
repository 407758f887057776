from __future__ import annotations

import os
from collections import deque
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from batchweb import celery_pool
from jobs import tasks
from jobs.ingest import importer
from jobs.maintenance import keeper
from jobs.models import Activity, Attempt, Cause, Item, Job, JobState, Shard, Worker
from jobs.store import leases
from jobs.worker import broker, heartbeat, recovery
from tests.base import csv_of, loaded, make_job, states
from tests.steps import cells, claimed, die, expire, failure, feed, recorder_for, replayed, row, success, wrong


def strikes(job: Job) -> dict[int, int]:
    return dict(Item.objects.filter(job=job, strikes__gt=0).values_list("position", "strikes"))


def test_it_strikes_what_a_dead_worker_had(alice: User) -> None:
    job = loaded(alice, csv_of(60), workers=2)
    feed(recorder_for(job), success(0))
    had = claimed(job)
    die(job)
    assert strikes(job) == dict.fromkeys(had, 1)
    assert (job.shards.get().token, wrong(job)) == ("", [])


def test_it_takes_back_at_once_what_the_dead_held(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    recorder_for(job, "blue:7")
    assert recovery.reclaim("blue:7") == 5
    assert strikes(job) == dict.fromkeys(range(5), 1)
    assert Activity.objects.get(job=job, verb="recover").text == "Worker blue:7 died; 5 items went back to the queue"


def test_it_takes_back_what_one_process_held(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(20))
    recorder_for(job, "blue:7")
    Shard.objects.filter(job=job, number=0).update(process=71)
    recovery.reclaim("blue:7", 71)
    assert strikes(job) == dict.fromkeys(range(10), 1)


def test_it_leaves_other_workers_alone(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    recorder_for(job, "blue:7")
    assert (recovery.reclaim("red:7"), strikes(job)) == (0, {})


@pytest.mark.parametrize("process", [None, 71])
def test_it_strikes_nothing_when_the_worker_was_told_to_stop(alice: User, process: int | None) -> None:
    job = loaded(alice, csv_of(5))
    recorder_for(job, "blue:7")
    Worker.saw("blue:7", stopping=True)
    Shard.objects.filter(job=job).update(process=71)
    recovery.reclaim("blue:7", process)
    assert (strikes(job), job.shards.get().token, wrong(job)) == ({}, "", [])
    assert Activity.objects.get(job=job, verb="recover").text == "Worker blue:7 stopped; 5 items went back to the queue"


def test_it_buries_the_dead_of_its_pool_only_while_their_leases_live(
    alice: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    now, buried = 1000.0, list[Any]()
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(heartbeat, "connections", SimpleNamespace(close_all=lambda: None))
    monkeypatch.setattr(heartbeat, "reclaim_later", lambda worker, *processes: buried.append(processes))
    monkeypatch.setattr(heartbeat, "_ended", deque())
    heartbeat.child_started()
    heartbeat.child_ended(71)
    now += settings.JOBS_LEASE_SECONDS / 2
    heartbeat.child_ended(72)
    heartbeat.child_started()
    now += settings.JOBS_LEASE_SECONDS / 2
    heartbeat.child_started()
    assert buried == [(71, 72), (72,)]


def test_it_leaves_a_living_worker_alone(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    recorder_for(job)
    keeper.sweep()
    assert strikes(job) == {}


def test_it_asks_the_locked_row_whether_a_lease_has_expired(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    taken = recorder_for(job)
    expire(job)
    stale = Shard.objects.expired().get()
    taken.flush()
    assert recovery.return_shard(stale) == 0
    assert strikes(job) == {}


def test_it_keeps_a_dead_worker_from_storing(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    dead = recorder_for(job)
    die(job)
    feed(dead, success(0))
    assert states(job) == ["pending"] * 5


def test_it_forgets_strikes_of_items_that_come_through(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    recorder_for(job)
    die(job)
    feed(recorder_for(job), *(success(at) for at in range(5)))
    assert strikes(job) == {}


def test_it_runs_items_with_two_strikes_after_the_others(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Item.objects.filter(job=job, position__in=[1, 3]).update(strikes=2)
    taken = recorder_for(job)
    assert [position for position, _, _ in taken.feed()] == [0, 2, 4]
    assert not taken.alone


def test_it_runs_items_with_two_strikes_alone(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Item.objects.filter(job=job, position__in=[1, 3]).update(strikes=2)
    taken = recorder_for(job)
    feed(taken, success(0), success(2), success(4))
    for position in (1, 3):
        assert taken.prepare()
        assert (taken.alone, taken.policy.workers, claimed(job)) == (True, 1, {position})
        assert [at for at, _, _ in taken.feed()] == [position]
        feed(taken, success(position))
    assert not taken.prepare()


def test_it_starts_nothing_beside_a_lonely_item_that_takes_long(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    Item.objects.filter(job=job, position__in=[1, 2]).update(strikes=2)
    taken = recorder_for(job)
    feed(taken, success(0))
    assert taken.prepare()
    items = taken.feed()
    assert next(items)[0] == 1
    taken.flush()
    assert (list(items), claimed(job)) == ([], {1})


def test_it_finds_lonely_items_in_every_shard(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(40))
    Item.objects.filter(job=job, position__in=[5, 15, 35]).update(strikes=2)
    tasks.work()
    assert (states(job), wrong(job)) == (["succeeded"] * 40, [])


def test_it_condemns_the_killer_at_the_third_strike(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    for _ in range(2):
        recorder_for(job)
        die(job)
    Item.objects.filter(job=job).exclude(position=2).update(strikes=0)
    taken = recorder_for(job)
    feed(taken, *(success(at) for at in (0, 1, 3, 4)))
    assert taken.prepare()
    die(job)
    item = row(job, 2)
    assert (item.state, item.error_kind, item.attempts) == (3, "worker died", 3)
    assert Cause.objects.get(job=job).count == 1
    assert wrong(job) == []


def test_it_keeps_a_record_of_the_deadly_attempt(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    Item.objects.filter(job=job).update(strikes=2, tries=1, attempts=1)
    Shard.objects.filter(job=job).update(attempts=1)
    recorder_for(job)
    die(job)
    found = Attempt.objects.get(job=job)
    assert (found.number, found.kind, row(job, 0).attempts, wrong(job)) == (4, "worker died", 4, [])


def test_it_shows_viewers_who_was_condemned(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Item.objects.filter(job=job, position=2).update(strikes=2)
    taken = recorder_for(job)
    feed(taken, *(success(at) for at in (0, 1, 3, 4)))
    assert taken.prepare()
    die(job)
    assert replayed(job) == dict(enumerate(cells(job)))


def test_it_goes_on_with_the_rest(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Item.objects.filter(job=job, position=2).update(strikes=2)
    taken = recorder_for(job)
    feed(taken, *(success(at) for at in (0, 1, 3)))
    taken.leases[0].claimed.clear()
    assert taken.prepare()
    die(job)
    tasks.work()
    assert states(job)[4] == "succeeded"


def test_it_closes_the_job_when_the_condemned_was_the_last(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    Item.objects.filter(job=job).update(strikes=2)
    recorder_for(job)
    die(job)
    job.refresh_from_db()
    assert (job.state, wrong(job)) == (JobState.FINISHED, [])


def test_it_says_who_went_silent(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    recorder_for(job, "blue:7")
    die(job)
    noted = Activity.objects.get(job=job, verb="recover")
    assert noted.text == "Worker blue:7 went silent; 3 items went back to the queue"


def test_it_ends_a_paused_job_whose_worker_died_after_the_last_item(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    feed(recorder_for(job), success(0), failure(1))
    job.pause(alice)
    die(job)
    job.refresh_from_db()
    assert job.state == JobState.FINISHED


def test_it_has_a_file_read_whose_reader_died(alice: User, sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, csv_of(2))
    monkeypatch.setattr(broker, "queued", lambda queue: 0)
    Job.objects.filter(pk=job.pk).update(
        state=JobState.LOADING,
        created=timezone.now() - timedelta(minutes=2),
        load_expires=timezone.now() - timedelta(minutes=1),
    )
    keeper.wake()
    assert sent == [broker.LOAD]


@pytest.mark.parametrize(("expires", "age", "waiting"), [(60, 120, 0), (None, 0, 0), (-60, 120, 4)])
def test_it_asks_for_no_reader_in_vain(
    expires: int | None, age: int, waiting: int, alice: User, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = loaded(alice, csv_of(2))
    monkeypatch.setattr(broker, "queued", lambda queue: waiting)
    now = timezone.now()
    until = None if expires is None else now + timedelta(seconds=expires)
    Job.objects.filter(pk=job.pk).update(
        state=JobState.LOADING, created=now - timedelta(seconds=age), load_expires=until
    )
    keeper.wake()
    assert sent == []


@pytest.mark.parametrize(("worker", "process", "asked"), [
    ("blue:7", None, 1), ("blue:7", 71, 1), ("blue:7", 72, 0), ("red:7", None, 0),
])  # fmt: skip
def test_it_has_a_file_read_on_at_once_whose_reader_is_known_to_be_dead(
    worker: str, process: int | None, asked: int, alice: User, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(alice, csv_of(2))
    monkeypatch.setattr(broker, "queued", lambda queue: 0)
    token = importer.take(job)
    Job.objects.filter(pk=job.pk).update(load_worker="blue:7", load_process=71)
    recovery.reclaim(worker, process)
    keeper.wake()
    assert sent == [broker.LOAD] * asked
    with pytest.raises(leases.LostLease) if asked else nullcontext():
        importer.prolong(job, token)
    assert importer.load(job) == bool(asked)


def test_it_knows_that_a_dead_reader_left_a_file_unread(alice: User, settings: Any) -> None:
    job = make_job(alice, csv_of(20))
    importer.take(job)
    Job.objects.filter(pk=job.pk).update(total=10)
    recovery.reclaim(celery_pool.name(), os.getpid())
    job.refresh_from_db()
    job.cancel(alice)
    assert not job.read_whole


def test_it_has_a_file_read_though_the_clock_of_the_web_server_is_wrong(
    alice: User, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(alice, csv_of(2))
    monkeypatch.setattr(broker, "queued", lambda queue: 0)
    Job.objects.filter(pk=job.pk).update(created=timezone.now() + timedelta(hours=1))
    keeper.wake()
    assert sent == [broker.LOAD]
