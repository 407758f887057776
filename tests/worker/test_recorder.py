from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions, engine, events, tasks
from jobs.models import Attempt, Batch, Cause, Item, Job, JobState, Shard, Worker
from jobs.store import dialect, leases
from jobs.worker import claim, prefetch, recorder
from jobs.worker.recorder import OutOfTime
from tests.base import csv_of, loaded, states, worked
from tests.steps import cells, claimed, die, failure, feed, recorder_for, replayed, row, success, wrong


def pulse(**fields: Any) -> engine.Pulse:
    running = dict.fromkeys(range(fields.pop("in_flight", 0)), 100.0)
    usual: dict[str, Any] = {"running": running, "waiting": 0, "throttled_until": None, "lost": 0}
    return engine.Pulse(**(usual | fields))


def stored(job: Job) -> tuple[Any, ...]:
    """All that a recorder may write."""
    items = list(Item.objects.filter(job=job).order_by("position").values())
    shards = [
        {**one, "cells": bytes(one["cells"])} for one in job.shards.order_by("number").values("cells", "attempts")
    ]
    return items, shards, *(model.objects.filter(job=job).count() for model in (Attempt, Batch, Cause))


# Storing


def test_it_stores_a_success(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    feed(recorder_for(job), success(1, '{"x": 1}', ("x",)))
    item = row(job, 1)
    assert (item.state, item.result, item.attempts, item.run) == (2, '{"x": 1}', 1, job.run)


def test_it_stores_a_failure_with_its_attempt_and_cause(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    feed(recorder_for(job), failure(2, "Gone", "no row 7"))
    item = row(job, 2)
    assert (item.state, item.error_kind, item.error, item.cause.count) == (3, "Gone", "no row 7", 1)
    assert Attempt.objects.get(job=job).trace == "Traceback"


def test_it_spares_a_plain_success_an_attempt_of_its_own(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    feed(recorder_for(job), success(0), success(1, log="hello"))
    assert list(Attempt.objects.filter(job=job).values_list("position", "log")) == [(1, "hello")]


def test_it_groups_failures_that_differ_in_numbers_only(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    feed(recorder_for(job), *(failure(at, message=f"no row {at}") for at in range(3)), failure(3, message="other"))
    found = Cause.objects.filter(job=job).order_by("-count").values_list("title", "count", "first", "last")
    assert list(found) == [("no row …", 3, 0, 2), ("other", 1, 3, 3)]


def test_it_counts_with_its_rows_at_every_step(alice: User) -> None:
    job = loaded(alice, csv_of(30))
    taken = recorder_for(job)
    for at in range(30):
        feed(taken, failure(at) if at % 3 else success(at))
        assert wrong(job) == []
    taken.close()
    assert wrong(job) == []


def test_it_replays_to_what_is_stored(alice: User) -> None:
    job = worked(alice, csv_of(30, lambda at: "fail:E" if at % 5 == 0 else "ok"))
    actions.retry(job, alice)
    assert replayed(job) == dict(enumerate(cells(job)))


def test_it_keeps_the_last_of_several_attempts(alice: User) -> None:
    job = loaded(alice, csv_of(2), attempts=2)
    feed(recorder_for(job), failure(0, retry_at=time.time()), success(0, number=2))
    item = row(job, 0)
    assert (item.state, item.attempts, item.tries, item.error) == (2, 2, 2, "")
    assert wrong(job) == []


def test_it_counts_no_attempt_when_the_service_asks_to_wait(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    taken = recorder_for(job)
    feed(taken, failure(0, "throttled", retry_at=time.time() + 1))
    item = row(job, 0)
    assert (item.state, item.attempts, item.tries) == (0, 0, 0)
    assert (Attempt.objects.count(), wrong(job)) == (0, [])


def test_it_learns_the_keys_of_results(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    taken = recorder_for(job)
    feed(taken, success(0, keys=("a", "b")), success(1, keys=("b", "c")))
    feed(taken, success(2, "7", keys=()))
    job.refresh_from_db()
    assert job.result_keys == ["a", "b", "c", ""]


def test_it_keeps_a_fallback_beside_the_failure(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, "query\nwhat is the weather\nhow tall is it\n", processor="rewrite-query")
    feed(recorder_for(job), failure(0), success(1))
    item = row(job, 0)
    assert item.state == 3
    assert "what is the weather" in item.fallback
    assert (job.counts()["failed"], job.counts()["fallbacks"], wrong(job)) == (1, 1, [])


def test_it_numbers_its_batches_without_a_gap(alice: User) -> None:
    job = worked(alice, csv_of(200))
    numbers = list(Batch.objects.filter(job=job).order_by("seq").values_list("seq", flat=True))
    job.refresh_from_db()
    assert numbers == list(range(1, job.seq + 1))


def test_it_saves_in_few_batches(alice: User) -> None:
    job = worked(alice, csv_of(3000))
    assert job.seq < 60


def test_it_wakes_viewers_only_with_what_is_stored(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, csv_of(3))
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        events, "wake", lambda code, seq, owner: seen.append((seq, Batch.objects.filter(job=job, seq=seq).count()))
    )
    feed(recorder_for(job), success(0))
    job.refresh_from_db()
    assert seen == [(job.seq, 1)]


def test_it_saves_early_when_results_are_large(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SAVE_SIZE", 1000)
    monkeypatch.setattr(recorder, "SAVE_EVERY", 100)
    job = loaded(alice, csv_of(3))
    taken = recorder_for(job)
    taken.add(success(0, json.dumps("x" * 600)))
    taken.add(success(1, json.dumps("x" * 600)))
    assert states(job)[:2] == ["succeeded"] * 2


def test_it_reads_less_ahead_when_rows_are_large(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "SIZE", 3000)
    job = loaded(alice, "name\n" + ("x" * 1000 + "\n") * 60, workers=2)
    taken = recorder_for(job)
    feed(taken, *(success(at) for at in range(50)))
    list(zip(range(50), taken.feed(), strict=False))
    assert taken.prepare()
    assert len(claimed(job)) <= 3


def test_it_holds_few_large_rows_however_many_may_run(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "HELD", 15_000)
    job = loaded(alice, "name\n" + ("x" * 5_000 + "\n") * 30, workers=20)
    taken, most = recorder_for(job), 0
    while not taken.ended and taken.prepare():
        for position, _, _ in taken.feed():
            most = max(most, len(claimed(job)))
            taken.add(success(position))
        taken.flush()
    assert states(job) == ["succeeded"] * 30
    # As many as fit, and the one that does not any more.
    assert most <= 4


# Leases


def test_it_claims_positions_before_they_start(alice: User) -> None:
    job = loaded(alice, csv_of(120), workers=2)
    taken = recorder_for(job)
    for position, _, _ in taken.feed():
        assert position in claimed(job)
        taken.add(success(position))
    assert states(job).count("succeeded") + len(taken._attempts) == 120


def test_it_stores_nothing_for_a_lost_lease(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    taken = recorder_for(job)
    Shard.objects.filter(job=job).update(token="somebody else")
    before = stored(job)
    feed(taken, success(0), failure(1))
    taken.close()
    assert stored(job)[:2] == before[:2]
    assert stored(job)[2:] == (before[2], before[3] + 1, before[4])  # the batch says that the worker has left
    assert replayed(job) == {}


def test_it_keeps_what_came_back_for_its_other_shards(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(30))
    taken = recorder_for(job)
    Shard.objects.filter(job=job, number=1).update(token="somebody else")
    feed(taken, success(0), success(10), success(20))
    assert [at for at, state in enumerate(states(job)) if state == "succeeded"] == [0, 20]


def test_it_ends_its_turn_when_a_lease_is_lost(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    taken = recorder_for(job)
    Shard.objects.filter(job=job).update(token="somebody else")
    taken.flush()
    assert taken.beat(pulse()) is engine.STOP
    assert list(taken.feed()) == []


def test_it_stores_nothing_where_an_item_is_done_already(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    taken = recorder_for(job)
    Item.objects.filter(job=job, position=1).update(state=2)
    before = stored(job)
    feed(taken, success(0), success(1))
    assert stored(job) == before


def test_it_hands_leases_back_without_a_strike(alice: User) -> None:
    job = loaded(alice, csv_of(10))
    taken = recorder_for(job)
    feed(taken, success(0))
    taken.close()
    shard = job.shards.get()
    assert (shard.token, shard.claimed, shard.share, shard.running) == ("", "[]", 0, 0)
    assert not Item.objects.filter(job=job, strikes__gt=0).exists()
    assert wrong(job) == []


def test_it_renews_its_lease_while_nothing_finishes(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    taken = recorder_for(job)
    Shard.objects.filter(job=job).update(expires=timezone.now() + timedelta(seconds=1))
    taken._saved -= 10
    taken.beat(pulse(in_flight=2))
    assert job.shards.filter(expires__gt=timezone.now() + timedelta(seconds=20)).exists()


def test_it_says_how_many_are_in_flight(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    taken._saved -= 10
    taken.beat(pulse(in_flight=7))
    assert job.counts()["running"] == 7


def test_it_says_what_is_in_flight_since_when(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    feed(taken, failure(3, retry_at=time.time() + 0.1))
    taken._saved -= 2
    taken.beat(pulse(running={5: 12.0, 3: 12.25, 19_000: 1.0}))
    shard = job.shards.get()
    assert (shard.running, shard.rerunning, shard.in_flight) == (2, 1, "[[3, 12.2], [5, 12.0]]")


def test_it_tells_viewers_what_runs_though_nothing_came_back(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    numbers = []
    for running in ({1: 1.0}, {1: 1.0}, {1: 1.0, 2: 2.0}):
        taken._saved -= 2
        taken.beat(pulse(running=running))
        job.refresh_from_db()
        numbers.append(job.seq)
    assert [later - numbers[0] for later in numbers] == [0, 0, 1]


def test_it_says_until_when_the_service_asks_to_wait(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    taken._saved -= 2
    taken.beat(pulse(throttled_until=77.5))
    assert job.shards.get().throttled == 77.5


def test_it_goes_on_with_the_next_shard_without_a_barrier(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(30))
    taken = recorder_for(job)
    assert len(taken.leases) == 3
    assert job.workers_leased() == (job.workers, 1)


def test_it_holds_a_bounded_number_of_shards(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 2
    job = loaded(alice, csv_of(300), workers=50)
    taken = recorder_for(job)
    held = [len(taken.leases)]
    for _ in range(5):
        taken.supply.forget()
        taken.flush()
        held.append(len(taken.leases))
    assert held == [16, 31, 46, 61, 64, 64]


def test_it_gives_finished_shards_back_on_the_way(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(300), workers=2)
    taken = recorder_for(job)
    feed(taken, *(success(at) for at in range(10)))
    assert job.shards.get(number=0).token == ""


# Waiting


def test_it_stores_a_long_wait_as_due(alice: User) -> None:
    job = loaded(alice, csv_of(2), attempts=3)
    taken = recorder_for(job)
    feed(taken, failure(0, retry_at=time.time() + 60), success(1))
    item = row(job, 0)
    assert (item.state, item.tries, claimed(job)) == (0, 1, set())
    assert item.due > timezone.now() + timedelta(seconds=50)


def test_it_keeps_a_short_wait_claimed(alice: User) -> None:
    job = loaded(alice, csv_of(2), attempts=3)
    feed(recorder_for(job), failure(0, retry_at=time.time() + 2), success(1))
    assert claimed(job) == {0}


def test_it_stores_what_is_due_by_the_database_clock(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, csv_of(3))
    monkeypatch.setattr(dialect, "ahead", lambda: timedelta(hours=-25))
    feed(recorder_for(job), failure(0, retry_at=time.time() + 25 * 3600 + 60))
    assert timedelta(seconds=50) < row(job, 0).due - timezone.now() < timedelta(seconds=70)


def test_it_frees_a_shard_until_its_first_item_is_due(alice: User) -> None:
    job = loaded(alice, csv_of(2), attempts=3)
    taken = recorder_for(job)
    feed(taken, failure(0, retry_at=time.time() + 60), failure(1, retry_at=time.time() + 30))
    taken.close()
    shard = job.shards.get()
    assert shard.due
    assert timedelta(seconds=20) < shard.due - timezone.now() < timedelta(seconds=31)
    assert claim.candidates() == []
    assert (shard.retrying, wrong(job)) == (2, [])


def test_it_takes_an_item_when_it_is_due(alice: User) -> None:
    job = loaded(alice, csv_of(2), attempts=3)
    taken = recorder_for(job)
    feed(taken, failure(0, retry_at=time.time() + 60), success(1))
    taken.close()
    past = timezone.now() - timedelta(seconds=1)
    Item.objects.filter(job=job, position=0).update(due=past)
    Shard.objects.filter(job=job).update(due=past)
    again = recorder_for(job)
    assert [(position, made) for position, _, made in again.feed()] == [(0, 1)]


def test_it_survives_a_service_that_asks_to_wait_for_ages(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    feed(recorder_for(job), failure(0, "throttled", retry_at=1e300))
    assert row(job, 0).due.year == 2100


def test_it_reads_again_what_the_engine_left(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    for _, _ in zip(range(15), taken.feed(), strict=False):
        pass
    feed(taken, success(0), success(12))
    assert taken.prepare()
    assert [position for position, *_ in taken.supply.claims] == [at for at in range(20) if at not in (0, 12)]


# Turns


def test_it_leaves_when_its_turn_is_over_and_others_wait(alice: User, bob: User, settings: Any) -> None:
    settings.JOBS_TURN_SECONDS = -1
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    assert taken.beat(pulse()) is None
    loaded(bob, csv_of(2))
    assert taken.beat(pulse()) is engine.STOP


def test_it_stays_when_the_others_have_their_workers(alice: User, bob: User, settings: Any) -> None:
    settings.JOBS_TURN_SECONDS = -1
    settings.JOBS_SHARD_SIZE = 10
    other = loaded(bob, csv_of(300), workers=1)
    recorder_for(other)
    assert recorder_for(loaded(alice, csv_of(20))).beat(pulse()) is None


def test_it_stops_when_the_worker_is_told_to(alice: User) -> None:
    taken = recorder_for(loaded(alice, csv_of(20)))
    taken.stopping = lambda: True
    assert taken.beat(pulse()) is engine.STOP


def test_it_hands_back_what_takes_too_long_at_a_stop(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    taken.stopping = lambda: True
    taken.beat(pulse(in_flight=3))
    taken._last_call = time.monotonic() - recorder.LAST_CALL - 1
    with pytest.raises(OutOfTime):
        taken.beat(pulse(in_flight=3))
    assert (job.shards.get().token, claimed(job), wrong(job)) == ("", set(), [])


def test_it_gives_up_what_takes_too_long_of_a_cancelled_job(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    job.cancel()
    taken._looked = 0.0
    assert taken.beat(pulse(in_flight=3)) is engine.STOP
    taken.beat(pulse(in_flight=3))
    taken._last_call = time.monotonic() - recorder.CANCELLED - 1
    with pytest.raises(OutOfTime):
        taken.beat(pulse(in_flight=3))
    assert (job.shards.get().token, claimed(job), wrong(job)) == ("", set(), [])


def test_it_stops_when_too_many_threads_hang(alice: User, settings: Any) -> None:
    taken = recorder_for(loaded(alice, csv_of(20)))
    assert taken.beat(pulse(lost=settings.JOBS_LOST_THREADS)) is engine.STOP


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED])
def test_it_stops_soon_after_a_person_did(state: JobState, alice: User) -> None:
    job = loaded(alice, csv_of(20))
    taken = recorder_for(job)
    Job.objects.filter(pk=job.pk).update(state=state)
    taken._looked -= recorder.LOOK_EVERY
    assert taken.beat(pulse()) is engine.STOP


def test_it_keeps_what_was_in_flight_when_cancelled(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    taken = recorder_for(job)
    job.cancel(alice)
    feed(taken, success(0), success(1))
    taken.close()
    job.refresh_from_db()
    assert (job.state, job.counts()["succeeded"], wrong(job)) == (JobState.CANCELLED, 2, [])


def test_it_follows_the_dial(alice: User) -> None:
    job = loaded(alice, csv_of(20), workers=10)
    taken = recorder_for(job)
    Job.objects.filter(pk=job.pk).update(workers=25)
    taken._looked -= recorder.LOOK_EVERY
    policy = taken.beat(pulse())
    assert isinstance(policy, engine.Policy)
    assert policy.workers == 25


def test_it_passes_items_to_the_engine_in_order(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(100), workers=3)
    taken = recorder_for(job)
    positions = []
    for position, _, _ in taken.feed():
        positions.append(position)
        taken.add(success(position))
    assert positions == list(range(100))


def test_it_gives_each_item_an_idempotency_key_of_its_run(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    _, (_, task, _) = recorder_for(job).feed()
    assert task.idempotency_key == f"{job.code}-2-1"


def idempotency_keys(recorder: recorder.Recorder) -> dict[int, str]:
    return {position: task.idempotency_key for position, task, _ in recorder.feed()}


def test_it_keeps_the_idempotency_key_of_what_a_retry_of_others_does_not_concern(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    dying = recorder_for(job)
    before = idempotency_keys(dying)
    feed(dying, failure(0))
    actions.retry(job, alice)
    die(job)
    after = idempotency_keys(recorder_for(job))
    assert (after[1], after[0] == before[0]) == (before[1], False)


def test_it_keeps_the_idempotency_key_over_the_attempts_of_a_run(alice: User) -> None:
    job = loaded(alice, csv_of(1), attempts=3)
    taken = recorder_for(job)
    before = idempotency_keys(taken)
    feed(taken, failure(0, retry_at=time.time() - 1))
    taken.close()
    assert idempotency_keys(recorder_for(job)) == before


def test_it_works_on_the_due_shards_only(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(20))
    Shard.objects.filter(job=job, number=0).update(due=timezone.now() + timedelta(minutes=1))
    lease = leases.claim_shard(job.pk, Worker.saw("host:1").pk, 10, 30)
    assert lease is not None
    assert lease.number == 1


def test_it_hands_wide_jobs_out_in_shares(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 100
    job = loaded(alice, csv_of(900), workers=120)
    shares = [recorder_for(job, f"host:{number}").share for number in range(3)]
    assert shares == [40, 40, 40]
    assert claim.claim_in(job, Worker.saw("host:4"), lambda: False) is None


def test_it_gives_a_limited_job_to_one_worker(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(300), workers=120, rate=1000.0)
    recorder_for(job)
    assert claim.claim_in(job, Worker.saw("host:2"), lambda: False) is None


def test_it_computes_in_no_more_processes_than_there_are_cores(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "CORES", 3)
    computing = loaded(alice, csv_of(20), workers=10, parameters={"cpu": 1.0})
    waiting = loaded(alice, csv_of(20), workers=10)
    assert (recorder_for(computing).policy.workers, recorder_for(waiting).policy.workers) == (3, 10)


def test_it_takes_a_whole_turn_in_one_go(alice: User) -> None:
    job = loaded(alice, csv_of(60, lambda at: "fail:E" if at == 7 else "ok"))
    taken = claim.claim(Worker.saw("host:1"), lambda: False)
    assert taken is not None
    tasks.take_turn(taken)
    job.refresh_from_db()
    assert (job.state, job.counts()["failed"], wrong(job)) == (JobState.FINISHED, 1, [])
