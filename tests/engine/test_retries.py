from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import islice

import pytest

from jobs.engine import Attempt, Policy, Pulse, RetryLater, run
from tests.engine.work import Source


def _later(seconds: float) -> None:
    if seconds:
        raise RetryLater(seconds)


class Flaky:
    """Fails the first times that it sees a payload."""

    def __init__(self, failures: int, error: Callable[[], BaseException] = ValueError) -> None:
        self._failures = failures
        self._error = error
        self.calls: defaultdict[object, list[float]] = defaultdict(list)

    def __call__(self, payload: object) -> object:
        self.calls[payload].append(time.monotonic())
        if len(self.calls[payload]) <= self._failures:
            raise self._error()
        return payload


QUICK = Policy(attempts=4, backoff=0.01, retry_on=("ValueError",))


def test_it_tries_again_until_it_works() -> None:
    attempts = list(run([(0, "a")], Flaky(2), QUICK))
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert attempts[-1].value == "a"


def test_it_marks_all_attempts_but_the_last() -> None:
    attempts = list(run([(0, "a")], Flaky(9), QUICK))
    assert [attempt.retry_at is None for attempt in attempts] == [False, False, False, True]


def test_it_tries_once_unless_told() -> None:
    assert len(list(run([(0, "a")], Flaky(9), Policy(retry_on=("*",))))) == 1


def test_it_tries_again_only_for_kinds_on_the_list() -> None:
    assert len(list(run([(0, "a")], Flaky(9, OSError), QUICK))) == 1


def test_it_tries_again_for_any_kind_under_a_star() -> None:
    assert len(list(run([(0, "a")], Flaky(1, OSError), Policy(attempts=2, backoff=0.01, retry_on=("*",))))) == 2


def test_it_counts_attempts_that_were_made_before() -> None:
    assert [attempt.number for attempt in run([(0, "a", 2)], Flaky(9), QUICK)] == [3, 4]


def test_it_waits_before_it_tries_again() -> None:
    flaky = Flaky(2)
    list(run([(0, "a")], flaky, Policy(attempts=3, backoff=0.2, retry_on=("*",))))
    first, second, third = flaky.calls["a"]
    assert second - first >= 0.1
    assert third - second >= 0.2


def test_it_tells_when_it_tries_again() -> None:
    first, second = run([(0, "a")], Flaky(1), Policy(attempts=2, backoff=0.1, retry_on=("*",)))
    assert first.retry_at is not None
    assert second.started >= first.retry_at - 0.01


def test_it_holds_no_thread_while_it_waits() -> None:
    flaky = Flaky(1)
    policy = Policy(workers=1, attempts=2, backoff=0.3, retry_on=("*",))
    assert len(list(run(enumerate("abcdefgh"), flaky, policy))) == 16
    # The only thread went on with the next item while the first one waited.
    assert flaky.calls["b"][0] < flaky.calls["a"][1]


def test_it_leaves_long_waits_to_the_caller() -> None:
    flaky = Flaky(9)
    (attempt,) = run([(0, "a")], flaky, Policy(attempts=3, backoff=30, retry_on=("*",)), hold=5)
    assert attempt.retry_at is not None
    assert attempt.started + 14.9 < attempt.retry_at <= time.time() + 30
    assert len(flaky.calls["a"]) == 1


def test_it_costs_no_attempt_when_the_service_asks_to_wait() -> None:
    attempts = list(run([(0, "a")], Flaky(2, lambda: RetryLater(0.05)), Policy(backoff=0.1)))
    assert [attempt.number for attempt in attempts] == [1, 1, 1]
    assert attempts[-1].value == "a"


def test_it_calls_that_throttled() -> None:
    first = next(run([(0, "a")], Flaky(1, lambda: RetryLater(0.05)), Policy()))
    assert first.failure is not None
    assert first.failure.kind == "throttled"
    assert first.retry_at is not None


def test_it_leaves_long_throttling_to_the_caller() -> None:
    (attempt,) = run([(0, "a")], Flaky(1, lambda: RetryLater(100)), Policy(), hold=5)
    assert attempt.retry_at is not None
    assert attempt.retry_at - time.time() == pytest.approx(100, abs=1)


@pytest.mark.parametrize("seconds", [float("nan"), float("-inf"), 10**400, "soon"])
def test_it_fails_an_item_that_asks_for_a_strange_wait_alone(seconds: float) -> None:
    first, second = run([(0, seconds), (1, 0)], _later, Policy(workers=1))
    assert (first.failure is None, first.retry_at, second.failure) == (False, None, None)


def test_it_pauses_the_whole_run() -> None:
    starts: list[float] = []
    lock = threading.Lock()

    def process(payload: int) -> None:
        with lock:
            starts.append(time.monotonic())
            first = len(starts) == 1
        if first:
            raise RetryLater(0.3)
        time.sleep(0.01)

    attempts = run(enumerate(range(9)), process, Policy(workers=2))
    assert len(list(islice(attempts, 3))) == 3
    attempts.close()
    # What ran beside the throttled attempt had started before the service spoke.
    assert sum(start < starts[0] + 0.3 for start in starts) <= 2


def test_it_pauses_even_while_the_caller_is_busy() -> None:
    starts: list[int] = []

    def process(payload: int) -> None:
        starts.append(payload)
        if payload == 1:
            raise RetryLater(0.5)

    attempts = run(enumerate(range(8)), process, Policy(workers=1))
    next(attempts)
    time.sleep(0.1)
    assert starts == [0, 1]
    attempts.close()


def test_it_shows_until_when_it_is_throttled() -> None:
    pulses: list[Pulse] = []
    list(run([(0, "a")], Flaky(1, lambda: RetryLater(0.6)), Policy(), beat=pulses.append))
    assert pulses[0].throttled_until == pytest.approx(time.time(), abs=1)
    assert pulses[0].waiting == 1
    assert pulses[-1].throttled_until is None


def test_it_bounds_what_waits_in_memory() -> None:
    items = Source(100_000)
    policy = Policy(workers=1, attempts=2, backoff=60, retry_on=("*",))
    attempts = run(items, Flaky(9), policy)
    for _ in range(60):
        next(attempts)
    time.sleep(0.05)
    attempts.close()
    assert items.pulled <= 100


def final(attempts: list[Attempt]) -> list[int]:
    return sorted(attempt.position for attempt in attempts if attempt.retry_at is None)


def test_it_ends_each_item_once() -> None:
    attempts = list(run(enumerate(range(300)), Flaky(2), Policy(workers=8, attempts=3, backoff=0.01, retry_on=("*",))))
    assert len(attempts) == 900
    assert final(attempts) == list(range(300))
