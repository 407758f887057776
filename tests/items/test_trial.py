from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone

from jobs import actions, tasks
from jobs.export import results
from jobs.ingest import importer
from jobs.items import trial
from jobs.maintenance import invariants, keeper, retention
from jobs.models import Item, Job, JobState, Run, Shard
from jobs.models.job import Refused
from jobs.store.leases import LostLease
from tests.base import People, csv_of, lines, loaded, states
from tests.steps import recorder_for


def ready(owner: Any, rows: int = 30, **fields: Any) -> Job:
    return loaded(owner, csv_of(rows, fields.pop("simulate", lambda at: "ok")), start=False, **fields)


class TrialTests(People):
    """Rows that are tried before the others."""

    def tried(self, job: Job, **how: Any) -> Job:
        actions.trial(job, self.alice, **how)
        tasks.work()
        job.refresh_from_db()
        return job

    def test_it_works_on_these_rows_only(self) -> None:
        job = self.tried(ready(self.alice), rows="chosen", chosen=[3, 30])
        assert (job.state, job.counts()["succeeded"], job.counts()["pending"]) == ("ready", 2, 28)
        assert states(job)[2] == states(job)[29] == "succeeded"

    def test_it_takes_the_first_rows_that_wait(self) -> None:
        job = self.tried(self.tried(ready(self.alice), count=4), count=3)
        assert states(job)[:8] == ["succeeded"] * 7 + ["pending"]

    def test_it_takes_random_rows(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=4):
            job = self.tried(ready(self.alice), rows="random", count=10)
        assert states(job).count("succeeded") == 10
        again = trial.pick(job, "random", 100)
        assert sorted(again) == [at for at, state in enumerate(states(job)) if state == "pending"]

    def test_it_refuses_rows_that_do_not_wait(self) -> None:
        job = self.tried(ready(self.alice), count=2)
        for chosen in ([2], [31], [0]):
            with pytest.raises(Refused, match="do not wait: "):
                actions.trial(job, self.alice, rows="chosen", chosen=chosen)
        for count in (0, 101):
            with pytest.raises(Refused, match="from 1 to 100"):
                actions.trial(job, self.alice, count=count)

    def test_it_keeps_what_was_tried_when_the_rest_runs(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=4):
            job = self.tried(ready(self.alice, simulate=lambda at: "fail:Gone" if at == 1 else "ok"), count=3)
            actions.start(job, self.alice)
            tasks.work()
        job.refresh_from_db()
        counts = job.counts()
        assert (job.state, counts["succeeded"], counts["failed"], counts["attempts"]) == ("finished", 29, 1, 30)
        assert list(job.runs.values_list("kind", "items")) == [("trial", 3), ("first", 27)]
        assert not list(invariants.differences(job))

    def test_it_goes_on_with_all_rows_after_a_cancelled_trial(self) -> None:
        job = ready(self.alice)
        actions.trial(job, self.alice, count=2)
        actions.cancel(job, self.alice)
        actions.resume(job, self.alice)
        tasks.work()
        job.refresh_from_db()
        assert (job.state, job.counts()["succeeded"]) == ("finished", 30)

    def test_it_goes_on_with_its_rows_after_a_pause(self) -> None:
        job = ready(self.alice)
        actions.trial(job, self.alice, count=2)
        actions.pause(job, self.alice)
        actions.resume(job, self.alice)
        tasks.work()
        job.refresh_from_db()
        assert (job.state, job.counts()["succeeded"]) == ("ready", 2)

    def test_it_refuses_a_retry_while_rows_are_tried(self) -> None:
        job = self.tried(ready(self.alice, simulate=lambda at: "fail:Gone"), count=2)
        actions.trial(job, self.alice, count=1)
        with pytest.raises(Refused, match="Rows are being tried"):
            actions.retry(job, self.alice)

    def test_it_is_ready_again_though_the_worker_died_at_the_end(self) -> None:
        job = ready(self.alice)
        actions.trial(job, self.alice, count=2)
        with patch.object(Job, "finish", lambda job: False):
            tasks.work()
        job.refresh_from_db()
        assert job.state == "running"
        keeper.sweep()
        job.refresh_from_db()
        assert job.state == "ready"

    def test_it_is_ready_again_when_every_row_was_tried(self) -> None:
        job = self.tried(ready(self.alice, 3))
        assert (job.state, job.counts()["succeeded"]) == ("ready", 3)
        actions.start(job, self.alice)
        job.refresh_from_db()
        assert job.state == "finished"


