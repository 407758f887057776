"""Coming in: the one-time link, passwords, and going out."""

from __future__ import annotations

import re
from unittest.mock import patch

from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from sesame.utils import get_query_string

from batchweb.accounts import mails
from batchweb.forwarded import Proxies
from batchweb.public import public_of
from jobs.models import Throttle
from tests.base import People


class LinkTests(People):
    def link(self, person: User) -> str:
        return "/enter/" + get_query_string(person)

    def signed_in(self, client: Client) -> bool:
        return client.get("/").status_code == 200

    def test_it_signs_in_once(self) -> None:
        link, second = self.link(self.sam), Client()
        answer = self.client.get(link)
        assert (answer.status_code, answer["Location"]) == (302, "/")
        assert self.signed_in(self.client)
        answer = second.get(link, follow=True)
        assert "has been used or is too old" in answer.content.decode()
        assert not self.signed_in(second)

    def test_it_takes_who_is_in_already_to_the_jobs(self) -> None:
        link = self.link(self.sam)
        for _ in range(2):
            assert self.client.get(link)["Location"] == "/"

    def test_it_expires(self) -> None:
        with patch("sesame.tokens_v2.time.time", return_value=1_800_000_000.0):
            link = self.link(self.sam)
        with patch("sesame.tokens_v2.time.time", return_value=1_800_000_000.0 + 601):
            assert self.client.get(link)["Location"] == "/accounts/login/"
        assert not self.signed_in(self.client)

    def test_it_is_not_for_people_who_were_shut_out(self) -> None:
        link = self.link(self.sam)
        User.objects.filter(pk=self.sam.pk).update(is_active=False)
        assert self.client.get(link)["Location"] == "/accounts/login/"
        assert not self.signed_in(self.client)

    def test_it_takes_no_other_link(self) -> None:
        for query in ("", "?sesame=", "?sesame=x", "?sesame=" + "A" * 5_000):
            assert self.client.get("/enter/" + query)["Location"] == "/accounts/login/"

    def test_it_is_not_kept_by_caches(self) -> None:
        assert "no-store" in self.client.get(self.link(self.sam))["Cache-Control"]


class PasswordTests(People):
    def test_it_signs_in_and_returns_to_where_one_was(self) -> None:
        form = {"username": "alice", "password": "alice-likes-tea", "next": "/jobs/new/"}
        assert self.client.post("/accounts/login/?next=/jobs/new/", form)["Location"] == "/jobs/new/"

    def test_it_goes_to_no_other_site(self) -> None:
        form = {"username": "alice", "password": "alice-likes-tea", "next": "https://evil.example/"}
        assert self.client.post("/accounts/login/", form)["Location"] == "/"

    def test_it_says_the_same_of_wrong_names_and_wrong_passwords(self) -> None:
        said = set()
        for name in ("alice", "nobody"):
            body = self.client.post("/accounts/login/", {"username": name, "password": "wrong"}).content.decode()
            said.add(re.sub(r'csrfmiddlewaretoken" value="\w+"|value="(alice|nobody)"', "", body))
        assert len(said) == 1

    def test_it_changes_the_password(self) -> None:
        self.client.force_login(self.alice)
        new = "alice-likes-coffee"
        form = {"old_password": "alice-likes-tea", "new_password1": new, "new_password2": new}
        assert self.client.post("/accounts/password_change/", form)["Location"] == "/accounts/password_change/done/"
        assert self.client.login(username="alice", password=new)

    def test_it_wants_the_old_password(self) -> None:
        self.client.force_login(self.alice)
        form = {"old_password": "wrong", "new_password1": "coffee-and-cake", "new_password2": "coffee-and-cake"}
        assert self.client.post("/accounts/password_change/", form).status_code == 200

    def test_it_sets_the_first_password_of_who_came_by_a_link(self) -> None:
        admin = User.objects.create_superuser("admin")
        self.client.force_login(admin)
        assert "old_password" not in self.client.get("/accounts/password_change/").content.decode()
        form = {"new_password1": "coffee-and-cake", "new_password2": "coffee-and-cake"}
        assert self.client.post("/accounts/password_change/", form).status_code == 302
        assert self.client.login(username="admin", password="coffee-and-cake")

    def test_it_resets_a_forgotten_password_by_mail(self) -> None:
        User.objects.filter(pk=self.alice.pk).update(email="alice@example.com")
        assert self.client.post("/accounts/password_reset/", {"email": "alice@example.com"}).status_code == 302
        mails.delivered()
        (letter,) = mail.outbox
        link = re.search(r"http://testserver(/accounts/reset/\S+)", str(letter.body))
        assert link
        page = self.client.get(link.group(1), follow=True)
        form = {"new_password1": "coffee-and-cake", "new_password2": "coffee-and-cake"}
        assert self.client.post(page.request["PATH_INFO"], form).status_code == 302
        assert self.client.login(username="alice", password="coffee-and-cake")
        assert "does not work any more" in Client().get(link.group(1)).content.decode()

    def link_of(self, host: str, port: str = "80") -> str:
        """Where the link begins in the mail that a request to this host brings about, sent to this port."""
        User.objects.filter(pk=self.alice.pk).update(email="alice@example.com")
        mail.outbox.clear()
        Throttle.objects.all().delete()
        form = {"email": "alice@example.com"}
        self.client.post("/accounts/password_reset/", form, HTTP_HOST=host, SERVER_PORT=port)
        mails.delivered()
        return str(mail.outbox[0].body).partition("/accounts/reset/")[0].split()[-1]

    def test_a_link_leads_to_no_port_that_a_request_names(self) -> None:
        assert self.link_of("testserver:1234") == "http://testserver"
        assert self.link_of("testserver:1234", "8000") == "http://testserver:8000"
        assert self.link_of("[::1]:1234", "8000") == "http://[::1]:8000"
        with self.settings(PROXIES=Proxies(1, [])):
            assert self.link_of("testserver:1234", "8000") == "http://testserver"

    def test_a_link_leads_to_the_port_that_the_settings_name(self) -> None:
        with self.settings(CSRF_TRUSTED_ORIGINS=["http://testserver:8080"]):
            assert self.link_of("testserver:8080", "8000") == "http://testserver:8080"
            assert self.link_of("testserver:1234", "8000") == "http://testserver:8000"
        with self.settings(PUBLIC=public_of("https://batch.example.com")):
            assert self.link_of("testserver:1234", "8000") == "https://batch.example.com"

    def test_it_tells_nobody_who_has_an_account(self) -> None:
        answer = self.client.post("/accounts/password_reset/", {"email": "nobody@example.com"})
        assert (answer.status_code, mail.outbox) == (302, [])

    def test_it_signs_out(self) -> None:
        self.client.force_login(self.alice)
        assert self.client.get("/accounts/logout/").status_code == 405
        assert self.client.post("/accounts/logout/").status_code == 302
        assert self.client.get("/").status_code == 302

    def test_it_has_the_browser_drop_what_it_kept(self) -> None:
        for path in ("/accounts/logout/", "/admin/logout/"):
            self.client.force_login(self.sam)
            assert self.client.post(path)["Clear-Site-Data"] == '"cache"', path
        assert "Clear-Site-Data" not in self.client.post("/accounts/login/").headers
