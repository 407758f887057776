from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import cast

import pytest

from batchweb.process import Child, Process, Service, backoff, described


def dead(returncode: int = 1, started: float = 0.0) -> Process:
    return cast(Process, SimpleNamespace(started=started, popen=SimpleNamespace(returncode=returncode)))


def test_it_doubles_the_wait_up_to_thirty_seconds() -> None:
    assert [backoff(deaths) for deaths in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_it_waits_longer_after_each_early_death() -> None:
    child = Child(Service("web", ["true"]))
    dues = []
    for _ in range(3):
        child.describe_end(dead(started=100.0), now=100.0)
        dues.append(child.due)
    assert dues == [101, 102, 104]


def test_it_forgets_deaths_after_a_minute_of_life() -> None:
    child = Child(Service("web", ["true"]), deaths=5)
    child.describe_end(dead(started=0.0), now=60.0)
    assert child.due == 61


def test_it_says_who_died_and_when_it_starts_again() -> None:
    child = Child(Service("web", ["true"]))
    assert child.describe_end(dead(3), now=0.0) == "web ended with exit status 3; it starts again in 1 s"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        (-250, "was ended by signal 250"),
    ],
)
def test_it_describes_an_end(status: int, words: str) -> None:
    assert described(status) == words
