from __future__ import annotations

import dataclasses
import time

import pytest

from jobs import engine
from jobs.engine import run
from jobs.engine.context import Ticket
from jobs.engine.types import Attempt, Policy, RetryLater


@pytest.fixture
def success() -> Attempt:
    (attempt,) = run([(3, "x", 1)], str.upper, Policy())
    return attempt


def test_it_exports_exactly_the_contract() -> None:
    assert set(engine.__all__) == {
        *("Policy", "Attempt", "Failure", "RetryLater", "Pulse", "STOP", "run"),
        *("batch_process_parallel", "batch_process_defensive", "batch_process_large_dataset"),
    }


def test_it_has_every_name_that_it_exports() -> None:
    assert all(hasattr(engine, name) for name in engine.__all__)


def test_it_keeps_the_defaults_of_the_contract() -> None:
    assert dataclasses.asdict(Policy()) == {
        "workers": 10,
        "attempts": 1,
        "backoff": 1.0,
        "backoff_max": 60.0,
        "timeout": None,
        "rate": None,
        "retry_on": (),
    }


@pytest.mark.parametrize("name", ["workers", "attempts", "backoff", "backoff_max", "timeout", "rate"])
def test_it_refuses_nothing_and_less(name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=name):
            Policy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["workers", "attempts", "backoff", "backoff_max", "timeout", "rate"])
def test_it_refuses_what_is_no_number(name: str) -> None:
    for value in ("1", True, [1]):
        with pytest.raises(TypeError, match=name):
            Policy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_it_refuses_numbers_without_end(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Policy(timeout=value)


@pytest.mark.parametrize("name", ["workers", "attempts"])
def test_it_refuses_half_workers(name: str) -> None:
    with pytest.raises(TypeError, match="whole number"):
        Policy(**{name: 1.5})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["timeout", ["timeout"], (1,)])
def test_it_refuses_retry_on_that_is_no_tuple_of_kinds(value: object) -> None:
    with pytest.raises(TypeError, match="retry_on"):
        Policy(retry_on=value)  # type: ignore[arg-type]


def test_it_retries_listed_kinds_only() -> None:
    policy = Policy(retry_on=("timeout",))
    assert policy.retries("timeout")
    assert not policy.retries("ValueError")


def test_it_retries_any_kind_under_a_star() -> None:
    assert Policy(retry_on=("*",)).retries("ValueError")


def test_it_allows_few_lost_threads_and_never_less_than_sixteen() -> None:
    assert [Policy(workers=workers).lost_limit for workers in (1, 4, 50)] == [16, 16, 200]


def test_it_cannot_be_changed(success: Attempt) -> None:
    for value in (Attempt(0, 1, 0.0, 0.0), success):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.number = 2  # type: ignore[misc]


def test_it_makes_a_success_like_any_attempt(success: Attempt) -> None:
    assert type(success) is Attempt
    assert success == Attempt(3, 2, success.started, success.seconds, "X", None, "")
    assert success.started == pytest.approx(time.time(), abs=1)


def test_it_makes_attempts_with_the_slots_of_tickets() -> None:
    assert Ticket.__slots__ == Attempt.__slots__


@pytest.mark.parametrize(("asked", "seconds"), [(-3, 0), (0.5, 0.5), (1e300, 86_400)])
def test_it_waits_between_nothing_and_a_day(asked: float, seconds: float) -> None:
    assert RetryLater(asked).seconds == seconds


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_it_refuses_to_wait_for_ever(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        RetryLater(seconds)
