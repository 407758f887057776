from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.engine import backoff

NUMBERS = st.integers(1, 5000)
SECONDS = st.floats(0.001, 1e6)
CHANCES = st.floats(0, 1, exclude_max=True)


def test_it_doubles_each_time() -> None:
    assert [backoff.ceiling(number, 1, 60) for number in range(1, 8)] == [1, 2, 4, 8, 16, 32, 60]


def test_it_never_waits_less_than_half() -> None:
    assert backoff.delay(3, 1, 60, 0) == 2


def test_it_starts_with_the_base() -> None:
    assert backoff.ceiling(1, 0.25, 60) == 0.25


@given(NUMBERS, SECONDS, SECONDS, CHANCES)
def test_it_stays_under_the_cap(number: int, base: float, cap: float, chance: float) -> None:
    assert 0 < backoff.delay(number, base, cap, chance) <= cap


@given(NUMBERS, SECONDS, SECONDS)
def test_it_never_shrinks(number: int, base: float, cap: float) -> None:
    assert backoff.ceiling(number, base, cap) <= backoff.ceiling(number + 1, base, cap)
