"""Trying some rows first: what is asked for, what comes of it, and what that says about the whole file."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from jobs import actions, tasks
from jobs.items import trial
from jobs.items.row_ranges import InvalidSelection
from jobs.items.trial import row_numbers, summary
from jobs.live import eta, status
from jobs.live import frame as live_frame
from jobs.live.status import SystemStatus
from jobs.models import Item, ItemState, Job, JobState, Run
from jobs.models import counts as models_counts
from tests.base import People, csv_of, loaded, states


def failing(at: int) -> str:
    return "fail:Broken" if at == 1 else "ok"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("3", [3]),
        ("3, 17, 20-25", [3, 17, 20, 21, 22, 23, 24, 25]),
        ("5;4\n4 , 1 – 2", [1, 2, 4, 5]),
        ("1-100", list(range(1, 101))),
    ],
)
def test_it_reads_row_numbers(text: str, rows: list[int]) -> None:
    assert row_numbers(text, 1_000) == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "No rows are named."),
        (" , ", "No rows are named."),
        ("3, x", "“x” names no rows"),
        ("0", "“0” names no rows"),
        ("-3", "“-3” names no rows"),
        ("9-3", "“9-3” names no rows"),
        ("٣", "“٣” names no rows"),
        ("1-101", "A trial takes up to 100 rows; these are 101."),
        ("1-999999999", "There is no row 999,999,999: the job has 1,000."),
        ("1-60, 101-160", "A trial takes up to 100 rows; these are 120."),
    ],
)
def test_it_refuses_what_names_no_rows(text: str, sentence: str) -> None:
    with pytest.raises(InvalidSelection, match="^" + re.escape(sentence)):
        row_numbers(text, 1_000)


class TrialCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def ready(self, text: str = "", **fields: Any) -> Job:
        return loaded(self.alice, text or csv_of(40, failing), start=False, **fields)

    def ask(self, job: Job, **fields: Any) -> str:
        """Orders a trial; what the page says to it."""
        answer = self.client.post(f"/jobs/{job.code}/try/", fields)
        assert answer.status_code == 302
        assert answer["Location"] == job.get_absolute_url()
        job.refresh_from_db()
        return [str(message) for message in get_messages(answer.wsgi_request)][-1]

    def tried(self, job: Job, **fields: Any) -> Job:
        """The job after a trial."""
        self.ask(job, **({"rows": "first"} | fields))
        tasks.work()
        job.refresh_from_db()
        assert job.state == JobState.READY
        return job

    def part(self, job: Job) -> str:
        return self.client.get(f"/jobs/{job.code}/setup/").content.decode()


class OrderTests(TrialCase):
    def test_it_tries_the_first_ten(self) -> None:
        job = self.ready()
        assert self.ask(job, rows="first") == "Trying 10 rows."
        assert (job.state, job.run and job.run.kind) == (JobState.QUEUED, Run.Kind.TRIAL)

    def test_it_tries_as_many_as_were_asked_for(self) -> None:
        job = self.tried(self.ready(), count="3")
        assert states(job)[:4] == ["succeeded", "failed", "succeeded", "pending"]

    def test_it_tries_random_rows(self) -> None:
        job = self.tried(self.ready(), rows="random", count="5")
        assert states(job).count("pending") == 35

    def test_it_tries_chosen_rows(self) -> None:
        job = self.tried(self.ready(), rows="chosen", chosen="3, 17, 20-21")
        done = Item.objects.filter(job=job).exclude(state=ItemState.PENDING).values_list("position", flat=True)
        assert sorted(done) == [2, 16, 19, 20]

    def test_it_says_what_is_wrong_with_chosen_rows(self) -> None:
        job = self.ready()
        assert self.ask(job, rows="chosen", chosen="3, x").startswith("“x” names no rows.")
        assert self.ask(job, rows="chosen", chosen="40, 41") == "There is no row 41: the job has 40."
        assert job.state == JobState.READY

    def test_it_refuses_too_many(self) -> None:
        job = self.ready()
        for count in ("0", "101", "x"):
            assert self.ask(job, rows="first", count=count) == "A trial takes from 1 to 100 rows.", count
        assert job.state == JobState.READY

    def test_it_refuses_an_unknown_choice(self) -> None:
        job = self.ready()
        assert "not one of the available choices" in self.ask(job, rows="last")

    def test_it_refuses_a_job_that_was_started(self) -> None:
        job = loaded(self.alice)
        assert self.ask(job, rows="first").startswith("Rows can be tried only")

    def test_it_is_ordered_by_post_only(self) -> None:
        assert self.client.get(f"/jobs/{self.ready().code}/try/").status_code == 405

    def test_it_refuses_an_order_without_the_token(self) -> None:
        job, strict = self.ready(), Client(enforce_csrf_checks=True)
        strict.force_login(self.alice)
        assert strict.post(f"/jobs/{job.code}/try/", {"rows": "first"}).status_code == 403

    def test_it_takes_no_order_from_others(self) -> None:
        job = self.ready()
        self.client.force_login(self.bob)
        assert self.client.post(f"/jobs/{job.code}/try/", {"rows": "first"}).status_code == 404
        job.refresh_from_db()
        assert job.state == JobState.READY

    def test_it_takes_orders_from_staff(self) -> None:
        job = self.ready()
        self.client.force_login(self.sam)
        assert self.ask(job, rows="first") == "Trying 10 rows."


class ShownTests(TrialCase):
    def test_it_says_that_rows_are_being_tried(self) -> None:
        job = self.ready()
        self.ask(job, rows="first", count="1")
        frame = live_frame.stats(job)
        assert (frame["label"], frame["trial"]) == ("Trying 1 row", 1)
        assert '<b data-v="queued">Trying 1 row</b>' in self.client.get(job.get_absolute_url()).content.decode()

    def test_it_reckons_no_time_left_for_a_trial(self) -> None:
        job = self.ready()
        self.ask(job, rows="first")
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
        job.refresh_from_db()
        assert eta.pace(job, models_counts.summary(job), 4.0) == {"rate": 4.0, "eta": None}

    def test_it_keeps_the_report_open_while_rows_are_tried(self) -> None:
        job = self.ready()
        self.ask(job, rows="first")
        part = self.part(job)
        assert '<section class="card" id="report"' in part
        assert "Try these rows" not in part

    def test_it_says_that_what_is_left_of_a_trial_waits(self) -> None:
        job = self.ready()
        self.ask(job, rows="first", count="2")
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
        job.refresh_from_db()
        counts = models_counts.summary(job) | {"retrying": 1}
        assert status.waits(job, counts, True, SystemStatus()).text == "What is left waits for its next attempt."

    def test_it_offers_no_retry_while_rows_are_tried(self) -> None:
        job = self.tried(self.ready())
        self.ask(job, rows="first")
        assert live_frame.stats(job)["actions"] == ["pause", "cancel", "adjust", "results"]

    def test_it_shows_what_came_of_each_row(self) -> None:
        job = self.tried(self.ready())
        part = self.part(job)
        for text in ("9 succeeded, 1 failed.", "Broken: A simulated failure.", "The whole will take a few seconds.",
                     f'href="/jobs/{job.code}/items/2/"', "Run the rest", "Try again with other settings",
                     "Try 10 more"):  # fmt: skip
            assert text in part, text

    def test_it_shows_the_trial_on_the_page(self) -> None:
        page = self.client.get(self.tried(self.ready()).get_absolute_url()).content.decode()
        assert 'id="trial"' in page
        assert "10 rows tried" in page
        assert 'data-v="start">Run the rest</span>' in page

    def test_it_offers_to_finish_when_all_rows_were_tried(self) -> None:
        job = self.tried(self.ready(csv_of(3)))
        part = self.part(job)
        assert "Finish" in part
        assert "Try these rows" not in part
        assert live_frame.stats(job)["actions"] == ["start", "change", "cancel", "results"]

    def test_it_keeps_the_trial_when_the_rest_runs(self) -> None:
        job = self.tried(self.ready())
        before = Item.objects.get(job=job, position=0).finished
        self.client.post(f"/jobs/{job.code}/start/")
        tasks.work()
        job.refresh_from_db()
        assert job.state == JobState.FINISHED
        assert Item.objects.get(job=job, position=0).finished == before
        assert 'id="trial"' not in self.part(job)


class SummaryTests(TrialCase):
    def test_it_is_nothing_before_a_trial(self) -> None:
        assert summary(self.ready()) is None

    def test_it_holds_the_tried_rows_in_their_order(self) -> None:
        job = self.tried(self.tried(self.ready(), rows="chosen", chosen="30"), count="2")
        found = summary(job)
        assert found
        assert [item.row for item in found.items] == [1, 2, 30]

    def test_it_reckons_the_whole_from_what_the_rows_took(self) -> None:
        job = self.tried(self.ready(workers=2), count="4")
        Item.objects.filter(job=job).exclude(state=ItemState.PENDING).update(seconds=3.0, tries=2)
        found = summary(job)
        assert found
        assert (found.typical, found.whole) == (3.0, 120.0)

    def test_it_does_not_count_bad_rows_into_the_whole(self) -> None:
        job = self.tried(self.ready(csv_of(4) + "only\nthese\n", workers=1), count="1")
        Item.objects.filter(job=job).exclude(state=ItemState.PENDING).update(seconds=1.0, tries=1)
        found = summary(job)
        assert found
        assert found.whole == 4.0

    def test_it_reckons_with_the_rate(self) -> None:
        job = self.tried(self.ready(rate=0.5), count="1")
        found = summary(job)
        assert found
        assert found.whole == 78.0

    def test_it_reckons_with_a_start_for_each_try(self) -> None:
        job = self.tried(self.ready(rate=0.5), count="2")
        Item.objects.filter(job=job).exclude(state=ItemState.PENDING).update(seconds=0.1, tries=3)
        found = summary(job)
        assert found
        assert found.whole == pytest.approx(234.0)

    def test_it_reckons_with_no_more_workers_than_cores_where_they_compute(self) -> None:
        job = self.tried(self.ready(workers=20), count="1")
        Item.objects.filter(job=job).exclude(state=ItemState.PENDING).update(seconds=1.0)
        job.parameters |= {"cpu": 0.1}
        with patch.object(trial, "cores", lambda: 4):
            found = summary(job)
        assert found
        assert found.whole == 10.0

    def test_it_reckons_for_a_processor_that_is_gone(self) -> None:
        job = self.tried(self.ready(workers=20), count="1")
        Item.objects.filter(job=job).exclude(state=ItemState.PENDING).update(seconds=1.0)
        job.processor = "gone"
        found = summary(job)
        assert found
        assert found.whole == 2.0

    def test_it_fetches_no_long_texts(self) -> None:
        job = self.tried(self.ready(label_column="name"), count="1")
        long = "x" * 50_000
        Item.objects.filter(job=job, position=0).update(payload=long, result=long, fallback=long, error=long)
        found = summary(job)
        assert found
        (item,) = found.items
        assert [len(text) for text in (item.payload, item.result, item.fallback, item.error)] == [0, *[10_000] * 3]

    def test_it_knows_no_time_where_none_was_taken(self) -> None:
        job = self.tried(self.ready(), count="1")
        Item.objects.filter(job=job).update(seconds=None)
        found = summary(job)
        assert found
        assert (found.typical, found.whole) == (None, None)

    def test_it_forgets_what_other_settings_discarded(self) -> None:
        job = self.tried(self.ready())
        actions.change(job, self.alice, workers=3)
        tasks.load_file(job.pk)
        job.refresh_from_db()
        assert job.state == JobState.READY
        assert summary(job) is None

    def test_it_takes_two_queries(self) -> None:
        job = self.tried(self.ready())
        with self.assertNumQueries(2):
            summary(job)
