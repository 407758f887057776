"""The administrators' place: looking, acting, and the history of who did what."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job, JobState, Worker
from tests.base import People, csv_of, loaded, states, worked

URL = "/admin/jobs/job/"


def failing(at: int) -> str:
    return "fail:Broken" if at % 4 == 1 else "ok"


class AdminCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.sam)

    def act(self, action: str, *jobs: Job) -> list[str]:
        """Chooses the action for these jobs and returns what is said."""
        answer = self.client.post(URL, {"action": action, "_selected_action": [job.pk for job in jobs]})
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
        worked(self.alice, csv_of(8, failing))
        body = self.client.get(URL).content.decode()
        assert "Finished with failures" in body
        assert '<progress max="100" value="75"></progress> 6' in body
        assert '<td class="field-failed">2</td>' in body

    def test_it_filters_and_searches(self) -> None:
        finished = worked(self.alice, name="apples.csv")
        loaded(self.bob, name="pears.csv", processor="rewrite-query", text="query\na\n")
        assert self.found(state__exact="finished") == {"apples.csv"}
        assert self.found(processor="rewrite-query") == {"pears.csv"}
        assert self.found(owner__id__exact=self.bob.pk) == {"pears.csv"}
        assert self.found(q="apples") == self.found(q=finished.code) == {"apples.csv"}

    def test_it_sorts_by_counts(self) -> None:
        worked(self.alice, csv_of(2), name="few.csv")
        worked(self.alice, csv_of(9), name="many.csv")
        answer = self.client.get(URL, {"o": "-5"})
        assert [job.name for job in answer.context["cl"].result_list] == ["many.csv", "few.csv"]

    def test_it_asks_as_many_questions_for_20_jobs_as_for_2(self) -> None:
        asked = []
        for count in (2, 18):
            for _ in range(count):
                loaded(self.alice)
            with CaptureQueriesContext(connection) as queries:
                self.client.get(URL)
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 9

    def test_it_shows_every_page(self) -> None:
        job = worked(self.alice)
        Worker.objects.create(name="w")
        for path in ("/admin/", URL, f"{URL}{job.pk}/change/", f"{URL}{job.pk}/history/", "/admin/jobs/worker/",
                     "/admin/jobs/activity/", "/admin/auth/user/", "/admin/auth/user/add/"):  # fmt: skip
            assert self.client.get(path).status_code == 200, path

    def test_it_shows_the_equation_of_a_job(self) -> None:
        job = worked(self.alice, csv_of(8, failing))
        body = self.client.get(f"{URL}{job.pk}/change/").content.decode()
        assert "8 = 6 succeeded + 2 failed + 0 rejected + 0 running + 0 waiting + 0 not attempted" in body

    def test_it_lets_nobody_write_what_the_system_writes(self) -> None:
        job = worked(self.alice)
        assert self.client.post(f"{URL}{job.pk}/change/", {"name": "x", "total": 0}).status_code == 302
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


class ViewOnlyTests(AdminCase):
    def setUp(self) -> None:
        self.vera = User.objects.create_user("vera", is_staff=True)
        self.vera.user_permissions.add(Permission.objects.get(codename="view_job"))
        self.client.force_login(self.vera)

    def test_it_shows_jobs_to_who_may_look(self) -> None:
        loaded(self.alice)
        body = self.client.get(URL).content.decode()
        assert "rows.csv" in body
        assert 'name="action"' not in body

    def test_it_does_nothing_for_who_may_only_look(self) -> None:
        job = loaded(self.alice)
        for action in ("retry_failed", "pause", "resume", "cancel"):
            self.client.post(URL, {"action": action, "_selected_action": [job.pk]})
        assert self.state(job) == JobState.QUEUED
        assert not LogEntry.objects.exists()


class PeopleTests(AdminCase):
    def test_it_makes_people_who_can_sign_in(self) -> None:
        password = "carol-likes-coffee"
        form = {"username": "carol", "password1": password, "password2": password, "usable_password": "true"}
        assert self.client.post("/admin/auth/user/add/", form).status_code == 302
        self.client.logout()
        assert self.client.login(username="carol", password=password)

    def test_it_changes_somebodys_password(self) -> None:
        password = "bob-likes-coffee"
        form = {"password1": password, "password2": password, "usable_password": "true"}
        assert self.client.post(f"/admin/auth/user/{self.bob.pk}/password/", form).status_code == 302
        assert self.client.login(username="bob", password=password)