class ChangeTests(People):
    """A file that is read anew under other settings."""

    def changed(self, job: Job, **fields: Any) -> Job:
        actions.change(job, self.alice, **fields)
        importer.load(job)
        job.refresh_from_db()
        return job

    def test_it_discards_the_trial(self) -> None:
        job = ready(self.alice, simulate=lambda at: "fail:Gone" if at == 1 else "ok")
        actions.trial(job, self.alice, count=3)
        tasks.work()
        job = self.changed(job, workers=3)
        counts = job.counts()
        assert (job.state, job.workers, job.total, counts["pending"]) == ("ready", 3, 30, 30)
        assert (counts["attempts"], job.causes.count(), job.run) == (0, 0, None)
        assert not list(invariants.differences(job))

    def test_it_reads_other_rows(self) -> None:
        job = ready(self.alice, 4)
        shape = {**job.shape, "header": False, "columns": ["a", "b"]}
        job = self.changed(job, shape=shape, columns=["a", "b"], mapping={})
        assert (job.total, Item.objects.filter(job=job).count()) == (5, 5)
        fewer = {**shape, "header": True, "columns": ["name", "simulate"]}
        job = self.changed(job, shape=fewer, columns=["name", "simulate"])
        assert (job.total, Item.objects.filter(job=job).count()) == (4, 4)

    def test_it_adds_up_while_the_rows_of_before_are_still_there(self) -> None:
        job = ready(self.alice)
        actions.change(job, self.alice)
        job.refresh_from_db()
        assert (job.state, job.total, Shard.objects.filter(job=job).count()) == ("loading", 0, 0)
        assert Item.objects.filter(job=job).exists()
        assert not list(invariants.differences(job))

    def test_it_gives_items_another_key(self) -> None:
        job = ready(self.alice)
        keys = []
        for _ in range(2):
            actions.trial(job, self.alice, count=1)
            recorder = recorder_for(job)
            keys += [task.idempotency_key for _, task, _ in recorder.feed()]
            recorder.close()
            Job.objects.filter(pk=job.pk).update(state=JobState.READY)
            job = self.changed(job)
        assert len(set(keys)) == 2, keys

    def test_it_may_start_at_once(self) -> None:
        job = self.changed(ready(self.alice), start=True)
        assert (job.state, job.runs.get().kind) == ("queued", Run.Kind.FIRST)

    def test_it_is_refused_once_the_job_was_started(self) -> None:
        job = loaded(self.alice)
        with pytest.raises(Refused, match="before the job is started"):
            actions.change(job, self.alice)

    def test_it_fixes_a_file_that_could_not_be_read(self) -> None:
        job = ready(self.alice, 3)
        Job.objects.filter(pk=job.pk).update(state=JobState.INVALID, reason="No.")
        job.refresh_from_db()
        job = self.changed(job)
        assert (job.state, job.reason, job.total) == ("ready", "", 3)


class ReadersTests(People):
    """Several readers of one file, of whom one comes late."""

    def late(self) -> tuple[Job, str]:
        """A job that another reader has read whole, and the token of one that is late."""
        job = ready(self.alice)
        actions.change(job, self.alice)
        token = importer.take(job)
        Job.objects.filter(pk=job.pk).update(load_expires=timezone.now() - timedelta(minutes=1))
        assert importer.load(Job.objects.get(pk=job.pk))
        return job, token

    def test_it_removes_no_rows_of_another_reader(self) -> None:
        job, token = self.late()
        with pytest.raises(LostLease):
            importer.clear(job, token)
        assert Item.objects.filter(job=job).count() == 30

    def test_it_has_nothing_to_say_any_more(self) -> None:
        job, token = self.late()
        actions.change(Job.objects.get(pk=job.pk), self.alice)
        assert not importer.ready(job, token, {"rows": 7})
        assert not importer.refuse(job, token, "It cannot be read.")
        job.refresh_from_db()
        assert (job.state, job.report) == ("loading", {})

    def test_it_hides_and_removes_what_was_left_unread(self) -> None:
        job = ready(self.alice)
        actions.change(job, self.alice)
        actions.cancel(job, self.alice)
        job.refresh_from_db()
        assert not list(invariants.differences(job))
        assert len(lines(results.chunks(job, "csv"))) == 1
        actions.delete(job, self.alice)
        assert retention.erase(job)
        assert not Item.objects.filter(job=job.pk).exists()


class LimitTests(People):
    """The failure limit and trials."""

    def test_it_does_not_pause_a_trial(self) -> None:
        job = ready(self.alice, simulate=lambda at: "fail:Gone", limit_count=1)
        actions.trial(job, self.alice, count=5)
        tasks.work()
        job.refresh_from_db()
        assert (job.state, job.counts()["failed"], job.limit_tally) == ("ready", 5, "")

    def test_it_counts_from_the_first_after_a_start(self) -> None:
        job = ready(self.alice, simulate=lambda at: "fail:Gone", limit_count=3, workers=1)
        actions.start(job, self.alice)
        tasks.work()
        job.refresh_from_db()
        said = job.activities.get(verb="pause").text
        assert said == "Paused: 3 of the first 3 items failed; the limit is 3."


class ReportTests(People):
    """What is found when a file is read."""

    def test_it_is_kept_with_the_job(self) -> None:
        text = "id,query\n1,tea\n\n2\n1,rum\n3,\n"
        job = loaded(self.alice, text, processor="rewrite-query", start=False)
        report = job.report
        assert (report["rows"], report["bad_total"], report["blank"], report["duplicates"]) == (4, 2, 1, 1)
        kinds = {group["kind"]: group["first"][0] for group in report["groups"]}
        assert kinds["too few cells"]["row"] == 2
        assert kinds["duplicate key"]["row"] == 3
        assert kinds["refused"] == {
            "row": 4, "reason": "has nothing in “query”, which the processor needs"
        }  # fmt: skip
        assert states(job) == ["pending", "rejected", "pending", "rejected"]

    def test_it_is_whole_after_a_reader_died(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=2):
            job = loaded(self.alice, "id,query\n1,tea\n2\n1,rum\n3,\n", processor="rewrite-query", start=False)
            report = job.report
            Shard.objects.filter(job=job, number=1).delete()
            Item.objects.filter(job=job, position__gte=2).delete()
            Job.objects.filter(pk=job.pk).update(state=JobState.LOADING, total=2, report={})
            importer.load(job)
        job.refresh_from_db()
        assert job.report == report
