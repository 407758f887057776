from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions, tasks
from jobs.models import Activity, Job
from jobs.models.job import ALPHABET, new_code
from tests.base import csv_of, loaded, worked
from tests.steps import part_done


def began(job: Job, seconds: float) -> None:
    """The job has been worked on for so long without a break."""
    Job.objects.filter(pk=job.pk).update(since=timezone.now() - timedelta(seconds=seconds))
    job.refresh_from_db()


def test_it_counts_time_while_it_is_worked_on(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    assert job.elapsed() == 0
    part_done(job)
    began(job, 10)
    assert job.elapsed() == pytest.approx(10, abs=1)


def test_it_counts_no_time_in_a_pause(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    part_done(job)
    began(job, 10)
    job.pause(alice)
    assert job.since is None
    assert job.elapsed() == pytest.approx(10, abs=1)


def test_it_adds_up_the_time_before_and_after_a_pause(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    part_done(job)
    began(job, 10)
    job.pause(alice)
    job.resume(alice)
    job.begin()
    began(job, 5)
    assert job.elapsed() == pytest.approx(15, abs=1)


def test_it_keeps_its_time_when_it_has_ended(alice: User) -> None:
    job = worked(alice, csv_of(5))
    since_made = (timezone.now() - job.created).total_seconds()
    assert job.since is None
    assert 0 < job.elapsed() <= since_made


def test_it_counts_a_retry_from_nought(alice: User) -> None:
    job = worked(alice, csv_of(5, lambda at: "fail:E"))
    Job.objects.filter(pk=job.pk).update(spent=500.0)
    actions.retry(job, alice)
    tasks.work()
    job.refresh_from_db()
    assert job.elapsed() < 500


def test_it_remembers_when_it_started_first(alice: User) -> None:
    job = worked(alice, csv_of(5, lambda at: "fail:E"))
    first = job.started
    actions.retry(job, alice)
    tasks.work()
    job.refresh_from_db()
    assert job.started == first
    assert job.finished
    assert first
    assert job.finished > first


@pytest.mark.parametrize(
    ("workers", "rate", "tasks"),
    [(1, None, 1), (50, None, 1), (51, None, 2), (120, None, 3), (200, None, 4), (120, 5.0, 1)],
)  # fmt: skip
def test_it_is_split_over_tasks(workers: int, rate: float | None, tasks: int) -> None:
    assert Job(workers=workers, rate=rate).most_tasks == tasks


@pytest.mark.parametrize(
    ("workers", "used", "tasks", "room"),
    [(10, 0, 0, 10), (10, 10, 1, 0), (10, 1, 1, 0), (120, 80, 2, 40), (120, 120, 3, 0), (120, 118, 1, 1),
     (120, 119, 2, 1), (60, 80, 1, 0), (101, 0, 0, 34)],
)  # fmt: skip
def test_it_knows_how_many_more_may_work(workers: int, used: int, tasks: int, room: int) -> None:
    assert Job(workers=workers).room(used, tasks) == room


@pytest.mark.parametrize(
    ("workers", "tasks", "share"),
    [(10, 1, 10), (200, 1, 197), (200, 2, 99), (200, 3, 66), (200, 4, 50), (40, 3, 13), (2, 3, 1)],
)
def test_it_leaves_a_worker_for_each_task_that_may_come(workers: int, tasks: int, share: int) -> None:
    assert Job(workers=workers).fair_share(tasks) == share


def test_it_tells_its_story(alice: User) -> None:
    job = loaded(alice, csv_of(4), start=False)
    actions.start(job, alice)
    part_done(job)
    actions.pause(job, alice)
    actions.resume(job, alice)
    actions.cancel(job, alice)
    actions.retry(job, alice)
    tasks.work()
    said = list(Activity.objects.filter(job=job).order_by("pk").values_list("text", flat=True))
    assert said == [
        "Created from rows.csv", "Started", "Paused", "Resumed", "Cancelled", "Retried 3 items", "Finished",
    ]  # fmt: skip


def test_it_shows_a_person_their_own_jobs(alice: User, bob: User) -> None:
    job = loaded(alice, csv_of(2))
    assert list(Job.objects.visible_to(alice)) == [job]
    assert list(Job.objects.visible_to(bob)) == []


def test_it_shows_staff_all_jobs(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    assert list(Job.objects.visible_to(User(is_staff=True))) == [job]


def test_it_counts_many_jobs_in_one_query(alice: User, django_assert_num_queries: Any) -> None:
    jobs = [worked(alice, csv_of(4, lambda at: "fail:E" if at else "ok")) for _ in range(3)]
    with django_assert_num_queries(1):
        counts = [job.counts() for job in Job.objects.with_counts().order_by("pk")]
    assert counts == [job.counts() for job in jobs]


def test_it_forgets_sums_that_are_out_of_date(alice: User, sent: list[str]) -> None:
    job = worked(alice, csv_of(4, lambda at: "fail:E"))
    counted = Job.objects.with_counts().get(pk=job.pk)
    actions.retry(counted, alice)
    assert counted.counts()["pending"] == 4


def test_it_makes_codes_that_nobody_guesses() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert set("".join(codes)) <= set(ALPHABET)
