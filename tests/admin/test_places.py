"""Items, causes, workers and activity in the admin, and what all its pages ask the database."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.items import search
from jobs.models import Job, JobState, Shard, Worker
from tests.admin.test_admin import AdminCase, failing
from tests.base import csv_of, loaded, states, worked

ITEMS = "/admin/jobs/item/"
CAUSES = "/admin/jobs/cause/"
WORKERS = "/admin/jobs/worker/"


def two_ways(at: int) -> str:
    return {1: "fail:Broken", 2: "fail:Lost"}.get(at % 4, "ok")


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


class ItemTests(AdminCase):
    def rows(self, job: Job, **query: Any) -> list[int]:
        answer = self.client.get(ITEMS, {"job": job.code, **query})
        assert answer.status_code == 200
        return [item["row"] for item in answer.context["items"]]

    def test_it_asks_for_a_job_first(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        for address in (ITEMS, f"{ITEMS}?job=nothing", f"{ITEMS}?job__id__exact=x"):
            page = self.client.get(address)
            self.assertContains(page, "Choose a job")
            self.assertContains(page, f"?job={job.code}")

    def test_it_lists_the_items_of_a_job_by_code_or_key(self) -> None:
        job = worked(self.alice, csv_of(8))
        assert self.rows(job) == list(range(1, 9))
        page = self.client.get(ITEMS, {"job__id__exact": job.pk})
        assert len(page.context["items"]) == 8

    def test_it_filters_by_state_and_cause(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        lost = job.causes.get(kind="Lost")
        assert self.rows(job, state="failed") == [2, 3, 6, 7]
        assert self.rows(job, state="failed", cause=lost.pk) == [3, 7]
        assert self.rows(job, state="succeeded") == [1, 4, 5, 8]

    def test_it_searches_the_errors(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        assert self.rows(job, q="Lost") == [3, 7]
        assert self.rows(job, q="#6")[0] == 6

    def test_it_pages_by_the_neighbour(self) -> None:
        job = worked(self.alice, csv_of(120))
        seen: list[list[int]] = []
        query = f"job={job.code}"
        while query:
            page = self.client.get(f"{ITEMS}?{query}")
            seen.append([item["row"] for item in page.context["items"]])
            query = page.context["next"] and f"job={job.code}&{page.context['next']}"
        assert [len(rows) for rows in seen] == [search.PAGE, search.PAGE, 20]
        assert [row for rows in seen for row in rows] == list(range(1, 121))

    def test_it_shows_all_of_an_item(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        item = job.items.get(position=1)
        page = self.client.get(f"{ITEMS}{item.pk}/change/")
        for words in (
            "Row 2 of",
            "Broken: A simulated failure.",
            "Attempt 1 of first run",
            f"/jobs/{job.code}/items/2/",
        ):
            self.assertContains(page, words)
        self.assertContains(page, json.loads(item.payload)[0])

    def test_it_shows_an_item_only(self) -> None:
        item = worked(self.alice).items.get(position=1)
        assert self.client.post(f"{ITEMS}{item.pk}/change/", {"payload": "x"}).status_code == 405
        for path in (f"{ITEMS}add/", f"{ITEMS}{item.pk}/delete/"):
            assert self.client.post(path).status_code == 403
        for path in (f"{ITEMS}0/change/", f"{ITEMS}x/change/"):
            assert self.client.get(path).status_code == 404

    def order(self, job: Job, action: str, *rows: int, query: str = "", **more: Any) -> Any:
        chosen = [row - 1 for row in rows]
        address = f"{ITEMS}?job={job.code}{query}"
        return self.client.post(address, {"action": action, "_selected_action": chosen} | more)

    def test_it_asks_before_it_retries(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        self.assertContains(self.order(job, "retry", 1, 2, 3), "Retry 2 items of rows.csv?")
        self.assertContains(self.order(job, "retry_all"), "Retry 4 items of rows.csv?")
        lost = job.causes.get(kind="Lost")
        self.assertContains(self.order(job, "retry_all", query=f"&cause={lost.pk}"), "Retry 2 items of rows.csv?")
        assert set(states(job)) == {"succeeded", "failed"}

    def test_it_wants_items_chosen(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        for action in ("retry", "accept", "nonsense_all"):
            assert said(self.order(job, action, sure="yes")) == ["Choose items first."]
            self.client.get(ITEMS)

    def test_it_retries_the_chosen_items(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        assert said(self.order(job, "retry", 1, 3, sure="yes")) == ["1 item queued again."]
        assert states(job)[:4] == ["succeeded", "failed", "pending", "succeeded"]
        assert LogEntry.objects.get().object_id == str(job.pk)

    def test_it_retries_all_of_a_cause(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        lost = job.causes.get(kind="Lost")
        assert said(self.order(job, "retry_all", query=f"&cause={lost.pk}", sure="yes")) == ["2 items queued again."]
        assert states(job).count("pending") == 2

    def test_it_accepts_and_takes_it_back(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        assert said(self.order(job, "accept", 2, 3)) == ["2 items accepted."]
        assert job.items.exclude(accepted=None).count() == 2
        self.client.get(ITEMS)
        assert said(self.order(job, "unaccept", 3)) == ["1 item no longer accepted."]
        assert [item.row for item in job.items.exclude(accepted=None)] == [2]

    def test_it_obeys_nobody_who_may_only_look(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        vera = User.objects.create_user("vera", is_staff=True)
        self.client.force_login(vera)
        assert 'name="action"' not in self.client.get(f"{ITEMS}?job={job.code}").content.decode()
        assert self.order(job, "retry_all", sure="yes").status_code == 403
        assert states(job).count("failed") == 2


class CauseTests(AdminCase):
    def order(self, action: str, *causes: Any, **more: Any) -> Any:
        return self.client.post(CAUSES, {"action": action, "_selected_action": [one.pk for one in causes]} | more)

    def test_it_lists_the_largest_first(self) -> None:
        jobs = [worked(self.alice, csv_of(count, failing), name=f"{count}.csv") for count in (4, 16, 8)]
        found = self.client.get(CAUSES).context["cl"].result_list
        assert [(cause.job.name, cause.count) for cause in found] == [("16.csv", 4), ("8.csv", 2), ("4.csv", 1)]
        of_one = self.client.get(CAUSES, {"job__id__exact": jobs[2].pk}).context["cl"].result_list
        assert [cause.job for cause in of_one] == [jobs[2]]

    def test_it_shows_one(self) -> None:
        cause = worked(self.alice, csv_of(8, failing)).causes.get()
        self.assertContains(self.client.get(f"{CAUSES}{cause.pk}/change/"), "A simulated failure.")
        assert self.client.post(f"{CAUSES}{cause.pk}/change/", {"count": 9}).status_code == 403

    def test_it_retries_once_it_is_sure(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        lost = job.causes.get(kind="Lost")
        self.assertContains(self.order("retry", lost), "Retry 2 items of 1 cause?")
        assert states(job).count("failed") == 4
        assert said(self.order("retry", lost, sure="yes")) == ["rows.csv, Lost: 2 items queued again."]
        assert states(job).count("failed") == 2

    def test_it_accepts_a_cause(self) -> None:
        job = worked(self.alice, csv_of(8, two_ways))
        lost = job.causes.get(kind="Lost")
        assert said(self.order("accept", lost)) == ["rows.csv, Lost: 2 items accepted."]
        lost.refresh_from_db()
        assert (lost.count, lost.accepted) == (2, 2)


class WorkerTests(AdminCase):
    def shown(self, **query: str) -> dict[str, Any]:
        return {worker.name: worker for worker in self.client.get(WORKERS, query).context["cl"].result_list}

    def test_it_shows_what_each_is_at(self) -> None:
        busy, idle = Worker.saw("busy:1", 4), Worker.saw("idle:2", 4)
        for job in (loaded(self.alice, name="a.csv"), loaded(self.bob, name="b.csv")):
            fields = {"token": "t", "worker": busy, "running": 3, "share": 5, "rate": 2.5}
            Shard.objects.filter(job=job).update(**fields)
        load = self.shown()["busy:1"].load
        assert (load.running, load.share, load.rate) == (6, 10, 5.0)
        assert sorted(load.jobs.values()) == ["a.csv", "b.csv"]
        assert not self.shown()[idle.name].load.jobs

    def test_it_shows_who_reads_a_file(self) -> None:
        Worker.saw("reader:1", queues="load")
        job = loaded(self.alice)
        Job.objects.filter(pk=job.pk).update(state=JobState.LOADING, load_worker="reader:1")
        assert self.shown()["reader:1"].load.jobs == {job.pk: "rows.csv"}

    def test_it_says_who_is_gone(self) -> None:
        Worker.saw("here:1")
        Worker.objects.create(name="gone:2", seen=timezone.now() - timedelta(hours=3))
        body = self.client.get(WORKERS).content.decode()
        assert re.findall('data-state="([a-z]+)">(Alive|Gone)', body) == [("succeeded", "Alive"), ("cancelled", "Gone")]
        assert list(self.shown(alive="yes")) == ["here:1"]
        assert list(self.shown(alive="no")) == ["gone:2"]


class ActivityTests(AdminCase):
    def test_it_lists_who_did_what(self) -> None:
        job = worked(self.alice)
        found = self.client.get("/admin/jobs/activity/").context["cl"].result_list
        assert [activity.verb for activity in found] == ["finish", "start", "create"]
        of_kind = self.client.get("/admin/jobs/activity/", {"verb": "start", "job__id__exact": str(job.pk)})
        assert [activity.verb for activity in of_kind.context["cl"].result_list] == ["start"]


class QuestionTests(AdminCase):
    """What the pages ask the database: few questions, as many for many rows, and never for the number of items."""

    COUNTING = re.compile(r'COUNT\(.*FROM "jobs_(item|attempt|batch)"', re.IGNORECASE)

    def asked(self, path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = self.client.get(path)
        assert answer.status_code == 200, path
        counting = [query["sql"] for query in queries if self.COUNTING.search(query["sql"])]
        assert counting == [], path
        return len(queries)

    def paths(self, job: Job) -> list[str]:
        item = job.items.get(position=1)
        one = f"{ITEMS}?job={job.code}"
        return [
            "/admin/", "/admin/jobs/job/", "/admin/jobs/job/?q=rows", "/admin/jobs/job/?o=-5",
            "/admin/jobs/job/?state__exact=finished", f"/admin/jobs/job/{job.pk}/change/",
            f"/admin/jobs/job/{job.pk}/history/", ITEMS, one, f"{one}&state=failed", f"{one}&q=Broken",
            f"{ITEMS}{item.pk}/change/", CAUSES, f"{CAUSES}{job.causes.get().pk}/change/", WORKERS,
            "/admin/jobs/activity/", "/admin/auth/user/", "/admin/auth/user/add/", "/admin/auth/group/",
            f"/admin/auth/user/{self.alice.pk}/change/",
        ]  # fmt: skip

    def test_it_asks_no_more_for_more(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        Worker.saw("w:1")
        few = {path: self.asked(path) for path in self.paths(job)}
        for at in range(12):
            worked(User.objects.create(username=f"p{at}"), csv_of(40, failing), name="rows.csv")
            Worker.saw(f"w{at}:1")
        many = {path: self.asked(path) for path in self.paths(job)}
        # The first request may ask for content types besides, which are kept.
        assert {path: count for path, count in many.items() if count > few[path]} == {}
        assert {path: count for path, count in many.items() if count > 15} == {}

    def test_it_counts_no_further_than_anybody_pages(self) -> None:
        worked(self.alice)
        with CaptureQueriesContext(connection) as queries:
            self.client.get("/admin/jobs/activity/")
        counts = [query["sql"] for query in queries if "COUNT(*)" in query["sql"]]
        assert counts
        assert all("LIMIT 10000" in sql for sql in counts)
