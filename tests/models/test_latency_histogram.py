from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.models import latency_histogram

DURATIONS = st.floats(1e-4, 9e3)


@given(st.lists(DURATIONS, min_size=1, max_size=200))
def test_it_finds_the_median_within_a_bucket(durations: list[float]) -> None:
    found = latency_histogram.quantile(latency_histogram.add(latency_histogram.empty(), durations), 0.5)
    assert found == pytest.approx(statistics.median_low(durations), rel=0.07)


@given(DURATIONS)
def test_it_is_off_by_six_percent_at_most(seconds: float) -> None:
    assert latency_histogram.quantile(
        latency_histogram.add(latency_histogram.empty(), [seconds]), 0.95
    ) == pytest.approx(seconds, rel=0.0593)


def test_it_tells_the_slow_tail() -> None:
    counts = latency_histogram.add(latency_histogram.empty(), [0.01] * 90 + [2.0] * 10)
    assert latency_histogram.quantile(counts, 0.95) == pytest.approx(2.0, rel=0.06)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e9])
def test_it_takes_any_duration(seconds: float) -> None:
    assert sum(latency_histogram.add(latency_histogram.empty(), [seconds])) == 1


def test_it_knows_no_quantile_of_nothing() -> None:
    assert latency_histogram.quantile(latency_histogram.empty(), 0.5) is None


@given(st.lists(st.lists(DURATIONS, max_size=20), max_size=5))
def test_it_adds_up_over_shards(parts: list[list[float]]) -> None:
    stored = [latency_histogram.add(latency_histogram.empty(), part).tobytes() for part in parts]
    assert latency_histogram.total([b"", *stored]) == latency_histogram.add(
        latency_histogram.empty(), [one for part in parts for one in part]
    )


def test_it_stands_for_nothing_when_nothing_is_stored() -> None:
    assert latency_histogram.load(b"") == latency_histogram.empty()
