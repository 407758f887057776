"""The record: what is written down, what never is, and how much of it is kept."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core import mail
from django.test import Client, override_settings
from django.utils import timezone

from batchweb.accounts import events, mails
from jobs.models import Quota, SecurityEvent
from tests.base import People


def told(**wanted: Any) -> list[str]:
    return list(SecurityEvent.objects.filter(**wanted).order_by("pk").values_list("text", flat=True))


class RecordTests(People):
    caplog: pytest.LogCaptureFixture

    @pytest.fixture(autouse=True)
    def _captured(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        caplog.set_level(logging.INFO, "batchweb.security")

    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.caplog.records if record.name == "batchweb.security"]

    def sign_in(self, name: str, password: str) -> Any:
        return self.client.post("/accounts/login/", {"username": name, "password": password}, REMOTE_ADDR="192.0.2.1")

    def test_it_has_sign_ins_failures_refusals_and_sign_outs(self) -> None:
        for _ in range(5):
            self.sign_in("alice", "wrong-secret")
        for _ in range(3):
            self.sign_in("alice", "alice-likes-tea")
        self.sign_in("bob", "bob-likes-tea")
        self.client.post("/accounts/logout/")
        kinds = list(SecurityEvent.objects.exclude(kind="person").order_by("pk").values_list("kind", "name", "address"))
        where = "192.0.2.1"
        assert kinds[:5] == [("failed", "alice", where)] * 5
        assert kinds[5:7] == [("refused", "alice", where), ("signed in", "bob", where)]  # one row for a flood
        assert kinds[7][:2] == ("signed out", "bob")
        assert sum(line.startswith('refused name="alice" address="192.0.2.1"') for line in self.lines()) == 3

    def test_it_holds_no_password(self) -> None:
        self.sign_in("alice", "wrong-secret")
        self.sign_in("alice-likes-tea", "alice")
        said = " ".join(self.lines()) + str(list(SecurityEvent.objects.values()))
        assert "wrong-secret" not in said
        assert "alice-likes-tea" not in said

    def test_it_writes_a_line_of_one_line(self) -> None:
        User.objects.create_user("eve\nINFO signed-in name=sam\u202e")
        assert all("\n" not in line and "\u202e" not in line for line in self.lines())

    def test_it_has_who_changed_whose_rights(self) -> None:
        self.client.force_login(self.sam)
        group = Group.objects.create(name="operators")
        quota = {"quota-TOTAL_FORMS": "1", "quota-INITIAL_FORMS": "0", "quota-0-person": self.bob.pk}
        form = {"username": "bob", "is_active": "on", "is_staff": "on", "email": "bob@example.com", "groups": group.pk,
                "quota-0-running_jobs": "3"} | quota  # fmt: skip
        assert self.client.post(f"/admin/auth/user/{self.bob.pk}/change/", form).status_code == 302
        assert told(kind="rights", name="bob", by="sam") == ["is_staff: False → True", "got groups operators"]
        assert told(kind="e-mail", name="bob", by="sam") == ["changed"]
        assert told(kind="quota", name="bob", by="sam") == ["MB None, jobs 3"]
        Quota.objects.all().delete()
        group.permissions.add(Permission.objects.get(codename="change_job"))
        assert "Can change job" in told(kind="rights", name="operators")[0]

    def test_it_has_people_who_come_and_go(self) -> None:
        User.objects.create_superuser("eve").delete()
        assert told(kind="person", name="eve", by="a command") == ["added is_staff, is_superuser", "removed"]

    def test_it_tells_the_person_of_a_new_password(self) -> None:
        User.objects.filter(pk=self.bob.pk).update(email="bob@example.com")
        self.client.force_login(self.sam)
        form = {"password1": "bob-likes-coffee", "password2": "bob-likes-coffee", "usable_password": "true"}
        self.client.post(f"/admin/auth/user/{self.bob.pk}/password/", form)
        mails.delivered()
        (letter,) = mail.outbox
        assert letter.to == ["bob@example.com"]
        assert "the password of your batchweb account was changed" in str(letter.body)
        assert told(kind="password", name="bob", by="sam") == ["changed"]

    def test_it_tells_the_old_address_of_a_new_one(self) -> None:
        User.objects.filter(pk=self.bob.pk).update(email="bob@example.com")
        person = User.objects.get(pk=self.bob.pk)
        person.email = "eve@example.com"
        person.save()
        mails.delivered()
        assert [letter.to for letter in mail.outbox] == [["bob@example.com"]]


class ListTests(People):
    def test_superusers_read_it(self) -> None:
        events.note(SecurityEvent.Kind.FAILED, "<b>eve</b>", "a text")
        self.client.force_login(self.sam)
        page = self.client.get("/admin/jobs/securityevent/?kind=failed").content.decode()
        assert "&lt;b&gt;eve" in page
        assert self.client.get("/admin/jobs/securityevent/?q=192.0.2.1").status_code == 200

    def test_nobody_changes_it(self) -> None:
        events.note(SecurityEvent.Kind.FAILED, "eve")
        key = SecurityEvent.objects.get(name="eve").pk
        self.client.force_login(self.sam)
        for path in ("add/", f"{key}/delete/"):
            assert self.client.post(f"/admin/jobs/securityevent/{path}").status_code == 403
        self.client.post(f"/admin/jobs/securityevent/{key}/change/", {"name": "sam"})
        assert SecurityEvent.objects.get(pk=key).name == "eve"

    def test_staff_reads_it_with_the_permission(self) -> None:
        auditor = User.objects.create_user("audit", is_staff=True)
        client = Client()
        client.force_login(auditor)
        assert client.get("/admin/jobs/securityevent/").status_code == 403
        auditor.user_permissions.add(Permission.objects.get(codename="view_securityevent"))
        assert client.get("/admin/jobs/securityevent/").status_code == 200

    @override_settings(SECURITY_EVENT_DAYS=30, SECURITY_EVENTS=20)
    def test_it_keeps_so_much_and_noise_pushes_nothing_out(self) -> None:
        SecurityEvent.objects.all().delete()
        events.note(SecurityEvent.Kind.RIGHTS, "old")
        SecurityEvent.objects.update(at=timezone.now() - timedelta(days=31))
        events.note(SecurityEvent.Kind.RIGHTS, "bob")
        for number in range(50):
            events.note(SecurityEvent.Kind.FAILED, f"name {number}")
        events.forget()
        names = list(SecurityEvent.objects.order_by("pk").values_list("name", flat=True))
        assert names == ["bob", *(f"name {number}" for number in range(40, 50))]


class ResetTests(People):
    def setUp(self) -> None:
        User.objects.filter(pk=self.alice.pk).update(email="alice@example.com")

    @override_settings(CAN_SEND_MAIL=False)
    def test_it_says_where_no_mail_is_sent(self) -> None:
        page = self.client.get("/accounts/password_reset/").content.decode()
        assert "This system sends no mail" in page
        assert "<form" not in page.partition("<main")[2].partition("</main")[0]
        self.client.post("/accounts/password_reset/", {"email": "alice@example.com"})
        mails.delivered()
        assert not mail.outbox

    @override_settings(ALLOWED_HOSTS=["batch.example.com"])
    def test_a_forged_host_gets_into_no_mail(self) -> None:
        form = {"email": "alice@example.com"}
        evil = {"x-forwarded-host": "evil.example", "host": "batch.example.com"}
        self.client.post("/accounts/password_reset/", form, headers=evil)
        answer = self.client.post("/accounts/password_reset/", form, headers={"host": "evil.example"})
        assert answer.status_code == 400
        mails.delivered()
        (letter,) = mail.outbox
        assert re.findall(r"https?://[^/]+", str(letter.body)) == ["http://batch.example.com"]
        assert "evil" not in str(letter.body)

    def test_it_ends_what_was_open(self) -> None:
        open_before = Client()
        open_before.force_login(User.objects.get(pk=self.alice.pk))
        self.client.post("/accounts/password_reset/", {"email": "alice@example.com"})
        mails.delivered()
        link = re.search(r"http://testserver(/accounts/reset/\S+)", str(mail.outbox[0].body))
        assert link
        page = self.client.get(link[1], follow=True)
        form = {"new_password1": "coffee-and-cake", "new_password2": "coffee-and-cake"}
        self.client.post(page.request["PATH_INFO"], form)
        assert open_before.get("/").status_code == 302
        mails.delivered()
        assert "was changed just now" in str(mail.outbox[1].body)


class StrengthTests(People):
    def test_it_takes_long_ones_of_any_kind_and_no_weak_ones(self) -> None:
        self.client.force_login(self.alice)
        for new, good in (("short-pass1", False), ("password1234", False), ("123456789012", False),
                          ("alice", False), ("three plain words", True), ("ßüöäéç" * 30, True)):  # fmt: skip
            old = "alice-likes-tea"
            self.alice.set_password(old)
            self.alice.save()
            self.client.force_login(self.alice)
            form = {"old_password": old, "new_password1": new, "new_password2": new}
            status = self.client.post("/accounts/password_change/", form).status_code
            assert (status == 302) is good, new
