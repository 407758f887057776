"""The numbers of a job: they add up, they are few queries, and the sentences are right."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import actions as jobs_actions
from jobs import tasks
from jobs.live import frame as live_frame
from jobs.models import Job, JobState, Shard, Worker
from tests.base import People, csv_of, loaded, make_job, worked

PARTS = ("succeeded", "failed", "rejected", "running", "waiting", "not_attempted")
MIXED = {0: "fail:Broken", 1: "fail:Broken", 2: "fail:Other"}


def mixed(at: int) -> str:
    return MIXED.get(at, "ok")


class EquationTests(People):
    def parts(self, job: Job) -> dict[str, int]:
        frame = live_frame.stats(job)
        assert frame["total"] == sum(frame["counts"][name] for name in PARTS)
        return {name: frame["counts"][name] for name in PARTS if frame["counts"][name]}

    def put(self, job: Job, state: JobState, **shard: Any) -> Job:
        Job.objects.filter(pk=job.pk).update(state=state)
        Shard.objects.filter(job=job).update(**shard)
        job.refresh_from_db()
        return job

    def test_it_adds_up_before_the_file_was_read(self) -> None:
        assert self.parts(make_job(self.alice)) == {}

    def test_it_adds_up_while_the_file_is_read(self) -> None:
        job = self.put(loaded(self.alice, csv_of(5)), JobState.LOADING)
        Job.objects.filter(pk=job.pk).update(total=3)  # read before the shard was added
        job.refresh_from_db()
        assert self.parts(job) == {"waiting": 5}

    def test_it_adds_up_in_every_state(self) -> None:
        job = loaded(self.alice, csv_of(6) + "\x00broken\n")
        for state in JobState:
            parts = self.parts(self.put(job, state))
            assert sum(parts.values()) == 6 + parts.get("rejected", 0), state

    def test_it_counts_what_is_running(self) -> None:
        job = self.put(loaded(self.alice, csv_of(6)), JobState.RUNNING, running=2, token="t")
        assert self.parts(job) == {"running": 2, "waiting": 4}

    def test_it_never_counts_more_running_than_are_left(self) -> None:
        job = self.put(loaded(self.alice, csv_of(6)), JobState.RUNNING, running=9, token="t")
        assert self.parts(job) == {"running": 6}

    def test_it_counts_retrying_ones_among_the_waiting(self) -> None:
        job = self.put(loaded(self.alice, csv_of(6)), JobState.RUNNING, retrying=4, running=3, token="t")
        counts = live_frame.stats(job)["counts"]
        assert (counts["waiting"], counts["retrying"]) == (3, 3)

    def test_it_calls_the_rest_of_an_ended_job_not_attempted(self) -> None:
        job = self.put(loaded(self.alice, csv_of(6)), JobState.CANCELLED, running=1, token="t")
        assert self.parts(job) == {"running": 1, "not_attempted": 5}

    def test_it_adds_up_after_failures(self) -> None:
        assert self.parts(worked(self.alice, csv_of(6, mixed))) == {"succeeded": 3, "failed": 3}


class FrameTests(People):
    def test_it_has_the_shape_that_pages_expect(self) -> None:
        frame = live_frame.stats(worked(self.alice, csv_of(6, mixed)))
        assert list(frame) == [
            "t", "job", "from", "seq", "state", "label", "trial", "running", "throttled", "run",
            "readings", "counts", "total", "rate", "eta", "reason", "why",
             "elapsed", "p50", "p95", "attempts", "name", "file", "processor", "settings", "limit",
            "started", "ended", "activity", "points", "rows", "causes", "more_causes", "accepted",
            "actions",
        ]  # fmt: skip
        json.dumps(frame, allow_nan=False)

    def test_it_tells_which_run_and_which_reading_it_is_of(self) -> None:
        job, seen = loaded(self.alice, start=False), []
        first = partial(jobs_actions.trial, job, count=1)
        for step in (first, first, partial(jobs_actions.change, job)):
            seen.append(self.told(job))
            step()
            tasks.work()
        tasks.load_file(job.pk)
        assert [*seen, self.told(job)] == [("ready", 0, 0), ("ready", 1, 0), ("ready", 2, 0), ("ready", 0, 1)]

    def told(self, job: Job) -> tuple[str, int, int]:
        job.refresh_from_db()
        frame = live_frame.stats(job)
        return frame["state"], frame["run"], frame["readings"]

    def test_it_lists_causes_most_frequent_first(self) -> None:
        causes = live_frame.stats(worked(self.alice, csv_of(6, mixed)))["causes"]
        assert [(cause["kind"], cause["count"]) for cause in causes] == [("Broken", 2), ("Other", 1)]

    def test_it_names_the_newest_attempts(self) -> None:
        rows = live_frame.stats(worked(self.alice, csv_of(40)))["rows"]
        assert len(rows) == live_frame.NEWEST
        assert set(rows[0]) >= {"row", "state", "result", "error", "attempts", "seconds"}

    def test_it_asks_few_questions_whatever_the_size(self) -> None:
        asked = []
        for rows in (3, 60):
            job = loaded(self.alice, csv_of(rows))
            with CaptureQueriesContext(connection) as queries:
                live_frame.stats(job)
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 8

    def test_it_is_quick_with_a_thousand_shards(self) -> None:
        job = loaded(self.alice, csv_of(1))
        (shard,) = Shard.objects.filter(job=job)
        histogram = (7).to_bytes(4, sys.byteorder) * 160
        Shard.objects.filter(pk=shard.pk).update(histogram=histogram)
        Shard.objects.bulk_create(
            Shard(job=job, number=at, start=at, stop=at + 1, cells=b"\0", pending=1, histogram=histogram)
            for at in range(1, 1000)
        )
        # A reading is due every quarter of a second. Unpacked one by one the histograms would take 160,000 steps.
        steps = Counter[str]()

        def count(frame: Any, event: str, argument: Any) -> None:
            steps[event] += 1

        sys.setprofile(count)
        try:
            live_frame.stats(job)
        finally:
            sys.setprofile(None)
        assert steps.total() < 60_000
        assert live_frame.stats(job)["total"] == 1000

    def test_it_tells_how_long_items_take(self) -> None:
        frame = live_frame.stats(worked(self.alice, csv_of(20)))
        assert frame["p50"] is not None
        assert frame["p95"] is not None
        assert 0 < frame["p50"] <= frame["p95"] < 5

    def test_it_says_what_runs(self) -> None:
        job = loaded(self.alice, csv_of(40))
        began = time.time() - 60
        shard = {"token": "t", "running": 3, "throttled": time.time() + 12}
        Shard.objects.filter(job=job).update(in_flight=json.dumps([[3, began + 9], [7, began], [30, began]]), **shard)

        frame = live_frame.stats(job)

        assert frame["running"] == [3, 4, 23]
        assert frame["throttled"] == pytest.approx(12, abs=1)

    def test_it_says_nothing_of_what_does_not_run(self) -> None:
        frame = live_frame.stats(loaded(self.alice))
        assert (frame["running"], frame["throttled"]) == ([], None)


class FactTests(People):
    def test_it_tells_what_was_done_and_by_whom(self) -> None:
        job = loaded(self.alice)
        jobs_actions.adjust(job, self.sam, workers=20)
        newest, oldest = (live_frame.stats(job)["activity"][at] for at in (0, -1))
        assert (newest["text"], newest["by"]) == ("Changed items at a time from 10 to 20", "sam")
        assert (oldest["text"], oldest["by"]) == ("Created from rows.csv", "alice")
        assert newest["id"] > oldest["id"]

    def test_it_tells_the_newest_of_many(self) -> None:
        job = loaded(self.alice)
        for workers in range(1, 9):
            jobs_actions.adjust(job, workers=workers)
        told = [(one["text"], one["by"]) for one in live_frame.stats(job)["activity"]]
        assert (len(told), told[0]) == (5, ("Changed items at a time from 7 to 8", ""))

    def test_it_tells_how_the_job_runs(self) -> None:
        frame = live_frame.stats(loaded(self.alice, workers=7, rate=2.5, limit_count=3))
        assert (frame["settings"]["workers"], frame["settings"]["rate"]) == (7, 2.5)
        assert (frame["file"], frame["processor"], frame["limit"]) == ("rows.csv", "Simulate work", "3 items fail")

    def test_it_names_a_processor_that_is_gone(self) -> None:
        job = loaded(self.alice)
        job.processor = "no-such"
        assert live_frame.stats(job)["processor"] == "no-such"

    def test_it_tells_when_it_ended(self) -> None:
        assert live_frame.stats(worked(self.alice))["ended"]
        assert live_frame.stats(loaded(self.alice))["ended"] is None


class PaceTests(People):
    def running(self, **shard: Any) -> Job:
        job = loaded(self.alice, csv_of(10))
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, started=timezone.now())
        Shard.objects.filter(job=job).update(**shard)
        job.refresh_from_db()
        return job

    def test_it_tells_rate_and_time_left(self) -> None:
        frame = live_frame.stats(self.running(token="t", rate=4.0, running=2))
        assert (frame["rate"], frame["eta"]) == (4.0, 2.5)

    def test_it_knows_no_time_left_without_a_rate(self) -> None:
        frame = live_frame.stats(self.running(token="t", running=2))
        assert (frame["rate"], frame["eta"]) == (None, None)

    def test_it_knows_no_time_left_while_its_worker_is_silent(self) -> None:
        silent = Worker.objects.create(name="silent", seen=timezone.now() - timedelta(minutes=1))
        frame = live_frame.stats(self.running(token="t", rate=4.0, running=2, worker=silent))
        assert (frame["rate"], frame["eta"]) == (None, None)

    def test_it_knows_no_time_left_while_nobody_can_work(self) -> None:
        frame = live_frame.stats(self.running(token="t", rate=4.0))
        assert (frame["rate"], frame["eta"], frame["why"]) == (None, None, "No worker is running. The job waits.")

    def test_it_counts_only_workers_that_are_heard_of(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=5):
            job = self.running(token="t", rate=4.0, running=1, worker=Worker.objects.create(name="well"))
        silent = Worker.objects.create(name="silent", seen=timezone.now() - timedelta(minutes=1))
        job.shards.filter(number=0).update(worker=silent)
        frame = live_frame.stats(job)
        assert (frame["rate"], frame["eta"]) == (4.0, 2.5)

    def test_it_forgets_the_rate_of_a_worker_that_let_go(self) -> None:
        assert live_frame.stats(self.running(rate=4.0))["rate"] is None


class WhyTests(People):
    def why(self, job: Job) -> str:
        return str(live_frame.stats(job)["why"])

    def worker(self) -> None:
        Worker.objects.create(name="w")

    def test_it_says_that_no_worker_is_connected(self) -> None:
        Worker.objects.create(name="gone", seen=timezone.now() - timedelta(minutes=1))
        said = re.compile(r"No worker is running; the last one was seen 6\d s ago\. The job waits\.")
        assert said.fullmatch(self.why(loaded(self.alice)))
        assert self.why(make_job(self.alice)) == "No worker is running. The job waits."

    def test_it_says_how_many_are_ahead(self) -> None:
        self.worker()
        jobs = [loaded(self.alice) for _ in range(3)]
        assert [self.why(job) for job in jobs] == [
            "Queued, 1st in line.", "Queued, 2nd in line.", "Queued, 3rd in line."
        ]  # fmt: skip

    def test_it_says_that_attempts_wait(self) -> None:
        self.worker()
        job = loaded(self.alice, csv_of(4))
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
        Shard.objects.filter(job=job).update(retrying=4)
        job.refresh_from_db()
        assert self.why(job) == "What is left waits for its next attempt."

    def test_it_says_that_others_have_their_turn(self) -> None:
        self.worker()
        job = loaded(self.alice, csv_of(4))
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
        job.refresh_from_db()
        assert self.why(job) == "Other jobs have their turn."

    def test_it_has_nothing_to_explain_where_all_is_well(self) -> None:
        for job in (worked(self.alice), loaded(self.alice, start=False)):
            assert self.why(job) == ""


class ActionTests(People):
    def actions(self, job: Job) -> list[str]:
        return list(live_frame.stats(job)["actions"])

    def test_it_offers_what_makes_sense(self) -> None:
        waiting, ready = loaded(self.alice), loaded(self.alice, start=False)
        paused, cancelled = loaded(self.alice), loaded(self.alice)
        jobs_actions.pause(paused)
        jobs_actions.cancel(cancelled)
        assert self.actions(make_job(self.alice)) == ["cancel"]
        assert self.actions(ready) == ["start", "try", "change", "cancel", "adjust"]
        assert self.actions(waiting) == ["pause", "cancel", "adjust"]
        assert self.actions(paused) == ["resume", "cancel", "adjust"]
        assert self.actions(cancelled) == ["resume", "retry", "again"]
        assert self.actions(worked(self.alice)) == ["results", "again"]
        assert self.actions(worked(self.alice, csv_of(3, mixed))) == ["retry", "accept", "results", "correct", "again"]

    def test_it_offers_to_fix_what_failed_or_was_rejected(self) -> None:
        ready = loaded(self.alice, csv_of(3, lambda at: "what" if at else "ok"), start=False)
        assert "correct" not in self.actions(ready)
        assert "correct" in self.actions(worked(self.alice, csv_of(3, lambda at: "what" if at else "ok")))
        stopping = worked(self.alice, csv_of(4, mixed))
        Shard.objects.filter(job=stopping).update(running=1, pending=F("pending") + 1, succeeded=F("succeeded") - 1)
        assert "correct" not in self.actions(stopping)

    def test_it_offers_nothing_to_take_home_of_a_file_that_is_not_read(self) -> None:
        job = worked(self.alice)
        for state in JobState:
            Job.objects.filter(pk=job.pk).update(state=state)
            job.refresh_from_db()
            offered = "results" in self.actions(job)
            assert offered == (state not in (JobState.LOADING, JobState.INVALID)), state

    def test_it_offers_to_undo_a_cancel_while_it_stops_and_no_retry(self) -> None:
        job = loaded(self.alice)
        Shard.objects.filter(job=job).update(running=1, token="t")
        jobs_actions.cancel(job)
        assert self.actions(job) == ["resume", "again"]

    def test_it_offers_results_once_something_was_tried(self) -> None:
        job = loaded(self.alice)
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, started=timezone.now())
        job.refresh_from_db()
        assert "results" not in self.actions(job)
        Shard.objects.filter(job=job).update(succeeded=1, pending=4)
        assert "results" in self.actions(job)


class LabelTests(People):
    def label(self, job: Job) -> str:
        return str(live_frame.stats(job)["label"])

    def test_it_tells_how_a_job_ended(self) -> None:
        assert self.label(worked(self.alice)) == "Finished"
        assert self.label(worked(self.alice, csv_of(5, mixed))) == "Finished with failures"
        assert self.label(worked(self.alice, csv_of(2, mixed))) == "Failed"

    def test_it_says_while_a_job_still_stops(self) -> None:
        job = loaded(self.alice)
        Shard.objects.filter(job=job).update(running=1, token="t")
        jobs_actions.pause(job)
        assert self.label(job) == "Pausing"
        jobs_actions.cancel(job)
        assert self.label(job) == "Cancelling"


class WordsTests(People):
    def test_it_counts_in_words(self) -> None:
        assert [jobs_actions.queued_again(n) for n in (1, 2, 1234)] == [
            "1 item queued again.", "2 items queued again.", "1,234 items queued again."
        ]  # fmt: skip
