"""Second factors: setting one up, signing in with it, and who must have one."""

from __future__ import annotations

from io import StringIO
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse
from sesame.utils import get_query_string

from batchweb.accounts import throttling
from batchweb.auth import person_of
from jobs.models import SecurityEvent, Throttle
from tests.base import People
from tests.batchweb.accounts.codes import code_of
from tests.batchweb.accounts.passkeys import Device

APP = "/accounts/second-factor/app/"
CODE = "/accounts/login/code/"
STAFF = override_settings(REQUIRE_SECOND_FACTOR="staff")


def confirm(client: Client, password: str, path: str = APP) -> Any:
    """Asks for a page that asks who it is, and says so."""
    asked = client.get(path)
    assert asked["Location"].startswith("/accounts/confirm/"), asked["Location"]
    return client.post(asked["Location"], {"password": password, "next": path}, follow=True)


def set_up(client: Client, password: str) -> tuple[str, list[str]]:
    """Sets up an app; its secret and the recovery codes."""
    secret = confirm(client, password).context["form"].secret
    answer = client.post(APP, {"code": code_of(secret)}, follow=True)
    assert answer.redirect_chain[-1][0] == "/accounts/second-factor/codes/", answer.context["form"].errors
    return secret, answer.context["unused_codes"]


def sign_in(name: str, password: str, client: Client | None = None) -> tuple[Client, Any]:
    client = client or Client()
    return client, client.post("/accounts/login/", {"username": name, "password": password})


def inside(client: Client) -> bool:
    return client.get("/").status_code == 200


class FactorCase(People):
    secret: str
    codes: list[str]

    def setUp(self) -> None:
        self.client.force_login(self.alice)
        self.secret, self.codes = set_up(self.client, "alice-likes-tea")
        Throttle.objects.all().delete()  # the code that set it up was used


class FirstFactorTests(People):
    def test_it_ends_the_sessions_that_nobody_was_asked_for_it_in(self) -> None:
        other = Client()
        for client in (other, self.client):
            client.force_login(self.alice)
        set_up(self.client, "alice-likes-tea")
        assert (inside(self.client), inside(other)) == (True, False)


class AppTests(FactorCase):
    def test_it_asks_for_the_code_after_the_password(self) -> None:
        client, answer = sign_in("alice", "alice-likes-tea")
        assert answer["Location"] == CODE
        assert not inside(client)
        answer = client.post(CODE, {"code": code_of(self.secret)})
        assert answer["Location"] == "/"
        assert inside(client)

    def test_it_goes_on_to_where_one_wanted(self) -> None:
        client = Client()
        client.post("/accounts/login/", {"username": "alice", "password": "alice-likes-tea", "next": "/jobs/new/"})
        assert client.post(CODE, {"code": code_of(self.secret)})["Location"] == "/jobs/new/"

    def test_it_has_a_new_session_key_afterwards(self) -> None:
        client, _ = sign_in("alice", "alice-likes-tea")
        before = client.session.session_key
        client.post(CODE, {"code": code_of(self.secret)})
        assert client.session.session_key != before
        assert not person_of(before).is_authenticated

    def test_it_takes_no_wrong_code(self) -> None:
        client, _ = sign_in("alice", "alice-likes-tea")
        answer = client.post(CODE, {"code": "000000"})
        assert "This code is not right" in answer.content.decode()
        assert not inside(client)

    def test_it_takes_a_code_once(self) -> None:
        code = code_of(self.secret)
        first, _ = sign_in("alice", "alice-likes-tea")
        assert first.post(CODE, {"code": code}).status_code == 302
        second, _ = sign_in("alice", "alice-likes-tea")
        assert second.post(CODE, {"code": code}).status_code == 200
        assert not inside(second)

    def test_it_takes_a_code_once_in_every_process(self) -> None:
        assert throttling.once("used", "a code", 120)
        assert not throttling.once("used", "a code", 120)

    def test_it_limits_guesses_of_codes(self) -> None:
        for number in range(5):
            client, _ = sign_in("alice", "alice-likes-tea")
            client.post(CODE, {"code": f"00000{number}"})
        client, _ = sign_in("alice", "alice-likes-tea")
        answer = client.post(CODE, {"code": code_of(self.secret)})
        assert "Too many tries" in answer.content.decode()
        assert not inside(client)

    def test_a_recovery_code_signs_in_once(self) -> None:
        assert len(self.codes) == 10
        for expected in (True, False):
            client, _ = sign_in("alice", "alice-likes-tea")
            client.post(CODE, {"code": self.codes[0]})
            assert inside(client) is expected

    def test_recovery_codes_are_shown_once(self) -> None:
        page = self.client.get("/accounts/second-factor/codes/").content.decode()
        assert not any(code in page for code in self.codes)

    def test_the_link_asks_for_the_code_too(self) -> None:
        client = Client()
        assert client.get("/enter/" + get_query_string(self.alice))["Location"] == CODE
        assert not inside(client)

    def test_nobody_reaches_the_code_without_the_password(self) -> None:
        assert Client().post(CODE, {"code": code_of(self.secret)})["Location"] == "/accounts/login/"

    def test_who_was_shut_out_meanwhile_stays_outside(self) -> None:
        client, _ = sign_in("alice", "alice-likes-tea")
        User.objects.filter(pk=self.alice.pk).update(is_active=False)
        client.post(CODE, {"code": code_of(self.secret)})
        assert not inside(client)

    def test_its_secret_is_encrypted(self) -> None:
        kept = Authenticator.objects.get(type="totp").data["secret"]
        assert self.secret not in kept
        with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            client, _ = sign_in("alice", "alice-likes-tea")
            assert client.post(CODE, {"code": code_of(self.secret)})["Location"] == "/"

    def test_it_is_removed_by_who_says_who_it_is(self) -> None:
        client, _ = sign_in("alice", "alice-likes-tea")
        client.post(CODE, {"code": code_of(self.secret)})
        path = "/accounts/second-factor/app/remove/"
        assert client.post(path)["Location"].startswith("/accounts/confirm/")
        assert Authenticator.objects.exists()
        confirm(client, "alice-likes-tea", path)
        client.post(path)
        assert not Authenticator.objects.exists()  # the recovery codes go with it

    def test_a_wrong_password_confirms_nothing(self) -> None:
        client, _ = sign_in("alice", "alice-likes-tea")
        client.post(CODE, {"code": code_of(self.secret)})
        for _ in range(6):
            answer = confirm(client, "wrong", "/accounts/second-factor/app/remove/")
        assert "Too many tries" in str(answer.context["form"].errors)
        assert Authenticator.objects.filter(type="totp").exists()

    def test_it_is_written_down(self) -> None:
        kinds = list(SecurityEvent.objects.filter(name="alice", kind="second factor").values_list("text", flat=True))
        assert "TOTP Authenticator added" in kinds
        assert self.secret not in " ".join(SecurityEvent.objects.values_list("text", flat=True))

    def test_a_command_removes_what_was_lost(self) -> None:
        call_command("unlock", "alice", "--second-factor", stdout=StringIO())
        client, _ = sign_in("alice", "alice-likes-tea")
        assert inside(client)

    def test_an_administrator_removes_what_was_lost(self) -> None:
        self.client.force_login(self.sam)
        form = {"action": "remove_second_factors", "_selected_action": [self.alice.pk]}
        self.client.post("/admin/auth/user/", form)
        assert not Authenticator.objects.exists()

    def test_the_admin_shows_no_secret_of_it(self) -> None:
        self.client.force_login(self.sam)
        for path in ("/admin/mfa/authenticator/", "/admin/account/emailaddress/", "/admin/socialaccount/socialapp/"):
            assert self.client.get(path).status_code == 404


