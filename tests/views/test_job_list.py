"""The list of jobs: what is above it, what is found, in which order, and what its line tells."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.live import job_list, throughput
from jobs.models import Job, JobState, Series, Shard, Worker
from jobs.models.series import quarter_of
from tests.base import People, csv_of, loaded, make_job, worked


def failing(at: int) -> str:
    return "fail:Broken" if at % 2 == 0 else "ok"


class ListCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def context(self, **query: Any) -> Any:
        answer = self.client.get("/", query)
        assert answer.status_code == 200, answer
        return answer.context

    def names(self, **query: Any) -> list[str]:
        return [job["name"] for job in self.context(**query)["jobs"]]


class StripTests(ListCase):
    def strip(self) -> Any:
        return self.context()["strip"]

    def test_it_counts_what_runs_and_what_does_not(self) -> None:
        for state in (JobState.RUNNING, JobState.RUNNING, JobState.PAUSED, JobState.QUEUED, JobState.READY):
            Job.objects.filter(pk=loaded(self.alice).pk).update(state=state)
        assert (self.strip()["running"], self.strip()["others"]) == (2, "1 paused, 2 waiting")

    def test_it_says_nothing_of_what_there_is_none(self) -> None:
        worked(self.alice)
        strip = self.strip()
        assert (strip["running"], strip["others"], strip["failed"], strip["failed_in"]) == (0, "", 0, "")

    def test_it_adds_up_what_is_fast_now(self) -> None:
        for rate, token in ((4.5, "a"), (3.0, "b"), (100.0, "")):
            Shard.objects.filter(job=loaded(self.alice)).update(rate=rate, token=token)
        assert self.strip()["rate"] == 7.5

    def test_it_adds_up_what_failed_and_was_not_retried(self) -> None:
        for _ in range(2):
            worked(self.alice, csv_of(6, failing))
        worked(self.alice)
        assert (self.strip()["failed"], self.strip()["failed_in"]) == (6, "in 2 jobs")

    def test_it_adds_up_what_finished_today(self) -> None:
        for _ in range(2):
            worked(self.alice, csv_of(6))
        throughput.sample()
        assert self.strip()["today"] == 12

    def test_it_leaves_out_what_finished_yesterday(self) -> None:
        job = worked(self.alice, csv_of(6))
        throughput.sample()
        yesterday = timezone.localtime() - timedelta(days=1)
        Series.objects.filter(job=job).update(quarters=json.dumps([[quarter_of(yesterday), 6]]))
        assert self.strip()["today"] == 0

    def test_it_is_of_ones_own_jobs(self) -> None:
        worked(self.bob, csv_of(6, failing))
        worked(self.alice)
        throughput.sample()
        assert (self.strip()["failed"], self.strip()["today"]) == (0, 5)
        self.client.force_login(self.sam)
        assert (self.strip()["failed"], self.strip()["today"]) == (3, 11)


class ChoiceTests(ListCase):
    def setUp(self) -> None:
        super().setUp()
        worked(self.alice, csv_of(4), name="beta.csv")
        worked(self.alice, csv_of(6, failing), name="Alpha.csv")
        loaded(self.alice, csv_of(3), name="gamma.csv", start=False)

    def test_it_sorts(self) -> None:
        orders = {
            "newest": ["gamma.csv", "Alpha.csv", "beta.csv"],
            "oldest": ["beta.csv", "Alpha.csv", "gamma.csv"],
            "name": ["Alpha.csv", "beta.csv", "gamma.csv"],
            "failed": ["Alpha.csv", "gamma.csv", "beta.csv"],
            "open": ["gamma.csv", "Alpha.csv", "beta.csv"],
            "nonsense": ["gamma.csv", "Alpha.csv", "beta.csv"],
        }
        assert {sort: self.names(sort=sort) for sort in orders} == orders

    def test_it_sorts_a_job_of_many_shards_once(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=10):
            worked(self.alice, csv_of(40, failing), name="many.csv")
        for sort in job_list.SORTS:
            assert len(self.names(sort=sort)) == 4, sort

    def test_it_sorts_within_a_tab(self) -> None:
        assert self.names(tab="finished", sort="oldest") == ["beta.csv", "Alpha.csv"]

    def test_it_shows_one_processor(self) -> None:
        make_job(self.alice, "query\nwhat is this\n", processor="rewrite-query", name="queries.csv")
        assert self.names(processor="rewrite-query") == ["queries.csv"]
        assert self.context()["processors"] == [
            ("rewrite-query", "Rewrite a search query"),
            ("simulate", "Simulate work"),
        ]
        for odd in ("nonsense", "\x00", "' OR 1=1"):
            assert "queries.csv" not in self.names(processor=odd) or odd == "\x00"

    def test_it_offers_no_choice_of_one_processor(self) -> None:
        assert 'name="processor"' not in self.client.get("/").content.decode()

    def test_it_counts_in_the_tabs_what_the_search_leaves(self) -> None:
        tabs = {key: count for key, _, count in self.context(q="alpha")["tabs"]}
        assert (tabs["all"], tabs["failures"], tabs["waiting"]) == (1, 1, 0)

    def test_it_keeps_what_was_chosen_in_every_link(self) -> None:
        body = self.client.get("/", {"q": "a b", "sort": "name", "page": "1"}).content.decode()
        assert "?q=a+b&amp;sort=name&amp;tab=failures" in body

    def test_it_says_that_nothing_matches(self) -> None:
        body = self.client.get("/", {"q": "<nothing>"}).content.decode()
        assert "No jobs match" in body
        assert "“&lt;nothing&gt;”" in body
        assert "Clear filters" in body

    def test_it_draws_a_small_curve_of_the_rate(self) -> None:
        assert "V20H0Z" not in self.client.get("/").content.decode()
        throughput.sample()
        body = self.client.get("/").content.decode()
        assert body.count("V20H0Z") == 2

    def test_it_says_how_long_jobs_took(self) -> None:
        assert "took " in self.client.get("/", {"tab": "finished"}).content.decode()


class SnapshotTests(ListCase):
    def rows(self, **query: Any) -> Any:
        return self.client.get("/jobs/list.json", query).json()

    def test_it_has_the_rows_of_the_page_that_asks(self) -> None:
        jobs = [make_job(self.alice, name=f"{at}.csv") for at in range(27)]
        assert {row["code"] for row in self.rows(page=2)["rows"]} == {job.code for job in jobs[:2]}
        assert {row["code"] for row in self.rows(q="13.csv")["rows"]} == {jobs[13].code}

    def test_it_has_the_counts_of_the_page_that_asks(self) -> None:
        for at in range(3):
            make_job(self.alice, name=f"{at}.csv")
        assert (self.rows()["tabs"]["all"], self.rows(q="2.csv")["tabs"]["all"]) == (3, 1)

    def test_it_has_what_stands_above_the_list(self) -> None:
        worked(self.alice, csv_of(6, failing))
        assert self.rows()["strip"]["failed"] == 3

    def test_it_has_the_small_curve_and_the_time_it_took(self) -> None:
        worked(self.alice)
        throughput.sample()
        (row,) = self.rows()["rows"]
        assert row["spark"].startswith("M0 ")
        assert row["elapsed"] >= 0

    def test_it_has_no_clock_that_ticks_while_a_job_runs(self) -> None:
        Job.objects.filter(pk=loaded(self.alice).pk).update(state=JobState.RUNNING)
        assert self.rows()["rows"] == self.rows()["rows"]


class StandingTests(ListCase):
    """Jobs that run but do not go on."""

    def put(self, job: Job, **shard: Any) -> Job:
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, started=timezone.now())
        Shard.objects.filter(job=job).update(**{"token": "t", "rate": 4.0, "running": 2} | shard)
        return job

    def row(self, job: Job) -> Any:
        return next(row for row in self.context()["jobs"] if row["code"] == job.code)

    def silent(self) -> Worker:
        return Worker.objects.create(name="silent", seen=timezone.now() - timedelta(minutes=1))

    def test_it_says_that_a_service_asks_to_wait(self) -> None:
        row = self.row(self.put(loaded(self.alice), throttled=time.time() + 60))
        assert (row["label"], row["eta"], row["why"]) == ("Throttled", None, "The service asks to wait.")
        assert '<span class="badge" data-state="throttled">Throttled</span>' in self.client.get("/").content.decode()

    def test_it_forgets_what_a_service_asked_for(self) -> None:
        for past in ({"throttled": time.time() - 1}, {"throttled": time.time() + 60, "token": ""}):
            assert self.row(self.put(loaded(self.alice), **past))["label"] == "Running"

    def test_it_tells_no_time_left_while_the_worker_is_silent(self) -> None:
        row = self.row(self.put(loaded(self.alice), worker=self.silent()))
        assert (row["rate"], row["eta"], row["why"]) == (None, None, "Its worker is silent.")

    def test_it_counts_on_the_workers_that_are_heard_of(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=5):
            job = self.put(loaded(self.alice, csv_of(10)), worker=Worker.objects.create(name="well"))
        job.shards.filter(number=0).update(worker=self.silent())
        row = self.row(job)
        assert (row["rate"], row["eta"], row["why"]) == (4.0, 2.5, "")

    def test_it_asks_no_more_for_more_rows(self) -> None:
        asked, silent = [], self.silent()
        for _ in range(2):
            self.put(loaded(self.alice), throttled=time.time() + 60, worker=silent)
            with CaptureQueriesContext(connection) as queries:
                self.client.get("/")
            asked.append(len(queries))
        assert asked[0] == asked[1]
