"""The database goes away, answers late, or answers and is not heard."""

from __future__ import annotations

import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from tests.faults.case import Case
from tests.faults.programs import send
from tests.system import until

pytestmark = pytest.mark.faults
BACK = 10.0  # seconds after its return
LOCKED = 15.0
LEASE = 30.0


@pytest.mark.fast
def test_it_outlives_a_restart_of_the_database(case: Case) -> None:
    """PostgreSQL restarted at once (immediate)"""
    server = case.system.postgres
    case.begin()
    case.moment()
    server.end(signal.SIGQUIT)
    server.start()
    case.recovers(BACK, lambda: case.first_stored(server.returned_at))
    case.expect()


def test_it_waits_for_a_database_that_is_away(case: Case) -> None:
    """PostgreSQL away for 60 s"""
    server, workers = case.system.postgres, case.system.workers
    case.begin()
    case.moment()
    everybody = [one for worker in workers for one in worker.family()]
    case.freeze(everybody)
    server.end(signal.SIGINT)
    send(everybody, signal.SIGCONT)
    time.sleep(60)
    server.start()
    case.recovers(BACK, lambda: answered(case, server.returned_at))
    case.expect()


def answered(case: Case, since: float) -> float | None:
    try:
        return case.first_stored(since)
    except psycopg.OperationalError:
        return None


def test_it_stores_once_what_was_committed_unheard(case: Case) -> None:
    """Commit done, reply lost (5 % of commits)"""
    with case.system.fault("lost-replies", "0.05"):
        case.begin()
        case.settles(60 + LEASE)
    case.expect()


def test_it_keeps_results_while_the_database_is_full(case: Case) -> None:
    """Disk full while saving for 8 s (injected)"""
    case.begin()
    case.moment()
    with case.system.fault("full-database"):
        time.sleep(8)
    returned = time.time()
    case.recovers(BACK, lambda: case.first_stored(returned))
    case.expect()


def test_it_waits_out_a_locked_file(sqlite_case: Case) -> None:
    """SQLite locked for 15 s, and a person who presses Pause meanwhile"""
    case = sqlite_case
    case.begin()
    case.moment()
    with (
        closing(sqlite3.connect(case.system.data / "db.sqlite3", timeout=30, isolation_level=None)) as file,
        ThreadPoolExecutor(1) as person,
    ):
        file.execute("BEGIN IMMEDIATE")
        pressed = person.submit(pause, case)
        time.sleep(LOCKED)
        file.execute("ROLLBACK")
        waited = pressed.result(20)
    case.check(waited > LOCKED / 2, f"the button was answered after {waited:.1f} s, while nothing could be stored")
    until(lambda: case.system.at_rest(case.code) == "paused", BACK, "the job is paused")
    returned = time.time()
    case.system.post(case.system.admin, f"/jobs/{case.code}/resume/", {})
    case.recovers(BACK, lambda: case.first_stored(returned))
    case.expect()
    said = "\n".join(program.said() for program in case.system.programs.values())
    assert "Traceback" not in said, "somebody gave up"


def pause(case: Case) -> float:
    """Presses the button, and returns how many seconds that took."""
    begun = time.monotonic()
    answer = case.system.post(case.system.admin, f"/jobs/{case.code}/pause/", {})
    case.check(answer.status_code == 302, f"the button answers {answer.status_code}")
    return time.monotonic() - begun


def test_it_survives_a_killed_worker_on_sqlite(sqlite_case: Case) -> None:
    """SIGKILL of a worker on SQLite"""
    case = sqlite_case
    case.begin()
    case.moment()
    again = case.kill(case.worker_of(case.at_work()[0]).family())
    case.recovers(40.0, again)
    case.expect()


def test_it_survives_a_full_disk(small_case: Case) -> None:
    """A small tmpfs, full while uploading and saving"""
    case = small_case
    case.begin(param_bulk=3000)
    case.moment(0.1, 0.4)
    before = files_of(case)
    ballast = case.system.data / "ballast"
    client = case.system.client()
    fill(ballast)
    answer = case.system.upload(client, "name,fate\n" + "too much,\n" * 50_000)
    case.check(answer.status_code >= 400, "a file was accepted that the disk cannot hold")
    time.sleep(8)
    ballast.unlink()
    returned = time.time()
    case.check(files_of(case) == before, "half of a file was left behind")
    case.recovers(BACK, lambda: case.first_stored(returned))
    case.expect()


def files_of(case: Case) -> set[str]:
    return {str(path) for path in (case.system.data / "uploads").rglob("*") if path.is_file()}


def fill(path: object) -> None:
    """Takes what the disk has left."""
    with open(str(path), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return
