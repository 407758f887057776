"""A company's own sign-in, with a real provider on this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import User
from django.test import Client, RequestFactory, SimpleTestCase, override_settings
from jwt.utils import base64url_encode
from oidc_provider_mock import User as Known
from oidc_provider_mock import run_server_in_thread

from batchweb.accounts import oidc
from jobs.models import SecurityEvent
from tests.base import People
from tests.batchweb.accounts.test_second_factor import set_up
from tests.processors.servers import reply, serving

# The provider's own library warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")

START, BACK = "/accounts/login/company/", "/accounts/login/company/callback/"
PEOPLE = (
    Known(sub="a-1", claims={"email": "alice@example.com", "email_verified": True, "preferred_username": "alice"}),
    Known(sub="e-2", claims={"email": "alice@example.com", "email_verified": False, "preferred_username": "alice"}),
    Known(sub="c-3", claims={"email": "carol@example.com", "email_verified": True, "preferred_username": "carol@x y",
                             "groups": ["operators"]}),
    Known(sub="d-4", claims={"email": "dan@other.example", "email_verified": True}),
)  # fmt: skip


@contextmanager
def company(**settings: Any) -> Iterator[None]:
    """A provider, and the settings that name it."""
    with run_server_in_thread(user_claims=PEOPLE) as server:
        issuer = f"http://localhost:{server.server_port}"
        app = {"provider_id": "company", "name": "Acme", "client_id": "batchweb", "secret": "nothing-secret",
               "settings": {"server_url": issuer}}  # fmt: skip
        providers = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
        with override_settings(OIDC_ISSUER=issuer, OIDC_NAME="Acme", SOCIALACCOUNT_PROVIDERS=providers, **settings):
            yield


def there(client: Client, subject: str, path: str = START) -> str:
    """Goes to the provider as `subject`; the address that it leads back to."""
    answer = client.get(path)
    assert answer.status_code == 302
    # A provider shows a form, and leads back once it is sent.
    done = httpx.post(answer["Location"], data={"sub": subject})
    assert done.status_code == 302, done.text
    parts = urlsplit(done.headers["Location"])
    return f"{parts.path}?{parts.query}"


def come(subject: str, client: Client | None = None, path: str = START) -> tuple[Client, Any]:
    client = client or Client()
    return client, client.get(there(client, subject, path), follow=True)


def inside(client: Client) -> str:
    answer = client.get("/")
    return str(answer.wsgi_request.user) if answer.status_code == 200 else ""


def said(answer: Any) -> str:
    return " ".join(map(str, answer.context["messages"]))


class CompanyTests(People):
    def setUp(self) -> None:
        User.objects.filter(pk=self.alice.pk).update(email="alice@example.com")

    def test_it_is_offered_where_it_is_set_up(self) -> None:
        assert "Sign in with Acme" not in self.client.get("/accounts/login/").content.decode()
        with company():
            assert "Sign in with Acme" in self.client.get("/accounts/login/").content.decode()

    def test_it_goes_with_state_nonce_and_a_challenge_and_nothing_else(self) -> None:
        with company():
            where = self.client.get(f"{START}?auth_params=prompt%3Dnone&scope=admin&process=connect")["Location"]
        asked = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
        assert set(asked) == {"client_id", "redirect_uri", "scope", "response_type", "state", "nonce",
                              "code_challenge", "code_challenge_method"}  # fmt: skip
        assert (asked["code_challenge_method"], {*asked["scope"].split()}) == ("S256", {"openid", "profile", "email"})

    def test_it_lets_in_whom_an_administrator_linked(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        with company():
            client, _ = come("a-1")
            assert inside(client) == "bob"  # by the subject, whatever the address says
        assert SecurityEvent.objects.filter(kind="signed in", name="bob", text="socialaccount").exists()

    def test_an_administrator_links(self) -> None:
        self.client.force_login(self.sam)
        with company():
            form = {"username": "bob", "is_active": "on", "quota-TOTAL_FORMS": "0", "quota-INITIAL_FORMS": "0",
                    "socialaccount_set-TOTAL_FORMS": "1", "socialaccount_set-INITIAL_FORMS": "0",
                    "socialaccount_set-0-user": self.bob.pk, "socialaccount_set-0-provider": "company",
                    "socialaccount_set-0-uid": "d-4"}  # fmt: skip
            assert self.client.post(f"/admin/auth/user/{self.bob.pk}/change/", form).status_code == 302
            assert inside(come("d-4")[0]) == "bob"

    def test_it_goes_on_to_where_one_wanted(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        with company():
            _, answer = come("a-1", path=f"{START}?next=/jobs/new/")
            assert answer.redirect_chain[-1][0] == "/jobs/new/"
            _, answer = come("a-1", path=f"{START}?next=https://evil.example/")
            assert answer.redirect_chain[-1][0] == "/"

    def test_it_lets_in_nobody_whom_nobody_knows(self) -> None:
        with company():
            for subject in ("a-1", "e-2", "c-3"):
                client, answer = come(subject)
                assert not inside(client)
                assert said(answer) == oidc.NO_ACCOUNT
        assert not SocialAccount.objects.exists()
        assert User.objects.count() == 3

    def test_it_links_by_a_verified_address_where_the_setting_says_so(self) -> None:
        with company(OIDC_LINK_BY_EMAIL=True):
            assert inside(come("a-1")[0]) == "alice"
        self.alice.refresh_from_db()
        assert self.alice.has_usable_password()  # the way in that was there stays

    def test_it_never_links_by_an_address_that_is_not_verified(self) -> None:
        with company(OIDC_LINK_BY_EMAIL=True, OIDC_CREATE=True):
            client, _ = come("e-2")
            assert inside(client) == "alice-2"
        assert SocialAccount.objects.get().user != self.alice

    def test_it_links_to_nobody_where_two_have_the_address(self) -> None:
        User.objects.filter(pk=self.bob.pk).update(email="Alice@example.com")
        with company(OIDC_LINK_BY_EMAIL=True):
            assert not inside(come("a-1")[0])

    def test_it_makes_people_where_the_setting_says_so(self) -> None:
        with company(OIDC_CREATE=True):
            client, _ = come("c-3")
            assert inside(client) == "carol"
            assert inside(come("c-3")[0]) == "carol"
        carol = User.objects.get(username="carol")
        assert (carol.email, carol.is_staff, carol.has_usable_password()) == ("carol@example.com", False, False)

    def test_it_keeps_out_other_domains_and_groups(self) -> None:
        with company(OIDC_CREATE=True, OIDC_DOMAINS=["example.com"]):
            assert said(come("d-4")[1]) == oidc.NOT_ALLOWED
            assert not inside(come("e-2")[0])  # an address that is not verified is in no domain
            assert inside(come("c-3")[0])
        with company(OIDC_GROUPS=["auditors"]):
            assert not inside(come("c-3")[0])

    def test_groups_make_staff_and_unmake_it(self) -> None:
        with company(OIDC_CREATE=True, OIDC_STAFF_GROUPS=["operators"]):
            come("c-3")
            assert User.objects.get(username="carol").is_staff
        with company(OIDC_STAFF_GROUPS=["others"]):
            come("c-3")
            assert not User.objects.get(username="carol").is_staff

    def test_it_lets_in_nobody_who_was_shut_out(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        User.objects.filter(pk=self.bob.pk).update(is_active=False)
        with company():
            client, answer = come("a-1")
            assert not inside(client)
            assert "closed" in said(answer)

    def test_it_asks_for_the_second_factor_of_who_has_one(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        self.client.force_login(self.bob)
        set_up(self.client, "bob-likes-tea")
        assert Authenticator.objects.exists()
        with company():
            client, answer = come("a-1")
        assert answer.redirect_chain[-1][0] == "/accounts/login/code/"
        assert not inside(client)

    def test_it_takes_an_answer_once_and_from_who_asked(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        with company():
            client = Client()
            back = there(client, "a-1")
            assert not inside(self.stranger(back))
            client.get(back)
            assert inside(client) == "bob"
            client.post("/accounts/logout/")
            client.get(back)
            assert not inside(client)

    def stranger(self, back: str) -> Client:
        """Somebody who got hold of the address that leads back."""
        client = Client()
        assert said(client.get(back, follow=True)) == oidc.UNREACHABLE
        return client

    def test_it_takes_no_answer_with_another_nonce(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        with company():
            client = Client()
            back = there(client, "a-1")
            session = client.session
            (key,) = session["socialaccount_states"]
            session["socialaccount_states"][key][0]["nonce"] = "another"
            session.save()
            assert said(client.get(back, follow=True)) == oidc.UNREACHABLE
            assert not inside(client)
        assert SecurityEvent.objects.filter(kind="refused", text="company sign-in: nonce").exists()

    def test_it_says_so_when_it_was_cancelled_or_odd(self) -> None:
        with company():
            for query, sentence in (("error=access_denied", "cancelled"), ("error=server_error", "does not answer")):
                client = Client()
                state = parse_qs(urlsplit(client.get(START)["Location"]).query)["state"][0]
                assert sentence in said(client.get(f"{BACK}?state={state}&{query}", follow=True))
            for query in ("", "?code=x", "?code=x&state=y", "?state=%00"):
                assert Client().get(BACK + query)["Location"] == "/accounts/login/"

    def test_it_says_so_when_the_provider_is_away(self) -> None:
        app = {"provider_id": "company", "name": "Acme", "client_id": "x", "secret": "x",
               "settings": {"server_url": "http://127.0.0.1:9"}}  # fmt: skip
        with override_settings(
            OIDC_ISSUER="http://127.0.0.1:9", SOCIALACCOUNT_PROVIDERS={"openid_connect": {"APPS": [app]}}
        ):
            assert said(self.client.get(START, follow=True)) == oidc.UNREACHABLE

    def test_it_is_the_only_way_where_passwords_are_off(self) -> None:
        SocialAccount.objects.create(user=self.bob, provider="company", uid="a-1")
        with company(PASSWORD_SIGN_IN=False):
            page = self.client.get("/accounts/login/").content.decode()
            assert 'name="password"' not in page
            form = {"username": "bob", "password": "bob-likes-tea"}
            self.client.post("/accounts/login/", form)
            assert not inside(self.client)
            assert inside(come("a-1")[0]) == "bob"


class TokenTests(SimpleTestCase):
    """Tokens that somebody made up."""

    ours: ClassVar[rsa.RSAPrivateKey]
    theirs: ClassVar[rsa.RSAPrivateKey]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ours, cls.theirs = (rsa.generate_private_key(65537, 2048) for _ in range(2))

    def claims(self, **fields: Any) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": "http://p", "aud": "batchweb", "sub": "a-1", "iat": now, "exp": now + 60} | fields

    def read(self, token: str) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.ours.public_key(), as_dict=True)
        answer = json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}).encode()

        with serving(lambda handler: reply(handler, 200, answer)) as address, override_settings(OIDC_ISSUER="http://p"):
            exchange = oidc.Exchange(RequestFactory().get("/"), "company")
            exchange._openid_config = {"issuer": "http://p", "jwks_uri": f"{address}/keys"}
            return exchange._decode_id_token(SimpleNamespace(client_id="batchweb"), token)

    def sign(self, key: Any = None, algorithm: str = "RS256", kid: str | None = "one", **fields: Any) -> str:
        headers = {"kid": kid} if kid else None
        return jwt.encode(self.claims(**fields), key or self.ours, algorithm=algorithm, headers=headers)

    def by_hand(self, secret: bytes) -> str:
        """A token with a shared secret, as no library makes it of a public key."""
        head = {"alg": "HS256", "kid": "one", "typ": "JWT"}
        signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in (head, self.claims()))
        return (signed + b"." + base64url_encode(hmac.new(secret, signed, hashlib.sha256).digest())).decode()

    def test_it_reads_what_the_provider_signed(self) -> None:
        assert self.read(self.sign())["sub"] == "a-1"
        assert self.read(self.sign(kid=None))["sub"] == "a-1"

    def test_it_takes_no_other(self) -> None:
        public = self.ours.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        forged = {
            "another key": self.sign(self.theirs),
            "no key": jwt.encode(self.claims(), "", algorithm="none"),
            "the public key as a secret": self.by_hand(public),
            "an unknown key": self.sign(kid="two"),
            "for somebody else": self.sign(aud="others"),
            "for several": self.sign(aud=["batchweb", "others"], azp="others"),
            "from somebody else": self.sign(iss="http://q"),
            "too old": self.sign(exp=int(time.time()) - 120),
            "without an end": self.sign(exp=None),
            "no token": "x.y.z",
        }
        for name, token in forged.items():
            with self.subTest(name), self.assertRaises(OAuth2Error):
                self.read(token)