class PageTests(FactorCase):
    def test_every_page_stands_under_the_strict_policy(self) -> None:
        for name in ("mfa_index", "mfa_add_webauthn", "mfa_view_recovery_codes", "mfa_generate_recovery_codes",
                     "mfa_deactivate_totp", "sessions", "account_reauthenticate", "mfa_reauthenticate"):  # fmt: skip
            answer = self.client.get(reverse(name))
            assert answer.status_code == 200, name
            body = answer.content.decode()
            assert not [part for part in (" style=", " onclick=", "<style", "data:") if part in body], name
            assert "unsafe" not in answer["Content-Security-Policy"]

    def test_it_has_no_address_that_is_not_offered(self) -> None:
        for path in ("signup/", "email/", "confirm-email/", "inactive/", "2fa/", "3rdparty/", "password/reset/",
                     "login/company/", "login/company/callback/", "second-factor/codes/download/"):  # fmt: skip
            assert self.client.get(f"/accounts/{path}").status_code == 404, path


class LinkTests(People):
    def test_who_has_no_password_confirms_by_having_just_come(self) -> None:
        admin = User.objects.create_superuser("admin")
        self.client.get("/enter/" + get_query_string(admin))
        assert self.client.get(APP).status_code == 200
        session = self.client.session
        session["began"] -= 600
        session.save()
        assert self.client.get(APP)["Location"].startswith("/accounts/login/")


