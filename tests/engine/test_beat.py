from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from jobs.engine import STOP, Policy, Pulse, RetryLater, run
from jobs.engine.context import Ticket
from jobs.engine.coordinator import NOT_YET
from jobs.engine.threads import Running


def after(beats: int, answer: Any) -> Callable[[Pulse], Any]:
    """A beat that gives its answer from the given call on."""
    seen: list[Pulse] = []

    def beat(pulse: Pulse) -> Any:
        seen.append(pulse)
        return answer if len(seen) >= beats else None

    return beat


class Emptying:
    """A pool in which an attempt ends whenever somebody looks."""

    def __init__(self, positions: int) -> None:
        self.left = [Ticket(n, n) for n in range(positions)]
        for ticket in self.left:
            ticket.started = 1.0

    def running(self) -> list[tuple[Any, Ticket]]:
        now = [(None, ticket) for ticket in self.left]
        self.left.pop()
        return now


def test_it_keeps_what_ran_at_one_moment() -> None:
    pool: Any = Emptying(5)
    assert Pulse(Running(pool, 10.0), 0, None, 0).kept().running == dict.fromkeys(range(5), 11.0)
    assert len(pool.left) == 4


def test_it_beats_four_times_a_second_while_nothing_finishes() -> None:
    times: list[float] = []
    list(run([(0, 1.1)], time.sleep, Policy(), beat=lambda pulse: times.append(time.monotonic())))
    gaps = [later - sooner for sooner, later in pairwise(times)][:-1]
    # A busy machine may miss one, and none comes too soon; the last one is that of the end.
    assert 3 <= len(times) <= 5
    assert min(gaps) >= 0.24


def test_it_beats_while_much_finishes() -> None:
    pulses: list[Pulse] = []
    begun = time.monotonic()
    items = iter(lambda: (0, 0) if time.monotonic() < begun + 0.6 else None, None)
    for _ in run(items, abs, Policy(), beat=pulses.append):
        pass
    assert 2 <= len(pulses) <= 2 + (time.monotonic() - begun) / 0.25


def test_it_beats_in_the_callers_thread() -> None:
    threads = set()
    list(run([(0, 0.3)], time.sleep, Policy(), beat=lambda pulse: threads.add(threading.current_thread())))
    assert threads == {threading.current_thread()}


def test_it_beats_once_more_at_the_end() -> None:
    pulses: list[Pulse] = []
    list(run([(0, 1)], abs, Policy(), beat=pulses.append))
    assert pulses == [Pulse({}, 0, None, 0)]


def test_it_tells_what_runs_and_what_waits() -> None:
    pulses: list[Pulse] = []
    list(
        run([(n, 0.3) for n in range(5)], time.sleep, Policy(workers=3), beat=lambda pulse: pulses.append(pulse.kept()))
    )
    assert (pulses[0].in_flight, pulses[0].waiting) == (3, 2)


def test_it_tells_what_runs_when_it_is_asked() -> None:
    pulses: list[Pulse] = []
    gates = [threading.Event() for _ in range(3)]
    running = []

    def beat(pulse: Pulse) -> None:
        pulses.append(pulse)
        gates[0].set()  # the first one ends once there is a pulse to ask

    for attempt in run(enumerate(gates), lambda gate: gate.wait(60), Policy(workers=3), beat=beat):
        running.append((attempt.position, sorted(pulses[0].running)))
        for gate in gates[attempt.position + 1 :][:1]:
            gate.set()
    assert running == [(0, [1, 2]), (1, [2]), (2, [])]


def test_it_tells_since_when_items_run() -> None:
    pulses: list[Pulse] = []
    begun = time.time()
    list(run([(7, 0.3)], time.sleep, Policy(), beat=lambda pulse: pulses.append(pulse.kept())))
    assert begun - 0.01 <= pulses[0].running[7] <= time.time()


