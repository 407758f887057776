"""The causes of a job's failures, counted as they come, and read as pages show them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import actions, tasks
from jobs.engine import Attempt, Failure
from jobs.items import causes
from jobs.live import frame as live_frame
from jobs.models import Cause, Item, Job
from tests.base import csv_of, loaded, worked
from tests.steps import failure, feed, recorder_for, row, success, wrong

TRACE = 'Traceback (most recent call last):\n  File "/srv/plugins/fix.py", line {}, in {}\n    raise\nE: no\n'


def told(job: Job) -> list[causes.CauseLine]:
    return causes.largest(job, 1)["causes"]


def failing(position: int, message: str, function: str = "look_up") -> Attempt:
    failed = Failure("LookupError", message, TRACE.format(position + 10, function))
    return Attempt(position, 1, timezone.now().timestamp(), 0.1, failure=failed)


def broken(alice: User, *attempts: Attempt) -> Job:
    job = loaded(alice, csv_of(max(attempt.position for attempt in attempts) + 1))
    taken = recorder_for(job)
    feed(taken, *attempts)
    taken.close()
    return job


def test_it_groups_what_looks_alike(alice: User) -> None:
    job = broken(alice, *(failing(at, f"no row {at} in 'file {at}.csv'") for at in range(5)), failing(5, "away"))
    assert [(cause["title"], cause["count"]) for cause in told(job)] == [("no row … in …", 5), ("away", 1)]
    assert wrong(job) == []


def test_it_tells_apart_where_it_happened(alice: User) -> None:
    job = broken(alice, failing(0, "no"), failing(1, "no"), failing(2, "no", "store"))
    assert [cause["top_frame"] for cause in told(job)] == ["look_up in fix.py", "store in fix.py"]


def test_it_says_where_a_cause_begins_and_ends(alice: User) -> None:
    job = broken(alice, success(1), *(failing(at, "no") for at in (0, 2, 3, 7)))
    (cause,) = told(job)
    assert (cause["first"], cause["last"], cause["samples"]) == (1, 8, [1, 3, 4])


@pytest.mark.parametrize(("positions", "samples"), [((4,), [5]), ((4, 6), [5, 7]), ((0, 1, 2), [1, 2, 3])])
def test_it_names_up_to_three_rows(positions: tuple[int, ...], samples: list[int], alice: User) -> None:
    (cause,) = told(broken(alice, *(failing(at, "no") for at in positions)))
    assert (cause["samples"], cause["last"]) == (samples, positions[-1] + 1)


def test_it_follows_what_is_tried_again(alice: User) -> None:
    job = broken(alice, *(failing(at, "no") for at in (0, 2, 4, 6)))
    Item.objects.filter(job=job, position__in=(0, 6)).update(state=0, cause=None)
    (cause,) = told(job)
    assert (cause["first"], cause["last"], cause["samples"]) == (3, 5, [3, 5])


def test_it_begins_anew_when_nothing_was_left(alice: User) -> None:
    job = broken(alice, failing(0, "no row 1"), failing(1, "no row 2"))
    early = timezone.now() - timedelta(hours=2)
    Cause.objects.filter(job=job).update(since=early)
    actions.retry(job, alice)
    taken = recorder_for(job)
    feed(taken, failing(1, "no row 3"))
    cause = Cause.objects.get(job=job)
    assert cause.since > early
    assert (cause.count, cause.sample, cause.first, cause.last, cause.accepted) == (1, "no row 3", 1, 1, 0)


def test_it_stays_the_same_while_some_are_left(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    taken = recorder_for(job)
    feed(taken, failing(0, "no row 1"))
    early = timezone.now() - timedelta(hours=2)
    Cause.objects.filter(job=job).update(since=early)
    feed(taken, failing(2, "no row 2"))
    (cause,) = told(job)
    assert (cause["since"], cause["sample"]) == (round(early.timestamp(), 1), "no row 1")


def test_it_leaves_old_causes_as_they_are(alice: User) -> None:
    """Before they knew where it happened, causes had other signatures."""
    job = loaded(alice, csv_of(3))
    old = Cause.objects.create(
        job=job, signature="0" * 32, kind="LookupError", title="no", sample="no", count=0, first=0, last=0
    )
    taken = recorder_for(job)
    feed(taken, failing(0, "no"))
    Item.objects.filter(job=job, position=1).update(state=3, cause=old)
    Cause.objects.filter(pk=old.pk).update(count=1)
    assert [(cause["count"], cause["top_frame"]) for cause in told(job)] == [(1, ""), (1, "look_up in fix.py")]


def test_it_puts_what_is_accepted_at_the_end(alice: User) -> None:
    job = broken(alice, *(failing(at, "many") for at in range(4)), failing(4, "one"), failing(5, "two"))
    Cause.objects.filter(job=job, title="many").update(accepted=F("count"))
    assert [(cause["title"], cause["accepted"]) for cause in told(job)] == [("one", 0), ("two", 0), ("many", 4)]


def test_it_counts_a_cause_that_is_accepted_in_part_by_its_size(alice: User) -> None:
    job = broken(alice, *(failing(at, "many") for at in range(4)), failing(4, "one"))
    Cause.objects.filter(job=job, title="many").update(accepted=3)
    assert [cause["title"] for cause in told(job)] == ["many", "one"]


def test_it_tells_twenty_and_how_many_more(alice: User) -> None:
    job = broken(alice, *(failing(at, f"no {chr(97 + at)}thing") for at in range(26)))
    frame = causes.largest(job, 26)
    assert (len(frame["causes"]), frame["more_causes"]) == (20, 6)
    every = frame["causes"] + causes.listed(job, 20, 20)
    assert sorted(cause["first"] or 0 for cause in every) == list(range(1, 27))


def test_it_says_nothing_where_nothing_failed(alice: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    job = worked(alice, csv_of(2))
    with django_assert_num_queries(0):
        assert causes.largest(job, 0) == {"causes": [], "more_causes": 0, "accepted": 0}
    assert causes.largest(job, 1) == {"causes": [], "more_causes": 0, "accepted": 0}


def test_it_asks_as_much_for_twenty_causes_as_for_one(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 20):
        job = broken(alice, *(failing(at, f"no {chr(97 + at)}thing") for at in range(count)))
        with django_assert_num_queries(2):
            causes.largest(job, count)


def test_it_cuts_long_texts(alice: User) -> None:
    job = broken(alice, *(failing(at, f"{chr(97 + at)}thing {'long words ' * 180}") for at in range(20)))
    frame = causes.largest(job, 20)
    assert {len(cause[name]) for cause in frame["causes"] for name in ("title",)} == {causes.TEXT}
    assert len(json.dumps(frame)) < 12_000


def test_it_leaves_out_a_message_that_is_the_title(alice: User) -> None:
    assert {
        cause["title"]: cause["sample"] for cause in told(broken(alice, failing(0, "away"), failing(1, "no 7")))
    } == {
        "away": "",
        "no …": "no 7",
    }


def test_it_knows_what_only_other_inputs_fix(alice: User) -> None:
    job = broken(alice, failure(0, "invalid input", "“query” is empty."), failure(1, "timeout", "Took too long."))
    assert {cause["kind"]: cause["input"] for cause in told(job)} == {"invalid input": True, "timeout": False}


def test_it_is_live_while_the_job_runs(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    taken = recorder_for(job)
    seen = []
    for at in range(3):
        feed(taken, failing(at, "no"))
        job.refresh_from_db()
        seen.append([(cause["count"], cause["last"]) for cause in live_frame.stats(job)["causes"]])
    assert seen == [[(1, 1)], [(2, 2)], [(3, 3)]]


def test_it_counts_anew_what_fails_again(alice: User) -> None:
    job = worked(alice, csv_of(8, lambda at: "fail:Red" if at % 2 else "ok"))
    for _ in range(2):
        actions.retry(job, alice)
        tasks.work()
    (cause,) = told(job)
    assert (cause["count"], cause["samples"], cause["last"], row(job, 1).cause_id) == (4, [2, 4, 6], 8, cause["id"])
