"""Failures that are retried by choice, accepted, or fixed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import actions, tasks
from jobs.maintenance import keeper
from jobs.models import Activity, Cause, Correction, Item, Job, JobState, Run, Upload
from jobs.models.job import Refused
from jobs.store.requeue import CorrectedItem
from tests.base import csv_of, loaded, states, worked
from tests.steps import cells, part_done, recorder_for, replayed, row, wrong


def mixed(position: int) -> str:
    return "fail:Red" if position % 4 == 1 else "fail:Blue" if position % 4 == 2 else "ok"


def attempts(job: Job) -> list[int]:
    return list(Item.objects.filter(job=job).order_by("position").values_list("attempts", flat=True))


def tried_again(job: Job, before: list[int]) -> set[int]:
    tasks.work()
    job.refresh_from_db()
    return {at for at, (was, made) in enumerate(zip(before, attempts(job), strict=True)) if made > was}


def cancelled_half_way(owner: User) -> Job:
    """Row 1 has succeeded, row 2 failed, and 6 others were never attempted."""
    job = loaded(owner, csv_of(8))
    part_done(job)
    actions.cancel(job, owner)
    return job


def fixed(position: int, text: str = '["fixed","ok"]') -> CorrectedItem:
    return CorrectedItem(position, text, "fixed", "")


class TestChoice:
    def test_it_retries_what_was_chosen_and_nothing_else(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        before = attempts(job)
        assert actions.retry(job, alice, positions=[0, 1, 2, 5]) == 3
        assert tried_again(job, before) == {1, 2, 5}
        assert wrong(job) == []

    def test_it_retries_those_of_a_cause_among_the_chosen(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        before = attempts(job)
        red = Cause.objects.get(job=job, kind="Red")
        assert actions.retry(job, alice, cause=red.pk, positions=[1, 2, 5]) == 2
        assert tried_again(job, before) == {1, 5}

    def test_it_counts_what_is_left_of_a_cause(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        actions.retry(job, alice, positions=[1])
        assert dict(Cause.objects.filter(job=job).values_list("kind", "count")) == {"Red": 3, "Blue": 4}
        assert wrong(job) == []

    def test_it_refuses_a_choice_without_failures(self, alice: User) -> None:
        job = worked(alice, csv_of(4, mixed))
        with pytest.raises(Refused, match="no failed item"):
            actions.retry(job, alice, positions=[0, 3])
        assert job.runs.count() == 1

    def test_it_refuses_a_cause_of_another_job(self, alice: User) -> None:
        job, other = worked(alice, csv_of(4, mixed)), worked(alice, csv_of(4, mixed))
        with pytest.raises(Refused, match="no such cause"):
            actions.retry(job, alice, cause=Cause.objects.filter(job=other)[0].pk)

    def test_it_takes_each_once_however_often_it_is_pressed(self, alice: User, bob: User, sent: list[str]) -> None:
        job = worked(alice, csv_of(8, mixed))
        assert actions.retry(job, alice, positions=[1, 2]) == 2
        with pytest.raises(Refused):
            actions.retry(job, bob, positions=[1, 2])

    def test_it_says_in_the_activity_what_was_retried(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        actions.retry(job, alice, positions=[1])
        actions.retry(job, alice, positions=[5, 9])
        actions.retry(job, alice, cause=Cause.objects.get(job=job, kind="Blue").pk)
        texts = Activity.objects.filter(job=job, verb="retry").order_by("pk").values_list("text", flat=True)
        blue = Cause.objects.get(job=job, kind="Blue")
        assert list(texts) == [
            "Retried row 2", "Retried 2 items that were chosen", f"Retried “{blue}”: 4 items",
        ]  # fmt: skip
        assert Activity.objects.filter(job=job, verb="retry").latest("pk").run == job.run


class TestSettings:
    def test_it_retries_with_other_dials(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        actions.retry(job, alice, settings={"workers": 3, "timeout": 5.0, "rate": None})
        job.refresh_from_db()
        assert (job.workers, job.timeout) == (3, 5.0)
        assert job.run
        assert job.run.policy["workers"] == 3
        assert "Changed items at a time from 10 to 3" in job.activities.values_list("text", flat=True)

    def test_it_retries_with_other_parameters(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        actions.retry(job, alice, parameters={"seconds": 0.01})
        job.refresh_from_db()
        assert job.parameters["seconds"] == 0.01
        assert job.run
        assert job.run.parameters["seconds"] == 0.01
        assert job.runs.get(number=1).parameters["seconds"] == 0

    def test_it_refuses_parameters_that_make_no_sense(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        with pytest.raises(Refused):
            actions.retry(job, alice, parameters={"seconds": "soon"})
        with pytest.raises(Refused):
            actions.retry(job, alice, parameters={"speed": 1})
        assert wrong(job) == []
        assert job.counts()["failed"] == 4

    def test_it_refuses_parameters_while_others_wait(self, alice: User) -> None:
        job = loaded(alice, csv_of(4))
        part_done(job)
        with pytest.raises(Refused, match="once the job has ended"):
            actions.retry(job, alice, parameters={"seconds": 1})


class TestCancelled:
    def test_it_retries_the_chosen_and_leaves_the_rest_alone(self, alice: User) -> None:
        job = cancelled_half_way(alice)
        assert actions.retry(job, alice, positions=[1]) == 1
        tasks.work()
        job.refresh_from_db()
        assert states(job) == ["succeeded", "succeeded", *["pending"] * 6]
        assert job.state == JobState.CANCELLED
        assert wrong(job) == []

    def test_it_tries_one_that_was_never_attempted(self, alice: User) -> None:
        job = cancelled_half_way(alice)
        assert actions.retry(job, alice, positions=[4, 1]) == 2
        tasks.work()
        assert states(job) == [*["succeeded"] * 2, *["pending"] * 2, "succeeded", *["pending"] * 3]

    def test_it_goes_on_with_the_rest_when_asked(self, alice: User) -> None:
        job = cancelled_half_way(alice)
        actions.retry(job, alice, positions=[1])
        tasks.work()
        job.refresh_from_db()
        actions.resume(job, alice)
        tasks.work()
        job.refresh_from_db()
        assert states(job) == ["succeeded"] * 8
        assert job.state == JobState.FINISHED

    def test_it_is_ended_by_the_keeper_where_no_worker_did(self, alice: User, monkeypatch: Any) -> None:
        job = cancelled_half_way(alice)
        actions.retry(job, alice, positions=[1])
        with monkeypatch.context() as patched:
            patched.setattr(Job, "finish", lambda self: False)
            tasks.work()
        keeper.sweep()
        job.refresh_from_db()
        assert job.state == JobState.CANCELLED

    def test_it_waits_for_what_is_in_flight(self, alice: User) -> None:
        job = loaded(alice, csv_of(8))
        part_done(job)
        recorder_for(job)
        actions.cancel(job, alice)
        with pytest.raises(Refused, match="still in flight"):
            actions.retry(job, alice, positions=[1])
        assert wrong(job) == []


class TestAccepting:
    def test_it_keeps_accepted_failures_in_the_counts(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        red = Cause.objects.get(job=job, kind="Red")
        assert actions.accept(job, alice, cause=red.pk) == 4
        red.refresh_from_db()
        assert (red.count, red.accepted, job.counts()["failed"]) == (4, 4, 8)
        assert wrong(job) == []

    def test_it_leaves_accepted_failures_out_of_a_retry_of_all(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        before = attempts(job)
        actions.accept(job, alice, positions=[1, 2])
        assert actions.retry(job, alice) == 6
        assert tried_again(job, before) == {at for at in range(16) if at % 4 in (1, 2)} - {1, 2}

    def test_it_retries_accepted_failures_by_their_cause(self, alice: User) -> None:
        job = worked(alice, csv_of(16, mixed))
        red = Cause.objects.get(job=job, kind="Red")
        actions.accept(job, alice)
        with pytest.raises(Refused, match="8 items whose failure is accepted"):
            actions.retry(job, alice)
        assert actions.retry(job, alice, cause=red.pk) == 4
        red.refresh_from_db()
        assert (red.count, red.accepted) == (0, 0)

    def test_it_takes_an_acceptance_back(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        actions.accept(job, alice)
        assert actions.accept(job, alice, positions=[1], accepted=False) == 1
        assert actions.retry(job, alice) == 1

    def test_it_accepts_once(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        actions.accept(job, alice)
        with pytest.raises(Refused, match="no failure to accept"):
            actions.accept(job, alice)

    def test_it_tells_the_viewers_and_the_activity(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        before = job.seq
        actions.accept(job, alice, positions=[2])
        job.refresh_from_db()
        assert job.seq == before + 1
        assert job.activities.first()
        assert job.activities.all()[0].text == "Accepted the failure of row 3"


class TestCorrecting:
    def test_it_puts_the_new_payload_in_the_old_place_and_keeps_the_old_one(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        old = row(job, 1).payload
        assert actions.correct(job, [fixed(1)], alice) == 1
        tasks.work()
        job.refresh_from_db()
        assert (row(job, 1).payload, row(job, 1).label) == ('["fixed","ok"]', "fixed")
        assert states(job)[:3] == ["succeeded", "succeeded", "failed"]
        kept = Correction.objects.get(job=job)
        assert (kept.position, kept.payload, kept.run) == (1, old, job.run)
        assert job.run
        assert job.run.kind == Run.Kind.CORRECTION
        assert job.run.by == alice
        assert wrong(job) == []

    def test_it_fixes_a_rejected_row(self, alice: User) -> None:
        job = worked(alice, "simulate,name\nok,a\nok,b,c,d\nok,e\n")
        assert states(job)[1] == "rejected"
        actions.correct(job, [fixed(1, '["ok","fixed"]')], alice)
        tasks.work()
        assert states(job) == ["succeeded"] * 3
        assert wrong(job) == []

    def test_it_never_touches_a_success(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        with pytest.raises(Refused, match="nothing to correct"):
            actions.correct(job, [fixed(0)], alice)
        assert actions.correct(job, [fixed(0), fixed(1)], alice) == 1
        assert row(job, 0).payload != '["fixed","ok"]'
        assert Correction.objects.filter(job=job).count() == 1

    def test_it_fixes_what_was_never_attempted(self, alice: User) -> None:
        job = cancelled_half_way(alice)
        assert actions.correct(job, [fixed(3)], alice) == 1
        tasks.work()
        job.refresh_from_db()
        assert states(job) == ["succeeded", "failed", "pending", "succeeded", *["pending"] * 4]
        assert job.state == JobState.CANCELLED

    def test_it_tries_others_again_along_with_them(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        before = attempts(job)
        assert actions.correct(job, [fixed(1)], alice, again=[2]) == 2
        assert tried_again(job, before) == {1, 2}

    def test_it_keeps_the_file_of_corrections(self, alice: User) -> None:
        job = worked(alice, csv_of(8, mixed))
        upload = Upload.objects.create(owner=alice, name="failed.csv", file="x", size=1, sha256="")
        actions.correct(job, [fixed(1)], alice, upload=upload)
        Upload.objects.update(used="2020-01-01T00:00Z")
        assert not Upload.objects.unreferenced().exists()
        assert job.activities.all()[0].text == "Uploaded corrections of 1 item, 1 item tried again"

    def test_it_writes_thousands(self, alice: User) -> None:
        job = worked(alice, csv_of(2_500, lambda at: "fail:Red"))
        assert actions.correct(job, (fixed(at) for at in range(2_500)), alice) == 2_500
        tasks.work()
        job.refresh_from_db()
        assert job.counts()["succeeded"] == 2_500
        assert wrong(job) == []
        assert replayed(job) == dict(enumerate(cells(job)))