def test_it_stops_without_starting_more() -> None:
    started: list[int] = []

    def process(payload: int) -> int:
        started.append(payload)
        time.sleep(0.05)
        return payload

    attempts = list(run(enumerate(range(1000)), process, Policy(workers=2), beat=after(1, STOP)))
    assert len(started) < 20
    assert sorted(attempt.value for attempt in attempts) == sorted(started)


def test_it_finishes_what_is_in_flight_when_stopped() -> None:
    attempts = list(run(enumerate([0.6] * 10), time.sleep, Policy(workers=3), beat=after(1, STOP)))
    assert [attempt.failure for attempt in attempts] == [None] * 3


def test_it_tries_nothing_again_when_stopped() -> None:
    def process(payload: int) -> None:
        raise ValueError

    policy = Policy(attempts=5, backoff=60, retry_on=("*",))
    (attempt,) = run([(0, 0)], process, policy, beat=after(1, STOP))
    assert attempt.retry_at is not None
    assert attempt.retry_at > time.time()


def test_it_grows_within_a_beat() -> None:
    barrier = threading.Barrier(6, timeout=3)
    attempts = run(
        enumerate(range(6)), lambda payload: barrier.wait(), Policy(workers=2), beat=after(1, Policy(workers=6))
    )
    assert all(attempt.failure is None for attempt in attempts)


def test_it_shrinks_within_a_beat() -> None:
    lock, running, late = threading.Lock(), 0, []
    begun = time.monotonic()

    def process(payload: int) -> None:
        nonlocal running
        with lock:
            running += 1
            if time.monotonic() > begun + 0.4:
                late.append(running)
        time.sleep(0.02)
        with lock:
            running -= 1

    list(run(enumerate(range(170)), process, Policy(workers=10), beat=after(1, Policy(workers=2))))
    assert max(late) == 2


def test_it_counts_and_times_what_surplus_workers_still_do() -> None:
    pulses: list[Pulse] = []
    let_go = threading.Event()
    policies = iter([Policy(workers=1, timeout=0.6)])

    def beat(pulse: Pulse) -> Policy | None:
        pulses.append(pulse.kept())
        return next(policies, None)

    attempts = list(run([(at, None) for at in range(4)], lambda _: let_go.wait(5), Policy(workers=4), beat=beat))
    let_go.set()
    assert [pulse.in_flight for pulse in pulses[:2]] == [4, 4]
    assert [attempt.failure and attempt.failure.kind for attempt in attempts] == ["timeout"] * 4


def test_it_raises_what_the_beat_raises() -> None:
    def beat(pulse: Pulse) -> None:
        raise LookupError("the database is gone")

    before = threading.active_count()
    with pytest.raises(LookupError, match="database"):
        list(run([(n, 0.3) for n in range(10)], time.sleep, Policy(workers=2), beat=beat))
    time.sleep(0.35)
    assert threading.active_count() <= before


def test_it_asks_a_source_again_that_has_nothing_yet() -> None:
    answers = iter([NOT_YET, (0, "a"), NOT_YET, (1, "b")])
    assert [attempt.value for attempt in run(answers, str.upper, Policy())] == ["A", "B"]


def test_it_loses_no_item_while_everything_changes() -> None:
    chance = random.Random(7)

    def process(payload: int) -> int:
        time.sleep(chance.choice([0, 0, 0, 0.001, 0.01]))
        if payload % 50 == 0:
            raise RetryLater(0.005, alone=True) if chance.random() < 0.5 else ValueError("no")
        return payload

    def change(pulse: Pulse) -> Policy:
        workers, rate = chance.randint(1, 30), chance.choice([None, 3000])
        return Policy(workers=workers, rate=rate, timeout=10, attempts=2, backoff=0.01, retry_on=("*",))

    final = [
        attempt.position
        for attempt in run(enumerate(range(6000)), process, Policy(), beat=change)
        if attempt.retry_at is None
    ]
    assert sorted(final) == list(range(6000))
