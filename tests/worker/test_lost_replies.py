"""Commits that went through although the database did not say so: each counts once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from jobs.models import Attempt, Batch, Job
from jobs.store import dialect
from jobs.store.outcomes import Outcomes
from jobs.worker.commit import Commit
from jobs.worker.recorder import Recorder
from tests.base import csv_of, loaded, states
from tests.steps import claimed, failure, feed, recorder_for, row, success, wrong


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "PAUSES", (0.0, 0.0))


def deaf(taken: Recorder) -> Recorder:
    """A recorder that does not hear that its next transaction was committed."""
    real, calls = taken._transact, iter(range(100))

    def transact(found: Outcomes) -> Commit:
        save = real(found)
        if next(calls) == 0:
            raise OperationalError("server closed the connection unexpectedly")
        return save

    taken._transact = transact  # type: ignore[method-assign]
    return taken


def tokens(job: Job) -> set[str]:
    return set(job.shards.exclude(token="").values_list("token", flat=True))


def test_it_goes_on_after_a_lost_reply(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    taken = deaf(recorder_for(job))
    feed(taken, success(0), failure(1))
    assert not taken.ended
    assert (claimed(job), wrong(job)) == ({2, 3, 4}, [])
    feed(taken, *(success(at) for at in (2, 3, 4)))
    assert states(job).count("pending") == 0


def test_it_counts_an_attempt_once_whose_reply_was_lost(alice: User) -> None:
    job = loaded(alice, csv_of(5), attempts=3)
    feed(deaf(recorder_for(job)), failure(0, retry_at=4e9))
    assert (row(job, 0).attempts, Attempt.objects.filter(job=job).count(), wrong(job)) == (1, 1, [])


def test_it_announces_once_what_was_stored_once(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    taken = recorder_for(job)
    before = Batch.objects.filter(job=job).count()
    feed(deaf(taken), success(0))
    assert Batch.objects.filter(job=job).count() == before + 1


def test_it_knows_the_shards_that_it_claimed_before_the_reply_was_lost(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(300), workers=2)
    taken = recorder_for(job)
    list(zip(range(50), taken.feed(), strict=False))
    feed(deaf(taken), *(success(at) for at in range(50)))
    assert tokens(job) == {lease.token for lease in taken.leases}
    assert (job.workers_leased(), wrong(job)) == ((2, 1), [])


def test_it_leaves_nothing_claimed_when_the_last_reply_was_lost(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    taken = recorder_for(job)
    taken.add(success(0))
    deaf(taken).close()
    assert (tokens(job), states(job).count("succeeded"), wrong(job)) == (set(), 1, [])
