"""The failure limit: when a job pauses by itself, what it says then, and what it counts anew."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import actions, processors, tasks
from jobs.humanize import counted
from jobs.models import Activity, Cause, Item, Job, JobState, scheduling
from jobs.models.failure_limit import End, Limit, Tally
from jobs.models.reason import NO_REASON, Code, Reason
from tests.base import csv_of, loaded, states, worked
from tests.steps import die, failure, feed, recorder_for, success, wrong


@pytest.mark.parametrize(("count", "said"), [(0, "0 rows"), (1, "1 row"), (5_000, "5,000 rows")])
def test_it_counts_in_words(count: int, said: str) -> None:
    assert counted(count) == said


def ends(text: str) -> list[End]:
    """A letter for each item in its order: a dot succeeded, letters are causes."""
    return [End(float(at)) if one == "." else End(float(at), f"Kind{one}", ord(one)) for at, one in enumerate(text)]


def pauses(job: Job) -> list[str]:
    return list(Activity.objects.filter(job=job, verb="pause").values_list("text", flat=True))


@pytest.mark.parametrize(
    ("limit", "text", "reason"),
    [
        (Limit(share=25, sample=4), "AAA", ""),
        (Limit(share=25, sample=4), "A...", ""),
        (Limit(share=25, sample=4), "A..A", "Paused: 2 of the first 4 items failed, more than 25 %."),
        (Limit(share=0, sample=1), "..A", "Paused: 1 of the first 3 items failed, more than 0 %."),
        (Limit(count=3), "A.B", ""),
        (Limit(count=3), "A.BC..", "Paused: 3 of the first 4 items failed; the limit is 3."),
        (Limit(streak=3), "AA.AA", ""),
        (Limit(streak=3), "AABAA", ""),
        (Limit(streak=3), ".BAAA", "Paused: 3 items in a row failed with KindA."),
        (Limit(streak=1), "A", "Paused: an item failed with KindA."),
        (Limit(), "AAAA", ""),
    ],
)
def test_it_knows_when_too_much_failed(limit: Limit, text: str, reason: str) -> None:
    assert limit.reached(Tally(), ends(text)) == (Reason(Code.FAILURE_LIMIT, reason) if reason else NO_REASON)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_it_finds_the_same_however_many_are_stored_at_once(size: int) -> None:
    tally, every, limit = Tally(), ends("..A.BB.BBBBA."), Limit(streak=4)
    found = [limit.reached(tally, every[at : at + size]) for at in range(0, len(every), size)]
    assert [reason.text for reason in found if reason] == ["Paused: 4 items in a row failed with KindB."]


def test_it_says_in_words_what_the_limit_is() -> None:
    limit = Limit(share=2.5, sample=40, count=1, streak=5)
    assert str(limit) == ("more than 2.5 % of at least 40 items fail or 1 item fails or 5 in a row fail for one cause")


def test_it_pauses_above_a_share(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_share=25.0, limit_sample=4)
    feed(recorder_for(job), success(0), success(1), failure(2), failure(3))
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.PAUSED, "Paused: 2 of the first 4 items failed, more than 25 %.")
    assert pauses(job) == [job.reason]


def test_it_pauses_after_failures_of_one_cause_in_the_order_of_their_ends(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_streak=3)
    recorder = recorder_for(job)
    feed(recorder, failure(0, "ConnectError"), failure(5, "ConnectError"))
    feed(recorder, failure(1, "ConnectError"))
    job.refresh_from_db()
    assert job.reason == "Paused: 3 items in a row failed with ConnectError."


def test_it_takes_another_cause_for_the_end_of_a_row(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_streak=3)
    feed(recorder_for(job), failure(0, message="a"), failure(1, message="b"), failure(2, message="a"))
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_it_goes_on_without_a_limit(alice: User) -> None:
    assert worked(alice, csv_of(30, lambda at: "fail:E")).state == JobState.FINISHED


def test_it_asks_nothing_more_of_the_database_without_a_limit(alice: User) -> None:
    job = loaded(alice, csv_of(10))
    recorder = recorder_for(job)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        feed(recorder, failure(0))
    assert not any("limit_tally" in query["sql"] for query in queries)


def test_it_keeps_what_is_in_flight_when_it_pauses(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_count=1)
    recorder = recorder_for(job)
    feed(recorder, failure(0))
    feed(recorder, success(1), failure(2))
    recorder.close()
    assert states(job)[:4] == ["failed", "succeeded", "failed", "pending"]
    assert len(pauses(job)) == 1


def test_it_ends_the_turn_of_who_paused_it(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_count=1)
    recorder = recorder_for(job)
    feed(recorder, failure(0))
    assert recorder.ended


def test_it_counts_over_all_tasks_and_pauses_once(alice: User, settings: Any, monkeypatch: Any) -> None:
    settings.JOBS_SHARD_SIZE = 5
    monkeypatch.setattr(scheduling, "WORKERS_PER_TASK", 2)
    monkeypatch.setattr("jobs.worker.recorder.AHEAD", (2, 4))
    job = loaded(alice, csv_of(20), workers=4, limit_count=4)
    one = recorder_for(job)
    two = recorder_for(job, "host:2")
    feed(one, failure(0), failure(1))
    job.refresh_from_db()
    assert job.state == JobState.RUNNING
    start = min(lease.start for lease in two.leases)
    feed(two, failure(start), failure(start + 1))
    feed(one, failure(2))
    job.refresh_from_db()
    assert job.reason == "Paused: 4 of the first 4 items failed; the limit is 4."
    assert len(pauses(job)) == 1


def paused(owner: User, **fields: Any) -> Job:
    job = loaded(owner, csv_of(10), limit_count=2, **fields)
    recorder = recorder_for(job)
    feed(recorder, failure(0), failure(1))
    recorder.close()
    job.refresh_from_db()
    assert job.state == JobState.PAUSED
    return job


def test_it_counts_anew_after_a_resume(alice: User) -> None:
    job = paused(alice)
    actions.resume(job, alice)
    recorder = recorder_for(job)
    feed(recorder, failure(2))
    job.refresh_from_db()
    assert job.state == JobState.RUNNING
    feed(recorder, failure(3))
    job.refresh_from_db()
    assert job.reason == "Paused: 2 of the last 2 items failed; the limit is 2."


def test_it_counts_anew_after_a_retry(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_count=2)
    recorder = recorder_for(job)
    feed(recorder, failure(0))
    actions.retry(job, alice)
    job.refresh_from_db()
    assert (job.limit_round, job.limit_tally) == (1, "")


def test_it_holds_nothing_against_a_resumed_job_that_was_begun_before(alice: User) -> None:
    job = loaded(alice, csv_of(10), limit_count=2)
    recorder = recorder_for(Job.objects.get(pk=job.pk))
    late = [failure(at) for at in range(2, 6)]
    feed(recorder, failure(0), failure(1))
    job.refresh_from_db()
    actions.resume(job, alice)
    feed(recorder, *late[:2])  # before it has looked
    time.sleep(0.02)
    recorder._look()
    feed(recorder, *late[2:])
    job.refresh_from_db()
    assert job.state == JobState.QUEUED
    assert json.loads(job.limit_tally or '{"tried": 0}')["tried"] == 0


def test_it_pauses_for_real_and_ends_complete_after_resumes(alice: User) -> None:
    slow = processors.get("simulate").clean({"seconds": 0.02})
    text = csv_of(30, lambda at: "fail:E" if at < 4 else "ok")
    job = worked(alice, text, workers=1, limit_streak=4, parameters=slow)
    assert (job.state, job.reason) == (JobState.PAUSED, "Paused: 4 items in a row failed with E.")
    actions.resume(job, alice)
    tasks.work()
    job.refresh_from_db()
    assert (job.state, job.counts()["succeeded"]) == (JobState.FINISHED, 26)


def test_it_pauses_though_nothing_is_left(alice: User) -> None:
    job = loaded(alice, csv_of(2), limit_count=2)
    tasks_before = recorder_for(job)
    feed(tasks_before, failure(0), failure(1))
    tasks_before.close()
    assert job.finish()
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FINISHED, "")


def deadly(owner: User, **fields: Any) -> Job:
    """A job each of whose items was there at two deaths of a worker, so that each runs alone and fails at the next."""
    job = loaded(owner, csv_of(6), **fields)
    Item.objects.filter(job=job).update(strikes=2)
    return job


def die_over_one(job: Job) -> None:
    recorder_for(job)
    die(job)
    job.refresh_from_db()


def test_it_counts_items_over_which_workers_died(alice: User) -> None:
    job = deadly(alice, limit_streak=2)
    die_over_one(job)
    assert (job.state, Tally.load(job.limit_tally)) == (
        JobState.RUNNING, Tally(tried=1, failed=1, streak=1, cause=Cause.objects.get(job=job).pk)
    )  # fmt: skip
    die_over_one(job)
    assert (job.state, job.reason) == (JobState.PAUSED, "Paused: 2 items in a row failed with worker died.")
    assert (pauses(job), states(job)[:3], wrong(job)) == ([job.reason], ["failed", "failed", "pending"], [])


def test_it_counts_deaths_and_other_failures_together(alice: User) -> None:
    job = deadly(alice, limit_count=2)
    recorder = recorder_for(job)
    feed(recorder, failure(0))
    recorder.close()
    die_over_one(job)
    assert job.reason == "Paused: 2 of the first 2 items failed; the limit is 2."


def test_it_does_not_count_who_was_there_at_a_first_death(alice: User) -> None:
    job = loaded(alice, csv_of(6), limit_count=1)
    die_over_one(job)
    assert (job.state, job.limit_tally) == (JobState.RUNNING, "")


def test_it_counts_no_death_in_a_job_that_was_stopped(alice: User) -> None:
    job = deadly(alice, limit_count=1)
    recorder_for(job)
    job.pause(alice)
    die(job)
    job.refresh_from_db()
    assert (job.reason, job.limit_tally, states(job)[0]) == ("Paused by alice.", "", "failed")


def test_it_holds_no_death_against_a_resumed_job_that_began_before(alice: User) -> None:
    job = deadly(alice, limit_count=1)
    recorder_for(job)
    job.pause(alice)
    actions.resume(job, alice)
    die(job)
    job.refresh_from_db()
    assert (job.state, job.limit_tally, states(job)[0]) == (JobState.QUEUED, "", "failed")
    die_over_one(job)
    assert job.reason == "Paused: 1 of the last 1 item failed; the limit is 1."


def test_it_goes_on_with_what_an_earlier_version_counted(alice: User) -> None:
    job = loaded(alice, csv_of(6), limit_streak=2, limit_count=5)
    tally = {"tried": 3, "failed": 3, "streak": 1, "cause": "00f2c9d59ebd1d3e"}
    Job.objects.filter(pk=job.pk).update(limit_tally=json.dumps(tally))
    feed(recorder_for(job), failure(0), failure(1, "OSError"))
    job.refresh_from_db()
    assert job.reason == "Paused: 5 of the first 5 items failed; the limit is 5."
