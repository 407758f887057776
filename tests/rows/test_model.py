"""The life of jobs under every fault at once, by Hypothesis: the real code behind the rules, on a real database."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import hypothesis
import pytest
from django.db import IntegrityError
from hypothesis.stateful import run_state_machine_as_test

from tests.rows.life import Life
from tests.rows.promises import Broken
from tests.rows.seeded import FAULTS, SECOND_LINES
from tests.rows.world import World

pytestmark = pytest.mark.django_db(transaction=True)

PHASES = list(hypothesis.Phase) if os.environ.get("MODEL_SHRINK") else [hypothesis.Phase.generate]


def lived(patch: pytest.MonkeyPatch, settings: Any, examples: int) -> None:
    """Lives through so many examples; raises what Hypothesis found."""
    Life.examples = Life.steps = 0
    seed = hypothesis.seed(int(os.environ.get("MODEL_SEED", "1")))
    run_state_machine_as_test(
        seed(partial(Life, World(patch, settings))),
        settings=hypothesis.settings(
            deadline=None, database=None, print_blob=False, suppress_health_check=list(hypothesis.HealthCheck),
            phases=PHASES, max_examples=examples, stateful_step_count=30,
        ),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the product says about so many faults is of no interest."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_it_keeps_every_promise(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    lived(monkeypatch, settings, int(os.environ.get("MODEL_EXAMPLES", "60")))
    print(Life.examples, Life.steps)


@pytest.mark.parametrize("name", FAULTS)
def test_it_notices_that(name: str, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for edit in FAULTS[name]:
        edit.apply(monkeypatch)
    with pytest.raises((Broken, IntegrityError)) as found:
        lived(monkeypatch, settings, int(os.environ.get("FAULT_EXAMPLES", "150")))
    print(f"\nFAULT {name}: {Life.examples} examples, {Life.steps} steps: {str(found.value)[:90]}")


@pytest.mark.slow
@pytest.mark.parametrize("name", SECOND_LINES)
def test_it_holds_by_something_else_as_well(name: str, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for edit in SECOND_LINES[name][0]:
        edit.apply(monkeypatch)
    lived(monkeypatch, settings, int(os.environ.get("MODEL_EXAMPLES", "60")))
