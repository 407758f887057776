"""People who press the same button at once, or one that does not fit the moment."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.case import Case
from tests.system import until

pytestmark = pytest.mark.faults
ERASED = 120.0  # seconds: a lease, until nobody can hold anything of it, and a round of the keeper
STOPPED = 2.0  # seconds after the press in which items may still start


def press(case: Case, verb: str, people: int = 1) -> float:
    """So many people press the button in the same moment, which is returned."""
    clients = [case.system.client() for _ in range(people)]
    gate = threading.Barrier(people)

    def push(number: int) -> float:
        gate.wait(10)
        pressed = time.monotonic()
        answer = case.system.post(clients[number], f"/jobs/{case.code}/{verb}/", {})
        assert answer.status_code in (200, 302), f"{verb}: {answer.status_code}"
        return pressed

    with ThreadPoolExecutor(people) as pool:
        return min(pool.map(push, range(people)))


def runs(case: Case) -> Counter[int]:
    """Run → how many items it started."""
    return Counter(line.run for line in case.system.witness.lines(case.code, "start"))


def failing(case: Case, count: int = 200, below: int = 2000) -> list[int]:
    return case.rng.sample(range(below), count)


def ran_in(case: Case, run: int) -> list[int]:
    return sorted(line.position for line in case.system.witness.lines(case.code, "start") if line.run == run)


@pytest.mark.fast
def test_it_retries_once_what_two_ask_for_at_once(case: Case) -> None:
    """Retry pressed by two at once"""
    failed = failing(case)
    case.begin(fates=dict.fromkeys(failed, "fail-first"))
    case.settles()
    press(case, "retry", people=2)
    case.settles()
    case.check(runs(case) == {1: 2000, 2: 200}, f"the runs started {dict(runs(case))} items")
    case.check(ran_in(case, 2) == sorted(failed), "the retry ran other items than those that had failed")
    case.expect()


@pytest.mark.fast
def test_it_retries_while_it_runs(case: Case) -> None:
    """Retry pressed by two while the job runs"""
    failed = failing(case, 100, below=300)
    case.begin(fates=dict.fromkeys(failed, "fail-first"))
    case.moment(0.4, 0.6)
    press(case, "retry", people=2)
    case.settles()
    case.check(settled_twice(case, failed), "a retried item did not run exactly once more")
    case.expect()


def settled_twice(case: Case, failed: list[int]) -> bool:
    starts = Counter(line.position for line in case.system.witness.lines(case.code, "start"))
    return all(starts[at] == 1 + (at in failed) for at in range(2000))


def test_it_retries_during_a_cancel(case: Case) -> None:
    """Retry pressed by two during a cancel"""
    failed = failing(case, 100, below=300)
    case.begin(fates=dict.fromkeys(failed, "fail-first"), seconds=0.4)
    case.moment(0.3, 0.5)
    press(case, "cancel")
    press(case, "retry", people=2)
    case.settles()
    case.check(settled_twice(case, failed), "an item did not run exactly as often as it was to")
    case.expect()


@pytest.mark.parametrize(
    ("verb", "state", "left"),
    [
        pytest.param("pause", "paused", "waiting", id="pause"),
        pytest.param("cancel", "cancelled", "not_attempted", id="cancel", marks=pytest.mark.fast),
    ],
)
def test_it_stops_and_goes_on_from_there(case: Case, verb: str, state: str, left: str) -> None:
    """Stop while the job runs, then resume"""
    case.begin(rows=600, seconds=1.0)
    case.moment(0.1, 0.3)
    pressed = press(case, verb, people=2)
    found = case.settles()
    case.check(found == state, f"the job is {found}, not {state}")
    stops(case, pressed)
    ran = {line.position for line in case.system.witness.lines(case.code, "start")}
    stored = {row[0] for row in case.system.of_job(case.code, "position", rest="AND state = 2")}
    case.check(ran == stored, f"{len(ran - stored)} items had started and were dropped")
    counts = case.system.snapshot(case.system.admin, case.code)["counts"]
    case.check(counts[left] == 600 - len(ran), f"of the rest {counts[left]} are said to be {left}")
    press(case, "resume", people=2)
    case.expect()
    case.check(set(case.system.of_job(case.code, "attempts")) == {(1,)}, "an item was tried again")


def stops(case: Case, pressed: float) -> None:
    """Notes how long after the press the last item started."""
    last = max(line.at for line in case.system.witness.lines(case.code, "start"))
    case.row.limit, case.row.recovery = STOPPED, max(0.0, last - pressed)
    case.check(last - pressed < STOPPED, f"an item started {last - pressed:.1f} s after the press")


def test_it_deletes_a_job_that_runs(case: Case) -> None:
    """Delete while running"""
    case.begin()
    case.moment()
    ((path,),) = case.system.rows(
        f"SELECT u.file FROM jobs_upload u JOIN jobs_job j ON j.upload_id = u.id WHERE j.code = '{case.code}'"
    )
    answer = case.system.post(case.system.admin, f"/jobs/{case.code}/delete/", {})
    assert answer.status_code in (200, 302), f"/jobs/CODE/delete/ says {answer.status_code}"
    assert case.system.admin.get(f"/jobs/{case.code}/").status_code == 404
    ended = case.system.witness.ended(case.code)
    until(lambda: not case.system.witness.busy(case.code), 20, "what was in flight has ended")
    case.check(case.system.witness.ended(case.code) < ended + 200, "it was worked on long after it was gone")
    until(
        lambda: not case.system.rows(f"SELECT 1 FROM jobs_job WHERE code = '{case.code}'"), ERASED, "its rows are gone"
    )
    until(lambda: not (case.system.data / "uploads" / path).exists(), 10, "its file is gone")
    second = case.second()
    until(lambda: case.system.state(second) == "finished", 20, "the workers are well")
    assert case.system.manage("check_invariants").returncode == 0
    case.row.lost, case.row.invariants = 0, "hold"
    assert not case.row.wrong, case.row.wrong
