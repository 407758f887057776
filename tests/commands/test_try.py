from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs import tasks
from tests.base import csv_of, loaded
from tests.commands.terminals import run

pytestmark = pytest.mark.django_db


def test_it_tries_the_first_rows(alice: User) -> None:
    job = loaded(alice, csv_of(30), start=False)
    assert run("try", job.code, "--count", "3").out.strip() == "Trying 3 items."
    tasks.work()
    job.refresh_from_db()
    assert (job.state, job.counts()["succeeded"]) == ("ready", 3)


def test_it_tries_chosen_rows(alice: User) -> None:
    job = loaded(alice, csv_of(30), start=False)
    run("try", job.code, "--rows", "2, 30")
    assert job.runs.get().positions == [1, 29]


@pytest.mark.parametrize("rows", ["last", "1,,2", "1-3", "-1"])
def test_it_says_what_it_wants(rows: str, alice: User) -> None:
    job = loaded(alice, csv_of(30), start=False)
    done = run("try", job.code, f"--rows={rows}")
    assert (done.status, "row numbers" in done.err) == (2, True)


@pytest.mark.parametrize(("fate", "status"), [("ok", 0), ("fail:Gone", 1)])
def test_it_exits_as_the_rows_ended(fate: str, status: int, alice: User) -> None:
    job = loaded(alice, csv_of(5, lambda at: fate), start=False)
    assert run("try", job.code, "--count", "2", "--watch").status == status
