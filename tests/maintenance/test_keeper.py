from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connection
from django.utils import timezone

from batchweb import celery_app
from jobs.maintenance import keeper
from jobs.models import Batch, Job, Series, Upload, Worker
from jobs.store import dialect
from jobs.worker import broker as worker_broker
from tests.base import csv_of, loaded, make_job
from tests.steps import recorder_for


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sweeps:
    """Notes of each sweep whether leases were to expire."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.expired: list[bool] = []
        self.broken = False
        monkeypatch.setattr(keeper, "sweep", self)

    def __call__(self, expire: bool) -> None:
        if self.broken:
            raise OperationalError("away")
        self.expired.append(expire)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    monkeypatch.setattr(keeper, "under_way", lambda: (False, 0))
    monkeypatch.setattr(keeper, "wake", lambda: False)
    monkeypatch.setattr(keeper, "sample", lambda: None)
    monkeypatch.setattr(keeper, "tidy", lambda: None)
    monkeypatch.setattr(keeper, "delete_orphan_files", lambda: None)
    return Sweeps(monkeypatch)


def passes(kept: keeper.Keeper, clock: Clock, seconds: float) -> None:
    for _ in range(int(seconds / keeper.SWEEP_EVERY)):
        clock.now += keeper.SWEEP_EVERY
        kept.turn()


def test_it_sweeps_every_five_seconds(clock: Clock, sweeps: Sweeps) -> None:
    kept = keeper.Keeper(clock)
    for _ in range(40):
        kept.turn()
        clock.now += 0.5
    assert sweeps.expired == [True] * 4


def test_it_expires_nothing_for_a_lease_after_a_gap(clock: Clock, sweeps: Sweeps, settings: Any) -> None:
    settings.JOBS_LEASE_SECONDS = 30
    kept = keeper.Keeper(clock)
    kept.turn()
    clock.now += 600
    passes(kept, clock, 40)
    assert sweeps.expired == [True] + [False] * 6 + [True] * 2


def test_it_takes_an_absence_of_the_database_for_a_gap(clock: Clock, sweeps: Sweeps) -> None:
    kept = keeper.Keeper(clock)
    kept.turn()
    sweeps.broken = True
    passes(kept, clock, 60)
    sweeps.broken = False
    passes(kept, clock, 5)
    assert sweeps.expired == [True, False]


def test_it_goes_on_after_an_error_of_the_database(clock: Clock, sweeps: Sweeps) -> None:
    kept = keeper.Keeper(clock)
    sweeps.broken = True
    kept.turn()
    sweeps.broken = False
    passes(kept, clock, 5)
    assert sweeps.expired == [True]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dialect.LeaderLock, dialect.LeaderLock]]:
    """The claims of two keepers, each with a connection of its own."""
    first, second = dialect.LeaderLock("kept-by-a-test"), dialect.LeaderLock("kept-by-a-test")
    yield first, second
    first.release()


def elsewhere(ask: Callable[[], Any]) -> Any:
    """What `ask` answers in another thread, which has another connection to the database."""

    def asked() -> Any:
        try:
            return ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asked).result()


@pytest.mark.django_db(transaction=True)
def test_it_acts_alone(two: tuple[dialect.LeaderLock, dialect.LeaderLock]) -> None:
    first, second = two
    assert (first.mine(), first.mine(), elsewhere(second.mine)) == (True, True, False)
    first.release()

    def mine_and_gone() -> bool:
        mine = second.mine()
        second.release()
        return mine

    assert elsewhere(mine_and_gone)


def test_it_does_nothing_while_another_keeper_acts(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, asked = threading.Event(), list[str]()

    def mine(only: dialect.LeaderLock) -> bool:
        asked.append(only.name)
        stopping.set()
        return False

    monkeypatch.setattr(dialect.LeaderLock, "mine", mine)
    keeper.keep(stopping)
    assert (asked, sweeps.expired) == (["keeper"], [])


def test_it_expires_at_once_when_it_takes_over(clock: Clock, sweeps: Sweeps) -> None:
    kept = keeper.Keeper(clock)
    for _ in range(20):
        clock.now += 5
        kept.stand_by()
    clock.now += 5
    kept.turn()
    assert sweeps.expired == [True]


def test_it_stops_when_it_is_told_to(sweeps: Sweeps) -> None:
    stopping = threading.Event()
    stopping.set()
    keeper.keep(stopping)
    assert sweeps.expired == []


# Following, and resting


class Followed:
    """Counts the times that workers were woken and speeds noted; a test says what is under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        self.state, self.done, self.clock = (False, 0), list[str](), clock
        monkeypatch.setattr(keeper, "under_way", lambda: self.state)
        monkeypatch.setattr(keeper, "wake", lambda: self.done.append("wake"))
        monkeypatch.setattr(keeper, "sample", lambda: self.done.append("sample"))
        self.kept = keeper.Keeper(clock)
        self.pass_seconds(100)

    def pass_seconds(self, seconds: int) -> list[str]:
        """What is done within so many seconds."""
        self.done.clear()
        for _ in range(seconds):
            self.clock.now += 1
            self.kept.turn()
        return self.done


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch, sweeps: Sweeps, clock: Clock) -> Followed:
    return Followed(monkeypatch, clock)


