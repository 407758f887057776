"""The page of a job where there is little room, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.system import System, csv_of

pytestmark = pytest.mark.browser


@pytest.fixture
def phone(page: Page, system: System, tmp_path: Path) -> Page:
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(4, lambda at: "fail:Red" if at else "ok"))
    code = system.submit(file, "--param", "seconds=0")
    system.ended(system.client(), code)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/jobs/{code}/")
    return page


def test_it_has_three_buttons_and_a_menu_at_the_bottom(phone: Page) -> None:
    expect(phone.locator("#more")).not_to_have_attribute("open", "")
    assert phone.locator("#actions > :visible").all_inner_texts() == ["Retry", "Results", "More"]


def test_its_menu_opens_and_closes_by_keyboard(phone: Page) -> None:
    phone.locator("#more > summary").press("Enter")
    expect(phone.locator("#more .button:visible")).to_have_text(["More", "Run again", "Delete"])
    phone.keyboard.press("Escape")
    expect(phone.locator("#more .more-list")).to_be_hidden()
    expect(phone.locator("#more > summary")).to_be_focused()


def test_it_asks_before_a_job_is_deleted_from_the_menu(phone: Page) -> None:
    phone.locator("#more > summary").click()
    phone.locator("#more").get_by_role("button", name="Delete").click()
    expect(phone.get_by_role("dialog", name="Delete this job?")).to_be_visible()


def test_it_shows_every_button_where_there_is_room(phone: Page) -> None:
    phone.set_viewport_size({"width": 1440, "height": 900})
    expect(phone.locator("#more > summary")).to_be_hidden()
    expect(phone.get_by_role("button", name="Delete")).to_be_visible()
