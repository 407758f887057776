"""Whatever an item does in its child process, it fails alone, and the next one finds a child that works."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from jobs.engine import Attempt, Failure, Policy, run
from tests.engine import hazards

RAISING = {
    "mute": "Mute",
    "sticky": "Sticky",
    "SystemExit": "SystemExit",
    "GeneratorExit": "GeneratorExit",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "MemoryError": "MemoryError",
    "RecursionError": "RecursionError",
    "unwilling": "SystemExit",
    "bomb": "ValueError",
    "leaving bomb": "SystemExit",
}
KILLING = {
    "os._exit": "exit status 0",
    "segfault": "SIGSEGV",
    "abort": "SIGABRT",
    "out of memory": "SIGKILL",
    "closed pipes": "worker process",
}


def endured(payloads: Iterable[Any], timeout: float = 20.0) -> list[Attempt]:
    """What becomes of items that one child after the other works on."""
    policy = Policy(workers=1, timeout=timeout)
    return list(run(enumerate(payloads), hazards.endure, policy, executor="process"))


def between(hazard: Any, timeout: float = 20.0) -> Failure | None:
    """What becomes of one item between two good ones."""
    before, attempt, after = endured(["before", hazard, "after"], timeout)
    assert (before.value, after.value) == ("before", "after")
    return attempt.failure


@pytest.fixture(scope="module")
def attempts() -> dict[str, tuple[Attempt, Attempt]]:
    """By the name of a hazard: what became of it, and of the item after it."""
    names = [*RAISING, *KILLING]
    found = endured(chain.from_iterable((name, "after") for name in names))
    return dict(zip(names, zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.parametrize("hazard", RAISING)
def test_it_fails_what_raises_alone(hazard: str, attempts: dict[str, tuple[Attempt, Attempt]]) -> None:
    attempt, after = attempts[hazard]
    assert (attempt.failure and attempt.failure.kind, after.value) == (RAISING[hazard], "after")


@pytest.mark.parametrize("hazard", KILLING)
def test_it_fails_what_kills_its_process_alone(hazard: str, attempts: dict[str, tuple[Attempt, Attempt]]) -> None:
    attempt, after = attempts[hazard]
    assert (attempt.failure and attempt.failure.kind, after.value) == ("worker died", "after")
    assert attempt.failure is not None
    assert KILLING[hazard] in attempt.failure.message


@pytest.mark.parametrize("hazard", ["hang", "stopped"])
def test_it_kills_a_process_that_does_not_listen(hazard: str) -> None:
    failure = between(hazard, timeout=0.3)
    assert failure is not None
    assert failure.kind == "timeout"


@pytest.mark.parametrize("payload", [lambda: None, hazards.Unwilling(), hazards.Bomb(ValueError)])
def test_it_fails_a_payload_that_cannot_travel_alone(payload: object) -> None:
    assert between(payload) is not None


def test_it_carries_large_results() -> None:
    assert between("large") is None


def test_it_carries_large_payloads() -> None:
    assert between(bytes(50_000_000)) is None


def test_it_kills_a_process_that_does_not_take_its_payload(tmp_path: Path) -> None:
    number = tmp_path / "number"
    _, stuck, after = endured([number, hazards.Numbing(number), "after"], timeout=1)
    assert (stuck.failure and stuck.failure.kind, after.value) == ("timeout", "after")


def test_it_begins_without_the_callers_context_in_a_process() -> None:
    token = hazards.NAME.set("ada")
    try:
        (attempt,) = run([(0, None)], hazards.name, Policy(workers=1), executor="process")
    finally:
        hazards.NAME.reset(token)
    assert attempt.value == "nobody"
