from __future__ import annotations

import pytest

from jobs.processors.retry_after import LEAST, wait_of

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def wait(header: str | None, most: float = 100.0) -> float | None:
    return wait_of({} if header is None else {"retry-after": header}, most=most, clock=lambda: NOW)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (" 7 ", 7.0), ("0.5", 0.5)])
def test_it_reads_seconds(header: str, seconds: float) -> None:
    assert wait(header) == seconds


def test_it_reads_a_date() -> None:
    assert wait("Tue, 14 Nov 2023 22:13:50 GMT") == 30.0


@pytest.mark.parametrize("header", ["0", "-5", "Tue, 14 Nov 2023 22:00:00 GMT"])
def test_it_waits_a_little_for_a_time_that_is_past(header: str) -> None:
    assert wait(header) == LEAST


@pytest.mark.parametrize("header", ["86400", "1e300", "inf", "Tue, 14 Nov 2033 22:13:50 GMT"])
def test_it_waits_no_longer_than_it_may(header: str) -> None:
    assert wait(header, most=60.0) == 60.0


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "Tue, 99 Nov 2023 99:99:99 GMT"])
def test_it_finds_no_wait_where_none_is_said(header: str | None) -> None:
    assert wait(header) is None


@pytest.mark.parametrize(("header", "seconds"), [("350", 0.35), ("1250.5", 1.2505), ("0", LEAST)])
def test_it_prefers_what_is_said_in_milliseconds(header: str, seconds: float) -> None:
    headers = {"retry-after": "1", "retry-after-ms": header}
    assert wait_of(headers, most=100.0) == pytest.approx(seconds)


def test_it_falls_back_where_the_milliseconds_say_nothing() -> None:
    assert wait_of({"retry-after": "3", "retry-after-ms": "soon"}, most=100.0) == 3.0
