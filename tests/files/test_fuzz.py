"""Thousands of broken files: `make fuzz SECONDS=600 SEED=7`."""

from __future__ import annotations

import os
import random
import sys
import time

import pytest

from tests.files.mutants import mutant, survive

SEED = os.environ.get("FUZZ_SEED") or str(random.randrange(1_000_000))
SECONDS = float(os.environ.get("FUZZ_SECONDS") or 60)
LONGEST = 20.0  # seconds for one file of some kilobytes, on a machine that does other things too


def met(seed: str) -> None:
    begun = time.monotonic()
    try:
        survive(mutant(seed))
    except Exception as error:
        error.add_note(f"The file is tests.files.mutants.mutant({seed!r}).")
        raise
    assert time.monotonic() - begun < LONGEST, f"mutant({seed!r}) takes too long"


@pytest.mark.parametrize("part", range(10))
def test_it_meets_no_exception_but_its_own(part: int) -> None:
    for number in range(60):
        met(f"always:{part * 60 + number}")


@pytest.mark.fuzz
def test_it_meets_none_for_as_long_as_is_asked() -> None:
    until, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        met(f"{SEED}:{number}")
        number += 1
    sys.stderr.write(f"\n{number:,} files read, seed {SEED}: nothing was raised but Unreadable\n")