@STAFF
class RequiredTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.sam)

    def test_it_leads_staff_to_set_one_up_before_anything_else(self) -> None:
        for path in ("/", "/jobs/new/", "/admin/", "/admin/auth/user/", "/accounts/sessions/"):
            assert self.client.get(path)["Location"] == "/accounts/second-factor/", path
        page = self.client.get("/accounts/second-factor/").content.decode()
        assert "Your account needs a second factor" in page

    def test_it_tells_scripts(self) -> None:
        answer = self.client.get("/jobs/list.json", headers={"accept": "application/json"})
        assert answer.status_code == 403
        assert "second factor" in answer.json()["detail"]
        answer = self.client.get("/", headers={"hx-request": "true"})
        assert (answer.status_code, answer["HX-Redirect"]) == (403, "/accounts/second-factor/")

    def test_it_changes_nothing_meanwhile(self) -> None:
        self.client.post("/admin/auth/user/", {"action": "unlock", "_selected_action": [self.bob.pk]})
        assert not SecurityEvent.objects.filter(kind="unlocked").exists()

    def test_it_counts_nobody_behind_a_body_or_a_socket(self) -> None:
        assert not person_of(self.client.session.session_key).is_authenticated

    def test_it_lets_on_who_has_one(self) -> None:
        set_up(self.client, "sam-likes-tea")
        assert inside(self.client)
        assert person_of(self.client.session.session_key).is_authenticated

    def test_recovery_codes_alone_are_none(self) -> None:
        set_up(self.client, "sam-likes-tea")
        Authenticator.objects.filter(type="totp").delete()
        assert not inside(self.client)

    def test_it_asks_nothing_of_others(self) -> None:
        self.client.force_login(self.bob)
        assert inside(self.client)
        with override_settings(REQUIRE_SECOND_FACTOR="everybody"):
            assert not inside(self.client)

    def test_it_lets_one_sign_out(self) -> None:
        assert self.client.post("/accounts/logout/")["Location"] == "/accounts/login/"

    def test_a_slip_in_the_setting_stops_the_start(self) -> None:
        with override_settings(REQUIRE_SECOND_FACTOR="stuff"):
            assert "jobs.E007" in {found.id for found in run_checks()}


class OddPasskeyTests(People):
    """What no browser says of a passkey is answered, and is none."""

    ODD = ('{"id":"a","response":{}}', '{"id":1}', "1" * 5000, "[" * 100_000, '{"id":"YQ","rawId":"YQ","response":{}}',
           '{"id":"YQ","rawId":"YQ","type":"public-key","response":{"clientDataJSON":"YQ","authenticatorData":"YQ",'
           '"signature":"YQ","userHandle":"YQ"}}', "x" * 200_000, '"a"', "null", "")  # fmt: skip

    def test_it_signs_nobody_in(self) -> None:
        for odd in self.ODD:
            client = Client()
            client.get("/accounts/login/passkey/", headers={"accept": "application/json"})
            answer = client.post("/accounts/login/passkey/", {"credential": odd})
            assert (answer.status_code, answer.get("Location")) == (302, "/accounts/login/"), odd[:50]

    def test_it_adds_none(self) -> None:
        self.client.force_login(self.alice)
        confirm(self.client, "alice-likes-tea")
        for odd in self.ODD:
            answer = self.client.post("/accounts/second-factor/passkey/", {"name": "a", "credential": odd})
            assert answer.status_code == 200, odd[:50]
        assert not Authenticator.objects.filter(user=self.alice).exists()


class PasskeyOfAnotherPageTests(People):
    """A passkey counts where a page of ours asked for it: exactly this scheme, host and port."""

    OWN = "http://testserver"
    OTHERS = ("https://testserver", "http://testserver:8000", "http://sub.testserver", "http://evil.example", "null",
              "http://testserver/", "http://testserver@evil.example", "")  # fmt: skip
    ADD = "/accounts/second-factor/passkey/"
    SIGN_IN = "/accounts/login/passkey/"

    def setUp(self) -> None:
        self.client.force_login(self.alice)
        confirm(self.client, "alice-likes-tea", self.ADD)
        self.device = Device()

    def add(self, origin: str) -> bool:
        options = self.client.get(self.ADD).context["js_data"]["creation_options"]
        self.client.post(self.ADD, {"name": "a", "passwordless": "on", "credential": self.device.made(options, origin)})
        return Authenticator.objects.filter(user=self.alice, type="webauthn").exists()

    def signs_in(self, origin: str) -> bool:
        client = Client()
        options = client.get(self.SIGN_IN, headers={"accept": "application/json"}).json()["request_options"]
        client.post(self.SIGN_IN, {"credential": self.device.used(options, origin)})
        return inside(client)

    def test_it_is_not_added(self) -> None:
        for origin in self.OTHERS:
            assert not self.add(origin), origin
        assert self.add(self.OWN)

    def test_it_signs_nobody_in(self) -> None:
        self.add(self.OWN)
        for origin in self.OTHERS:
            assert not self.signs_in(origin), origin
        assert self.signs_in(self.OWN)

    def test_a_trusted_page_may_ask_for_it(self) -> None:
        self.add(self.OWN)
        with override_settings(CSRF_TRUSTED_ORIGINS=["https://batch.example.com"]):
            assert self.signs_in("https://batch.example.com")
            assert not self.signs_in("https://batch.example.com:8443")


class OddSecondPasskeyTests(FactorCase):
    def test_it_is_no_second_factor(self) -> None:
        client, _ = sign_in("alice", "alice-likes-tea")
        for odd in OddPasskeyTests.ODD:
            assert client.post(CODE, {"credential": odd}).status_code == 200, odd[:50]
        assert not inside(client)
        failed = SecurityEvent.objects.filter(kind=SecurityEvent.Kind.FAILED, name="alice", text="passkey")
        assert failed.count() == len(OddPasskeyTests.ODD)