def test_it_looks_each_second_while_there_is_work(followed: Followed) -> None:
    followed.state = (True, 0)
    assert followed.pass_seconds(3) == ["wake", "sample"] * 3


def test_it_rests_while_nothing_goes_on(followed: Followed) -> None:
    assert followed.pass_seconds(100) == []


def test_it_rests_a_minute_after_the_last_change(followed: Followed) -> None:
    followed.state = (False, 7)
    assert followed.pass_seconds(100) == ["wake", "sample"] * 60


def test_it_tells_when_it_wants_to_go_on(followed: Followed) -> None:
    assert followed.kept.turn() == 1.0
    followed.clock.now += 0.75
    assert followed.kept.turn() == 0.25


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "busy"), [("loading", True), ("queued", True), ("running", True), ("ready", False), ("finished", False)]
)
def test_it_knows_the_states_with_work(alice: User, state: str, busy: bool) -> None:
    Job.objects.filter(pk=make_job(alice, csv_of(1), start=False).pk).update(state=state)
    assert keeper.under_way()[0] is busy


@pytest.mark.django_db
def test_it_goes_on_until_the_last_point_of_a_series(alice: User) -> None:
    job = make_job(alice, csv_of(1), start=False)
    Job.objects.filter(pk=job.pk).update(state="paused")
    Series.objects.create(job=job, at=timezone.now(), due=timezone.now())
    assert keeper.under_way()[0]


@pytest.mark.django_db
def test_it_notices_a_job_that_was_too_quick_to_be_seen(alice: User) -> None:
    job = make_job(alice, csv_of(1), start=False)
    before = keeper.under_way()[1]
    job.announce()
    assert keeper.under_way()[1] != before


# Waking


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, sent: list[str]) -> list[str]:
    monkeypatch.setattr(worker_broker, "queued", lambda name: len(sent))
    return sent


def test_it_wakes_a_worker_for_work_that_nobody_does(alice: User, queue: list[str]) -> None:
    loaded(alice, csv_of(5))
    assert keeper.wake()
    assert queue == [worker_broker.WORK]


def test_it_lets_workers_sleep_when_there_is_nothing_to_do(alice: User, queue: list[str]) -> None:
    loaded(alice, csv_of(5), start=False)
    assert not keeper.wake()


