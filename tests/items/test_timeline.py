"""What the page of an item tells of its attempts and of the corrections of its input."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import actions
from jobs.items import positions, timeline
from jobs.items.row import state_of
from jobs.items.timeline import Entry, Fix, Try
from jobs.models import Correction, Item, Job, Run, Upload
from tests.base import csv_of, loaded
from tests.steps import die, failure, feed, recorder_for, row, success

SOON = 4_000_000_000.0


def told(job: Job, position: int = 0) -> list[Entry]:
    job.refresh_from_db()
    item = row(job, position)
    return timeline.timeline(item, job, state_of(item, job, positions.running(job)))


def tries(job: Job, position: int = 0) -> list[tuple[int, str]]:
    return [(entry.number, entry.state) for entry in told(job, position) if isinstance(entry, Try)]


def run(job: Job, *attempts: Any) -> None:
    taken = recorder_for(job)
    feed(taken, *attempts)
    taken.close()


def again(job: Job, by: User) -> None:
    actions.retry(Job.objects.get(pk=job.pk), by)


def test_it_tells_nothing_before_the_first_attempt(alice: User) -> None:
    assert told(loaded(alice, csv_of(2))) == []


def test_it_tells_nothing_of_a_row_that_was_rejected(alice: User) -> None:
    job = loaded(alice, csv_of(2) + "\x00broken\n")
    assert (row(job, 2).state, told(job, 2)) == (4, [])


def test_it_tells_of_a_success_that_has_no_row_of_its_own(alice: User) -> None:
    job = loaded(alice, csv_of(40), start=True)
    run(job, *(success(at) for at in range(40)))
    (entry,) = told(job)
    item = row(job, 0)
    assert isinstance(entry, Try)
    assert entry.at
    assert item.finished - entry.at == timedelta(seconds=entry.seconds or 0)
    assert (entry.number, entry.state, entry.worker, entry.kind) == (1, "succeeded", "host:1", "")


def test_it_tells_of_every_try_of_a_run(alice: User) -> None:
    job = loaded(alice, csv_of(1), attempts=3)
    run(job, failure(0, retry_at=SOON), failure(0, number=2, retry_at=SOON), success(0, number=3))
    assert tries(job) == [(1, "retrying"), (2, "retrying"), (3, "succeeded")]


def test_it_tells_once_of_a_success_that_has_a_row(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    run(job, success(0, log="INFO said"))
    assert [(entry.number, entry.log) for entry in told(job) if isinstance(entry, Try)] == [(1, "INFO said")]


def test_it_counts_on_over_all_runs(alice: User, bob: User) -> None:
    job = loaded(alice, csv_of(1), attempts=2)
    for by in (alice, bob):
        run(job, failure(0, retry_at=SOON), failure(0, number=2))
        again(job, by)
    run(job, success(0))
    assert tries(job) == [(1, "retrying"), (2, "failed"), (3, "retrying"), (4, "failed"), (5, "succeeded")]


def test_it_tells_of_the_success_of_a_retry(alice: User, bob: User) -> None:
    """The first try of a retry that succeeds has no row, though those before it have."""
    job = loaded(alice, csv_of(1))
    run(job, failure(0))
    again(job, bob)
    run(job, success(0))
    assert tries(job) == [(1, "failed"), (2, "succeeded")]
    assert [entry.run for entry in told(job)] == ["First run, by alice", "Retry 2, by bob"]


def test_it_names_no_run_where_there_is_one(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    run(job, failure(0))
    assert [entry.run for entry in told(job)] == [""]


def test_it_names_a_run_that_nobody_ordered_any_more(alice: User, bob: User) -> None:
    job = loaded(alice, csv_of(1))
    run(job, failure(0))
    again(job, bob)
    Run.objects.update(by=None)
    assert [entry.run for entry in told(job)] == ["First run", "Retry 2"]


def test_it_counts_on_where_others_were_retried_meanwhile(alice: User) -> None:
    """What waits for its next attempt belongs to the new run then, and its attempts go on."""
    job = loaded(alice, csv_of(2), attempts=3)
    run(job, failure(0, retry_at=SOON), failure(1))
    again(job, alice)
    Item.objects.filter(job=job).update(due=None)
    run(job, success(0, number=2))
    assert tries(job) == [(1, "retrying"), (2, "succeeded")]


def test_it_tells_what_runs_now(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    item = row(job, 0)
    assert [(e.number, e.state) for e in timeline.timeline(item, job, "running") if isinstance(e, Try)] == [
        (1, "running")
    ]


def test_it_tells_until_when_it_waits(alice: User) -> None:
    job = loaded(alice, csv_of(1), attempts=2)
    run(job, failure(0, retry_at=SOON))
    last = told(job)[-1]
    assert isinstance(last, Try)
    assert (last.number, last.state, last.until, last.at) == (2, "retrying", row(job, 0).due, None)


def test_it_tells_that_it_waits_after_a_retry(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    run(job, failure(0))
    again(job, alice)
    assert tries(job) == [(1, "failed"), (2, "waiting")]
    assert told(job)[-1].run == "Retry 2, by alice"


def test_it_tells_of_a_worker_that_died(alice: User) -> None:
    job = loaded(alice, csv_of(1))
    for _ in range(3):
        recorder_for(job)
        die(job)
    (entry,) = told(job)
    assert isinstance(entry, Try)
    assert (entry.number, entry.state, entry.kind) == (3, "failed", "worker died")


def test_it_tells_of_a_failure_that_the_database_made(alice: User) -> None:
    """What the database refused to store was stored without its attempt."""
    job = loaded(alice, csv_of(1))
    Item.objects.filter(job=job).update(
        state=3, attempts=1, tries=1, error_kind="not storable", error="No.", finished=timezone.now(), run=job.run
    )
    (entry,) = told(job)
    assert isinstance(entry, Try)
    assert (entry.state, entry.kind, entry.message) == ("failed", "not storable", "No.")


# Corrections


def fix(job: Job, by: User, payload: str, at: datetime | None = None, upload: Upload | None = None) -> Run:
    """Another input for the first row, as a correction leaves it."""
    job.refresh_from_db()
    made = Run.objects.create(job=job, number=job.runs.count() + 1, kind="correction", by=by, items=1, upload=upload)
    Correction.objects.create(job=job, position=0, run=made, payload=row(job, 0).payload, at=at or timezone.now())
    Item.objects.filter(job=job, position=0).update(payload=payload)
    Job.objects.filter(pk=job.pk).update(run=made)
    return made


def fixes(job: Job) -> list[Fix]:
    return [entry for entry in told(job) if isinstance(entry, Fix)]


@pytest.fixture
def job(alice: User) -> Job:
    made = loaded(alice, "id,name,city\n1,Anna,Turku\n2,Jean,Tours\n")
    run(made, failure(0), success(1))
    return made


def test_it_tells_what_was_fixed(job: Job, bob: User) -> None:
    fix(job, bob, '["1","Anna","Gdańsk"]')
    (entry,) = fixes(job)
    assert (entry.by, entry.file, list(entry.before)) == ("bob", "", [("city", "Turku")])
    assert entry.run == "Correction 2"


def test_it_compares_each_correction_with_the_next(job: Job, alice: User, bob: User) -> None:
    fix(job, bob, '["1","Anna","Gdańsk"]')
    fix(job, alice, '["1","Ann","Gdańsk"]')
    assert [(entry.by, list(entry.before)) for entry in fixes(job)] == [
        ("bob", [("city", "Turku")]), ("alice", [("name", "Anna")]),
    ]  # fmt: skip


def test_it_names_the_file_of_corrections(job: Job, bob: User) -> None:
    upload = Upload.keep(ContentFile(b"a", name="fixed.csv"), "fixed.csv", bob)
    fix(job, bob, '["1","A","Turku"]', upload=upload)
    assert fixes(job)[0].file == "fixed.csv"


def test_it_shows_the_whole_input_where_no_column_differs(job: Job, bob: User) -> None:
    old = row(job, 0).payload
    fix(job, bob, "no array at all")
    assert list(fixes(job)[0].before) == [("", old)]


def test_it_puts_corrections_between_the_attempts(job: Job, alice: User, bob: User) -> None:
    fix(job, bob, '["1","Anna","Gdańsk"]')
    again(job, alice)
    run(job, success(0))
    assert [type(entry).__name__ for entry in told(job)] == ["Try", "Fix", "Try"]
    assert tries(job) == [(1, "failed"), (2, "succeeded")]


def test_it_tells_of_a_correction_before_the_first_attempt(alice: User, bob: User) -> None:
    made = loaded(alice, csv_of(2))
    fix(made, bob, '["x"]')
    assert [type(entry).__name__ for entry in told(made)] == ["Fix"]


def test_it_asks_as_much_for_many_attempts_as_for_one(
    job: Job, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for queries in (3, 4):
        job = Job.objects.select_related("run").get(pk=job.pk)
        item = Item.objects.select_related("worker").get(job=job, position=0)
        with django_assert_num_queries(queries):
            timeline.timeline(item, job, "failed")
        for _ in range(5):
            fix(job, alice, f'["{job.runs.count()}","Anna","Turku"]')
            again(job, alice)
            run(job, failure(0))
