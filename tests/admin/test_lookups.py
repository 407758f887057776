"""What an address of the administrators' place may ask the database for, and what it may not."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest.mock import patch

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.urls import reverse

from batchweb import admin_site
from batchweb.admin_site import Guarded
from jobs.models import Job
from tests.base import People, worked

HUGE = ("9" * 10, "9" * 19, "9" * 20, "9" * 5_000)
STRANGE = ("\0", "a\0b", "-" + "9" * 30, "0001-01-01 00:00:00+14:00", "9999-12-31T23:59-14:00")
ODD = (*HUGE, "0", "-1", "1.5", "x", "%00", "1%00", "²", "١", "None", "1e5")


def lists() -> list[str]:
    return [reverse(f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist") for m in admin.site._registry]


class LookupCase(People):
    job: ClassVar[Job]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.job = worked(cls.alice)

    def setUp(self) -> None:
        self.client.force_login(self.sam)

    def status(self, url: str, **query: Any) -> int:
        return self.client.get(url, query).status_code


class AllowedTests(LookupCase):
    def test_it_refuses_to_look_into_columns_that_are_no_filter(self) -> None:
        for lookup in (
            "parameters__token__startswith", "parameters__seconds", "owner__password__startswith", "owner__password",
            "owner__username__regex", "name__regex", "name__iregex", "name", "name__startswith", "code__gt", "pk__in",
            "upload__file__startswith", "runs__parameters__token__startswith", "shares__person__password__gt",
            "state__regex", "created__regex", "owner__id__in", "id__gt", "processor__iregex",
        ):  # fmt: skip
            with self.subTest(lookup):
                answer = self.client.get("/admin/jobs/job/", {lookup: "^(a+)+$"})
                assert answer.status_code == 400
                self.assertContains(answer, "This request cannot be read", status_code=400)

    def test_it_refuses_the_same_in_every_list(self) -> None:
        for url in lists():
            for lookup in ("pk__gt", "id__regex", "name__regex", "password__startswith", "user__password__startswith"):
                if not url.endswith("/item/"):  # reads its address itself, and takes nothing from it as a column
                    assert self.status(url, **{lookup: "a"}) == 400, (url, lookup)

    def test_it_asks_nothing_of_the_database_for_what_it_refuses(self) -> None:
        with self.assertNumQueries(2):  # the session, and who it is
            assert self.status("/admin/jobs/job/", name__regex="^(a+)+$") == 400

    def test_it_filters_by_what_is_offered(self) -> None:
        url = "/admin/jobs/job/"
        for lookup in (
            {"state__exact": "finished"}, {"state": "finished"}, {"processor": "simulate"},
            {"owner__id__exact": self.alice.pk}, {"created__gte": "2020-01-01 00:00:00+00:00"},
        ):  # fmt: skip
            answer = self.client.get(url, lookup)
            assert [job.pk for job in answer.context["cl"].result_list] == [self.job.pk], lookup

    def test_it_follows_every_link_that_a_list_offers(self) -> None:
        for url in lists():
            changes = self.client.get(url).context.get("cl")
            for spec in changes.filter_specs if changes else ():
                for choice in spec.choices(changes):
                    assert self.client.get(url + choice["query_string"]).status_code == 200, choice

    def test_it_follows_the_links_of_its_own_pages(self) -> None:
        for url in ("/admin/jobs/cause/", "/admin/jobs/activity/"):
            assert self.status(url, job__id__exact=self.job.pk) == 200

    def test_it_guards_whatever_is_registered_later(self) -> None:
        site = admin_site.Site()
        site.register(Session)
        site.register([LogEntry, Group], list_filter=())
        assert all(isinstance(place, Guarded) for place in [*site._registry.values(), *admin.site._registry.values()])

    def test_it_keeps_what_a_place_says_about_itself(self) -> None:
        assert "Jobs: how they stand" in (type(admin.site._registry[Job]).__doc__ or "")


class HugeTests(LookupCase):
    def test_it_finds_no_row_under_an_odd_key(self) -> None:
        for url in lists():
            for key in ODD:
                for page in ("change/", "history/", "delete/", ""):
                    with self.subTest(url + key[:30] + "/" + page):
                        answer = self.client.get(f"{url}{key}/{page}")
                        assert answer.status_code in (302, 400, 403, 404), answer.status_code
                        if answer.status_code == 302:  # history and forms lead back with a sentence
                            assert self.client.get(answer["Location"], follow=True).status_code in (200, 404)

    def test_it_takes_no_odd_value_in_a_filter(self) -> None:
        names = ("owner__id__exact", "state", "created__gte", "verb", "job__id__exact", "q", "p", "o", "_to_field")
        for url in lists():
            for name in names:
                for value in (*HUGE, *STRANGE):
                    assert self.status(url, **{name: value}) in (200, 302, 400, 404), (url, name, value[:20])

    def test_it_takes_no_odd_key_among_the_chosen(self) -> None:
        for url in lists():
            for key in (*HUGE, "\0", "x"):
                for action in ("pause", "retry_failed", "retry", "accept", "delete_selected", "export"):
                    data = {"action": action, "_selected_action": [key], "job": self.job.code}
                    answer = self.client.post(f"{url}?job={self.job.code}" if "/item/" in url else url, data)
                    assert answer.status_code in (200, 302, 400, 403), (url, key[:20], action)

    def test_it_finds_no_job_of_an_odd_code_or_key_for_items(self) -> None:
        for name in ("job", "job__id__exact", "cause", "after", "before", "from", "to", "q"):
            for value in (*HUGE, "\0", "²"):
                found = {} if name.startswith("job") else {"job": self.job.code}
                assert self.status("/admin/jobs/item/", **{name: value}, **found) == 200, (name, value[:20])

    def test_it_answers_numbers_beyond_64_bits_in_every_address(self) -> None:
        base = f"/jobs/{self.job.code}"
        for number in HUGE:
            for url in (
                f"{base}/items/{number}/", f"{base}/items/{number}/edit/", f"{base}/corrections/{number}/",
                f"/jobs/uploads/{number}/", f"{base}/share/{number}/remove/",
            ):  # fmt: skip
                for send in (self.client.get, self.client.post):
                    answer = send(url)
                    assert answer.status_code in (404, 405), (url[:60], answer.status_code)

    def test_it_answers_numbers_beyond_64_bits_behind_the_question_mark(self) -> None:
        base = f"/jobs/{self.job.code}"
        for number in HUGE:
            for page in ("", "items/", "causes/", "activity/", "results.csv", "failed.csv", "cells.bin", "series.json",
                         "retry/", "accept/", "corrections/", "items/1/", "problems.csv"):  # fmt: skip
                for name in ("cause", "rows", "page", "before", "after", "from", "to", "item", "accepted", "file", "q"):
                    answer = self.client.get(f"{base}/{page}", {name: number})
                    assert answer.status_code < 500, (page, name, number[:20])


class SearchTests(LookupCase):
    def said(self, **query: Any) -> str:
        return self.client.get("/admin/jobs/job/", query).content.decode()

    def test_it_refuses_a_long_search(self) -> None:
        assert "A search may have 200 characters; this one has 201." in self.said(q="x" * 201)

    def test_it_refuses_a_search_of_many_words(self) -> None:
        assert "A search may have 10 words; this one has 11." in self.said(q="a " * 11)

    def test_it_finds_by_ten_words(self) -> None:
        assert self.job.name in self.said(q="rows " * 10)

    def test_it_sorts_no_more_than_it_can(self) -> None:
        for most, warned in ((0, True), (10, False)):
            with patch.object(admin_site, "SORTED", most):
                assert ("to have it sorted otherwise" in self.said(o="5")) == warned

    def test_it_shows_no_hash_of_a_password(self) -> None:
        User.objects.filter(pk=self.bob.pk).update(password="pbkdf2_sha256$1$saltsaltsalt$hashhashhashhash")
        for page in ("change", "history"):
            body = self.client.get(f"/admin/auth/user/{self.bob.pk}/{page}/").content.decode()
            assert "saltsaltsalt" not in body
            assert "hashhashhash" not in body
