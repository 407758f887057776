"""Changing how a job runs while it does: what is stored, what is told, and that workers follow."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.models import Activity, Job, JobState
from jobs.models.job import Refused
from jobs.models.run_settings import told
from jobs.worker import broker, recorder
from tests.base import csv_of, loaded, worked
from tests.steps import failure, feed, recorder_for, success
from tests.worker.test_recorder import pulse

USUAL = {
    "workers": 10, "attempts": 1, "timeout": 60.0, "rate": None,
    "limit_share": None, "limit_sample": 20, "limit_count": None, "limit_streak": None,
}  # fmt: skip


def activities(job: Job) -> list[str]:
    return list(Activity.objects.filter(job=job, verb="adjust").order_by("pk").values_list("text", flat=True))


def held(job: Job) -> recorder.Recorder:
    """A worker at the job, which knows of it what it has read itself."""
    return recorder_for(Job.objects.get(pk=job.pk))


def look(taken: recorder.Recorder) -> Any:
    """The next beat of the engine, once it is time to look at what people changed."""
    taken._looked -= recorder.LOOK_EVERY
    return taken.beat(pulse())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"workers": 20}, "Changed items at a time from 10 to 20"),
        ({"workers": 1_000}, "Changed items at a time from 10 to 1,000"),
        ({"attempts": 3}, "Changed attempts from 1 to 3"),
        ({"timeout": 12.0}, "Changed the timeout from 1 min to 12 s"),
        ({"timeout": None}, "Changed the timeout from 1 min to no limit"),
        ({"rate": 2.5}, "Changed the rate from no limit to 2.5/s"),
        ({"limit_count": 5}, "Changed the failure limit: pauses when 5 items fail"),
        ({"workers": 10, "limit_sample": 50}, None),
    ],
)
def test_it_tells_a_change_in_words(changed: dict[str, Any], words: str | None) -> None:
    assert told(USUAL, USUAL | changed) == ([words] if words else [])


def test_it_tells_that_a_limit_was_taken_away() -> None:
    assert told(USUAL | {"limit_count": 5}, USUAL) == ["Took the failure limit away"]


def test_it_notes_each_change_and_who_made_it(alice: User) -> None:
    job = loaded(alice)
    actions.adjust(job, alice, workers=20, rate=5.0)
    assert activities(job) == ["Changed items at a time from 10 to 20", "Changed the rate from no limit to 5/s"]
    assert set(Activity.objects.filter(verb="adjust").values_list("by__username", flat=True)) == {"alice"}


def test_it_stores_what_was_changed_and_nothing_else(alice: User) -> None:
    job = loaded(alice)
    Job.objects.filter(pk=job.pk).update(rate=7.0)  # by somebody else, meanwhile
    actions.adjust(job, alice, workers=20)
    assert Job.objects.get(pk=job.pk).settings == job.settings | {"workers": 20, "rate": 7.0}


def test_it_does_nothing_where_nothing_differs(alice: User, sent: list[str]) -> None:
    job = loaded(alice)
    before = job.seq
    assert actions.adjust(job, alice, workers=10) == []
    job.refresh_from_db()
    assert (job.seq, activities(job), sent) == (before, [], [])


def test_it_gives_viewers_a_new_number(alice: User) -> None:
    job = loaded(alice)
    before = job.seq
    actions.adjust(job, alice, workers=20)
    assert Job.objects.get(pk=job.pk).seq == before + 1


def test_it_calls_as_many_tasks_as_the_job_needs_by_now(
    alice: User, sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    job = loaded(alice, csv_of(500))
    with django_capture_on_commit_callbacks(execute=True):
        actions.adjust(job, alice, workers=120)
    assert sent == [broker.WORK] * 3


def test_it_calls_nobody_to_a_job_that_stands(
    alice: User, sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    job = loaded(alice, start=False)
    with django_capture_on_commit_callbacks(execute=True):
        actions.adjust(job, alice, workers=120)
    assert sent == []


@pytest.mark.parametrize(("setting", "value"), [("workers", 20), ("attempts", 4), ("timeout", 2.5), ("rate", 3.0)])
def test_a_worker_follows_within_a_second(setting: str, value: float, alice: User) -> None:
    job = loaded(alice, csv_of(100))
    taken = held(job)
    actions.adjust(job, alice, **{setting: value})
    assert getattr(look(taken), setting) == value


def test_it_holds_nothing_against_a_job_that_began_before_its_limit(alice: User) -> None:
    job = loaded(alice, csv_of(100))
    taken = held(job)
    late = [failure(at) for at in range(4)]
    actions.adjust(job, alice, limit_count=2)
    time.sleep(0.02)
    look(taken)
    feed(taken, *late)
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_a_new_failure_limit_counts_from_now_on(alice: User) -> None:
    job = loaded(alice, csv_of(100))
    taken = held(job)
    feed(taken, failure(0), failure(1))
    actions.adjust(job, alice, limit_count=2)
    look(taken)
    feed(taken, success(2), failure(3), failure(4))
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.PAUSED, "Paused: 2 of the last 3 items failed; the limit is 2.")


def test_a_lower_failure_limit_takes_what_was_counted(alice: User) -> None:
    job = loaded(alice, csv_of(100), limit_count=50)
    taken = held(job)
    feed(taken, *(failure(at) for at in range(5)))
    actions.adjust(job, alice, limit_count=3)
    look(taken)
    feed(taken, failure(6))
    job.refresh_from_db()
    assert job.reason == "Paused: 6 of the first 6 items failed; the limit is 3."


def test_a_failure_limit_that_is_gone_pauses_nothing(alice: User) -> None:
    job = loaded(alice, csv_of(100), limit_count=2)
    taken = held(job)
    actions.adjust(job, alice, limit_count=None)
    feed(taken, failure(0), failure(1), failure(2))
    look(taken)
    feed(taken, failure(3))
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_a_limit_that_was_set_before_the_start_counts_from_the_first_item(alice: User) -> None:
    job = loaded(alice, csv_of(9, lambda at: "fail:E"))
    actions.adjust(job, alice, limit_count=9)
    tasks.work()
    job.refresh_from_db()
    assert job.limit_round == 0


def test_it_runs_to_its_end_with_what_was_changed(alice: User) -> None:
    job = loaded(alice, csv_of(30, lambda at: "fail:E" if at == 4 else "ok"), start=False)
    actions.adjust(job, alice, attempts=3, workers=3)
    Job.objects.filter(pk=job.pk).update(backoff=0.001)
    actions.start(job, alice)
    tasks.work()
    job.refresh_from_db()
    assert (job.state, job.counts()["attempts"]) == (JobState.FINISHED, 32)


def test_it_leaves_an_ended_job_alone(alice: User) -> None:
    job = worked(alice)
    with pytest.raises(Refused, match="until it has ended"):
        actions.adjust(job, alice, workers=20)
