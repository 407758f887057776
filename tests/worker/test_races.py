"""Several connections at once. SQLite has one writer at a time by itself; PostgreSQL shows what we lock."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction
from django.test import Client

from jobs import actions, tasks
from jobs.ingest import importer
from jobs.maintenance import keeper
from jobs.models import Activity, Batch, Correction, Item, Job, JobState, Run, Shard, Upload, Worker
from jobs.models.job import Refused
from jobs.models.quota_limits import OverQuota
from jobs.models.upload import stored_files
from jobs.store import dialect, items
from jobs.store import leases as store_leases
from jobs.store.requeue import CorrectedItem
from jobs.worker import claim, recovery
from jobs.worker.recorder import Recorder
from tests.base import csv_of, loaded, make_job, states, worked
from tests.steps import expire, failure, feed, recorder_for, success, wrong

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def one_process(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to anybody, and several workers in one process do not take each other's threads for hung."""
    monkeypatch.setattr(tasks, "replace_if_hung", lambda: None)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return or raise, each in a thread and on a connection of its own."""
    gate = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        gate.wait(10)
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def retry(job: Job) -> int:
    return actions.retry(fresh(job), job.owner)


def finish(job: Job) -> bool:
    return fresh(job).finish()


def test_it_retries_once_from_two_connections(alice: User) -> None:
    job = worked(alice, csv_of(200, lambda at: "fail:E" if at % 2 else "ok"))
    answers = at_once(*[lambda: actions.retry(fresh(job), alice)] * 4)
    assert sorted(str(answer) for answer in answers)[0] == "100"
    assert [type(answer) for answer in answers].count(Refused) == 3
    assert (Run.objects.filter(job=job).count(), wrong(job)) == (2, [])


def test_it_retries_a_cancelled_job_once_from_two_connections(alice: User) -> None:
    job = loaded(alice, csv_of(20))
    job.cancel(alice)
    answers = at_once(*[lambda: actions.retry(fresh(job), alice)] * 3)
    assert [type(answer) for answer in answers].count(Refused) == 2
    assert Run.objects.filter(job=job).count() == 2


FAILING = csv_of(200, lambda at: "fail:E" if at % 2 else "ok")


def taken_once(job: Job, before: dict[int, int], expected: int) -> None:
    """So many failed items are tried once more, and no other."""
    assert states(job).count("pending") == expected
    tasks.work()
    assert Counter(now - before[at] for at, now in attempts(job).items()) == {0: 200 - expected, 1: expected}
    assert wrong(job) == []


def attempts(job: Job) -> dict[int, int]:
    return dict(Item.objects.filter(job=job).values_list("position", "attempts"))


def test_it_takes_each_chosen_row_once_from_two_people(alice: User, bob: User) -> None:
    for second in (range(100), range(50, 150)):
        job = worked(alice, FAILING)
        before = attempts(job)
        answers = at_once(
            partial(actions.retry, fresh(job), alice, positions=range(100)),
            partial(actions.retry, fresh(job), bob, positions=second),
        )
        counts = [answer for answer in answers if isinstance(answer, int)]
        assert sum(counts) == len({*range(100), *second}) // 2
        assert [type(answer) for answer in answers].count(Refused) == 2 - len(counts)
        assert sorted(Run.objects.filter(job=job, kind="retry").values_list("items", flat=True)) == sorted(counts)
        taken_once(job, before, sum(counts))


def test_it_takes_each_row_once_that_is_retried_and_corrected_at_once(alice: User, bob: User) -> None:
    for _ in range(3):
        job = worked(alice, FAILING)
        before = attempts(job)
        fixed = [CorrectedItem(at, '["fixed","ok"]', "fixed", "") for at in range(100)]
        answers = at_once(partial(actions.retry, fresh(job), alice), partial(actions.correct, fresh(job), fixed, bob))
        assert all(isinstance(answer, (int, Refused)) for answer in answers)
        assert sum(answer for answer in answers if isinstance(answer, int)) == 100
        taken_once(job, before, 100)
        corrected = set(Correction.objects.filter(job=job).values_list("position", flat=True))
        assert set(Item.objects.filter(job=job, label="fixed").values_list("position", flat=True)) == corrected


def test_it_accepts_each_failure_once_from_two_people(alice: User, bob: User) -> None:
    job = worked(alice, FAILING)
    cause = job.causes.get()
    answers = at_once(*[partial(actions.accept, fresh(job), person, cause.pk) for person in (alice, bob, alice)])
    assert sorted(map(str, answers))[0] == "100"
    assert [type(answer) for answer in answers].count(Refused) == 2
    cause.refresh_from_db()
    assert (cause.accepted, job.activities.filter(verb="accept").count(), wrong(job)) == (100, 1, [])


def test_it_counts_what_is_accepted_and_retried_at_once(alice: User, bob: User) -> None:
    for _ in range(5):
        job = worked(alice, FAILING)
        cause = job.causes.get().pk
        at_once(
            partial(actions.accept, fresh(job), alice, cause), partial(actions.retry, fresh(job), bob, cause)
        )  # fmt: skip
        assert (states(job).count("pending"), wrong(job)) == (100, [])


def test_it_takes_one_of_two_edits_at_once_and_shows_it_to_the_other(alice: User, bob: User) -> None:
    for _ in range(3):
        job = worked(alice, FAILING)
        job.share(bob, may_act=True)
        path, sent = f"/jobs/{job.code}/items/2/edit/", []
        for person in (alice, bob):
            client = Client()
            client.force_login(person)
            seen = client.get(path).context["form"]["seen"].value()
            fields = {"seen": seen, "cell_0": f"by {person}", "cell_1": "ok"}
            sent.append(partial(client.post, path, fields))
        answers = at_once(*sent)
        assert sorted(answer.status_code for answer in answers) == [302, 422]
        (winner,) = (name for name, answer in zip(("alice", "bob"), answers, strict=True) if answer.status_code == 302)
        (refused,) = (answer.content.decode() for answer in answers if answer.status_code == 422)
        assert Item.objects.get(job=job, position=1).payload == f'["by {winner}","ok"]'
        assert (Correction.objects.filter(job=job).count(), wrong(job)) == (1, [])
        assert "by alice" in refused
        assert "by bob" in refused


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "cancel", "delete"])
def test_it_obeys_one_of_two_who_press_at_once(verb: str, alice: User, bob: User) -> None:
    for _ in range(5):
        job = loaded(alice, csv_of(20), start=verb != "start")
        if verb == "resume":
            job.pause(alice)
        before = Activity.objects.filter(job=job).count()
        answers = at_once(*[partial(actions.ACTIONS[verb].run, fresh(job), person) for person in (alice, bob)])
        assert {type(answer) for answer in answers} == {type(None), Refused}
        assert Activity.objects.filter(job=job).count() == before + 1
        assert wrong(job) == []


def test_it_closes_a_job_once_from_two_connections(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    taken = recorder_for(job)
    feed(taken, success(0), success(1))
    taken.close()
    assert sorted(at_once(*[lambda: fresh(job).finish()] * 4)) == [False, False, False, True]


def test_it_keeps_a_job_open_that_is_retried_as_it_ends(alice: User) -> None:
    for _ in range(5):
        job = loaded(alice, csv_of(2))
        taken = recorder_for(job)
        feed(taken, success(0), failure(1))
        taken.close()
        at_once(partial(retry, job), partial(finish, job))
        tasks.work()
        job.refresh_from_db()
        assert (job.state, wrong(job)) == (JobState.FINISHED, [])


def test_it_retries_while_recorders_store(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 400
    job = loaded(alice, csv_of(1200, lambda at: "fail:E" if at % 3 == 0 else "ok"), workers=120)

    def press() -> int:
        pressed = 0
        for _ in range(10):
            time.sleep(0.03)
            try:
                pressed += actions.retry(fresh(job), alice)
            except Refused:
                continue
        return pressed

    answers = at_once(tasks.work, tasks.work, press, press)
    tasks.work()
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert (fresh(job).state, wrong(job)) == (JobState.FINISHED, [])


def test_it_pauses_and_resumes_while_recorders_store(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 100
    job = loaded(alice, csv_of(1000), workers=100)

    def press() -> None:
        for _ in range(10):
            time.sleep(0.02)
            for verb in (actions.pause, actions.resume):
                try:
                    verb(fresh(job), alice)
                except Refused:
                    continue

    answers = at_once(tasks.work, tasks.work, press)
    tasks.work()
    assert answers == [None] * 3
    assert (fresh(job).state, states(job).count("succeeded"), wrong(job)) == (JobState.FINISHED, 1000, [])


def test_it_works_on_a_wide_job_from_three_connections(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 400
    job = loaded(alice, csv_of(3000), workers=120, parameters={"seconds": 0.01})
    at_once(*[tasks.work] * 3)
    job.refresh_from_db()
    numbers = list(Batch.objects.filter(job=job).order_by("seq").values_list("seq", flat=True))
    assert (job.state, numbers) == (JobState.FINISHED, list(range(1, job.seq + 1)))
    assert set(Item.objects.filter(job=job).values_list("attempts", flat=True)) == {1}
    assert wrong(job) == []


def test_it_survives_connections_that_are_cut(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, csv_of(300, lambda at: "fail:E" if at % 9 == 0 else "ok"))
    real, calls = items.add_batch, iter(range(100))

    def cut(*args: Any) -> int:
        if next(calls) % 3 == 1:
            dialect.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return real(*args)

    monkeypatch.setattr(items, "add_batch", cut)
    assert at_once(tasks.work) == [None]
    assert (fresh(job).state, wrong(job)) == (JobState.FINISHED, [])
    assert set(Item.objects.filter(job=job).values_list("attempts", flat=True)) == {1}


def test_it_gives_each_shard_to_one_worker(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(100))
    worker = Worker.saw("host:1")
    leases = at_once(*[lambda: store_leases.claim_shard(job.pk, worker.pk, 1, 30)] * 8)
    numbers = [lease.number for lease in leases if lease]
    assert len(numbers) == len(set(numbers))


def test_it_returns_a_lease_once_from_two_keepers(alice: User) -> None:
    job = loaded(alice, csv_of(5))
    recorder_for(job)
    expire(job)
    at_once(keeper.sweep, keeper.sweep)
    assert set(Item.objects.filter(job=job).values_list("strikes", flat=True)) == {1}


def test_it_lets_keeper_and_recorder_meet_without_a_deadlock(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    for _ in range(3):
        job = loaded(alice, csv_of(100, lambda at: "fail:E"), workers=2)
        recorder_for(job)
        expire(job)
        answers = at_once(keeper.sweep, tasks.work)
        tasks.work()
        assert answers == [None, None]
        assert (fresh(job).state, wrong(job)) == (JobState.FINISHED, [])


def test_it_pauses_once_when_workers_die_together(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 1
    job = loaded(alice, csv_of(6), limit_count=3)
    Item.objects.filter(job=job).update(strikes=2)
    worker = Worker.saw("host:1")
    for at in range(6):
        lease = store_leases.claim_shard(job.pk, worker.pk, 1, 30)
        assert lease
        Shard.objects.filter(pk=lease.shard).update(claimed=f"[{lease.start}]", process=at + 1)
    assert at_once(*[partial(recovery.reclaim, "host:1", at + 1) for at in range(6)]) == [1] * 6
    assert fresh(job).reason == "Paused: 3 of the first 3 items failed; the limit is 3."
    assert Activity.objects.filter(job=job, verb="pause").count() == 1
    assert (states(job), wrong(job)) == (["failed"] * 6, [])


def test_it_checks_a_job_that_is_being_worked_on(alice: User) -> None:
    job = loaded(alice, csv_of(2000, lambda at: "fail:E" if at % 9 == 0 else "ok"))

    def check() -> list[str]:
        found = []
        for _ in range(15):
            found += wrong(fresh(job))
        return found

    assert at_once(tasks.work, check) == [None, []]


def test_it_reads_a_file_once_from_two_readers(alice: User) -> None:
    job = loaded(alice, csv_of(10), start=False)
    with transaction.atomic():
        Item.objects.filter(job=job).delete()
        job.shards.all().delete()
        Job.objects.filter(pk=job.pk).update(state=JobState.LOADING, total=0, stored=0)
    answers = at_once(*[lambda: importer.load(Job.objects.select_related("upload", "owner").get(pk=job.pk))] * 3)
    assert sorted(answers) == [False, False, True]
    assert (Item.objects.filter(job=job).count(), wrong(job)) == (10, [])


def test_it_begins_no_job_beyond_the_quota_of_one_who_sends_several_at_once(
    alice: User, settings: LazySettings
) -> None:
    settings.JOBS_MAX_RUNNING_JOBS = 2
    answers = at_once(*[lambda: make_job(alice)] * 5)
    assert [type(answer) for answer in answers].count(OverQuota) == 3
    assert Job.objects.count() == 2


def test_it_stores_no_file_beyond_the_quota_of_one_who_sends_several_at_once(
    alice: User, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.JOBS_MAX_STORED_MB = 1
    storage = Upload._meta.get_field("file").storage
    before, save, stored = set(stored_files(storage)), FileSystemStorage.save, threading.Barrier(5)

    def saved(*arguments: Any, **options: Any) -> str:
        path = save(*arguments, **options)
        stored.wait(10)
        return path

    monkeypatch.setattr(FileSystemStorage, "save", saved)
    answers = at_once(*[lambda: Upload.keep(ContentFile(b"x" * 400_000), "a.txt", alice)] * 5)
    assert [type(answer) for answer in answers].count(OverQuota) == 3
    kept = set(Upload.objects.values_list("file", flat=True))
    assert (len(kept), kept) == (2, set(stored_files(storage)) - before)


def test_it_leaves_the_last_process_free_when_all_claim_at_once(alice: User, bob: User) -> None:
    for _ in range(6):
        loaded(alice, csv_of(20))
    worker = Worker.saw("host:1", 4)
    found = at_once(*[lambda: claim.claim(worker, lambda: False)] * 6)
    assert [type(one) for one in found if one] == [Recorder] * 3
    loaded(bob, csv_of(20))
    assert len([one for one in at_once(*[lambda: claim.claim(worker, lambda: False)] * 3) if one]) == 1


def test_it_leaves_the_last_reader_free_when_all_begin_at_once(alice: User) -> None:
    Worker.saw("loader:1", 3, queues="load")
    jobs = [make_job(alice) for _ in range(5)]
    taken = at_once(*[partial(importer.take, fresh(job)) for job in jobs])
    assert len([token for token in taken if token]) == 2
