"""Who is asked to sign in, and what no address does for anybody; what each person may is in `test_rights`."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import Job
from tests.base import People, csv_of, worked

VERBS = ("start", "try", "adjust", "pause", "resume", "cancel", "retry", "delete", "share", "give", "rename",
         "withdraw", "take", "decline")  # fmt: skip
ASKED = ("correct",)  # acts on a job with something that was sent before
OF_A_JOB = ("detail", "snapshot", "cells", "series", "items", "item", "results", "failed", "problems", "setup",
            "activity", "corrections", "causes")  # fmt: skip
OF_A_PERSON = ("list", "new", "processor_fields", "list_snapshot")
POSTED = ("preview", "uploads", "sample", "hints")


class AccessTests(People):
    job: Job

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.job = worked(cls.alice, csv_of(3, lambda at: "fail:Broken" if at else "ok"))

    def as_(self, person: User | None, **options: Any) -> Client:
        client = Client(**options)
        if person:
            client.force_login(person)
        return client

    def path(self, name: str) -> str:
        more: list[Any] = {"item": [1], "results": ["csv"]}.get(name, [])  # type: ignore[assignment]
        of_a_job = name in (*OF_A_JOB, *VERBS, *ASKED, "change")
        return reverse(f"jobs:{name}", args=[self.job.code, *more] if of_a_job else [])

    def test_it_sends_whoever_is_not_signed_in_to_the_form(self) -> None:
        for name in (*OF_A_JOB, *OF_A_PERSON, "change"):
            answer = self.as_(None).get(self.path(name))
            assert answer.status_code == 302, name
            assert answer["Location"] == f"/accounts/login/?next={self.path(name)}"

    def test_it_lets_nobody_act_without_signing_in(self) -> None:
        for name in (*VERBS, *ASKED, *POSTED, "new", "change"):
            answer = self.as_(None).post(self.path(name))
            assert answer.status_code == 302, name
            assert answer["Location"].startswith("/accounts/login/?next=/"), name

    def test_it_tells_scripts_that_nobody_is_signed_in(self) -> None:
        answer = self.as_(None).get(self.path("snapshot"), headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Sign in to go on."})

    def test_it_takes_a_fragments_whole_page_to_the_form(self) -> None:
        page = f"http://testserver{self.path('detail')}?state=failed#items"
        answer = self.as_(None).get(self.path("items"), headers={"HX-Request": "true", "HX-Current-URL": page})
        assert answer.status_code == 401
        assert answer["HX-Redirect"] == f"/accounts/login/?next={self.path('detail')}%3Fstate%3Dfailed"

    def test_it_returns_to_the_page_and_not_to_the_button(self) -> None:
        page = f"http://testserver{self.path('detail')}"
        answer = self.as_(None).post(self.path("pause"), headers={"Referer": page})
        assert answer["Location"] == f"/accounts/login/?next={self.path('detail')}"

    def test_it_returns_to_no_other_site(self) -> None:
        answer = self.as_(None).post(self.path("pause"), headers={"Referer": "https://evil.example/jobs/"})
        assert answer["Location"] == "/accounts/login/?next=/"

    def test_it_shows_a_deleted_job_to_nobody(self) -> None:
        answer = self.as_(self.alice).post(self.path("delete"))
        assert (answer.status_code, answer["Location"]) == (302, "/")
        for person in (self.alice, self.sam):
            for name in OF_A_JOB:
                assert self.as_(person).get(self.path(name)).status_code == 404, name

    def test_it_lists_only_ones_own_jobs(self) -> None:
        for person, found in ((self.alice, 1), (self.bob, 0), (self.sam, 1)):
            client = self.as_(person)
            assert len(client.get(self.path("list")).context["jobs"]) == found
            assert len(client.get(self.path("list_snapshot")).json()["rows"]) == found

    def test_it_acts_on_no_get(self) -> None:
        for name in (*VERBS, *POSTED):
            # Of a retry the page is asked for that asks back.
            expected = 200 if name == "retry" else 405
            assert self.as_(self.alice).get(self.path(name)).status_code == expected, name
        assert self.job.runs.count() == 1

    def test_it_acts_on_no_forged_form(self) -> None:
        for name in (*VERBS, *ASKED, *POSTED, "new", "change"):
            answer = self.as_(self.alice, enforce_csrf_checks=True).post(self.path(name))
            assert answer.status_code == 403, name
            assert "The form is too old" in answer.content.decode()

    def test_it_knows_no_other_methods(self) -> None:
        for name in (*OF_A_JOB, *OF_A_PERSON):
            assert self.as_(self.alice).delete(self.path(name)).status_code == 405, name

    def test_it_finds_no_rows_that_are_not_there(self) -> None:
        for row in (0, 4, 10**9, 10**30):
            assert self.as_(self.alice).get(f"{self.path('detail')}items/{row}/").status_code == 404, row

    def test_it_keeps_people_out_of_the_admin(self) -> None:
        for person, form in ((None, "/accounts/login/"), (self.alice, "/admin/login/")):
            answer = self.as_(person).get("/admin/jobs/job/")
            assert (answer.status_code, answer["Location"]) == (302, f"{form}?next=/admin/jobs/job/")
        assert self.as_(self.sam).get("/admin/jobs/job/").status_code == 200
