"""Guessing is limited, for a name at an address, for a name, for an address; and nobody is locked out for good."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batchweb.accounts import mails, throttling
from jobs.models import SecurityEvent, Session, Throttle
from tests.base import People

LOGIN = "/accounts/login/"


def attempt(name: str, password: str, address: str = "192.0.2.1", client: Client | None = None) -> Any:
    form = {"username": name, "password": password}
    return (client or Client()).post(LOGIN, form, REMOTE_ADDR=address)


def guess(name: str, times: int, address: str = "192.0.2.1") -> None:
    for number in range(times):
        attempt(name, f"wrong {number}", address)


class Later:
    """The clock, some time on."""

    def __init__(self, **more: float) -> None:
        self.patch = patch("django.utils.timezone.now", return_value=timezone.now() + timedelta(**more))

    def __enter__(self) -> None:
        self.patch.start()

    def __exit__(self, *error: object) -> None:
        self.patch.stop()


class PasswordTests(People):
    def test_it_refuses_the_right_password_after_30_wrong_ones(self) -> None:
        guess("alice", 30)
        answer = attempt("alice", "alice-likes-tea")
        assert answer.status_code == 200
        assert "Too many tries. Try again in" in answer.content.decode()

    def test_it_lets_in_when_the_wait_is_over(self) -> None:
        guess("alice", 30)
        with Later(seconds=31):
            assert attempt("alice", "alice-likes-tea").status_code == 302

    def test_it_forgives_a_few_slips(self) -> None:
        for _ in range(5):
            guess("alice", 4)
            assert attempt("alice", "alice-likes-tea").status_code == 302

    def test_it_waits_longer_each_time(self) -> None:
        waits = []
        for _ in range(8):
            guess("alice", 5)
            locked = Throttle.objects.exclude(until=None).latest("count")
            assert locked.until
            waits.append((locked.until - locked.last).total_seconds())
            Throttle.objects.update(until=None)
        assert waits[0] == 30
        assert waits == sorted(waits)
        assert waits[-1] == 900

    def test_it_says_the_same_of_names_that_are_nobodys(self) -> None:
        said = []
        for name in ("alice", "nobody"):
            guess(name, 10, f"192.0.2.{len(name)}")
            answer: Any = attempt(name, "wrong", f"192.0.2.{len(name)}")
            said.append(answer.context["form"].non_field_errors())
        assert said[0] == said[1]
        assert "Too many" in str(said[0])

    def test_it_asks_as_much_of_the_database_whoever_exists(self) -> None:
        counts = []
        for name in ("alice", "nobody"):
            with CaptureQueriesContext(connection) as queries:
                attempt(name, "wrong")
            counts.append(len(queries))
        assert counts[0] == counts[1]

    def test_it_keeps_nobody_out_elsewhere(self) -> None:
        guess("alice", 30, "198.51.100.7")
        assert attempt("alice", "alice-likes-tea", "192.0.2.1").status_code == 302

    def test_it_limits_a_name_that_is_guessed_from_many_addresses(self) -> None:
        for number in range(1, 20):
            guess("alice", 3, f"198.51.100.{number}")
        assert attempt("alice", "alice-likes-tea", "203.0.113.1").status_code == 200

    def test_it_lets_in_from_where_the_person_came_before(self) -> None:
        assert attempt("alice", "alice-likes-tea", "192.0.2.1").status_code == 302
        for number in range(1, 20):
            guess("alice", 3, f"198.51.100.{number}")
        assert attempt("alice", "alice-likes-tea", "192.0.2.1").status_code == 302

    def test_it_limits_an_address_that_tries_many_names(self) -> None:
        for number in range(60):
            attempt(f"name {number}", "wrong")
        assert attempt("alice", "alice-likes-tea").status_code == 200
        assert attempt("alice", "alice-likes-tea", "192.0.2.2").status_code == 302

    def test_it_does_not_forget_an_address_for_a_right_password(self) -> None:
        for number in range(20):
            guess(f"name {number}", 3)
            attempt("bob", "bob-likes-tea")
        assert attempt("bob", "bob-likes-tea").status_code == 200

    def test_it_takes_a_network_of_ipv6_for_one_address(self) -> None:
        for number in range(10):
            guess("alice", 1, f"2001:db8::{number:x}")
        assert attempt("alice", "alice-likes-tea", "2001:db8::ffff").status_code == 200
        assert attempt("alice", "alice-likes-tea", "2001:db8:0:1::1").status_code == 302

    def test_it_takes_an_address_from_no_header(self) -> None:
        for number in range(10):
            header = {"x-forwarded-for": f"198.51.100.{number}", "x-real-ip": f"198.51.100.{number}"}
            Client().post(LOGIN, {"username": "alice", "password": "wrong"}, REMOTE_ADDR="192.0.2.1", headers=header)
        assert attempt("alice", "alice-likes-tea", "192.0.2.1").status_code == 200

    def test_it_tells_names_apart_by_no_writing(self) -> None:
        for name in ("alice", "Alice", "ALICE", "ａlice", "alicE"):
            guess(name, 1)
        assert attempt("alice", "alice-likes-tea").status_code == 200

    def test_it_counts_no_more_while_it_refuses(self) -> None:
        guess("alice", 5)
        before = list(Throttle.objects.order_by("key").values_list("key", "count", "until"))
        guess("alice", 5)
        assert before == list(Throttle.objects.order_by("key").values_list("key", "count", "until"))

    def test_it_keeps_neither_names_nor_addresses(self) -> None:
        guess("my-password-typed-as-a-name", 1)
        kept = " ".join(Throttle.objects.values_list("key", flat=True))
        assert "my-password" not in kept
        assert "192.0.2" not in kept
        assert not SecurityEvent.objects.filter(name__contains="my-password").exists()

    def test_it_limits_guesses_of_the_old_password(self) -> None:
        self.client.force_login(self.alice)
        new = {"new_password1": "coffee-and-cake", "new_password2": "coffee-and-cake"}
        for _ in range(5):
            self.client.post("/accounts/password_change/", {"old_password": "wrong"} | new)
        answer = self.client.post("/accounts/password_change/", {"old_password": "alice-likes-tea"} | new)
        assert "Too many tries" in str(answer.context["form"].errors)

    def test_it_limits_guesses_of_links(self) -> None:
        for _ in range(60):
            self.client.get("/enter/?sesame=AAAA")
        answer = self.client.get("/enter/?sesame=AAAA", follow=True)
        assert "Too many tries" in " ".join(map(str, answer.context["messages"]))

    def test_it_limits_what_leaves_sessions_of_nobody(self) -> None:
        path, accept = "/accounts/login/passkey/", {"accept": "application/json"}
        for _ in range(throttling.STEPS.free):
            assert Client().get(path, headers=accept).status_code == 200
        assert Client().get(path, headers=accept).status_code == 429
        last = Session.objects.order_by("expire_date").last()
        assert last
        assert last.expire_date <= timezone.now() + timedelta(hours=1)

    def test_it_has_no_other_door_in_the_admin(self) -> None:
        answer = self.client.post("/admin/login/", {"username": "sam", "password": "sam-likes-tea"})
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/admin/")
        assert "_auth_user_id" not in self.client.session


class WayOutTests(People):
    def setUp(self) -> None:
        guess("alice", 30)

    def test_a_command_unlocks(self) -> None:
        call_command("unlock", "alice", stdout=StringIO())
        assert attempt("alice", "alice-likes-tea").status_code == 302

    def test_an_administrator_unlocks(self) -> None:
        self.client.force_login(self.sam)
        self.client.post("/admin/auth/user/", {"action": "unlock", "_selected_action": [self.alice.pk]})
        assert attempt("alice", "alice-likes-tea").status_code == 302
        assert SecurityEvent.objects.filter(kind="unlocked", name="alice", by="sam").exists()

    def test_a_new_password_unlocks(self) -> None:
        self.alice.set_password("coffee-and-cake")
        self.alice.save()
        assert attempt("alice", "coffee-and-cake").status_code == 302

    def test_a_command_unlocks_an_address(self) -> None:
        for number in range(60):
            attempt(f"name {number}", "wrong", "192.0.2.9")
        call_command("unlock", "--address", "192.0.2.9", stdout=StringIO())
        assert attempt("bob", "bob-likes-tea", "192.0.2.9").status_code == 302

    def test_the_keeper_forgets(self) -> None:
        Throttle.objects.update(last=timezone.now() - timedelta(hours=4))
        throttling.forget()
        assert not Throttle.objects.exists()


class MailTests(People):
    def setUp(self) -> None:
        User.objects.filter(pk=self.alice.pk).update(email="alice@example.com")

    def ask(self, address: str = "alice@example.com", host: str = "192.0.2.1") -> HttpResponse:
        return self.client.post("/accounts/password_reset/", {"email": address}, REMOTE_ADDR=host)  # type: ignore[return-value]

    def sent(self) -> int:
        mails.delivered()
        return len(mail.outbox)

    def test_it_sends_three_an_hour_to_an_address(self) -> None:
        for number in range(28):
            assert self.ask(host=f"192.0.2.{number}")["Location"] == "/accounts/password_reset/done/"
        assert self.sent() == 3
        with Later(hours=1, minutes=1):
            self.ask()
        assert self.sent() == 4

    def test_it_sends_so_many_for_one_that_asks(self) -> None:
        for number in range(30):
            User.objects.create_user(f"p{number}", f"p{number}@example.com", "tea-and-biscuits")
            assert self.ask(f"p{number}@example.com").status_code == 302
        assert self.sent() == throttling.MAILS_FROM.free
