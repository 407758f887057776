from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import Item
from jobs.store import dialect, items, leases, shards
from jobs.worker import recorder
from tests.base import csv_of, loaded, states
from tests.steps import feed, recorder_for, success, wrong


class Time:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def failing(times: int, error: type[DatabaseError] | type[InterfaceError] = OperationalError) -> Callable[[], str]:
    left = iter(range(times))

    def act() -> str:
        if next(left, None) is not None:
            raise error("away")
        return "done"

    return act


@pytest.fixture
def time() -> Time:
    return Time()


def test_it_knows_how_far_the_database_clock_is_ahead(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dialect.ahead() == timedelta(0)
    right = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: right + timedelta(hours=25))
    hours = round(dialect.ahead().total_seconds() / 3600)
    assert hours == (-25 if dialect.postgres() else 0)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_it_tries_again_while_the_database_is_away(error: type[DatabaseError], time: Time, db: None) -> None:
    assert dialect.retry_while_down(failing(5, error), 30, clock=time.clock, sleep=time.sleep) == "done"


def test_it_waits_longer_each_time(time: Time, db: None) -> None:
    dialect.retry_while_down(failing(8), 30, clock=time.clock, sleep=time.sleep)
    assert time.slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_it_gives_up_after_a_lease(time: Time, db: None) -> None:
    with pytest.raises(OperationalError):
        dialect.retry_while_down(failing(1000), 30, clock=time.clock, sleep=time.sleep)
    assert 27 < time.now <= 30


def test_it_does_not_try_again_what_can_never_work(time: Time, db: None) -> None:
    with pytest.raises(DatabaseError):
        dialect.retry_while_down(failing(1, DatabaseError), 30, clock=time.clock, sleep=time.sleep)
    assert time.slept == []


@pytest.mark.parametrize(
    "step", ["leases.lock_shards", "items.read_pending", "shards.save_shard", "items.add_batch", "items.save_outcomes"]
)
def test_it_loses_nothing_when_the_database_goes_in_the_middle(
    step: str, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "PAUSES", (0.001, 0.01))
    monkeypatch.setattr(recorder, "AHEAD", (3, 3))
    job = loaded(alice, csv_of(20), workers=1)
    taken = recorder_for(job)
    module, name = step.split(".")
    owner = {"leases": leases, "items": items, "shards": shards}[module]
    real, trouble = getattr(owner, name), iter(range(3))

    def flaky(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        if next(trouble, None) is not None:
            raise OperationalError("away")
        return answer

    monkeypatch.setattr(owner, name, flaky)
    for position, _, _ in taken.feed():
        feed(taken, success(position))
    taken.close()
    assert (states(job), set(Item.objects.filter(job=job).values_list("attempts", flat=True))) == (
        ["succeeded"] * 20,
        {1},
    )
    assert wrong(job) == []


def test_it_survives_an_answer_to_its_commit_that_got_lost(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "PAUSES", (0.001, 0.01))
    job = loaded(alice, csv_of(5))
    taken = recorder_for(job)
    real, trouble = taken._transact, iter(range(1))

    def committed(*args: Any) -> Any:
        save = real(*args)
        if next(trouble, None) is not None:
            raise OperationalError("gone after the commit")
        return save

    monkeypatch.setattr(taken, "_transact", committed)
    feed(taken, success(0), success(1))
    taken.close()
    assert (states(job), job.shards.get().token) == (["succeeded"] * 2 + ["pending"] * 3, "")
    assert not Item.objects.filter(job=job, strikes__gt=0).exists()
    assert wrong(job) == []


def test_it_keeps_dates_exactly(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    when = timezone.now().replace(microsecond=123456) + timedelta(days=1)
    dialect.write_many(
        f"UPDATE jobs_item SET due = %s WHERE job_id = {job.pk}",
        f"UPDATE jobs_item SET due = u.due FROM {{rows}} AS u(due) WHERE job_id = {job.pk}",
        ("timestamptz",),
        [(dialect.adapter()(when),)],
    )
    assert Item.objects.get(job=job).due == when


def test_it_writes_nothing_for_no_rows(db: None) -> None:
    assert dialect.write_many("not SQL", "not SQL", (), []) == 0


def test_it_can_be_logged_statement_by_statement(db: None) -> None:
    """DEBUG writes each statement out with its parameters put in."""
    with CaptureQueriesContext(connection) as queries:
        assert leases.claim_shard(1, 1, 1, 5.0) is None
    assert "UPDATE jobs_shard" in queries[0]["sql"]
