"""Signing out: what is open elsewhere hears of it at once."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_it_closes_the_line_of_other_tabs(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    other = page.context.new_page()
    other.goto("/jobs/new/")
    other.locator(".header .menu summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/accounts/login/")
    # Long before the socket would ask by itself.
    expect(page.locator("#lost")).to_contain_text("signed out", timeout=8_000)
    expect(page.locator("#live")).to_have_text("Not live")
