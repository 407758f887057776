from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.context import Ticket
from jobs.engine.pace import Pace


def starts(pace: Pace, seconds: float, lag: float = 0.0, seed: int = 1) -> list[float]:
    """Starts of attempts on a clock of our own, each up to `lag` late."""
    chance = random.Random(seed)
    now = 1000.0
    times: list[float] = []
    running: list[tuple[Ticket, float]] = []
    while now < 1000.0 + seconds:
        for ticket, at in [pair for pair in running if pair[1] <= now]:
            ticket.started = at
            running.remove((ticket, at))
        wait = pace.wait(now)
        if wait > 0:
            now += wait
            continue
        ticket = Ticket(0, None)
        pace.note(ticket, now)
        times.append(now + chance.uniform(0, lag))
        running.append((ticket, times[-1]))
        if not lag:
            ticket.started = now
    return sorted(times)


def most_in_a_second(times: list[float]) -> int:
    return max(sum(1 for other in times if time <= other < time + 1) for time in times)


@pytest.mark.parametrize("rate", [1, 2, 3, 10, 50])
def test_it_holds_over_any_second(rate: float) -> None:
    assert most_in_a_second(starts(Pace(rate), 5)) <= rate


@pytest.mark.parametrize("rate", [1, 2, 10, 50])
def test_it_reaches_the_rate(rate: float) -> None:
    assert len(starts(Pace(rate), 10)) >= 0.95 * rate * 10


@given(st.integers(1, 30), st.floats(0.001, 0.9), st.integers(0, 100))
def test_it_holds_when_threads_start_late(rate: int, lag: float, seed: int) -> None:
    assert most_in_a_second(starts(Pace(rate), 3, lag, seed)) <= rate


def test_it_spaces_slow_rates() -> None:
    times = starts(Pace(0.5), 10)
    assert min(later - sooner for sooner, later in pairwise(times)) >= 2


def test_it_does_not_begin_with_a_burst() -> None:
    assert sum(1 for time in starts(Pace(100), 1) if time < 1000.05) <= 20


def test_it_forgets_starts_that_were_taken_back() -> None:
    pace, ticket = Pace(1), Ticket(0, None)
    pace.note(ticket, 1000.0)
    pace.forget([ticket])
    assert pace.wait(1001.0) == 0


def test_it_remembers_starts_under_another_rate() -> None:
    first = Pace(10)
    times = starts(first, 0.95)
    first.tune(5)
    assert first.wait(times[-1] + 0.01) > 0.5
