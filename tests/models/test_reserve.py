"""The last process of the workers, and of those that read files, is no single person's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from jobs import tasks
from jobs.ingest import importer
from jobs.live import frame
from jobs.maintenance import keeper
from jobs.models import Job, JobState, Worker
from jobs.worker import claim, fair_share, recovery
from jobs.worker.recorder import Recorder
from tests.base import csv_of, loaded, make_job
from tests.steps import wrong
from tests.system import ROOT

Take = Callable[[], Recorder | None]


def claimer(name: str = "host:1", processes: int = 4) -> Take:
    """A process of a worker that has so many, which takes what is next."""
    return lambda: claim.claim(Worker.saw(name, processes), lambda: False)


def taken(take: Take, count: int) -> list[str]:
    """Whose jobs so many processes take, one after the other; nobody's where there is nothing to take."""
    found = [take() for _ in range(count)]
    return [str(one.job.owner) if one else "" for one in found]


def jobs_of(owner: User, count: int, **fields: Any) -> list[Job]:
    return [loaded(owner, csv_of(200), **fields) for _ in range(count)]


def test_it_leaves_the_last_process_to_somebody_else(alice: User, bob: User) -> None:
    jobs_of(alice, 6)
    take = claimer()
    assert taken(take, 4) == ["alice", "alice", "alice", ""]
    jobs_of(bob, 1)
    assert taken(take, 2) == ["bob", ""]


def test_it_counts_the_processes_of_all_machines(alice: User) -> None:
    jobs_of(alice, 6)
    here, there = claimer("here:1", 2), claimer("there:1", 2)
    assert taken(here, 1) + taken(there, 2) == ["alice", "alice", "alice"]
    assert taken(here, 1) == [""]


def test_it_counts_no_process_and_no_task_of_a_worker_that_is_gone(alice: User) -> None:
    jobs_of(alice, 6)
    assert taken(claimer("gone:1", 4), 3) == ["alice"] * 3
    Worker.objects.update(seen=timezone.now() - timedelta(minutes=1))
    assert taken(claimer("here:1", 3), 3) == ["alice", "alice", ""]


def test_it_counts_no_readers_of_files(alice: User) -> None:
    Worker.saw("reader:1", 4, queues="load")
    jobs_of(alice, 3)
    assert taken(claimer(processes=2), 2) == ["alice", ""]


def test_it_has_nothing_to_keep_of_a_single_process(alice: User) -> None:
    jobs_of(alice, 2)
    assert taken(claimer(processes=1), 2) == ["alice", "alice"]


def test_it_takes_the_next_job_of_the_same_person_once_a_task_has_ended(alice: User) -> None:
    jobs_of(alice, 4)
    take = claimer(processes=2)
    first = take()
    assert first is not None
    assert take() is None
    first.close()
    assert taken(take, 1) == ["alice"]


def test_it_lets_the_other_jobs_of_the_same_person_have_their_turn(alice: User, settings: Any) -> None:
    settings.JOBS_TURN_SECONDS = -1
    jobs_of(alice, 2)
    take = claimer(processes=2)
    first = take()
    assert first is not None
    assert first._turn_is_over()
    first.close()
    second = take()
    assert second is not None
    assert second.job != first.job


