"""Processors that hang, crash, and eat all there is."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from tests.faults.case import Case
from tests.system import until

pytestmark = pytest.mark.faults
SEEN = 10.0
DEADLY = ("worker died",)
GREEDY = ("out of memory", "MemoryError", "worker died")
ENOUGH = 2 * 1024**3  # bytes


@pytest.mark.fast
def test_it_goes_on_when_every_slot_hangs(case: Case) -> None:
    """A hang in every slot"""
    first = case.rng.randrange(400, 1200)
    hung = range(first, first + 60)
    case.begin(fates=dict.fromkeys(hung, "hang"), workers=20, seconds=0.05, timeout=2)
    lines = case.system.witness.lines
    until(lambda: any(line.position == first for line in lines(case.code, "start")), 60)
    since = time.monotonic()
    case.recovers(SEEN, lambda: case.first_end(since, set(range(hung.stop, 2000))))
    case.expect(kinds=dict.fromkeys(hung, ("timeout",)))


def test_it_condemns_only_the_killer(case: Case) -> None:
    """Segfault of one item among 60"""
    killer = case.rng.randrange(300, 1200)
    case.begin(fates={killer: "segfault"})
    until(case.dead, 60, "the first process died")
    died, first = time.monotonic(), case.dead()
    held = case.held_by(first)
    case.recovers(SEEN, lambda: case.first_start(died, held, first))
    try:
        case.settles(4 * 40.0)
    finally:
        case.excuse_the_dead()
    case.expect(kinds={killer: DEADLY})
    took = {line.pid for line in case.system.witness.lines(case.code, "start") if line.position == killer}
    assert len(took) == 3, f"the killer took {len(took)} processes with it"


def test_it_loses_one_item_to_a_segfault_apart(case: Case) -> None:
    """Segfault of an item in a process of its own"""
    killer = case.rng.randrange(300, 1200)
    case.begin(fates={killer: "segfault"}, workers=4, seconds=0.005, param_apart="on")
    case.settles()
    case.expect(kinds={killer: DEADLY})


@pytest.mark.parametrize("where", ["thread", "process"])
def test_it_stops_an_item_that_eats_memory(case: Case, where: str) -> None:
    """Memory eater"""
    eater = case.rng.randrange(300, 1200)
    apart: dict[str, Any] = {"param_apart": "on", "workers": 4, "seconds": 0.005} if where == "process" else {}
    case.begin(fates={eater: "eat"}, **apart)
    peak = 0

    def settled() -> bool:
        nonlocal peak
        peak = max(peak, heaviest(case))
        return bool(case.system.at_rest(case.code))

    until(settled, 150, "the job is at rest")
    case.excuse_the_dead()
    case.check(peak < ENOUGH, f"a process took {peak / 1024**3:.1f} GB")
    case.expect(kinds={eater: GREEDY})


def heaviest(case: Case) -> int:
    """Bytes of the largest process of the workers."""
    return max((weight(one) for worker in case.system.workers for one in worker.family()), default=0)


def weight(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def test_it_stops_where_a_worker_does_not_know_the_processor(case: Case) -> None:
    """A worker that does not know the processor"""
    case.system.restart(*case.system.workers, env={"JOBS_PROCESSORS": ""})
    case.begin()
    begun = time.monotonic()

    def paused() -> float | None:
        return time.monotonic() - begun if case.system.state(case.code) == "paused" else None

    case.recovers(5.0, paused)
    ((reason,),) = case.system.rows(f"SELECT reason FROM jobs_job WHERE code = '{case.code}'")
    case.check("ledger" in reason, f"the reason does not name the processor: {reason!r}")
    case.system.restart(*case.system.workers)
    case.system.post(case.system.admin, f"/jobs/{case.code}/resume/", {})
    case.expect()
