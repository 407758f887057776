"""The pages of one's account: signing in, second factors, sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from playwright.sync_api import Page, expect

from tests.batchweb.accounts.codes import code_of
from tests.browser.repairs import STATES as STATES
from tests.browser.stage import Stage
from tests.browser.states import state

FACTORS: Final = "/accounts/second-factor/"
PASSWORD: Final = "tea-and-biscuits"
_numbers = count(1)


@contextmanager
def somebody(stage: Stage, path: str) -> Iterator[Page]:
    """A tab of somebody new that shows `path`."""
    with stage.tab(path, person=f"erin{next(_numbers)}") as page:
        yield page


def confirm(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def set_up(page: Page) -> str:
    """Sets up an authenticator app, up to the recovery codes; its secret."""
    page.goto(f"{FACTORS}app/")
    confirm(page)
    secret = page.get_by_label("Key", exact=True).input_value()
    page.get_by_label("code").fill(code_of(secret))
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    return secret


def sign_in(page: Page, name: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


@state("sign-in")
def came(stage: Stage) -> Iterator[Page]:
    with stage.tab("/accounts/login/", person=None) as page:
        yield page


@state("sign-in, too many tries")
def too_many(stage: Stage) -> Iterator[Page]:
    with stage.tab("/accounts/login/", person=None) as page:
        for _ in range(6):
            sign_in(page, "nobody")
        expect(page.get_by_role("alert").first).to_contain_text("Too many tries")
        yield page


@state("sign-in, second factor")
def second(stage: Stage) -> Iterator[Page]:
    with somebody(stage, "/") as page:
        set_up(page)
        name = page.locator(".menu-name").text_content() or ""
        page.context.clear_cookies()
        sign_in(page, name.removeprefix("Signed in as "))
        expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
        yield page


@state("second factor, none")
def none(stage: Stage) -> Iterator[Page]:
    with somebody(stage, FACTORS) as page:
        yield page


@state("second factor, who is it")
def who(stage: Stage) -> Iterator[Page]:
    with somebody(stage, f"{FACTORS}app/") as page:
        expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
        yield page


@state("second factor, app")
def app(stage: Stage) -> Iterator[Page]:
    with somebody(stage, f"{FACTORS}app/") as page:
        confirm(page)
        expect(page.locator(".qr svg")).to_be_visible()
        yield page


@state("second factor, recovery codes")
def codes(stage: Stage) -> Iterator[Page]:
    with somebody(stage, "/") as page:
        set_up(page)
        yield page


@state("second factor, set up")
def there(stage: Stage) -> Iterator[Page]:
    with somebody(stage, "/") as page:
        set_up(page)
        page.goto(FACTORS)
        yield page


@state("second factor, a passkey")
def passkey(stage: Stage) -> Iterator[Page]:
    with somebody(stage, f"{FACTORS}passkey/") as page:
        confirm(page)
        expect(page.get_by_role("button", name="Add the passkey")).to_be_visible()
        yield page


@state("sessions")
def sessions(stage: Stage) -> Iterator[Page]:
    person = f"erin{next(_numbers)}"
    stage.client(person)
    stage.system.client(person)
    with stage.tab("/accounts/sessions/", person=person) as page:
        expect(page.get_by_role("button", name="Sign out everywhere else")).to_be_visible()
        yield page


@state("reset a password")
def reset(stage: Stage) -> Iterator[Page]:
    with stage.tab("/accounts/password_reset/", person=None) as page:
        yield page
