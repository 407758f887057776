"""Deleting jobs and keeping them for a while only: what goes, what stays, and who may still be writing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions
from jobs.export import results
from jobs.humanize import duration
from jobs.maintenance import retention
from jobs.models import Activity, Attempt, Batch, Cause, Item, Job, JobState, Shard, Upload
from jobs.models.job import Refused
from tests.base import csv_of, lines, loaded, make_job, worked
from tests.steps import failure, feed, recorder_for, success


def failing(at: int) -> str:
    return "fail:E" if at % 2 else "ok"


def age(job: Job, days: int = 40) -> None:
    then = timezone.now() - timedelta(days=days)
    Job.objects.filter(pk=job.pk).update(finished=then, created=then)


def left(job: Job) -> dict[str, int]:
    kinds: tuple[Any, ...] = (Item, Attempt, Batch, Cause, Shard, Activity)
    return {kind.__name__: count for kind in kinds if (count := kind.objects.filter(job_id=job.pk).count())}


def stored(upload: Upload) -> bool:
    return bool(upload.file.storage.exists(str(upload.file.name)))


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("30d", 720), ("2w", 336)])
def test_it_reads_durations(text: str, hours: int) -> None:
    assert duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5d", "30 days", "30m", "٣d", "999999d"])
def test_it_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)


def test_it_finds_jobs_that_ended_long_ago(alice: User) -> None:
    old, new, going = worked(alice), worked(alice), loaded(alice)
    age(old)
    age(going)
    assert list(retention.outdated(timedelta(days=30))) == [old]
    assert new.ended


@pytest.mark.django_db(transaction=True)
def test_it_removes_every_row_and_the_file(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = worked(alice, csv_of(25, failing))
    retention.prune(job, keep_results=False)
    assert (Job.objects.count(), left(job), Upload.objects.count(), stored(job.upload)) == (0, {}, 0, False)


@pytest.mark.django_db(transaction=True)
def test_it_keeps_a_file_that_another_job_uses(alice: User) -> None:
    job, other = worked(alice), worked(alice)
    Job.objects.filter(pk=other.pk).update(upload=job.upload)
    retention.prune(job, keep_results=False)
    assert stored(job.upload)


@pytest.mark.django_db(transaction=True)
def test_it_keeps_results_that_can_still_be_taken_home(alice: User) -> None:
    job = worked(alice, csv_of(6, failing))
    before = {format: b"".join(results.pieces(job, format)) for format in results.FORMATS}
    counts = job.counts()
    retention.prune(job, keep_results=True)
    job = Job.objects.get(pk=job.pk)
    assert {format: b"".join(results.pieces(job, format)) for format in results.FORMATS} == before
    assert len(lines(results.failed_chunks(job))) == 4
    assert job.counts() == counts
    assert not {"Attempt", "Batch"} & set(left(job))
    assert not job.upload.file


def test_it_reduces_a_job_to_its_results_once(alice: User) -> None:
    job = worked(alice)
    age(job)
    retention.prune(job, keep_results=True)
    assert list(retention.outdated(timedelta(days=30), keep_results=True)) == []
    assert list(retention.outdated(timedelta(days=30))) == [job]


def test_it_goes_in_chunks_and_goes_on_where_it_stopped(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = worked(alice, csv_of(30))
    actions.delete(job, alice)
    assert not retention.erase(job, until=1e-9)
    assert (left(job)["Item"], left(job)["Shard"]) == (20, 2)
    assert retention.erase(job)
    assert left(job) == {}


def test_it_hides_a_deleted_job_at_once(alice: User) -> None:
    job = worked(alice)
    actions.delete(job, alice)
    assert list(Job.objects.visible_to(alice)) == []


def test_it_allows_no_verb_on_a_deleted_job(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    actions.delete(job, alice)
    for action in actions.ACTIONS.values():
        with pytest.raises(Refused, match="being deleted"):
            action.run(job, alice)


def test_it_cancels_a_running_job_and_drops_late_writes(alice: User) -> None:
    job = loaded(alice, csv_of(9))
    recorder = recorder_for(Job.objects.get(pk=job.pk))
    actions.delete(job, alice)
    feed(recorder, success(0), failure(1))
    recorder.close()
    job.refresh_from_db()
    assert (job.state, recorder.ended) == (JobState.CANCELLED, True)
    assert set(Item.objects.filter(job=job).values_list("state", flat=True)) == {0}


def test_it_lets_nobody_write_to_a_job_that_is_gone(alice: User) -> None:
    job = loaded(alice, csv_of(9))
    recorder = recorder_for(Job.objects.get(pk=job.pk))
    actions.delete(job, alice)
    retention.erase(job)
    feed(recorder, success(0))
    recorder.close()
    assert left(job) == {}


def test_it_deletes_a_job_whose_file_is_being_read(alice: User) -> None:
    job = make_job(alice)
    actions.delete(job, alice)
    assert retention.erase(job)
    assert not Job.objects.exists()


def test_the_keeper_removes_a_deleted_job_after_a_lease(alice: User) -> None:
    job = worked(alice)
    actions.delete(job, alice)
    retention.keep_up()
    assert Job.objects.exists()
    Job.objects.update(deleting=timezone.now() - timedelta(minutes=1))
    retention.keep_up()
    assert not Job.objects.exists()


@pytest.mark.parametrize(("setting", "kept"), [("", 2), ("30d", 1), ("50d", 2)])
def test_the_keeper_keeps_jobs_as_long_as_the_setting_says(alice: User, settings: Any, setting: str, kept: int) -> None:
    settings.RETENTION = setting
    age(worked(alice))
    worked(alice)
    retention.keep_up()
    assert Job.objects.count() == kept
