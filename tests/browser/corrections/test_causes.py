"""What is done with the failures of one cause, on the page of a job and on the page of all causes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.corrections.shop import SOON, asking, cause, downloaded, opened, stored, tried
from tests.system import System

pytestmark = pytest.mark.browser
DEAR = {5, 8, 15, 18, 25, 28}


def test_it_puts_an_accepted_cause_apart(page: Page, code: str) -> None:
    opened(page, code)
    cause(page, "too dear").get_by_role("button", name="Accept").click()
    expect(page.locator("#accepted > summary")).to_have_text("Accepted (1)")
    expect(page.locator("#causes > li")).to_have_count(1)
    page.locator("#accepted > summary").click()
    expect(page.locator("#causes-accepted > li")).to_contain_text("too dear")


def test_it_counts_accepted_failures_as_failed(page: Page, system: System, code: str) -> None:
    opened(page, code)
    cause(page, "too dear").get_by_role("button", name="Accept").click()
    expect(page.locator("#accepted")).to_be_visible()
    expect(page.locator("#tiles [data-v=failed]")).to_have_text("9")
    assert system.snapshot(system.clients[0], code)["counts"]["failed"] == 9


def test_it_leaves_accepted_failures_out_of_a_retry_of_all(page: Page, code: str) -> None:
    opened(page, code)
    cause(page, "too dear").get_by_role("button", name="Accept").click()
    expect(page.locator("#actions [data-v=retry]")).to_have_text("Retry 3 failed")
    page.locator("#actions [data-retry]").click()
    expect(asking(page, "Retry 3 items")).to_contain_text("6 accepted failures stay as they are.")


def test_it_takes_an_acceptance_back(page: Page, code: str) -> None:
    opened(page, code)
    cause(page, "too dear").get_by_role("button", name="Accept").click()
    page.locator("#accepted > summary").click()
    cause(page, "too dear").get_by_role("button", name="Take back").click()
    expect(page.locator("#causes > li")).to_have_count(2)
    expect(page.locator("#accepted")).to_be_hidden()
    expect(page.locator("#activity")).to_contain_text("No longer accepts the failure of “too dear")


def test_it_downloads_exactly_the_rows_of_a_cause(page: Page, code: str) -> None:
    opened(page, code)
    rows = downloaded(page, cause(page, "too dear").get_by_role("link", name="Download"))
    assert [(row["article"], row["row"]) for row in rows] == [(f"article {row}", str(row)) for row in sorted(DEAR)]


def test_it_tries_only_the_rows_of_a_cause_again(page: Page, system: System, code: str) -> None:
    opened(page, code)
    cause(page, "ValueError").get_by_role("button", name="Retry 3").click()
    asking(page, "Retry 3 items").get_by_role("button", name="Retry 3 items").click()
    tried(system, code, {3, 13, 23})
    done = page.locator("#activity").get_by_text(re.compile("^Retried “ValueError: .*”: 3 items$"))
    expect(done).to_be_visible(timeout=SOON)


def test_it_asks_on_the_page_of_all_causes(page: Page, system: System, code: str) -> None:
    page.goto(f"/jobs/{code}/causes/")
    cause(page, "too dear").get_by_role("button", name="Retry 6").click()
    expect(page.get_by_role("heading", name="Retry 6 items", level=1)).to_be_visible()
    assert max(row["attempts"] for row in stored(system, code)) == 1
    page.get_by_role("button", name="Retry 6 items").click()
    page.wait_for_url(f"**/jobs/{code}/")
    tried(system, code, DEAR)


@pytest.mark.parametrize("path", ["", "causes/"])
def test_it_asks_without_scripts(browser: Browser, page: Page, system: System, code: str, path: str) -> None:
    context = browser.new_context(
        base_url=system.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto(f"/jobs/{code}/{path}")
    cause(plain, "too dear").get_by_role("button", name="Retry 6").click()
    expect(plain.get_by_role("heading", name="Retry 6 items")).to_be_visible()
    assert max(row["attempts"] for row in stored(system, code)) == 1
    context.close()


def test_it_fits_a_phone_with_all_causes(page: Page, code: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/jobs/{code}/causes/")
    expect(cause(page, "too dear")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
