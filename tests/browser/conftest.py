from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.services import Missing, skip_or_fail
from tests.services.chromium import chromium
from tests.system import System

# What a strict content security policy reports, and every mistake of a script, ends in the console.
Complaints = list[str]
# Seconds become many on a busy machine; what does not come at all fails late instead of early.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        found = chromium()
    except Missing as error:
        skip_or_fail(error)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found.path, env=found.environment())
        yield started
        started.close()


@pytest.fixture
def complaints() -> Complaints:
    return []


@pytest.fixture
def page(browser: Browser, system: System, complaints: Complaints) -> Iterator[Page]:
    """A tab signed in as the first administrator. A complaint in its console fails the test."""
    context = browser.new_context(base_url=system.url, viewport={"width": 1440, "height": 900})
    client = system.client()
    context.add_cookies([{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()])
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    assert complaints == []


def tab_to(page: Page, wanted: Locator) -> None:
    """Presses Tab until that has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")
