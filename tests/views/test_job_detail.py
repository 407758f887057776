"""The list, the page of a job, its items: what they show, in how many queries, and how they take odd questions."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from django.contrib.messages import get_messages
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.items import search
from jobs.models import Item, Job, JobState
from jobs.views import items
from tests.base import People, csv_of, loaded, make_job, worked


def failing(at: int) -> str:
    return "fail:Broken" if at % 3 == 0 else "ok"


class PageCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def context(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, query)
        assert answer.status_code == 200, answer
        return answer.context


class ListTests(PageCase):
    def names(self, **query: Any) -> list[str]:
        return [job["name"] for job in self.context("/", **query)["jobs"]]

    def test_it_offers_the_samples_where_there_is_nothing(self) -> None:
        body = self.client.get("/").content.decode()
        assert "No jobs yet" in body
        assert body.count('action="/jobs/sample/"') == 3

    def test_it_shows_the_newest_first(self) -> None:
        for name in ("first", "second", "third"):
            make_job(self.alice, name=f"{name}.csv")
        assert self.names() == ["third.csv", "second.csv", "first.csv"]

    def test_it_pages_by_25(self) -> None:
        for at in range(27):
            make_job(self.alice, name=f"{at}.csv")
        assert len(self.names()) == 25
        assert self.names(page=2) == ["1.csv", "0.csv"]
        for odd in ("0", "-1", "x", "99", "9" * 100):
            assert self.names(page=odd)

    def test_it_counts_the_tabs(self) -> None:
        worked(self.alice, csv_of(3, failing))
        worked(self.alice)
        paused = loaded(self.alice)
        paused.pause()
        tabs = {key: count for key, _, count in self.context("/")["tabs"]}
        assert tabs == {
            "all": 3, "running": 0, "waiting": 0, "paused": 1, "failures": 1, "finished": 2, "cancelled": 0
        }  # fmt: skip

    def test_it_counts_a_job_once_however_many_shards_failed(self) -> None:
        with self.settings(JOBS_SHARD_SIZE=10):
            worked(self.alice, csv_of(40, failing))
        assert ("failures", "With failures", 1) in self.context("/")["tabs"]
        assert len(self.names(tab="failures")) == 1

    def test_it_finds_by_name_file_and_code(self) -> None:
        job = make_job(self.alice, name="Äpfel und Birnen.csv")
        make_job(self.alice, name="other.csv")
        for words in ("birnen", "birnen pfel", job.code, f"#{job.code[:5]}", "  birnen  "):
            assert self.names(q=words) == [job.name], words
        for words in ("birnen other", "%", "\x00", "'; DROP TABLE jobs_job; --"):
            assert job.name not in self.names(q=words) or words == "\x00"

    def test_it_takes_a_tab_that_is_not_there_for_all(self) -> None:
        make_job(self.alice)
        assert len(self.names(tab="nonsense")) == 1

    def test_it_names_the_owner_to_staff(self) -> None:
        make_job(self.alice)
        self.client.force_login(self.sam)
        assert "· alice" in self.client.get("/").content.decode()

    def test_it_asks_as_many_questions_for_25_jobs_as_for_2(self) -> None:
        asked = []
        for count in (2, 23):
            for _ in range(count):
                Job.objects.filter(pk=loaded(self.alice).pk).update(state=JobState.RUNNING)
            with CaptureQueriesContext(connection) as queries:
                self.client.get("/")
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 13

    def test_it_shows_markup_as_text(self) -> None:
        make_job(self.alice, name="<script>alert(1)</script>.csv")
        assert "<script>alert" not in self.client.get("/").content.decode()

    def test_it_has_a_snapshot_in_the_shape_of_the_socket(self) -> None:
        job = worked(self.alice)
        (row,) = self.client.get("/jobs/list.json").json()["rows"]
        assert (row["code"], row["label"], row["done"], row["total"]) == (job.code, "Finished", 5, 5)


class JobPageTests(PageCase):
    def test_it_shows_every_state(self) -> None:
        job = loaded(self.alice)
        for state in JobState:
            Job.objects.filter(pk=job.pk).update(state=state)
            assert self.client.get(job.get_absolute_url()).status_code == 200, state

    def test_it_asks_few_questions_whatever_the_size(self) -> None:
        asked = []
        for rows in (5, 120):
            job = worked(self.alice, csv_of(rows, failing))
            with CaptureQueriesContext(connection) as queries:
                self.client.get(job.get_absolute_url())
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 15

    def test_it_says_what_came_of_a_verb(self) -> None:
        broken, job = worked(self.alice, csv_of(1, failing)), loaded(self.alice)
        said = [self.said(f"/jobs/{job.code}/{verb}/") for verb in ("pause", "pause", "resume", "cancel", "start")]
        said += [self.said(f"/jobs/{broken.code}/retry/") for _ in range(2)]
        assert said == [
            "Paused. What is in flight is still recorded.",
            "Only a job that waits or runs can be paused.",
            "Resumed.",
            "Cancelled. The results so far are kept.",
            "Only a job that is ready can be started.",
            "1 item queued again.",
            "There is no failed item to try again.",
        ]

    def said(self, path: str) -> str:
        *_, message = get_messages(self.client.post(path).wsgi_request)
        return str(message)

    def test_it_shows_who_did_what(self) -> None:
        job = loaded(self.alice)
        self.client.post(f"/jobs/{job.code}/pause/")
        activity = self.context(job.get_absolute_url())["activities"][0]
        assert (activity.verb, activity.by) == ("pause", self.alice)

    def test_it_shows_a_job_whose_processor_is_gone(self) -> None:
        job = worked(self.alice)
        Job.objects.filter(pk=job.pk).update(processor="retired")
        assert "retired" in self.client.get(job.get_absolute_url()).content.decode()


class ItemsTests(PageCase):
    def setUp(self) -> None:
        super().setUp()
        self.job = worked(self.alice, csv_of(120, failing))
        self.path = f"/jobs/{self.job.code}/"

    def rows(self, **query: Any) -> list[int]:
        return [item["row"] for item in self.context(self.path, **query)["items"]]

    def follow(self, query: str) -> Any:
        """The page that a link of the table leads to."""
        return self.context(f"{self.path}items/?{query}")

    def test_it_pages_forth_and_back(self) -> None:
        context = self.context(self.path)
        seen = [item["row"] for item in context["items"]]
        while context["next"]:
            context = self.follow(context["next"])
            seen += [item["row"] for item in context["items"]]
        assert seen == list(range(1, 121))
        assert self.rows(before=101) == list(range(51, 101))
        assert self.rows(before=51) == list(range(1, 51))

    def test_it_shows_more_rows_on_one_page(self) -> None:
        first = self.context(self.path)
        assert first["more"] == "more=100"
        body = self.client.get(self.path).content.decode()
        assert f'href="{self.path}?more=100#items"' in body
        longer = self.follow(first["more"])
        assert [item["row"] for item in longer["items"]] == list(range(1, 121))
        assert (longer["more"], longer["next"]) == ("", "")
        for odd in ("7", "-100", "600", "1e2", "x"):
            assert self.rows(more=odd) == list(range(1, 51)), odd

    def test_it_offers_no_more_rows_before_those_of_a_page(self) -> None:
        assert self.context(self.path, before=101)["more"] == ""

    def test_it_knows_where_the_ends_are(self) -> None:
        first, last = self.context(self.path), self.context(self.path, after=100)
        assert (first["previous"], first["next"]) == ("", f"after={items.PAGE}")
        assert (last["previous"], last["next"]) == ("before=101", "")
        back = self.context(self.path, before=51)
        assert (back["previous"], back["next"]) == ("", "after=50")

    def test_it_shows_one_state(self) -> None:
        assert self.rows(state="failed")[:3] == [1, 4, 7]
        assert len(self.rows(state="succeeded")) == items.PAGE
        assert self.rows(state="rejected") == self.rows(state="waiting") == []

    def test_it_shows_one_cause(self) -> None:
        cause = self.job.causes.get()
        assert self.rows(cause=cause.pk)[:2] == [1, 4]
        assert self.rows(cause=cause.pk + 1) == []

    def test_it_takes_odd_questions_for_none(self) -> None:
        for name, odd in (("state", "odd"), ("after", "x"), ("before", "-1"), ("cause", "9" * 30), ("after", "9" * 30)):
            query = {name: odd}
            assert len(self.rows(**query)) == items.PAGE, query

    def test_it_draws_nothing_twice(self) -> None:
        ids = re.findall(r'\sid="([^"]+)"', self.client.get(self.path).content.decode())
        assert sorted(ids) == sorted(set(ids))

    def test_it_gives_the_table_alone(self) -> None:
        body = self.client.get(f"{self.path}items/").content.decode()
        assert body.count("data-position=") == items.PAGE
        assert "<html" not in body

    def test_it_tells_the_page_the_address_of_what_it_shows(self) -> None:
        query = {"state": "failed", "q": "", "from": "", "to": "2", "sort": "-seconds", "cause": ""}
        answer = self.client.get(f"{self.path}items/", query)
        assert answer["HX-Push-Url"] == f"{self.path}?state=failed&to=2&sort=-seconds"
        assert self.client.get(f"{self.path}items/", {"state": ""})["HX-Push-Url"] == self.path

    def test_it_keeps_what_is_looked_for_on_every_way(self) -> None:
        context = self.context(self.path, state="succeeded", q="item", sort="-seconds")
        ways = {segment["name"]: segment["query"] for segment in context["segments"]}
        assert ways["failed"] == "state=failed&q=item&sort=-seconds"
        assert context["next"].startswith("state=succeeded&q=item&sort=-seconds&after=")
        heads = {name: (head["query"], head["way"]) for name, head in context["heads"].items()}
        assert heads["seconds"] == ("state=succeeded&q=item&sort=seconds", "descending")
        assert heads["attempts"] == ("state=succeeded&q=item&sort=-attempts", "")

    def test_it_says_what_it_shows(self) -> None:
        said = [
            self.context(self.path, **query)["said"]
            for query in ({}, {"state": "failed"}, {"q": "item 7"}, {"q": "#100"}, {"q": "nowhere"})
        ]
        assert said == ["Rows 1 to 50 of 120", "40 shown of 40", "11 shown", "Rows 100 to 120 of 120", ""]

    def test_it_says_that_there_is_no_such_row(self) -> None:
        assert "There is no row 4,711. This job has 120." in self.client.get(self.path, {"q": "#4711"}).content.decode()

    def test_it_says_what_can_be_sorted(self) -> None:
        with patch.object(search, "SORTABLE", 30), patch.object(items, "SORTABLE", 30):
            body = self.client.get(self.path, {"sort": "-seconds"}).content.decode()
            few = self.client.get(self.path, {"q": "#100"}).content.decode()
        assert "needs a filter that leaves at most 30 rows" in body
        assert 'id="sort-time"' not in body
        assert few

    def test_it_shows_the_newest_while_the_job_runs(self) -> None:
        Job.objects.filter(pk=self.job.pk).update(state=JobState.RUNNING)
        context = self.context(self.path)
        assert (context["newest"], len(context["items"])) == (True, items.SAMPLE)
        rows = [item["row"] for item in context["items"]]
        assert {item["label"] for item in context["items"]} == {f"item {row - 1}" for row in rows}
        assert all(item["finished"] for item in context["items"])
        assert self.context(f"{self.path}items/")["newest"]
        assert not self.context(self.path, state="all")["newest"]
        assert not self.context(self.path, after=50)["newest"]

    def test_it_asks_as_much_of_the_database_for_any_filter(self) -> None:
        for query in ({"state": "failed"}, {"state": "not_succeeded"}, {"q": "item"}, {"sort": "-seconds"}):
            with CaptureQueriesContext(connection) as queries:
                self.client.get(f"{self.path}items/", query)
            asked = [one["sql"] for one in queries if "SAVEPOINT" not in one["sql"]]  # of the test's own transaction
            assert len(asked) <= 9, query

    def test_it_gives_an_item_alone_to_the_drawer(self) -> None:
        path = f"{self.path}items/4/"
        part, page = self.client.get(path, headers={"HX-Request": "true"}), self.client.get(path)
        assert "<html" not in part.content.decode()
        assert '<h2 id="drawer-title"' in part.content.decode()
        assert "<h1>Row 4</h1>" in page.content.decode()
        assert "HX-Request" in part["Vary"]
        assert "HX-Request" in page["Vary"]

    def test_it_shows_one_item(self) -> None:
        context = self.context(f"{self.path}items/4/")
        assert context["shown"]["state"] == "failed"
        assert context["cells"] == [("name", "item 3"), ("simulate", "fail:Broken")]
        assert (context["previous"], context["next"]) == (3, 5)
        assert (context["previous_failed"], context["next_failed"]) == (1, 7)
        assert context["alike"].count == 40
        assert [entry.kind for entry in context["timeline"]] == ["Broken"]

    def test_it_knows_the_first_and_the_last_item(self) -> None:
        assert self.context(f"{self.path}items/1/")["previous"] is None
        assert self.context(f"{self.path}items/120/")["next"] is None
        assert self.context(f"{self.path}items/1/")["previous_failed"] is None
        assert self.context(f"{self.path}items/120/")["next_failed"] is None

    def test_it_shows_a_row_that_cannot_be_read(self) -> None:
        Item.objects.filter(job=self.job, position=0).update(payload="not json")
        context = self.context(f"{self.path}items/1/")
        assert context["cells"] == [("name", "not json")]
        assert self.client.get(self.path).status_code == 200

    def test_it_shows_markup_as_text(self) -> None:
        nasty = '"><svg onload=alert(1)>'
        Item.objects.filter(job=self.job, position=0).update(error=nasty, error_kind=nasty, label=nasty, result=nasty)
        for path in (self.path, f"{self.path}items/1/", f"{self.path}items/", f"{self.path}?q={quote(nasty)}"):
            assert "<svg onload" not in self.client.get(path).content.decode()


class ErrorPageTests(PageCase):
    def test_it_says_that_there_is_no_such_page(self) -> None:
        for client in (self.client, Client()):
            answer = client.get("/nothing/here/")
            assert answer.status_code == 404
            assert "There is no such page" in answer.content.decode()

    def test_it_shows_the_page_for_errors_without_anything(self) -> None:
        for page in ("400.html", "403.html", "403_csrf.html", "404.html", "408.html", "413.html", "500.html"):
            assert "batchweb" in render_to_string(page)
