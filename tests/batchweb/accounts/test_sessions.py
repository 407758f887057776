"""Sessions: seen, ended, and over after a time."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import patch

from django.test import Client, override_settings
from django.utils import timezone

from batchweb.accounts.devices import device
from batchweb.auth import person_of
from jobs.models import SecurityEvent, Session
from jobs.models import session as store
from tests.base import People

HOUR = 3600
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0"
PHONE = ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/18.0 Mobile/15E148 Safari/604.1")  # fmt: skip


def signed_in(name: str, agent: str = FIREFOX, address: str = "192.0.2.1") -> Client:
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    client.post("/accounts/login/", {"username": name, "password": f"{name}-likes-tea"})
    return client


def status(client: Client) -> int:
    return client.get("/").status_code


class PageTests(People):
    def test_it_shows_where_one_is_signed_in(self) -> None:
        here, phone = signed_in("alice"), signed_in("alice", PHONE, "198.51.100.7")
        signed_in("bob", address="203.0.113.5")
        page = here.get("/accounts/sessions/")
        rows = [(row["device"], row["address"], row["this"]) for row in page.context["sessions"]]
        assert sorted(rows) == [
            ("Firefox on Windows", "192.0.2.1", True),
            ("Safari on an iPhone", "198.51.100.7", False),
        ]
        for client in (here, phone):
            assert str(client.session.session_key) not in page.content.decode()

    def test_it_ends_one(self) -> None:
        here, phone, third = signed_in("alice"), signed_in("alice", PHONE), signed_in("alice")
        handle = Session.objects.get(session_key=phone.session.session_key).handle
        here.post("/accounts/sessions/end/", {"session": handle})
        assert (status(here), status(phone), status(third)) == (200, 302, 200)

    def test_it_ends_all_others(self) -> None:
        here, others = signed_in("alice"), [signed_in("alice") for _ in range(3)]
        here.post("/accounts/sessions/end/", {"session": "others"})
        assert [status(client) for client in (here, *others)] == [200, 302, 302, 302]
        assert SecurityEvent.objects.filter(kind="session ended", name="alice").count() == 3

    def test_it_ends_nobody_elses(self) -> None:
        alice, bob = signed_in("alice"), signed_in("bob")
        handle = Session.objects.get(session_key=bob.session.session_key).handle
        for wanted in (handle, bob.session.session_key, "", "others"):
            alice.post("/accounts/sessions/end/", {"session": wanted})
        assert status(bob) == 200

    def test_an_ended_session_says_so_to_its_sockets(self) -> None:
        here, phone = signed_in("alice"), signed_in("alice", PHONE)
        with patch("jobs.events.tell") as tell, self.captureOnCommitCallbacks(execute=True):
            here.post("/accounts/sessions/end/", {"session": "others"})
        assert [call.args[1]["type"] for call in tell.call_args_list] == ["wake.person"]
        assert not person_of(phone.session.session_key).is_authenticated

    def test_an_administrator_ends_all_of_a_person(self) -> None:
        alice, sam = signed_in("alice"), signed_in("sam")
        sam.post("/admin/auth/user/", {"action": "end_sessions", "_selected_action": [self.alice.pk]})
        assert (status(alice), status(sam)) == (302, 200)

    def test_its_key_is_on_no_page_of_the_admin(self) -> None:
        bob, sam = signed_in("bob"), signed_in("sam")
        page = sam.get(f"/admin/auth/user/{self.bob.pk}/delete/").content.decode()
        assert "session since" in page.lower()
        assert str(bob.session.session_key) not in page

    def test_it_tells_devices_in_plain_words(self) -> None:
        assert device("") == "An unknown device"
        assert device("Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0 Safari/537.36 Edg/131.0") == "Edge on Linux"
        assert device("curl/8.5.0") == "curl"


class EndTests(People):
    def later(self, client: Client, hours: float) -> int:
        """What a page answers so many hours on."""
        now = timezone.now() + timezone.timedelta(hours=hours)  # type: ignore[attr-defined]
        clock: Any = type("Clock", (), {"time": staticmethod(now.timestamp)})
        with patch.object(store, "time", clock), patch("batchweb.accounts.middleware.time", clock), \
             patch("django.utils.timezone.now", return_value=now):  # fmt: skip
            return status(client)

    @override_settings(SESSION_HOURS=10, SESSION_IDLE_HOURS=2)
    def test_it_ends_after_a_time_without_use(self) -> None:
        client = signed_in("alice")
        assert self.later(client, 1.9) == 200
        assert self.later(client, 3.8) == 200  # it was used meanwhile
        assert self.later(client, 5.9) == 302

    @override_settings(SESSION_HOURS=10, SESSION_IDLE_HOURS=4)
    def test_it_ends_after_a_time_however_much_it_is_used(self) -> None:
        client = signed_in("alice")
        assert [self.later(client, hours) for hours in (3, 6, 9, 9.9, 10.1)] == [200, 200, 200, 200, 302]

    @override_settings(SESSION_HOURS=1)
    def test_it_is_over_for_sockets_and_bodies_too(self) -> None:
        client = signed_in("alice")
        Session.objects.update(expire_date=timezone.now())
        assert not person_of(client.session.session_key).is_authenticated

    def test_it_is_noted_now_and_then_only(self) -> None:
        client = signed_in("alice")
        before = Session.objects.get().seen
        status(client)
        assert Session.objects.get().seen == before
        session = client.session
        session["seen"] -= 301
        session.save()
        status(client)
        seen = Session.objects.get().seen
        assert before
        assert seen
        assert seen > before

    def test_it_gives_its_cookie_the_same_end(self) -> None:
        with override_settings(SESSION_HOURS=10, SESSION_IDLE_HOURS=2):
            cookie = signed_in("alice").cookies["batchweb_session"]
        assert 2 * HOUR - 60 < int(cookie["max-age"]) <= 2 * HOUR

    def test_a_sign_in_gives_it_a_new_key(self) -> None:
        client = Client()
        client.get("/enter/?sesame=x")
        session = client.session
        session["planted"] = "yes"
        session.save()
        before = session.session_key
        client.post("/accounts/login/", {"username": "alice", "password": "alice-likes-tea"})
        assert client.session.session_key != before
        assert client.session["began"] <= time.time()

    def test_a_new_password_ends_all_but_the_one_that_set_it(self) -> None:
        here, there = signed_in("alice"), signed_in("alice")
        new = "coffee-and-cake"
        form = {"old_password": "alice-likes-tea", "new_password1": new, "new_password2": new}
        here.post("/accounts/password_change/", form)
        assert (status(here), status(there)) == (200, 302)
        assert Session.objects.filter(person=self.alice).count() == 1