def test_it_lets_workers_sleep_when_the_job_has_its_worker(alice: User, queue: list[str], settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    recorder_for(loaded(alice, csv_of(300), workers=1))
    assert not keeper.wake()


def test_it_never_floods_the_queue(alice: User, queue: list[str]) -> None:
    loaded(alice, csv_of(5))
    for _ in range(20):
        keeper.wake()
    assert len(queue) == keeper.QUEUED_WAKEUPS


def test_it_counts_what_waits_in_the_broker() -> None:
    with celery_app.connection_for_write() as broker:
        queue: Any = broker.SimpleQueue("kept-by-a-test")
        queue.put("one")
        queue.put("two")
        assert worker_broker.queued("kept-by-a-test") == 2
        queue.clear()
        queue.close()


def test_it_takes_a_missing_queue_for_an_empty_one() -> None:
    assert worker_broker.queued("never-declared") == 0


def test_it_does_not_wait_for_a_broker_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = celery_app.connection_for_write("redis+socket:///nowhere/valkey.sock")
    monkeypatch.setattr(celery_app, "connection_for_write", lambda: gone)
    assert worker_broker.queued("work") is None


# Tidying


def aged(alice: User, minutes: int) -> Upload:
    upload = Upload.keep(ContentFile(b"a\n1\n"), "old.csv", alice)
    Upload.objects.filter(pk=upload.pk).update(used=timezone.now() - timedelta(minutes=minutes))
    return upload


def test_it_removes_an_upload_that_nothing_refers_to(alice: User, django_capture_on_commit_callbacks: Any) -> None:
    upload = aged(alice, 70)
    with django_capture_on_commit_callbacks(execute=True):
        keeper.tidy()
    assert not Upload.objects.filter(pk=upload.pk).exists()
    assert not upload.file.storage.exists(str(upload.file.name))


def test_it_keeps_an_upload_that_somebody_may_be_filling_in_a_form_about(alice: User) -> None:
    upload = aged(alice, 50)
    keeper.tidy()
    assert Upload.objects.filter(pk=upload.pk).exists()


def test_it_keeps_the_upload_of_a_job(alice: User) -> None:
    job = make_job(alice, csv_of(2))
    Upload.objects.update(used=timezone.now() - timedelta(days=2))
    keeper.tidy()
    assert Upload.objects.get().file.storage.exists(str(job.upload.file.name))


def test_it_goes_on_when_a_file_is_gone_already(alice: User, django_capture_on_commit_callbacks: Any) -> None:
    first, second = aged(alice, 70), aged(alice, 70)
    first.file.storage.delete(str(first.file.name))
    with django_capture_on_commit_callbacks(execute=True):
        keeper.tidy()
    assert not second.file.storage.exists(str(second.file.name))


def stray(storage: Any, minutes: int) -> str:
    """A file without a row."""
    path = str(storage.save(f"2026/01/{minutes}", ContentFile(b"a\n1\n")))
    then = time.time() - 60 * minutes
    os.utime(storage.path(path), (then, then))
    return path


def test_it_removes_files_that_no_row_knows_of(alice: User) -> None:
    kept = Upload.keep(ContentFile(b"a\n1\n"), "kept.csv", alice)
    storage = kept.file.storage
    os.utime(kept.file.path, (0, 0))
    old, young = stray(storage, 70), stray(storage, 50)
    keeper.delete_orphan_files()
    assert [storage.exists(path) for path in (old, young, str(kept.file.name))] == [False, True, True]


def test_it_looks_for_files_where_none_were_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    empty = FileSystemStorage(tmp_path / "uploads")
    monkeypatch.setattr(Upload._meta.get_field("file"), "storage", empty)
    keeper.delete_orphan_files()


def test_it_removes_batches_that_every_viewer_has_passed(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    old = timezone.now() - keeper.KEPT_BATCHES - timedelta(minutes=1)
    Batch.objects.bulk_create(Batch(job=job, seq=100 + at, created=old) for at in range(50))
    kept = Batch.objects.filter(created__gt=old).count()
    keeper.tidy()
    assert Batch.objects.filter(job=job).count() == kept


def test_it_forgets_workers_long_gone(alice: User) -> None:
    Worker.objects.create(name="old", seen=timezone.now() - timedelta(days=8))
    Worker.objects.create(name="new")
    keeper.tidy()
    assert [worker.name for worker in Worker.objects.all()] == ["new"]


def test_it_remembers_a_worker_that_still_holds_a_shard(alice: User) -> None:
    recorder_for(loaded(alice, csv_of(2)), "old")
    Worker.objects.update(seen=timezone.now() - timedelta(days=8))
    keeper.tidy()
    assert Worker.objects.filter(name="old").exists()
