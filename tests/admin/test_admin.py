"""The administrators' place: looking, acting, and the history of who did what."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any
from zipfile import ZipFile

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.utils import timezone

from jobs.export import archive
from jobs.models import Cause, Job, JobState
from tests.base import People, csv_of, loaded, states, worked

URL = "/admin/jobs/job/"


def failing(at: int) -> str:
    return "fail:Broken" if at % 4 == 1 else "ok"


class AdminCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.sam)

    def ask(self, action: str, *jobs: Job, **more: Any) -> Any:
        return self.client.post(URL, {"action": action, "_selected_action": [job.pk for job in jobs]} | more)

    def act(self, action: str, *jobs: Job) -> list[str]:
        """Chooses the action for these jobs, is sure where that is asked, and returns what is said."""
        answer = self.ask(action, *jobs, sure="yes")
        assert answer.status_code == 302, answer
        said = [str(message) for message in get_messages(answer.wsgi_request)]
        self.client.get(URL)  # shows them, so that they are not said again
        return said

    def state(self, job: Job) -> str:
        job.refresh_from_db()
        return job.state


class ListTests(AdminCase):
    def found(self, **query: Any) -> set[str]:
        answer = self.client.get(URL, query)
        assert answer.status_code == 200, answer
        return {job.name for job in answer.context["cl"].result_list}

    def test_it_shows_state_and_counts(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        body = self.client.get(URL).content.decode()
        assert "Finished with failures" in body
        assert '<rect data-state="succeeded" x="0" width="750"' in body
        assert "8 of 8" in body
        assert f'<a href="/admin/jobs/item/?job={job.code}&amp;state=failed">2</a>' in body

    def test_it_filters_and_searches(self) -> None:
        finished = worked(self.alice, name="apples.csv")
        loaded(self.bob, name="pears.csv", processor="rewrite-query", text="query\na\n")
        assert self.found(state__exact="finished") == {"apples.csv"}
        assert self.found(processor="rewrite-query") == {"pears.csv"}
        assert self.found(owner__id__exact=self.bob.pk) == {"pears.csv"}
        assert self.found(q="apples") == self.found(q=finished.code) == {"apples.csv"}

    def test_it_sorts_by_counts(self) -> None:
        worked(self.alice, csv_of(2, failing), name="few.csv")
        worked(self.alice, csv_of(9, failing), name="many.csv")
        for column, first in (("-4", "many.csv"), ("4", "few.csv"), ("-5", "many.csv"), ("5", "few.csv")):
            answer = self.client.get(URL, {"o": column})
            assert answer.context["cl"].result_list[0].name == first, column

    def test_it_says_how_old_a_job_is(self) -> None:
        job = loaded(self.alice)
        Job.objects.filter(pk=job.pk).update(created=timezone.now() - timedelta(seconds=200))
        body = self.client.get(URL).content.decode()
        assert re.search(r'<time datetime="[^"]+" title="[^"]+">3 min</time>', body)

    def test_it_shows_the_equation_of_a_job(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        body = self.client.get(f"{URL}{job.pk}/change/").content.decode()
        text = " ".join(re.sub("<[^>]*>", "", body).split())
        assert "8 = 6 succeeded + 2 failed + 0 rejected + 0 running + 0 waiting + 0 not attempted" in text

    def test_it_lets_nobody_write_what_the_system_writes(self) -> None:
        job = worked(self.alice)
        assert self.client.post(f"{URL}{job.pk}/change/", {"name": "x", "total": 0}).status_code == 405
        job.refresh_from_db()
        assert (job.name, job.total) == ("rows.csv", 5)
        for path in (f"{URL}add/", f"{URL}{job.pk}/delete/"):
            assert self.client.post(path).status_code == 403

    def test_it_shows_no_parameters_of_a_processor_that_it_does_not_know(self) -> None:
        job = worked(self.alice)
        Job.objects.filter(pk=job.pk).update(processor="retired", parameters={"token": "hunter22"})
        body = self.client.get(f"{URL}{job.pk}/change/").content.decode()
        assert "hunter22" not in body
        assert "token" in body


class ActionTests(AdminCase):
    def test_it_retries_exactly_the_failed_items(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        assert self.act("retry_failed", job) == ["rows.csv: 2 items queued again."]
        assert self.state(job) == JobState.QUEUED
        assert states(job) == ["pending" if at % 4 == 1 else "succeeded" for at in range(8)]

    def test_it_acts_on_several_jobs(self) -> None:
        jobs = [loaded(self.alice, name=f"{at}.csv") for at in range(3)]
        for action, said, state in (
            ("pause", "Paused.", JobState.PAUSED),
            ("resume", "Resumed.", JobState.QUEUED),
            ("cancel", "Cancelled.", JobState.CANCELLED),
        ):
            assert self.act(action, *jobs) == [f"{at}.csv: {said}" for at in range(3)]
            assert {self.state(job) for job in jobs} == {state}

    def test_it_says_of_each_job_why_not(self) -> None:
        done, waiting = worked(self.alice, name="done.csv"), loaded(self.alice, name="waiting.csv")
        assert self.act("pause", done, waiting) == [
            "done.csv: Only a job that waits or runs can be paused.", "waiting.csv: Paused."
        ]  # fmt: skip
        assert self.act("retry_failed", done) == ["done.csv: There is no failed item to try again."]

    def test_it_writes_what_was_done_into_the_history(self) -> None:
        job = loaded(self.alice)
        self.act("pause", job)
        self.act("pause", job)  # refused: nothing was done
        self.act("cancel", job)
        entries = LogEntry.objects.order_by("pk").values_list("user", "object_id", "change_message")
        assert list(entries) == [(self.sam.pk, str(job.pk), "Paused."), (self.sam.pk, str(job.pk), "Cancelled.")]
        history = self.client.get(f"{URL}{job.pk}/history/").content.decode()
        assert "Paused." in history
        assert "Cancelled." in history

    def test_it_tells_the_owner_who_did_it(self) -> None:
        job = loaded(self.alice)
        self.act("cancel", job)
        assert job.activities.latest("pk").by == self.sam


class QuestionTests(AdminCase):
    def heading(self, answer: Any) -> str:
        assert answer.status_code == 200
        found = re.search("<h1>(.*?)</h1>", answer.content.decode())
        assert found is not None
        return found[1]

    def test_it_asks_before_it_costs_money(self) -> None:
        jobs = [worked(self.alice, csv_of(count, failing)) for count in (8, 20, 1)]
        answer = self.ask("retry_failed", *jobs)
        assert self.heading(answer) == "Retry 7 items of 2 jobs?"
        self.assertContains(answer, "There is no failed item to try again.")
        assert {self.state(job) for job in jobs} == {JobState.FINISHED}

    def test_it_carries_out_what_was_asked_about(self) -> None:
        jobs = [worked(self.alice, csv_of(count, failing)) for count in (8, 1)]
        body = self.ask("retry_failed", *jobs).content.decode()
        fields = re.findall('<input type="hidden" name="([a-z_]+)" value="([^"]*)">', body)
        sent = {name: [v for n, v in fields if n == name] for name, _ in fields if name != "csrfmiddlewaretoken"}
        assert sent["_selected_action"] == [str(jobs[0].pk)]
        assert self.client.post(URL, sent).status_code == 302
        assert [self.state(job) for job in jobs] == [JobState.QUEUED, JobState.FINISHED]

    def test_it_counts_no_accepted_item(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        Cause.objects.filter(job=job).update(accepted=1)
        assert self.heading(self.ask("retry_failed", job)) == "Retry 1 item of 1 job?"

    def test_it_asks_before_work_is_lost(self) -> None:
        job = loaded(self.alice)
        assert self.heading(self.ask("cancel", job)) == "Cancel 1 job with 5 items?"
        assert self.heading(self.ask("delete_jobs", job)) == "Delete 1 job with 5 items?"
        assert self.state(job) == JobState.QUEUED

    def test_it_says_that_nothing_can_be_done(self) -> None:
        assert self.heading(self.ask("cancel", worked(self.alice))) == "Nothing to do"

    def test_it_shows_a_hostile_name_as_text(self) -> None:
        job = loaded(self.alice, name="<script>x")
        for answer in (self.ask("cancel", job), self.client.get(URL), self.client.get(f"{URL}{job.pk}/change/")):
            assert "<script>x" not in answer.content.decode()
            self.assertContains(answer, "&lt;script&gt;x")


class PageTests(AdminCase):
    def button(self, job: Job, action: str) -> Any:
        """Presses a button on the page of the job."""
        return self.ask(action, job, page=job.pk, index="0", sure="yes")

    def test_it_acts_from_the_page_of_one_job(self) -> None:
        job = loaded(self.alice)
        answer = self.button(job, "pause")
        assert (answer.status_code, answer["Location"]) == (302, f"{URL}{job.pk}/change/")
        assert self.state(job) == JobState.PAUSED

    def test_it_goes_back_to_the_list_from_a_job_that_is_gone(self) -> None:
        assert self.button(loaded(self.alice), "delete_jobs")["Location"] == URL

    def test_it_offers_what_makes_sense(self) -> None:
        offered = {}
        for job in (worked(self.alice, csv_of(8, failing)), worked(self.alice), loaded(self.alice)):
            body = self.client.get(f"{URL}{job.pk}/change/").content.decode()
            offered[job.pk] = re.findall('name="action" value="([a-z_]+)"', body)
        assert list(offered.values()) == [
            ["retry_failed", "delete_jobs"], ["delete_jobs"], ["pause", "cancel", "delete_jobs"]
        ]  # fmt: skip

    def test_it_tells_the_whole_story(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        self.alice.shares.create(job=job, may_act=True, by=self.sam)
        page = self.client.get(f"{URL}{job.pk}/change/")
        (cause,) = job.causes.all()
        for words in (
            "First run", "Created from rows.csv", "Broken: A simulated failure.", "Nothing is wrong with this file.",
            f"/admin/jobs/item/?job={job.code}&amp;state=failed&amp;cause={cause.pk}", f"/jobs/{job.code}/",
            "<b dir=\"auto\">alice</b> may act",
        ):  # fmt: skip
            self.assertContains(page, words)

    def test_it_finds_no_job_that_is_being_deleted(self) -> None:
        job = loaded(self.alice)
        self.act("delete_jobs", job)
        for path in (f"{URL}{job.pk}/change/", f"{URL}999/change/", f"{URL}x/change/"):
            assert self.client.get(path).status_code == 404, path


class ManyTests(AdminCase):
    def test_it_says_each_of_twenty_and_counts_the_rest(self) -> None:
        upload = loaded(self.alice).upload
        Job.objects.bulk_create(Job(upload=upload, owner=self.alice, name=f"{at}", state="queued") for at in range(25))
        said = self.act("pause", *Job.objects.filter(state="queued"))
        assert len(said) == 21
        assert said[-1] == "6 more jobs: Paused."

    def test_it_refuses_more_than_it_can_do_in_a_request(self) -> None:
        upload = loaded(self.alice).upload
        Job.objects.bulk_create(Job(upload=upload, owner=self.alice, name=f"{at}") for at in range(1_001))
        chosen = {"action": "pause", "select_across": "1", "_selected_action": ["1"], "index": "0"}
        answer = self.client.post(URL, chosen)
        said = [str(message) for message in get_messages(answer.wsgi_request)]
        assert said == ["Choose 1,000 jobs at most at a time."]


class ExportTests(AdminCase):
    def test_it_sends_the_file_of_one_job(self) -> None:
        job = worked(self.alice)
        assert self.ask("export", job)["Location"] == f"/jobs/{job.code}/results.csv"

    def test_it_sends_several_in_an_archive(self) -> None:
        answer = self.ask("export", worked(self.alice), worked(self.bob))
        assert (answer["Content-Type"], answer.is_async) == ("application/zip", True)
        assert answer["Content-Disposition"] == 'attachment; filename="results.zip"'

    def test_it_packs_each_ordered_result(self) -> None:
        jobs = [worked(self.alice, csv_of(count, failing)) for count in (3, 5)]
        with ZipFile(io.BytesIO(b"".join(archive.zipped(jobs)))) as packed:
            assert packed.testzip() is None
            texts = [packed.read(name).decode() for name in packed.namelist()]
            assert packed.namelist() == [f"rows-{job.code}-results.csv" for job in jobs]
        assert [len(text.splitlines()) for text in texts] == [4, 6]

    def test_it_packs_piece_by_piece(self) -> None:
        job = worked(self.alice, csv_of(1_000))
        assert len(list(archive.zipped([job]))) > 3


class ViewOnlyTests(AdminCase):
    def setUp(self) -> None:
        self.vera = User.objects.create_user("vera", is_staff=True)
        self.client.force_login(self.vera)

    def test_it_shows_jobs_to_all_staff(self) -> None:
        loaded(self.alice)
        body = self.client.get(URL).content.decode()
        assert "rows.csv" in body
        assert re.findall('<option value="([a-z_]+)"', body) == ["export"]

    def test_it_shows_no_button_to_who_may_only_look(self) -> None:
        body = self.client.get(f"{URL}{loaded(self.alice).pk}/change/").content.decode()
        assert "Live page" in body
        assert 'name="action"' not in body

    def test_it_lets_operators_act(self) -> None:
        self.vera.user_permissions.set([Permission.objects.get(codename="change_job")])
        job = loaded(self.alice)
        assert self.act("pause", job) == ["rows.csv: Paused."]
        assert self.state(job) == JobState.PAUSED

    def test_it_shows_nothing_to_who_is_no_staff(self) -> None:
        self.client.force_login(self.alice)
        job = worked(self.alice, csv_of(8, failing))
        item = job.items.get(position=0)
        for path in (URL, f"{URL}{job.pk}/change/", f"/admin/jobs/item/?job={job.code}",
                     f"/admin/jobs/item/{item.pk}/change/", "/admin/jobs/cause/", "/admin/jobs/worker/",
                     "/admin/jobs/activity/"):  # fmt: skip
            answer = self.client.get(path)
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/"), path

    def test_it_does_nothing_for_who_may_only_look(self) -> None:
        job = loaded(self.alice)
        for action in ("retry_failed", "pause", "resume", "cancel", "delete_jobs"):
            self.ask(action, job, sure="yes")
        assert self.state(job) == JobState.QUEUED
        assert not LogEntry.objects.exists()
