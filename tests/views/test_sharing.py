"""Sharing, renaming, giving and the activity on pages; what these do to the rows is tested beside the model."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client
from django.utils.html import escape

from jobs.models import Activity, Job, Offer, Run, Upload
from jobs.views.sharing import PEOPLE
from tests.base import People, csv_of, worked


class PeopleCase(People):
    job: Job

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.job = worked(cls.alice, csv_of(2))

    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def post(self, verb: str, client: Client | None = None, **fields: Any) -> tuple[str, str]:
        """Where it leads, and what is said there."""
        answer = (client or self.client).post(f"{self.job.get_absolute_url()}{verb}/", fields, follow=True)
        assert answer.status_code == 200
        return answer.redirect_chain[-1][0], " ".join(map(str, answer.context["messages"]))

    def page(self, person: User, path: str = "") -> str:
        client = Client()
        client.force_login(person)
        return client.get(f"{self.job.get_absolute_url()}{path}").content.decode()


class SharingTests(PeopleCase):
    def test_it_shares(self) -> None:
        for may in ("look", "act"):
            assert self.post("share", person="bob", may=may)[1] == f"Shared with bob, who may {may}."
        assert self.post("share", person="bob", may="act")[1] == "Nothing was changed."
        assert self.job.shares.get().may_act

    def test_it_lets_look_unless_told_otherwise(self) -> None:
        self.post("share", person="bob", may="everything")
        assert not self.job.shares.get().may_act

    def test_it_says_that_there_is_nobody_of_that_name(self) -> None:
        assert self.post("share", person="<b>eve")[1] == "There is nobody called “<b>eve” here."
        page = self.client.post(f"{self.job.get_absolute_url()}share/", {"person": "<b>eve"}, follow=True)
        assert escape("“<b>eve”") in page.content.decode()

    def test_it_does_not_tell_on_and_on_who_is_here(self) -> None:
        for _ in range(PEOPLE.free):
            self.post("share", person="bob")  # who is here does not count
            assert "There is nobody" in self.post("share", person="eve")[1]
        for verb in ("share", "give"):
            assert "Too many tries" in self.post(verb, person="eve")[1]
        assert "Too many tries" in self.post("share", person="bob")[1]

    def test_it_keeps_the_latest_messages_for_who_looks_at_no_page(self) -> None:
        for number in range(30):
            self.client.post(f"{self.job.get_absolute_url()}rename/", {"name": f"name {number}"})
        said = [str(one) for one in self.client.get("/").context["messages"]]
        assert said == [f"The job is called name {number} now." for number in range(10, 30)]

    def test_it_shows_the_owner_who_has_access(self) -> None:
        self.job.share(self.bob)
        page = self.page(self.alice)
        assert "Shared with 1" in page
        assert '<b>bob</b><span class="quiet">may look</span>' in page

    def test_it_shows_the_others_only_their_own(self) -> None:
        self.job.share(self.bob)
        self.job.share(User.objects.create_user("carol"))
        page = self.page(self.bob)
        assert "alice lets you look at this job" in page
        assert "<b>carol</b>" not in page

    def test_it_takes_a_share_back(self) -> None:
        self.job.share(self.bob)
        share = self.job.shares.get()
        assert self.post(f"share/{share.pk}/remove")[1] == "No longer shared with bob."
        assert not self.job.shares.exists()

    def test_it_is_left_by_whom_it_was_shared_with(self) -> None:
        self.job.share(self.bob)
        client, share = Client(), self.job.shares.get()
        client.force_login(self.bob)
        assert self.post(f"share/{share.pk}/remove", client) == ("/", "No longer shared with bob.")

    def test_it_takes_back_no_share_of_another_job(self) -> None:
        other = worked(self.bob)
        other.share(self.alice)
        path = f"{self.job.get_absolute_url()}share/{other.shares.get().pk}/remove/"
        assert self.client.post(path).status_code == 404
        assert other.shares.exists()

    def as_(self, person: User) -> Client:
        client = Client()
        client.force_login(person)
        return client

    def test_it_offers_the_job(self) -> None:
        said = "rows.csv is offered to bob, whose it is once they take it."
        assert self.post("give", person="bob") == (self.job.get_absolute_url(), said)
        assert Job.objects.get().owner == self.alice
        assert "It is offered to <b>bob</b>, who has not answered yet." in self.page(self.alice)
        assert 'id="offers"' in self.as_(self.bob).get("/").content.decode()
        assert 'id="offers"' not in self.as_(self.sam).get("/").content.decode()

    def test_it_belongs_to_who_accepts_it(self) -> None:
        self.post("give", person="bob")
        assert self.post("offer/take", self.as_(self.bob)) == (self.job.get_absolute_url(), "rows.csv is yours now.")
        assert Job.objects.get().owner == self.bob
        assert self.as_(self.bob).post(f"{self.job.get_absolute_url()}offer/take/").status_code == 404

    def test_it_stays_with_its_owner_where_it_is_declined(self) -> None:
        self.post("give", person="bob")
        assert self.post("offer/decline", self.as_(self.bob)) == ("/", "rows.csv stays with alice.")
        assert Job.objects.get().owner == self.alice
        assert not Offer.objects.exists()

    def test_it_takes_an_offer_back(self) -> None:
        self.post("give", person="bob")
        assert self.post("offer/withdraw")[1] == "The job is offered to nobody any more."
        assert self.as_(self.bob).post(f"{self.job.get_absolute_url()}offer/take/").status_code == 404

    def test_it_shows_nothing_more_of_a_job_that_is_offered(self) -> None:
        self.post("give", person="bob")
        assert self.as_(self.bob).get(self.job.get_absolute_url()).status_code == 404

    def test_it_is_given_by_administrators_without_asking(self) -> None:
        assert self.post("give", self.as_(self.sam), person="bob")[1] == "rows.csv belongs to bob now."
        assert Job.objects.get().owner == self.bob

    def test_it_gives_it_to_nobody(self) -> None:
        assert self.post("give", person="eve")[1] == "There is nobody called “eve” here."

    def test_it_renames(self) -> None:
        assert self.post("rename", name="Addresses")[1] == "The job is called Addresses now."
        assert self.post("rename", name=" ")[1] == "A job needs a name."
        assert '<h1 dir="auto" data-v="name">Addresses</h1>' in self.page(self.alice)

    def test_it_takes_a_name_as_text(self) -> None:
        self.post("rename", name="<script>alert(1)</script>")
        assert "<script>alert" not in self.page(self.alice) + self.page(self.alice, "activity/")

    def test_it_asks_as_many_questions_however_many_people_there_are(self) -> None:
        for at in range(30):
            self.job.share(User.objects.create(username=f"p{at}"))
        with self.assertNumQueries(10):
            self.client.get(self.job.get_absolute_url())


class ActivityTests(PeopleCase):
    def test_it_leads_from_the_page_to_all_of_it(self) -> None:
        assert f'href="{self.job.get_absolute_url()}activity/"' in self.page(self.alice)
        for text in ("Finished", "Started", "Created from rows.csv"):
            assert text in self.page(self.alice, "activity/")

    def test_it_goes_on_page_by_page(self) -> None:
        Activity.objects.bulk_create(Activity(job=self.job, verb="note", text=f"Number {at}") for at in range(60))
        first = self.client.get(f"{self.job.get_absolute_url()}activity/")
        assert [one.text for one in first.context["activities"]] == [f"Number {at}" for at in range(59, 9, -1)]
        second = self.client.get(f"{self.job.get_absolute_url()}activity/?before={first.context['older']}")
        assert [one.text for one in second.context["activities"]][:10] == [f"Number {at}" for at in range(9, -1, -1)]
        assert second.context["older"] is None
        assert "Newest" in second.content.decode()

    def test_it_takes_an_odd_key_for_none(self) -> None:
        for odd in ("x", "-1", "9" * 30, "²"):
            assert self.client.get(f"{self.job.get_absolute_url()}activity/", {"before": odd}).context["activities"]

    def test_it_links_the_file_of_corrections(self) -> None:
        sent = Upload.keep(ContentFile(b"row\n1\n"), "fixed.csv", self.alice)
        run = Run.objects.create(job=self.job, number=7, kind=Run.Kind.CORRECTION, upload=sent)
        self.job.note("correct", "Uploaded corrections", self.alice, run=run)
        link = f'href="{self.job.get_absolute_url()}corrections/7/"'
        assert link in self.page(self.alice)
        assert link in self.page(self.alice, "activity/")
        assert self.client.get(f"{self.job.get_absolute_url()}snapshot.json").json()["activity"][0]["file"] == 7
        self.client.force_login(self.sam)
        for place in ("activity/", f"job/{self.job.pk}/change/"):
            assert link in self.client.get(f"/admin/jobs/{place}").content.decode(), place


class AdminTests(PeopleCase):
    def setUp(self) -> None:
        self.client.force_login(self.sam)

    def test_it_deletes_nobody_who_has_jobs(self) -> None:
        path = f"/admin/auth/user/{self.alice.pk}/delete/"
        assert "alice: 1 job, to be given to somebody else or deleted before" in self.client.get(path).content.decode()
        self.client.post(path, {"post": "yes"})
        assert User.objects.filter(pk=self.alice.pk).exists()

    def test_it_deletes_who_gave_theirs_away(self) -> None:
        self.job.give(self.bob)
        self.job.share(self.alice)
        self.client.post(f"/admin/auth/user/{self.alice.pk}/delete/", {"post": "yes"})
        assert not User.objects.filter(pk=self.alice.pk).exists()
        assert Job.objects.get().activities.filter(verb="start").exists()

    def test_it_lets_all_staff_look_and_only_some_act(self) -> None:
        auditor = User.objects.create_user("audit", is_staff=True)
        self.client.force_login(auditor)
        page = self.client.get("/admin/jobs/job/")
        assert page.status_code == 200
        assert "retry_failed" not in page.content.decode()
        chosen = {"action": "delete_jobs", "_selected_action": [self.job.pk], "sure": "yes"}
        self.client.post("/admin/jobs/job/", chosen)
        assert Job.objects.get().deleting is None
        assert self.client.get("/admin/auth/user/").status_code == 403
