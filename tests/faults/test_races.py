"""Two processes that want the same at the same moment, many times."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.case import Case
from tests.faults.programs import send
from tests.system import ROOT, until

pytestmark = pytest.mark.faults
ROUNDS = 1_000
SOON = 0.03  # seconds after which a lease has expired that was told to age


class Racer:
    """One side of the race."""

    def __init__(self, case: Case, name: str) -> None:
        env = {**case.system.env, "FAULT_ROLE": name, "LOG_LEVEL": "ERROR"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.racer", name, case.code], cwd=ROOT, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def order(self, word: str) -> None:
        assert self.process.stdin
        print(word, file=self.process.stdin, flush=True)

    def answer(self) -> bool:
        assert self.process.stdout
        return self.process.stdout.readline() == "yes\n"

    def does(self, word: str) -> bool:
        self.order(word)
        return self.answer()


@contextmanager
def race(case: Case) -> Iterator[tuple[Racer, Racer]]:
    """Two racers alone with a job: workers and keeper stand still."""
    others = [one for program in (*case.system.workers, case.system.keeper) for one in program.family()]
    send(others, signal.SIGSTOP)
    case.begin(workers=10, seconds=0.02)
    until(lambda: case.system.state(case.code) == "queued", 20)
    racers = Racer(case, "left"), Racer(case, "right")
    try:
        yield racers
    finally:
        for racer in racers:
            racer.process.communicate()
        send(others, signal.SIGCONT)


def both(*orders: tuple[Racer, str]) -> list[bool]:
    """What each answers that got its order at the same moment."""
    for racer, word in orders:
        racer.order(word)
    return [racer.answer() for racer, _ in orders]


def test_it_gives_a_shard_to_one_of_two(case: Case) -> None:
    """Two workers race for one shard, 1,000 times"""
    won: list[int] = []
    with race(case) as racers:
        for turn in range(ROUNDS):
            first, second = racers if turn % 2 else racers[::-1]
            won.append(sum(both((first, "claim"), (second, "claim"))))
            both((first, "free"), (second, "free"))
    case.check(won == [1] * ROUNDS, f"{sum(count != 1 for count in won)} rounds had not one winner")
    case.expect()


def test_it_returns_a_lease_or_keeps_it(case: Case) -> None:
    """The keeper races a heartbeat, 500 times"""
    ends: list[Any] = []
    with race(case) as (worker, keeper):
        for _ in range(ROUNDS // 2):
            assert worker.does("claim")
            worker.does("age")
            time.sleep(SOON * case.rng.uniform(0.7, 1.1))
            ends.append(tuple(both((worker, "beat"), (keeper, "sweep"))))
            worker.does("free")
    split = ends.count((True, True)) + ends.count((False, False))
    case.check(not split, f"{split} times both had the shard, or neither")
    case.check(len(set(ends)) == 2, f"it was no race: {set(ends)}")
    case.expect()
