"""`make soak`: what holds for one fault holds for many, and nothing grows."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from tests.faults.case import Case
from tests.faults.soak import PAUSE, Chaos, Weight

pytestmark = [pytest.mark.faults, pytest.mark.soak]
MINUTES = float(os.environ.get("SOAK_MINUTES") or 20)
ROWS = 5_000  # a minute: 100,000 in 20 minutes
SECONDS = 0.36  # of an item: with 60 at a time, and no fault, they would take half of the time
WARM = 20.0
REST = 900.0  # seconds that are left for the rest of a job when the faults are over


def test_it_stays_whole_and_lean(case: Case) -> None:
    """Faults at random, every 5 to 40 s"""
    chaos, end = Chaos(case), time.monotonic() + 60 * MINUTES
    case.begin(rows=int(ROWS * MINUTES), seconds=SECONDS)
    time.sleep(WARM)
    before = Weight.of(case.system)
    print(f"\nat the start: {before}")
    while time.monotonic() < end:
        time.sleep(case.rng.uniform(*PAUSE))
        chaos.strike()
        told(case, chaos)
        if case.system.at_rest(case.code):
            another(case)
    case.system.restore()
    case.settles(REST)
    after = Weight.of(case.system)
    print(f"at the end: {after}\n{sum(Counter(chaos.done).values())} faults: {dict(Counter(chaos.done))}")
    case.row.wrong += after.outgrown(before)
    case.expect()


def told(case: Case, chaos: Chaos) -> None:
    ended = case.system.witness.ended(case.code)
    print(f"{case.age():6.0f} s  {chaos.done[-1]:14} {ended:7,} ends  {Weight.of(case.system)}", flush=True)


def another(case: Case) -> None:
    """The job has ended before its time: it is compared, and another one takes its place."""
    case.expect()
    case.excused.clear()
    case.begin(rows=ROWS, seconds=SECONDS)
