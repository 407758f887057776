from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from kombu.exceptions import OperationalError

from batchweb import celery_app
from jobs import actions, tasks
from jobs.models import Activity, Job, JobState, Shard, Worker
from jobs.processors import ParameterError
from jobs.worker import broker, claim
from tests.base import csv_of, loaded, make_job, states
from tests.steps import recorder_for


def in_turn(count: int) -> list[str]:
    """The names of the jobs that one worker turns to, if each turn ends at once."""
    names = []
    for _ in range(count):
        taken = claim.claim(Worker.saw("host:1"), lambda: False)
        assert taken is not None
        names.append(taken.job.name)
        taken.close()
    return names


def test_it_sends_one_wake_up_for_each_task(
    alice: User, sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    job = loaded(alice, csv_of(500), workers=120, start=False)
    with django_capture_on_commit_callbacks(execute=True):
        actions.start(job, alice)
    assert sent == [broker.WORK] * 3


def test_it_has_the_file_of_a_new_job_read(
    alice: User, sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        make_job(alice, csv_of(5))
    assert sent == [broker.LOAD]


@pytest.mark.parametrize("error", [OperationalError("gone"), ConnectionError("gone"), TimeoutError("slow")])
def test_it_does_without_the_broker(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(celery_app, "send_task", refuse)
    assert not broker.send(broker.WORK)


@pytest.mark.parametrize(("seconds", "tries"), [(0.0, 2), (5.0, 1)])
def test_it_tries_again_unless_the_broker_hangs(seconds: float, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    tried: list[str] = []

    def hang(name: str, **options: Any) -> None:
        now[0] += seconds
        tried.append(name)
        raise OperationalError("away")

    monkeypatch.setattr(celery_app, "send_task", hang)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert not broker.send(broker.WORK)
    assert len(tried) == tries


def test_it_sends_no_more_after_one_that_did_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False])
    monkeypatch.setattr(broker, "send", lambda name: next(answers))
    broker.send_each(broker.WORK, 5)
    assert list(answers) == []


def test_it_sends_to_the_queue_of_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    queues = []
    monkeypatch.setattr(celery_app, "send_task", lambda name, args, queue, retry: queues.append((name, args, queue)))
    broker.send(broker.WORK)
    broker.send(broker.LOAD, 5)
    assert queues == [("jobs.work", (), "work"), ("jobs.load_file", (5,), "load")]


def test_it_takes_jobs_of_one_person_in_turns(alice: User) -> None:
    for name in "abc":
        loaded(alice, csv_of(5), name=f"{name}.csv")
    assert in_turn(6) == ["a.csv", "b.csv", "c.csv"] * 2


def test_it_is_fair_to_owners_not_to_jobs(alice: User, bob: User) -> None:
    for name in "abc":
        loaded(alice, csv_of(5), name=f"{name}.csv")
    loaded(bob, csv_of(5), name="bob.csv")
    assert in_turn(6) == ["a.csv", "bob.csv", "b.csv", "bob.csv", "c.csv", "bob.csv"]


def test_it_prefers_who_has_fewer_workers_at_work(alice: User, bob: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    recorder_for(loaded(alice, csv_of(500), name="wide.csv", workers=100))
    loaded(alice, csv_of(5), name="small.csv")
    loaded(bob, csv_of(5), name="bob.csv")
    assert claim.candidates()[0].name == "bob.csv"


def test_it_gives_a_small_late_job_its_turn(alice: User, bob: User, settings: Any) -> None:
    settings.JOBS_TURN_SECONDS = 0.4
    big = loaded(alice, csv_of(3000), workers=5, parameters={"seconds": 0.01})
    taken = claim.claim(Worker.saw("host:1"), lambda: False)
    assert taken is not None
    small = loaded(bob, csv_of(3))
    tasks.take_turn(taken)
    following = claim.claim(Worker.saw("host:1"), lambda: False)
    assert following is not None
    assert following.job == small
    assert 0 < states(big).count("succeeded") < 3000


def test_it_works_for_its_whole_turn_when_nobody_waits(alice: User, settings: Any) -> None:
    settings.JOBS_TURN_SECONDS = 0.05
    job = loaded(alice, csv_of(100), workers=5, parameters={"seconds": 0.01})
    taken = claim.claim(Worker.saw("host:1"), lambda: False)
    assert taken is not None
    tasks.take_turn(taken)
    assert states(job) == ["succeeded"] * 100


@pytest.mark.parametrize("state", [state for state in JobState if state not in ("queued", "running")])
def test_it_passes_over_jobs_that_stand(state: JobState, alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Job.objects.filter(pk=job.pk).update(state=state)
    assert claim.candidates() == []
    assert claim.claim_in(job, Worker.saw("host:1"), lambda: False) is None


def test_it_passes_over_jobs_that_wait_for_a_time(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Shard.objects.filter(job=job).update(due=timezone.now() + timedelta(seconds=20))
    assert claim.claim(Worker.saw("host:1"), lambda: False) is None


@pytest.mark.parametrize("broken", [{"processor": "no-such"}, {"parameters": {"seconds": "long"}}])
def test_it_pauses_a_job_that_cannot_be_set_up(broken: dict[str, Any], alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Job.objects.filter(pk=job.pk).update(**broken)
    claim.claim_or_pause(job, Worker.saw("host:1"), lambda: False)
    job.refresh_from_db()
    assert job.state == JobState.PAUSED
    assert job.workers_leased() == (0, 0)


def test_it_says_why_a_job_cannot_be_set_up(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    Job.objects.filter(pk=job.pk).update(processor="no-such")
    claim.claim(Worker.saw("host:1"), lambda: False)
    assert "no-such" in Activity.objects.get(job=job, verb="pause").text


def test_it_lets_a_broken_job_keep_nobody_waiting(alice: User) -> None:
    broken, good = loaded(alice, csv_of(5)), loaded(alice, csv_of(5))
    Job.objects.filter(pk=broken.pk).update(processor="no-such")
    tasks.work()
    good.refresh_from_db()
    assert good.state == JobState.FINISHED


def test_it_is_parameters_that_a_parameter_error_is_about() -> None:
    assert issubclass(ParameterError, ValueError)


def test_it_closes_the_processor_after_a_turn(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(alice, csv_of(5))
    taken = claim.claim(Worker.saw("host:1"), lambda: False)
    assert taken is not None
    closed: list[bool] = []
    monkeypatch.setattr(taken.call, "close", lambda: closed.append(True))
    tasks.take_turn(taken)
    assert closed == [True]
