from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.models import Activity, Cause, Item, Job, JobState, Run
from jobs.models.job import Refused
from tests.base import csv_of, loaded, states, worked
from tests.steps import cells, failure, feed, part_done, recorder_for, replayed, row, success, wrong


def mixed(position: int) -> str:
    return "fail:Red" if position % 4 == 1 else "fail:Blue" if position % 4 == 2 else "ok"


def attempts(job: Job) -> dict[int, int]:
    return dict(Item.objects.filter(job=job).values_list("position", "attempts"))


def test_it_tries_all_failed_items_again_and_no_other(alice: User) -> None:
    job = worked(alice, csv_of(40, mixed))
    before = attempts(job)
    assert actions.retry(job, alice) == 20
    tasks.work()
    assert {at for at, made in attempts(job).items() if made > before[at]} == {
        at for at in range(40) if at % 4 in (1, 2)
    }
    assert wrong(job) == []


def test_it_tries_those_of_one_cause(alice: User) -> None:
    job = worked(alice, csv_of(40, mixed))
    red = Cause.objects.get(job=job, kind="Red")
    assert actions.retry(job, alice, cause=red.pk) == 10
    assert {at for at, state in enumerate(states(job)) if state == "pending"} == set(range(1, 40, 4))
    assert wrong(job) == []


def test_it_counts_the_causes_anew(alice: User) -> None:
    job = worked(alice, csv_of(8, mixed))
    actions.retry(job, alice)
    assert set(Cause.objects.filter(job=job).values_list("count", flat=True)) == {0}
    tasks.work()
    assert set(Cause.objects.filter(job=job).values_list("count", flat=True)) == {2}


def test_it_never_touches_a_success(alice: User) -> None:
    job = worked(alice, csv_of(20, mixed))
    before = list(Item.objects.filter(job=job, state=2).order_by("position").values())
    actions.retry(job, alice)
    tasks.work()
    assert list(Item.objects.filter(job=job, state=2).order_by("position").values()) == before


def test_it_puts_results_at_their_old_places(alice: User) -> None:
    job = worked(alice, csv_of(8, mixed))
    actions.retry(job, alice)
    taken = recorder_for(job)
    feed(taken, *(success(at, f'"again {at}"', ()) for at in (1, 2, 5, 6)))
    assert row(job, 5).result == '"again 5"'


def test_it_takes_each_item_once_when_pressed_twice(alice: User) -> None:
    job = worked(alice, csv_of(8, mixed))
    actions.retry(job, alice)
    with pytest.raises(Refused, match="no failed item"):
        actions.retry(Job.objects.get(pk=job.pk), alice)
    assert Run.objects.filter(job=job).count() == 2


def test_it_refuses_when_nothing_failed(alice: User) -> None:
    job = worked(alice, csv_of(4))
    with pytest.raises(Refused, match="no failed item"):
        actions.retry(job, alice)


def test_it_tries_again_while_the_job_runs(alice: User) -> None:
    job = loaded(alice, csv_of(6))
    taken = recorder_for(job)
    feed(taken, failure(0), success(1))
    assert actions.retry(job, alice) == 1
    feed(taken, *(success(at) for at in range(2, 6)))
    taken.close()
    assert not job.finish()
    tasks.work()
    job.refresh_from_db()
    assert (job.state, states(job), wrong(job)) == (JobState.FINISHED, ["succeeded"] * 6, [])


def test_it_waits_for_resume_in_a_paused_job(alice: User) -> None:
    job = loaded(alice, csv_of(6))
    part_done(job)
    job.pause(alice)
    assert actions.retry(job, alice) == 1
    tasks.work()
    job.refresh_from_db()
    assert (job.state, states(job)[1]) == (JobState.PAUSED, "pending")


def test_it_takes_what_was_never_attempted_after_a_cancel(alice: User) -> None:
    job = loaded(alice, csv_of(6))
    part_done(job)
    job.cancel(alice)
    assert actions.retry(job, alice) == 5
    tasks.work()
    job.refresh_from_db()
    assert (job.state, states(job), wrong(job)) == (JobState.FINISHED, ["succeeded"] * 6, [])


def test_it_takes_only_the_cause_after_a_cancel(alice: User) -> None:
    job = loaded(alice, csv_of(6))
    part_done(job)
    job.cancel(alice)
    assert actions.retry(job, alice, cause=Cause.objects.get(job=job).pk) == 1


def test_it_resumes_what_was_cancelled_before_it_started(alice: User) -> None:
    job = loaded(alice, csv_of(3), start=False)
    job.cancel(alice)
    actions.resume(job, alice)
    tasks.work()
    job.refresh_from_db()
    assert (job.state, Run.objects.get(job=job).kind) == (JobState.FINISHED, "first")


def test_it_pauses_and_goes_on(alice: User) -> None:
    job = loaded(alice, csv_of(6))
    part_done(job)
    actions.pause(job, alice)
    tasks.work()
    assert states(job).count("pending") == 4
    actions.resume(job, alice)
    tasks.work()
    job.refresh_from_db()
    assert (job.state, states(job).count("pending"), wrong(job)) == (JobState.FINISHED, 0, [])


def test_it_keeps_the_attempts_of_all_runs(alice: User) -> None:
    job = worked(alice, csv_of(4, mixed))
    actions.retry(job, alice)
    tasks.work()
    item = row(job, 1)
    assert (item.attempts, item.tries, item.run.number) == (2, 1, 2)


def test_it_runs_what_is_retried_meanwhile_under_the_new_number(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 60
    job = loaded(alice, csv_of(120), workers=1)
    taken = recorder_for(job)
    items = taken.feed()
    for position in range(60):
        assert next(items)[0] == position
        taken.add(failure(position) if position == 7 else success(position))
    assert next(items)[0] == 60
    taken.flush()
    actions.retry(Job.objects.get(pk=job.pk), alice)
    found = {position: task.idempotency_key for position, task, _ in items}
    assert found[7] == f"{job.code}-8-2"


def test_it_shows_viewers_what_waits_again(alice: User) -> None:
    job = worked(alice, csv_of(8, mixed))
    actions.retry(job, alice)
    assert replayed(job) == dict(enumerate(cells(job)))


def test_it_makes_viewers_fetch_everything_when_much_changes(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "LISTED", 3)
    job = worked(alice, csv_of(8, mixed))
    actions.retry(job, alice)
    assert job.batches.filter(delta=None).count() == 1


def test_it_forgets_strikes_and_fallbacks(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    Item.objects.filter(job=job).update(strikes=2)
    taken = recorder_for(job)
    feed(taken, failure(0))
    taken.close()
    Item.objects.filter(job=job, position=0).update(strikes=2)
    actions.retry(job, alice)
    item = row(job, 0)
    assert (item.strikes, item.fallback, item.error, item.error_kind, item.cause) == (0, "", "", "", None)


@pytest.mark.parametrize(("failed", "text"), [(1, "Retried 1 item"), (1200, "Retried 1,200 items")])
def test_it_notes_who_retried_how_many(failed: int, text: str, alice: User, settings: Any) -> None:
    job = worked(alice, csv_of(failed, lambda at: "fail:E"))
    actions.retry(job, alice)
    found = Activity.objects.get(job=job, verb="retry")
    assert (found.text, found.by) == (text, alice)
