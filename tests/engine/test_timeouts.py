from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from jobs.engine import Attempt, Policy, Pulse, run
from tests.engine.work import Source


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Wait for it and hang until the test is over."""
    event = threading.Event()
    yield event
    event.set()
    time.sleep(0.02)


def test_it_fails_a_hung_item_at_its_deadline(hang: threading.Event) -> None:
    begun = time.monotonic()
    (attempt,) = run([(0, None)], hang.wait, Policy(timeout=0.3))
    assert time.monotonic() - begun >= 0.3
    assert not hang.is_set()
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.message) == ("timeout", "Took longer than 0.3 seconds.")
    assert 0.3 <= attempt.seconds <= time.monotonic() - begun


def test_it_finishes_the_others(hang: threading.Event) -> None:
    def process(payload: int) -> int:
        if payload % 10 == 0:
            hang.wait()
        return payload

    attempts = list(run(enumerate(range(50)), process, Policy(workers=3, timeout=0.1)))
    assert sorted(attempt.position for attempt in attempts) == list(range(50))
    assert sum(attempt.failure is not None for attempt in attempts) == 5


def test_it_counts_each_attempt_from_its_own_start() -> None:
    attempts = run(enumerate([0.3] * 5), time.sleep, Policy(workers=1, timeout=1.2))
    assert all(attempt.failure is None for attempt in attempts)


def test_it_drops_a_late_result() -> None:
    seen = list(run([(0, 0.25), (1, 0.35), (2, 0.35)], time.sleep, Policy(workers=2, timeout=0.15)))
    assert sorted(attempt.position for attempt in seen) == [0, 1, 2]
    assert all(attempt.failure and attempt.failure.kind == "timeout" for attempt in seen)


def test_it_fails_what_took_too_long_while_the_caller_was_busy() -> None:
    attempts = run([(0, 0.0), (1, 0.2)], time.sleep, Policy(workers=2, timeout=0.1))
    next(attempts)
    time.sleep(0.4)
    late = next(attempts)
    assert late.failure is not None
    assert late.failure.kind == "timeout"


def test_it_keeps_its_width_after_losing_threads(hang: threading.Event) -> None:
    barrier = threading.Barrier(4, timeout=60)

    def process(payload: int) -> None:
        if payload < 4:
            hang.wait()
        barrier.wait()

    attempts = list(run(enumerate(range(12)), process, Policy(workers=4, timeout=1.5)))
    assert sum(attempt.failure is None for attempt in attempts) == 8


def test_it_fails_each_of_many_hung_items_at_its_deadline(hang: threading.Event) -> None:
    begun = time.monotonic()
    for attempt in run(enumerate(range(150)), lambda payload: hang.wait(), Policy(workers=50, timeout=0.4)):
        assert attempt.failure is not None
        assert time.monotonic() - begun >= 0.4 * (attempt.position // 50 + 1)
    # Three times 0.4 s, and not 150 times: to wait for one after the other would take a minute.
    assert time.monotonic() - begun < 150 * 0.4 / 2


def test_it_counts_lost_threads(hang: threading.Event) -> None:
    pulses: list[Pulse] = []
    list(run(enumerate(range(3)), lambda payload: hang.wait(), Policy(timeout=0.1), beat=pulses.append))
    assert pulses[-1].lost == 3


def test_it_stops_counting_threads_that_come_back() -> None:
    pulses: list[Pulse] = []
    list(run([(0, 0.2), (1, 0.1), (2, 0.1), (3, 0.1)], time.sleep, Policy(workers=1, timeout=0.15), beat=pulses.append))
    assert pulses[-1].lost == 0


def test_it_ends_when_too_many_threads_hang(hang: threading.Event) -> None:
    policy = Policy(workers=4, timeout=0.05)
    pulses: list[Pulse] = []
    items = Source(1000)
    attempts = list(run(items, lambda payload: hang.wait(), policy, beat=pulses.append))
    assert policy.lost_limit <= len(attempts) == pulses[-1].lost < policy.lost_limit + 4
    assert items.pulled <= policy.lost_limit + 5 * 4


def test_it_tries_again_after_a_timeout() -> None:
    calls: list[int] = []

    def process(payload: int) -> str:
        calls.append(payload)
        if len(calls) == 1:
            time.sleep(0.4)
        return "second"

    policy = Policy(attempts=2, timeout=0.15, backoff=0.01, retry_on=("timeout",))
    first, second = run([(0, 0)], process, policy)
    assert first.failure is not None
    assert (first.failure.kind, first.number, first.retry_at is None) == ("timeout", 1, False)
    assert (second.value, second.number) == ("second", 2)


def test_it_tries_again_with_the_payload_when_the_result_comes_at_the_deadline() -> None:
    chance = random.Random(4)

    def process(payload: str) -> str:
        assert payload == "payload"
        time.sleep(chance.choice([0, 0.018, 0.02, 0.022]))
        return "result"

    policy = Policy(workers=20, attempts=6, timeout=0.02, backoff=0.001, retry_on=("timeout",))
    attempts = list(run(((at, "payload") for at in range(300)), process, policy))
    ended = [attempt for attempt in attempts if attempt.retry_at is None]
    assert sorted(attempt.position for attempt in ended) == list(range(300))
    assert {attempt.failure.kind if attempt.failure else attempt.value for attempt in attempts} == {"result", "timeout"}


def kinds(attempts: Iterator[Attempt]) -> set[str]:
    return {attempt.failure.kind for attempt in attempts if attempt.failure}


def test_it_obeys_a_timeout_that_the_beat_sets(hang: threading.Event) -> None:
    attempts = run([(0, 0)], lambda payload: hang.wait(), Policy(), beat=lambda pulse: Policy(timeout=0.1))
    assert kinds(attempts) == {"timeout"}
    assert not hang.is_set()


def test_it_tells_why_it_ended_even_when_threads_come_back(hang: threading.Event) -> None:
    policy = Policy(workers=4, timeout=0.05)
    pulses: list[Pulse] = []
    attempts = run(Source(1000), lambda payload: hang.wait(), policy, beat=pulses.append)
    for count, _ in enumerate(attempts, 1):
        if count == policy.lost_limit:
            hang.set()
            time.sleep(0.05)
    assert pulses[-1].lost >= policy.lost_limit
