"""One row that failed: what its page and the drawer tell, and how its input is fixed in either."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Complaints, tab_to
from tests.browser.corrections.shop import SOON, opened, stored, toast, tried
from tests.system import System

pytestmark = pytest.mark.browser
PLACES = ("drawer", "page")


def shown(page: Page, code: str, row: int, place: str) -> Locator:
    """The row beside the job's page, or as a page of its own."""
    if place == "page":
        page.goto(f"/jobs/{code}/items/{row}/")
        found = page.locator("#main")
    else:
        opened(page, code, "?state=failed")
        page.locator(f"#items a[data-item='{row}']").click()
        found = page.locator("#drawer")
    expect(found.get_by_role("heading", name=f"Row {row}", exact=True)).to_be_visible()
    return found


def fix(found: Locator, cents: str) -> None:
    found.locator("#item-edit").click()
    found.get_by_label("cents").fill(cents)
    found.get_by_role("button", name="Save and retry").click()


@pytest.mark.parametrize("place", PLACES)
def test_it_shows_the_input(page: Page, code: str, place: str) -> None:
    found = shown(page, code, 3, place)
    expect(found.locator("#input-text dt")).to_have_text(["used: article", "used: cents"])
    expect(found.locator("#input-text dd")).to_have_text(["article 3", "three"])


@pytest.mark.parametrize("place", PLACES)
def test_it_shows_the_error_and_where_it_happened(page: Page, code: str, place: str) -> None:
    found = shown(page, code, 3, place)
    expect(found.locator("#error-text")).to_have_text("ValueError: invalid literal for int() with base 10: 'three'")
    found.get_by_text("Where it happened").click()
    expect(found.locator("section", has=page.locator("#error-title")).locator("pre")).to_contain_text("in price")


@pytest.mark.parametrize("place", PLACES)
def test_it_shows_every_attempt_with_its_log(page: Page, system: System, code: str, place: str) -> None:
    system.post(system.clients[0], f"/jobs/{code}/retry/", {"rows": "3"})
    tried(system, code, {3})
    found = shown(page, code, 3, place)
    expect(found.locator(".timeline > li b")).to_have_text(["Attempt 1", "Attempt 2"])
    last = found.locator(".timeline > li").last
    expect(last).to_contain_text("failed")
    expect(last).to_contain_text("ValueError: invalid literal")
    expect(last.locator("time")).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT"))
    last.get_by_text("Log", exact=True).click()
    expect(last.locator("pre", has_text="Attempt 1 for article 3.")).to_be_visible()


@pytest.mark.parametrize("place", PLACES)
def test_it_leads_to_the_failures_before_and_after(page: Page, code: str, place: str) -> None:
    found = shown(page, code, 8, place)
    found.locator("#item-next-failed").click()
    expect(found.get_by_role("heading", name="Row 13", exact=True)).to_be_visible()
    found.locator("#item-previous-failed").click()
    expect(found.get_by_role("heading", name="Row 8", exact=True)).to_be_visible()


@pytest.mark.parametrize("place", PLACES)
def test_it_fixes_the_input(page: Page, system: System, code: str, place: str) -> None:
    found = shown(page, code, 3, place)
    fix(found, "150")
    toast(page, "Row 3 was edited and is tried again.")
    tried(system, code, {3})
    if place == "page":
        page.reload()
    expect(found.locator("#result-text")).to_contain_text('"euros": 1.5', timeout=SOON)
    expect(found.locator("#input-text dd")).to_have_text(["article 3", "150"])


@pytest.mark.parametrize("place", PLACES)
def test_it_keeps_the_old_input_in_the_history(page: Page, system: System, code: str, place: str) -> None:
    fix(shown(page, code, 3, place), "150")
    toast(page, "Row 3 was edited")
    tried(system, code, {3})
    found = shown(page, code, 3, "page")
    found.get_by_text("What it was before").click()
    expect(found.locator(".timeline dd")).to_have_text("three")
    expect(found.get_by_text("Input fixed")).to_be_visible()


def test_it_lands_at_its_old_place(page: Page, system: System, code: str) -> None:
    fix(shown(page, code, 3, "drawer"), "150")
    toast(page, "Row 3 was edited")
    tried(system, code, {3})
    third = stored(system, code)[2]
    assert (third["row"], third["input"]["cents"], third["result"]["euros"]) == (3, "150", 1.5)


@pytest.mark.parametrize("place", PLACES)
def test_it_says_that_nothing_was_changed(page: Page, complaints: Complaints, code: str, place: str) -> None:
    found = shown(page, code, 3, place)
    fix(found, "three")
    expect(found.locator("#errors")).to_contain_text("Nothing is changed yet.")
    expect(found.locator("#errors")).to_be_focused()
    complaints[:] = [text for text in complaints if "422" not in text]


@pytest.mark.parametrize("place", PLACES)
def test_it_shows_both_when_two_fix_a_row(
    page: Page, complaints: Complaints, system: System, code: str, place: str
) -> None:
    found = shown(page, code, 5, place)
    found.locator("#item-edit").click()
    found.get_by_label("cents").fill("111")
    other = page.context.new_page()
    fix(shown(other, code, 5, "page"), "800")
    toast(other, "Row 5 was edited")
    tried(system, code, {5})
    found.get_by_role("button", name="Save and retry").click()
    expect(found.locator("#errors")).to_contain_text("Somebody else edited this row meanwhile.")
    expect(found.get_by_label("cents")).to_have_value("111")
    expect(found.get_by_text("In the row now: 800")).to_be_visible()
    found.get_by_role("button", name="Save and retry").click()
    tried(system, code, {5}, times=3)
    assert stored(system, code)[4]["result"]["euros"] == 1.11
    complaints[:] = [text for text in complaints if "422" not in text]


def test_it_asks_before_it_forgets_what_was_typed(page: Page, code: str) -> None:
    found = shown(page, code, 3, "drawer")
    found.locator("#item-edit").click()
    found.get_by_label("cents").fill("15")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Go on editing").click()
    expect(found.get_by_label("cents")).to_have_value("15")
    found.locator("[data-close]").click()
    page.get_by_role("button", name="Close it").click()
    expect(found).to_be_hidden()


def test_it_fixes_rows_by_keys_alone(page: Page, system: System, code: str) -> None:
    """Chooses two rows and tries them again; opens the third one, edits it, and it is right."""
    opened(page, code, "?state=failed")
    links = page.locator("#items tbody .row-link")
    failed = links.all_inner_texts()
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("#chosen-said")).to_have_text("2 chosen")
    tab_to(page, page.locator("#chosen-retry"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Retry 2 items", exact=True)).to_be_visible()
    tab_to(page, page.locator("#asking .primary"))
    page.keyboard.press("Enter")
    toast(page, "2 items queued again.")
    tried(system, code, {3, 5})
    expect(links).to_have_text(failed)
    page.locator("#items-title").focus()
    for key in ("j", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#drawer-title")).to_have_text("Row 3")
    page.keyboard.press("e")
    expect(page.locator("#drawer").get_by_label("article")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("150")
    tab_to(page, page.locator("#drawer .dialog-buttons .primary"))
    page.keyboard.press("Enter")
    expect(page.locator("#drawer #result-text")).to_contain_text('"euros": 1.5', timeout=SOON)
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()


@pytest.mark.parametrize("place", PLACES)
def test_it_fits_a_phone(page: Page, code: str, place: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    found = shown(page, code, 3, place)
    found.locator("#item-edit").click()
    expect(found.get_by_label("cents")).to_be_visible()
    wide, box = found.evaluate("part => [part.scrollWidth, part.clientWidth]")
    assert wide <= box
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
