from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone
from tqdm import tqdm

from batchweb import celery_pool
from jobs import tasks
from jobs.models import Worker
from jobs.worker import broker, heartbeat, shutdown
from jobs.worker import claim as worker_claim
from tests.base import csv_of, loaded
from tests.steps import recorder_for


@pytest.fixture(autouse=True)
def nobody_wishes() -> Iterator[None]:
    yield
    shutdown._wish[0] = 0


def test_it_works_until_somebody_wishes_otherwise() -> None:
    assert not shutdown.stopping()
    shutdown.stop()
    assert shutdown.stopping()


def test_it_takes_no_work_when_it_is_to_stop(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(*args: Any) -> None:
        raise AssertionError("work was claimed")

    monkeypatch.setattr(worker_claim, "claim", claim)
    shutdown.stop()
    tasks.work()


def test_it_hears_of_the_signal_before_celery_does(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    set_up: dict[int, Any] = {}
    monkeypatch.setattr(signal, "getsignal", lambda number: lambda signum, frame: heard.append(signum))
    monkeypatch.setattr(signal, "signal", lambda number, handler: set_up.update({number: handler}))
    shutdown.chain(signal.SIGTERM)
    set_up[signal.SIGTERM](signal.SIGTERM, None)
    assert (shutdown.stopping(), heard) == (True, [signal.SIGTERM])


def test_it_minds_no_signal_that_nobody_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up: dict[int, Any] = {}
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    monkeypatch.setattr(signal, "signal", lambda number, handler: set_up.update({number: handler}))
    shutdown.chain(signal.SIGTERM)
    set_up[signal.SIGTERM](signal.SIGTERM, None)
    assert shutdown.stopping()


def test_it_has_one_row_for_all_children(db: None) -> None:
    assert heartbeat.here() == heartbeat.here()


def test_it_keeps_the_number_of_processes(db: None) -> None:
    Worker.saw(celery_pool._name, 4)
    assert heartbeat.here().processes == 4


def test_it_is_alive_while_it_is_seen(db: None) -> None:
    Worker.saw("here", 2)
    Worker.objects.create(name="gone", seen=timezone.now() - timedelta(seconds=30))
    assert [worker.name for worker in Worker.objects.alive()] == ["here"]


def test_it_is_seen_by_the_database_clock(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    right = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: right + timedelta(days=1))
    Worker.saw("here")
    assert Worker.objects.get().seen < right + timedelta(minutes=1)


def test_it_remembers_when_it_was_seen_first(db: None) -> None:
    Worker.saw("here")
    first = Worker.objects.get().started
    Worker.saw("here")
    assert Worker.objects.get().started == first


def test_it_survives_a_beat_that_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    def saw(*args: Any, **more: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(heartbeat, "connection", SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(heartbeat, "Worker", SimpleNamespace(saw=saw))
    assert not heartbeat.beat(4, "work")


def test_it_beats_at_once_when_it_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    beats: queue.Queue[bool] = queue.Queue()

    def beat(processes: int, queues: str, told: bool = False) -> bool:
        beats.put(told)
        return True

    monkeypatch.setattr(shutdown, "_wished", threading.Event())
    monkeypatch.setattr(heartbeat, "beat", beat)
    thread = threading.Thread(target=heartbeat.beat_until_told, args=(4, "work"))
    thread.start()
    assert not beats.get(timeout=1)
    shutdown.stop()
    thread.join(1)
    assert (beats.get(timeout=1), beats.empty(), thread.is_alive()) == (True, True, False)


def test_it_is_not_counted_on_once_it_is_told_to_stop(db: None) -> None:
    Worker.saw("here", stopping=True)
    assert not Worker.objects.alive()


def test_it_takes_back_what_an_earlier_worker_of_its_name_held(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "connections", SimpleNamespace(close_all=lambda: None))
    job = loaded(alice, csv_of(5))
    recorder_for(job, celery_pool._name)
    heartbeat.parent_started()
    assert job.shards.get().token == ""


def test_it_gives_each_child_a_lock_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "connections", SimpleNamespace(close_all=lambda: None))
    locks: list[Any] = []
    monkeypatch.setattr(tqdm, "set_lock", locks.append)
    heartbeat.child_started()
    assert len(locks) == 1
    assert tqdm.monitor_interval == 0


def test_it_replaces_a_process_whose_threads_hang(
    sent: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.JOBS_LOST_THREADS = 2
    gone: list[int] = []
    monkeypatch.setattr(os, "_exit", gone.append)
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, name=f"batch_{number}") for number in range(2)]
    tasks.replace_if_hung()
    assert (gone, sent) == ([], [])
    for thread in threads:
        thread.start()
    tasks.replace_if_hung()
    done.set()
    assert (gone, sent) == ([tasks.RECYCLE_EXIT], [broker.WORK])
