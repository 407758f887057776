from __future__ import annotations

import heapq
import math
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import pytest

from jobs.engine import Policy, Pulse, RetryLater, run
from jobs.engine.context import Ticket
from jobs.engine.pace import Pace
from jobs.engine.throttle import FORGOTTEN, KEEP, LONGEST, SLACK, Throttle

LATENCY = 0.3


class Service:
    """Takes `limit` requests in any second; says how long to wait, in whole seconds."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken: deque[float] = deque()

    def ask(self, now: float) -> float | None:
        """None, or the seconds to wait."""
        while self.taken and self.taken[0] <= now - 1:
            self.taken.popleft()
        if len(self.taken) < self.limit:
            self.taken.append(now)
            return None
        return float(max(1, math.ceil(self.taken[0] + 1 - now)))


class Bucket:
    """Takes `rate` requests a second, and up to `size` of them at once."""

    def __init__(self, rate: float, size: int) -> None:
        self.rate, self.size, self.level, self.then = rate, size, float(size), 0.0

    def ask(self, now: float) -> float | None:
        """None, or the seconds to wait."""
        self.level = min(self.size, self.level + (now - self.then) * self.rate)
        self.then = now
        if self.level < 1:
            return 1.0
        self.level -= 1
        return None


class Run:
    """A run of so many workers against a service, on a clock of its own that begins at 0."""

    def __init__(self, service: Service | Bucket, workers: int = 20, limit: float | None = None) -> None:
        self.service = service
        self.free = workers
        self.limit = limit
        self.throttle = Throttle()
        self.pace: Pace | None = None
        self.now = 0.001
        self.refusals: list[float] = []
        self.accepted: list[float] = []
        self.running: list[float] = []
        self.events: list[tuple[float, int, float, float | None]] = []
        self.chance = random.Random(3)

    def take(self, items: int) -> float:
        """Works on so many items; returns the time at which the last one is done."""
        done, ready, serial = 0, items, 0
        while done < items:
            while ready and self.free and not self._wait():
                ready, serial = ready - 1, serial + 1
                self._start(serial)
            wait = self._wait() if ready and self.free else math.inf
            self.now = min(self.events[0][0] if self.events else math.inf, self.now + min(wait, 0.25))
            while self.events and self.events[0][0] <= self.now:
                refused = self._end(*heapq.heappop(self.events))
                ready, done = ready + refused, done + (not refused)
        return self.now

    def _wait(self) -> float:
        rate = min(filter(None, (self.limit, self.throttle.rate(self.now))), default=None)
        if rate is None:
            self.pace = None
        elif self.pace is None:
            self.pace = Pace(rate)
        else:
            self.pace.tune(rate)
        return max(0.0, self.throttle.until - self.now, self.pace.wait(self.now) if self.pace else 0.0)

    def _start(self, serial: int) -> None:
        self.free -= 1
        ticket = Ticket(0, None)
        ticket.started = self.now
        if self.pace:
            self.pace.note(ticket, self.now)
        refused = self.service.ask(self.now + self.chance.uniform(0.0005, 0.0025))
        took = 0.005 if refused else LATENCY * self.chance.uniform(0.97, 1.03)
        self.running.append(self.now)
        heapq.heappush(self.events, (self.now + took, serial, self.now, refused))

    def _end(self, at: float, serial: int, started: float, refused: float | None) -> bool:
        self.free += 1
        self.running.remove(started)
        if refused is None:
            self.accepted.append(started)
            return False
        self.refusals.append(started)
        self.throttle.refuse(started, at, refused, self.accepted + self.running, 1.0)
        return True


def possible(items: int, rate: float) -> float:
    return (items - 1) / rate + LATENCY


@pytest.mark.parametrize(("items", "share"), [(100, 0.88), (300, 0.94), (1000, 0.96)])
def test_it_finds_the_pace_of_a_service(items: int, share: float) -> None:
    trial = Run(Service(33))
    assert possible(items, 33) / trial.take(items) >= share
    assert len(trial.refusals) <= 10


def test_it_finds_the_pace_of_a_service_that_takes_no_bursts() -> None:
    trial = Run(Bucket(33, 5))
    assert possible(1000, 33) / trial.take(1000) >= 0.7
    assert len(trial.refusals) <= 40


def test_it_finds_the_pace_that_a_service_has_later() -> None:
    trial = Run(Service(10))
    trial.take(200)
    assert isinstance(trial.service, Service)
    trial.service.limit = 50
    trial.take(2000)
    assert len([start for start in trial.accepted if trial.now - 11 < start <= trial.now - 1]) > 400


def test_it_never_exceeds_the_rate_of_the_policy() -> None:
    trial = Run(Service(33), limit=20)
    assert 0.95 <= possible(300, 20) / trial.take(300) <= 1
    assert trial.refusals == []


def refused(throttle: Throttle, at: float, accepted: list[float], seconds: float = 1.0) -> None:
    throttle.refuse(at, at + 0.01, seconds, accepted, 1.0)


def spread(count: int, until: float) -> list[float]:
    """So many starts in the second before."""
    return [until - at / count for at in range(count)]


@pytest.fixture
def taught() -> Throttle:
    """Refused at 100 s, when 30 had been accepted in the last second."""
    throttle = Throttle()
    refused(throttle, 100, spread(30, 100))
    return throttle


def test_it_sets_no_pace_before_a_refusal() -> None:
    assert Throttle().rate(5) is None


def test_it_goes_on_at_what_was_accepted(taught: Throttle) -> None:
    assert round(taught.until, 2) == 101.01
    assert taught.rate(102) == SLACK * 30


def test_it_takes_refusals_of_one_moment_for_one(taught: Throttle) -> None:
    refused(taught, 100.1, spread(28, 100.1))
    assert round(taught.until, 2) == 101.11
    assert taught.rate(102) == SLACK * 28


def test_it_tries_more_after_a_while(taught: Throttle) -> None:
    rates = [taught.rate(102 + KEEP + at) or 0 for at in range(10)]
    assert rates[0] < 31
    assert all(sooner < later for sooner, later in pairwise(rates))


def test_it_forgets_when_nothing_is_refused_any_more(taught: Throttle) -> None:
    assert taught.rate(102 + KEEP + FORGOTTEN) is None


def test_it_returns_to_the_pace_that_was_good(taught: Throttle) -> None:
    refused(taught, 103 + KEEP, spread(25, 103 + KEEP))
    assert taught.rate(105 + KEEP) == SLACK * 30


def test_it_tries_less_often_what_was_refused(taught: Throttle) -> None:
    at = 100.0
    for _ in range(6):
        at = taught.until + taught._keep + 1
        refused(taught, at, spread(30, at))
    assert taught.rate(at + LONGEST) == SLACK * 30


def test_it_cuts_little_when_it_was_refused_without_a_try(taught: Throttle) -> None:
    refused(taught, 110, spread(30, 110))
    assert taught.rate(112) == pytest.approx(SLACK * 28.5)


def test_it_cuts_no_deeper_than_to_a_half(taught: Throttle) -> None:
    for at in range(110, 310, 2):
        refused(taught, at, spread(2, at))
    assert taught.rate(taught.until) == SLACK * 15


def test_it_asks_ever_less_often_when_nothing_is_accepted(taught: Throttle) -> None:
    waits = []
    for _ in range(9):
        at = taught.until + 0.01
        refused(taught, at, [])
        waits.append(round(taught.until - at - 0.01))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_it_waits_as_long_as_it_is_asked_to(taught: Throttle) -> None:
    refused(taught, 102, [], seconds=30)
    assert taught.until == pytest.approx(132.01)


# With the engine


class Limited:
    """Accepts so many calls in any second, and asks for a fraction of a second of pause beyond."""

    def __init__(self, limit: int) -> None:
        self._service = Service(limit)
        self._lock = threading.Lock()
        self.starts: list[float] = []
        self.refusals = 0

    def __call__(self, payload: object) -> None:
        with self._lock:
            now = time.monotonic()
            wait = self._service.ask(now)
            self.refusals += wait is not None
            self.starts += [now] if wait is None else []
        if wait is not None:
            raise RetryLater(self._service.taken[0] + 1 - now)
        time.sleep(0.05)


def test_it_goes_on_without_a_stampede() -> None:
    limited = Limited(20)
    attempts = list(run(enumerate(range(35)), limited, Policy(workers=10)))
    assert sum(attempt.failure is None for attempt in attempts) == 35
    assert {attempt.number for attempt in attempts} == {1}
    assert limited.refusals <= 15


def test_it_obeys_the_dial_under_a_learned_pace() -> None:
    limited = Limited(20)
    begun = time.monotonic()

    def dial(pulse: Pulse) -> Policy | None:
        return Policy(workers=10, rate=5) if time.monotonic() > begun + 0.6 else None

    list(run(enumerate(range(26)), limited, Policy(workers=10), beat=dial))
    late = [start for start in limited.starts if start > begun + 0.9]
    assert late
    assert max(sum(start <= other < start + 1 for other in late) for start in late) <= 5


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_it_lets_the_others_go_on_when_one_waits_alone(executor: str) -> None:
    attempts = list(run(enumerate([1, *[0] * 30]), waits_alone, Policy(workers=2), executor=executor, hold=1))
    waiting = next(attempt for attempt in attempts if attempt.failure)
    assert (len(attempts), waiting.position) == (31, 0)


def test_it_says_nothing_of_a_pause_when_one_waits_alone() -> None:
    pulses: list[Pulse] = []
    list(run(noted(), waits_alone, Policy(workers=2), beat=pulses.append, hold=1))
    assert {pulse.throttled_until for pulse in pulses} == {None}


def noted() -> Iterator[tuple[int, int]]:
    yield 0, 1
    for position in range(1, 9):
        time.sleep(0.05)
        yield position, 0


def waits_alone(payload: int) -> None:
    if payload:
        raise RetryLater(60, alone=True)
