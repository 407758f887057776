"""A worker whose clock is wrong, by libfaketime where the machine has it."""

from __future__ import annotations

import glob
from collections.abc import Mapping

import pytest

from tests.faults.case import Case

pytestmark = pytest.mark.faults
CLOCKS = {"10 min behind": -600, "25 h ahead": 25 * 3600}
LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")


def wrong_clock(offset: int) -> Mapping[str, str]:
    """The variables of a process whose clock is wrong by so many seconds."""
    found = [path for pattern in LIBRARIES for path in glob.glob(pattern)]
    if not found:
        return {"FAULT_CLOCK": str(offset)}
    return {"LD_PRELOAD": found[0], "FAKETIME": f"{offset:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize("clock", CLOCKS)
def test_it_does_not_trust_the_clock_of_a_worker(case: Case, clock: str) -> None:
    """Clock of a worker is wrong"""
    worker = case.system.workers[case.rng.randrange(2)]
    case.system.restart(worker, env=wrong_clock(CLOCKS[clock]))
    first = case.rng.randrange(200, 600)
    again = range(first, first + 20)
    case.begin(fates=dict.fromkeys(again, "later-once"))
    case.excused.update(again)
    case.moment(0.4, 0.6)
    wrong = case.system.rows(
        f"SELECT name FROM jobs_worker WHERE name LIKE '%:{worker.pid}' AND ABS(EXTRACT(EPOCH FROM NOW() - seen)) > 30"
    )
    case.check(not wrong, "the worker's heartbeat is not in the database's time")
    case.check(not case.recoveries(), "a lease counted as expired")
    case.expect(patience=60)