def test_it_spreads_all_workers_of_a_wide_job_over_the_tasks_that_may_come(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 40
    job = loaded(alice, csv_of(1000), workers=200)
    take = claimer()
    found = [one for one in (take() for _ in range(4)) if one]
    assert [one.share for one in found] == [67, 67, 66]
    assert [fair_share.settle(job, one.leases[-1], one.share) for one in found] == [66] * 3


def test_it_says_why_a_job_waits(alice: User) -> None:
    jobs = jobs_of(alice, 4)
    assert taken(claimer(), 4)[-1] == ""
    said = [str(frame.stats(Job.objects.get(pk=job.pk))["why"]) for job in jobs]
    sentence = "Waiting: other jobs of the same person use 3 of 4 worker processes; the last one stays free for"
    assert said[-1].startswith(sentence)


def test_it_says_so_of_a_job_that_has_begun(alice: User) -> None:
    take = claimer(processes=2)
    begun, _ = jobs_of(alice, 2)
    first = take()
    assert first is not None
    first.close()
    assert take() is not None
    assert "use 1 of 2 worker processes" in str(frame.stats(Job.objects.get(pk=begun.pk))["why"])


@pytest.mark.parametrize("processes", [2, 4, 9])
def test_it_keeps_one_free_however_many_there_are(alice: User, processes: int) -> None:
    jobs_of(alice, processes)
    assert taken(claimer(processes=processes), processes) == ["alice"] * (processes - 1) + [""]


# Readers of files


def held(job: Job, **fields: Any) -> Job:
    """A job whose file another process reads."""
    Job.objects.filter(pk=job.pk).update(load_token="t", load_expires=timezone.now() + timedelta(minutes=1), **fields)
    return job


def readers(count: int, name: str = "loader:1") -> None:
    Worker.saw(name, count, queues="load")


def test_it_leaves_the_last_reader_to_somebody_else(alice: User, bob: User) -> None:
    readers(2)
    held(make_job(alice))
    second, other = make_job(alice), make_job(bob)
    assert not importer.load(second)
    assert importer.load(other)
    assert Job.objects.get(pk=second.pk).load_tries == 0


def test_it_has_nothing_to_keep_of_a_single_reader(alice: User) -> None:
    readers(1)
    held(make_job(alice))
    assert importer.load(make_job(alice))


def test_it_reads_the_file_next_whose_owner_has_the_fewest_readers(alice: User, bob: User) -> None:
    readers(3)
    held(make_job(alice))
    second, other = make_job(alice), make_job(bob)
    assert Job.objects.unread() == [other, second]
    held(second)
    make_job(alice)
    assert Job.objects.unread() == [other]


def test_it_reads_what_waits_when_it_is_done(alice: User, bob: User, sent: list[str]) -> None:
    jobs = [make_job(alice), make_job(alice), make_job(bob)]
    tasks.load_file(jobs[0].pk)
    assert [job.total for job in Job.objects.order_by("pk")] == [5, 5, 5]
    assert set(Job.objects.values_list("state", flat=True)) == {JobState.QUEUED}


def test_it_reads_files_of_other_people_between_those_of_one(
    alice: User, bob: User, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [make_job(alice), make_job(alice), make_job(bob)]
    read: list[str] = []
    load = importer.load

    def noted(job: Job) -> bool:
        read.append(str(job.owner))
        return load(job)

    monkeypatch.setattr(importer, "load", noted)
    tasks.load_file(jobs[0].pk)
    assert read == ["alice", "bob", "alice"]


def test_it_has_files_read_again_that_nobody_reads(alice: User, bob: User, sent: list[str]) -> None:
    readers(2)
    for job in [held(make_job(alice)), *(make_job(alice) for _ in range(5)), make_job(bob)]:
        Job.objects.filter(pk=job.pk).update(created=timezone.now() - timedelta(minutes=1))
    sent.clear()
    keeper.read_again()
    assert sent == ["jobs.load_file"]


def test_it_gives_way_when_others_wait_and_goes_on_later(alice: User, bob: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE, settings.JOBS_TURN_SECONDS = 10, 0
    long, other = make_job(alice, csv_of(100)), make_job(bob)
    assert not importer.load(long)
    long.refresh_from_db()
    assert (long.state, long.total) == (JobState.LOADING, 10)
    assert not long.read_whole
    assert Job.objects.unread() == [long, other]
    settings.JOBS_TURN_SECONDS = 10
    assert importer.load(other)
    assert importer.load(long)
    assert (long.total, wrong(long)) == (100, [])


def test_it_takes_as_long_a_turn_as_it_took_to_get_there(alice: User, settings: Any) -> None:
    settings.JOBS_TURN_SECONDS = 10
    now = [0.0]
    make_job(User.objects.create(username="waiting"))
    turn = importer.ReadingTurn(make_job(alice), lambda: now[0])
    now[0] = 25.0
    turn.begin()
    now[0] = 49.0
    assert not turn.is_over()
    now[0] = 50.0
    assert turn.is_over()


def test_it_does_not_give_way_to_its_own_owner(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE, settings.JOBS_TURN_SECONDS = 10, 0
    job, _ = make_job(alice, csv_of(100)), make_job(alice)
    assert importer.load(job)


# Files that end their readers


def test_it_gives_up_a_file_that_ended_three_readers(alice: User) -> None:
    job = make_job(alice)
    Job.objects.filter(pk=job.pk).update(load_tries=3)
    importer.load(job)
    job.refresh_from_db()
    assert job.state == JobState.INVALID
    assert job.reason == "The file cannot be read: 3 times its reader ran out of time or memory."


def test_it_counts_only_readers_that_stored_nothing(alice: User) -> None:
    job = make_job(alice)
    Job.objects.filter(pk=job.pk).update(load_tries=2)
    assert importer.load(job)
    job.refresh_from_db()
    assert (job.load_tries, job.total) == (0, 5)


def test_it_blames_no_file_for_a_reader_that_was_told_to_stop(alice: User) -> None:
    for stopping, tries in ((False, 2), (True, 0)):
        job = held(make_job(alice), load_worker="loader:1", load_tries=2)
        Worker.saw("loader:1", stopping=stopping, queues="load")
        recovery.reclaim("loader:1")
        job.refresh_from_db()
        assert job.load_tries == tries


def test_it_blames_no_file_for_a_database_that_is_away(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **options: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(importer, "read_all", away)
    job = make_job(alice)
    with pytest.raises(OperationalError):
        importer.load(job)
    assert Job.objects.get(pk=job.pk).load_tries == 0


def test_it_says_that_a_file_takes_too_much_memory(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(importer, "read_all", full)
    job = make_job(alice)
    importer.load(job)
    job.refresh_from_db()
    assert job.reason == "Reading the file takes more memory than this server has for it."


def test_it_leaves_a_file_to_a_reader_whose_worker_lives(alice: User) -> None:
    readers(2)
    job = held(make_job(alice), load_worker="loader:1")
    assert Job.objects.unread() == []
    Worker.objects.update(seen=timezone.now() - timedelta(minutes=2))
    assert Job.objects.unread() == [job]
    assert importer.load(job)


ENDLESS = """
import os, django
django.setup()
from batchweb import celery_pool
from jobs.ingest import importer
celery_pool._pooled = {pooled}
with importer.bounded():
    sum(range({count}))
"""


@pytest.mark.parametrize(("pooled", "count", "ends"), [(True, 10**15, -signal.SIGPROF), (False, 10**7, 0)])
def test_it_ends_a_reader_that_computes_too_long_in_one_call(pooled: bool, count: int, ends: int) -> None:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "batchweb.settings", "JOBS_READ_SECONDS": "0.05"}
    program = ENDLESS.format(pooled=pooled, count=count)
    made = subprocess.run([sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, timeout=120)
    assert made.returncode == ends, made.stderr.decode()
