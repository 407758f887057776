"""What this product promises, against everything that may happen in any order."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.lives import Lives
from tests.model.mistakes import MISTAKES, Mistake

pytestmark = pytest.mark.django_db(transaction=True)


def live(lives: int) -> None:
    """So many lives of 40 steps, the same ones each time: a test that fails must fail again."""
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=lives, stateful_step_count=40, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck), print_blob=False, phases=(Phase.generate,),
            report_multiple_bugs=False,
        ),
    )  # fmt: skip


def test_it_keeps_its_promise_whatever_happens() -> None:
    live(40)


@pytest.mark.faults
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "-"))
def test_it_notices_the_mistake(mistake: Mistake) -> None:
    with mistake.made(), pytest.raises((AssertionError, IntegrityError)) as noticed:
        live(500)
    print(f"{mistake.name}: {str(noticed.value)[:150]}")
