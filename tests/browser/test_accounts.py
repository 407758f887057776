"""Signing in with a passkey, an app and a company's account, in a real browser under the strict policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from oidc_provider_mock import User as Known
from oidc_provider_mock import run_server_in_thread
from playwright.sync_api import Browser, Page, expect

from tests.batchweb.accounts.codes import code_of
from tests.browser.accounts import FACTORS, confirm, set_up, sign_in
from tests.browser.stage import Stage
from tests.system import System, free_port

# The provider's own library warns of itself.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")]

CAROL = Known(sub="c-3", claims={"email": "carol@example.com", "email_verified": True, "preferred_username": "carol"})


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A system that knows a company's sign-in."""
    with run_server_in_thread(user_claims=[CAROL]) as provider:
        system = System(tmp_path_factory.mktemp("stage"), free_port())
        # Passkeys belong to a name; an address of numbers has none.
        system.url = system.url.replace("127.0.0.1", "localhost")
        system.env |= {
            "OIDC_ISSUER": f"http://localhost:{provider.server_port}",
            "OIDC_CLIENT_ID": "batchweb",
            "OIDC_CLIENT_SECRET": "nothing-secret",
            "OIDC_NAME": "Acme",
            "OIDC_CREATE": "1",
        }
        system.start()
        try:
            yield Stage(system, browser)
        finally:
            system.kill()


@contextmanager
def at_the_door(stage: Stage) -> Iterator[Page]:
    """A tab of nobody yet; a complaint in its console fails the test."""
    stage.complaints.clear()
    with stage.tab("/accounts/login/", person=None) as page:
        yield page
    assert stage.complaints == []


def inside(page: Page, name: str) -> None:
    expect(page.locator(".menu-name")).to_have_text(f"Signed in as {name}")


def authenticator(page: Page) -> None:
    """Gives the browser a device that holds passkeys, and somebody whose finger is always on it."""
    line = page.context.new_cdp_session(page)
    line.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    line.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_signs_in_alone(stage: Stage) -> None:
    stage.system.person("pam")
    with at_the_door(stage) as page:
        authenticator(page)
        sign_in(page, "pam")
        page.goto(f"{FACTORS}passkey/")
        confirm(page)
        page.get_by_role("button", name="Add the passkey").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
        page.goto(FACTORS)
        expect(page.locator(".people")).to_contain_text("Passkey")
        page.locator(".menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Use a passkey").click()
        inside(page, "pam")


def test_a_passkey_is_the_second_factor_of_a_password(stage: Stage) -> None:
    stage.system.person("peg")
    with at_the_door(stage) as page:
        authenticator(page)
        sign_in(page, "peg")
        page.goto(f"{FACTORS}passkey/")
        confirm(page)
        page.get_by_label("Signs in without a password").uncheck()
        page.get_by_role("button", name="Add the passkey").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
        page.context.clear_cookies()
        sign_in(page, "peg")
        page.get_by_role("button", name="Use a passkey").click()
        inside(page, "peg")


def test_it_says_so_when_no_passkey_answers(stage: Stage) -> None:
    with at_the_door(stage) as page:
        page.goto(stage.system.url.replace("localhost", "127.0.0.1") + "/accounts/login/")
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.locator("form[data-passkey] .error")).to_contain_text("Passkeys need an address with a name")


def test_an_app_is_the_second_factor_of_a_password(stage: Stage) -> None:
    stage.system.person("tess")
    with at_the_door(stage) as page:
        sign_in(page, "tess")
        secret = set_up(page)
        page.context.clear_cookies()
        sign_in(page, "tess")
        expect(page).to_have_url(re.compile("/accounts/login/code/"))
        page.get_by_label("Code").fill(code_of(secret, 1))
        page.get_by_role("button", name="Sign in", exact=True).click()
        inside(page, "tess")


def test_a_company_signs_in(stage: Stage) -> None:
    with at_the_door(stage) as page:
        page.goto("/accounts/login/?next=/jobs/new/")
        page.get_by_role("link", name="Sign in with Acme").click()
        page.get_by_role("button", name="c-3").click()
        inside(page, "carol")
        expect(page).to_have_url(re.compile("/jobs/new/$"))
        # The provider's own page wants a stylesheet from elsewhere.
        stage.complaints = [said for said in stage.complaints if "NAME_NOT_RESOLVED" not in said]
