from __future__ import annotations

import threading
import time
from itertools import islice, pairwise

import pytest

from jobs.engine import Policy, RetryLater, run


class Starts:
    """Notes when it is called."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.times: list[float] = []
        self._seconds = seconds
        self._lock = threading.Lock()

    def __call__(self, payload: object) -> None:
        with self._lock:
            self.times.append(time.monotonic())
        time.sleep(self._seconds)

    def most_in_a_second(self) -> int:
        return max(sum(1 for other in self.times if time <= other < time + 1) for time in self.times)


@pytest.mark.parametrize("seconds", [0.0, 0.03])
def test_it_holds_the_rate_over_any_second(seconds: float) -> None:
    starts = Starts(seconds)
    list(run(enumerate(range(36)), starts, Policy(workers=10, rate=30)))
    assert starts.most_in_a_second() <= 30


def test_it_counts_retries_as_starts() -> None:
    starts = Starts()

    def process(payload: int) -> None:
        starts(payload)
        raise ValueError

    list(run(enumerate(range(12)), process, Policy(rate=20, attempts=2, backoff=0.01, retry_on=("*",))))
    assert len(starts.times) == 24
    assert starts.most_in_a_second() <= 20


def test_it_holds_the_rate_while_the_caller_is_busy() -> None:
    starts = Starts()
    for _ in run(enumerate(range(22)), starts, Policy(workers=4, rate=20)):
        time.sleep(0.05)
    assert starts.most_in_a_second() <= 20


def test_it_obeys_a_rate_that_the_beat_sets() -> None:
    starts = Starts(0.05)
    begun = time.monotonic()
    list(run(enumerate(range(22)), starts, Policy(workers=2), beat=lambda pulse: Policy(workers=2, rate=10)))
    late = [start for start in starts.times if start > begun + 0.3]
    assert all(later - sooner > 0 for sooner, later in pairwise(late))
    assert sum(1 for start in late if start < late[0] + 1) <= 11


def test_it_forgets_a_rate_that_the_beat_takes_back() -> None:
    starts = Starts()
    list(run(enumerate(range(50)), starts, Policy(rate=10), beat=lambda pulse: Policy()))
    assert starts.most_in_a_second() > 10


def test_it_waits_for_a_throttled_service_under_a_rate_too() -> None:
    starts = Starts()

    def process(payload: int) -> None:
        starts(payload)
        if len(starts.times) == 1:
            raise RetryLater(0.4)

    list(islice(run(enumerate(range(3)), process, Policy(workers=1, rate=50)), 2))
    assert starts.times[1] - starts.times[0] >= 0.4
