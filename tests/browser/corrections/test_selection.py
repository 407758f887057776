"""Rows that are chosen in the table, over its pages: marked, tried again, accepted, taken home."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.corrections.shop import asking, downloaded, opened, table, toast, tried
from tests.system import System

pytestmark = pytest.mark.browser


def box(page: Page, row: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Choose row {row}", exact=True)


def chosen(page: Page, words: str) -> None:
    expect(page.locator("#chosen-said")).to_have_text(words)


def three(page: Page, code: str) -> None:
    """The page of failures with three rows marked."""
    opened(page, code, "?state=failed")
    for row in (3, 8, 25):
        box(page, row).check()
    chosen(page, "3 chosen")


def test_it_marks_a_range_with_shift(page: Page, many: str) -> None:
    opened(page, many, "?state=failed")
    box(page, 2).click()
    box(page, 12).click(modifiers=["Shift"])
    chosen(page, "5 chosen")
    for row in (2, 6, 7, 11, 12):
        expect(box(page, row)).to_be_checked()
    expect(box(page, 16)).not_to_be_checked()


def test_it_keeps_what_is_chosen_on_other_pages(page: Page, many: str) -> None:
    opened(page, many, "?state=failed")
    box(page, 2).check()
    page.locator("#items-next").click()
    expect(box(page, 176)).to_be_visible()
    box(page, 176).check()
    chosen(page, "2 chosen")
    page.locator("#items-previous").click()
    expect(box(page, 2)).to_be_checked()
    page.reload()
    chosen(page, "2 chosen")


def test_it_chooses_all_that_is_filtered_for(page: Page, many: str) -> None:
    opened(page, many, "?state=failed")
    page.locator("#pick-page").check()
    chosen(page, "50 chosen")
    page.get_by_role("button", name="Choose all 72 failed").click()
    chosen(page, "All 72 failed chosen")
    page.locator("#chosen-retry").click()
    asking(page, "Retry 72 items")


def test_it_chooses_all_of_a_cause(page: Page, many: str) -> None:
    opened(page, many)
    page.locator("#causes").get_by_role("link", name="Show items").click()
    expect(page.locator(".items-head")).to_contain_text("of “too dear")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Choose all 72 of this cause").click()
    chosen(page, "All 72 of this cause chosen")
    with page.expect_download() as download:
        page.locator("#chosen-download").click()
    assert len(table(download.value)) == 72


def test_it_leaves_one_out_of_all(page: Page, many: str) -> None:
    opened(page, many, "?state=failed")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Choose all 72 failed").click()
    box(page, 6).uncheck()
    chosen(page, "49 chosen")


def test_it_clears_what_is_chosen(page: Page, many: str) -> None:
    opened(page, many, "?state=failed")
    box(page, 2).check()
    page.locator("#chosen-clear").click()
    expect(page.locator("#chosen")).to_be_hidden()
    expect(box(page, 2)).not_to_be_checked()
    expect(page.locator("#pick-page")).to_be_focused()


def test_it_offers_only_rows_that_need_something(page: Page, many: str) -> None:
    opened(page, many, "?state=all")
    expect(page.locator("#items tbody tr").first.locator(".pick input")).to_have_count(1)
    expect(page.locator("#items tbody tr").nth(2).locator(".pick input")).to_have_count(0)


def test_it_tries_the_chosen_rows_again(page: Page, system: System, code: str) -> None:
    three(page, code)
    page.locator("#chosen-retry").click()
    asking(page, "Retry 3 items").get_by_role("button", name="Retry 3 items").click()
    toast(page, "3 items queued again.")
    tried(system, code, {3, 8, 25})
    expect(page.locator("#chosen")).to_be_hidden()


def test_it_accepts_the_chosen_rows(page: Page, code: str) -> None:
    three(page, code)
    page.locator("#chosen-accept").click()
    toast(page, "3 failures accepted.")
    expect(page.locator("#items tbody .chip")).to_have_count(3)
    expect(page.locator("#chosen")).to_be_hidden()
    expect(page.locator("#activity li").first).to_contain_text(
        re.compile("Accepted the failure of 3 items that were chosen")
    )


def test_it_downloads_the_chosen_rows(page: Page, code: str) -> None:
    three(page, code)
    rows = downloaded(page, page.locator("#chosen-download"))
    assert [row["row"] for row in rows] == ["3", "8", "25"]


def test_it_fits_a_phone(page: Page, code: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    three(page, code)
    expect(page.locator("#chosen-retry")).to_be_in_viewport()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
