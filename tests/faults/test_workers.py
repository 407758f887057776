"""Workers that die, stop, or stand still in the middle of their work."""

from __future__ import annotations

import signal
import time
from typing import Any

import psutil
import pytest

from tests.faults.case import Case, processes
from tests.faults.programs import Program, send
from tests.system import until

pytestmark = pytest.mark.faults
SEEN = 10.0  # seconds until it goes on where somebody saw the death
VANISHED = 40.0  # where nobody did
FROZEN = 60.0
GRACE = 15.0  # seconds that a worker may take to stop


@pytest.mark.fast
def test_it_survives_a_killed_child(case: Case) -> None:
    """SIGKILL of a prefork child"""
    case.begin()
    case.moment()
    again = case.kill(processes(case.at_work()[:1]))
    case.recovers(SEEN, again)
    case.expect()


@pytest.mark.fast
def test_it_survives_a_defect(case: Case) -> None:
    """An error that nobody foresaw in a worker"""
    case.begin()
    case.moment()
    working = case.at_work()
    case.system.arm("defect", case.worker_of(working[0]).name)
    dead, since = until(lambda: [pid for pid in working if not psutil.pid_exists(pid)], 20)[0], time.monotonic()

    def taken_back() -> float | None:
        held = case.system.of_job(case.code, "id", "shard", f"AND process = {dead}")
        return None if held else time.monotonic() - since

    case.recovers(SEEN, taken_back)
    case.excuse_the_dead()
    case.expect()


def test_it_survives_a_killed_worker(case: Case) -> None:
    """SIGKILL of a worker, as if its machine vanished"""
    case.begin()
    case.moment()
    again = case.kill(case.worker_of(case.at_work()[0]).family())
    case.recovers(VANISHED, again)
    case.expect()


def test_it_survives_a_killed_worker_that_is_supervised(whole_case: Case) -> None:
    """SIGKILL of a worker under the supervisor"""
    case = whole_case
    case.begin()
    case.moment()
    again = case.kill(case.system.processes("-Q work"))
    case.recovers(SEEN, again)
    case.expect()


def test_it_survives_the_death_of_all_workers(case: Case) -> None:
    """SIGKILL of all workers, started again later"""
    case.begin()
    case.moment()
    again = case.kill([process for worker in case.system.workers for process in worker.family()])
    time.sleep(case.rng.uniform(3, 8))
    for worker in case.system.workers:
        worker.start()
    case.recovers(VANISHED, again)
    case.expect()


def stopped(case: Case, worker: Program) -> None:
    """Asks a worker to stop: others go on with what it had, and none of its items gets a strike."""
    pids = {member.pid for member in worker.family()}
    held, since = case.held_by(pids), time.monotonic()
    case.check(worker.terminate() < GRACE, "the worker took too long to stop")
    case.recovers(SEEN, lambda: case.first_end(since, held, pids))
    case.check(not case.system.of_job(case.code, "1", rest="AND strikes > 0"), "an item got a strike")
    case.settles()
    case.check(not case.recoveries(), "a lease was left to expire")


@pytest.mark.fast
def test_it_hands_its_work_over_when_it_stops(case: Case) -> None:
    """SIGTERM of a worker"""
    case.begin()
    case.moment()
    stopped(case, case.worker_of(case.at_work()[0]))
    case.expect()


@pytest.mark.fast
def test_it_stops_although_an_item_hangs(case: Case) -> None:
    """SIGTERM of a worker with a hung item"""
    hung = case.rng.randrange(100, 300)
    case.begin(fates={hung: "hang-once"})
    case.moment(0.3, 0.6)
    busy = case.system.witness.busy(case.code)
    case.excused.add(hung)
    stopped(case, case.worker_of(next(pid for pid, at in busy.items() if hung in at)))
    case.expect()


def stored(case: Case) -> dict[int, Any]:
    """Position → what is stored of items that have an end."""
    fields = "position, state, result, finished, attempts, worker_id"
    return {row[0]: row for row in case.system.of_job(case.code, fields, rest="AND state > 0")}


def wakes(case: Case, zombies: list[Any], since: float) -> None:
    """Lets a worker go on after a minute, and sees to it that it changes nothing that is stored."""
    time.sleep(max(0.0, since + FROZEN - time.monotonic()))
    before = stored(case)
    send(zombies, signal.SIGCONT)
    pids = {zombie.pid for zombie in zombies}
    lines = case.system.witness.lines
    until(lambda: any(line.at > since + FROZEN and line.pid in pids for line in lines(case.code, "end")), 20)
    time.sleep(3)
    after = stored(case)
    case.check({at: after[at] for at in before} == before, "the zombie changed what was stored")


def test_it_keeps_a_zombie_from_storing(case: Case) -> None:
    """SIGSTOP of a worker for 60 s, and what it writes later"""
    case.begin()
    case.moment()
    zombies = case.worker_of(case.at_work()[0]).family()
    held, since = case.freeze(zombies), time.monotonic()
    case.recovers(VANISHED, lambda: case.first_end(since, held, {zombie.pid for zombie in zombies}))
    wakes(case, zombies, since)
    case.expect()


def test_it_goes_on_where_a_zombie_holds_locks(case: Case) -> None:
    """SIGSTOP of a worker for 60 s in the middle of a transaction"""
    case.begin()
    case.moment(0.1, 0.4)
    worker = case.worker_of(case.at_work()[0])
    case.system.arm("freeze-in-transaction", worker.name)
    zombies = until(lambda: [one for one in worker.family() if one.status() == "stopped"], 20)
    held, since = case.freeze(zombies), time.monotonic()
    case.recovers(VANISHED, lambda: case.first_end(since, held, {zombie.pid for zombie in zombies}))
    wakes(case, zombies, since)
    case.expect()


@pytest.mark.fast
def test_it_does_nothing_twice_when_woken_twice(case: Case) -> None:
    """300 wake-ups too many, 20 of them to read the file"""
    case.begin()
    ((job,),) = case.system.rows(f"SELECT id FROM jobs_job WHERE code = '{case.code}'")
    case.system.wake("jobs.load_file", job, times=20)
    case.moment()
    case.system.wake("jobs.work", times=280)
    case.expect()
