"""Everything by keyboard: the sheet of keys, single keys, and a whole road without a pointer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import tab_to
from tests.system import System, csv_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ended(system: System, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job of 60 items, of which some failed."""
    file = tmp_path_factory.mktemp("keys") / "rows.csv"
    file.write_text(csv_of(60, lambda at: "fail:Broken" if at % 6 == 1 else "ok"))
    code = system.submit(file, "--param", "seconds=0")
    system.ended(system.client(), code)
    return code


@pytest.fixture
def slow(system: System, tmp_path: Path) -> str:
    """A job that runs as long as nobody stops it."""
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(400))
    return system.submit(file, "--param", "seconds=0.5", "--workers", "2")


def opened(page: Page, path: str) -> None:
    """The page, once its keys are listened to."""
    page.goto(path)
    expect(page.locator("html[data-keys]")).to_be_attached()


def sheet(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Keyboard shortcuts")


def test_it_lists_the_keys(page: Page) -> None:
    opened(page, "/")
    page.keyboard.press("?")
    expect(sheet(page)).to_be_visible()
    expect(sheet(page)).to_contain_text("Pause or resume")
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()


def test_it_lists_the_keys_from_a_button_and_gives_the_focus_back(page: Page) -> None:
    opened(page, "/")
    button = page.get_by_role("banner").get_by_role("button", name="Keyboard shortcuts", exact=True).first
    button.click()
    expect(sheet(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_it_goes_to_pages(page: Page) -> None:
    opened(page, "/")
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url("**/jobs/new/")
    expect(page.locator("html[data-keys]")).to_be_attached()
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url(re.compile(r"//[^/]+/$"))


def test_it_is_silent_in_fields_and_dialogs(page: Page, ended: str) -> None:
    opened(page, "/")
    page.keyboard.press("/")
    page.keyboard.type("?gn")
    expect(page.get_by_role("searchbox")).to_have_value("?gn")
    expect(sheet(page)).to_be_hidden()
    opened(page, f"/jobs/{ended}/")
    page.keyboard.press("?")
    page.keyboard.press("2")
    expect(sheet(page)).to_be_visible()
    expect(page).not_to_have_url(re.compile("state=failed"))
    expect(page.locator("#items .segments [aria-current]")).not_to_have_text("Failed")


def test_it_can_be_switched_off_and_remembers_it(page: Page) -> None:
    opened(page, "/")
    page.keyboard.press("?")
    page.get_by_role("checkbox", name="Single keys act").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#jobs")).to_be_visible()
    page.keyboard.press("?")
    expect(sheet(page)).to_be_hidden()
    page.get_by_role("banner").get_by_role("button", name="Keyboard shortcuts", exact=True).first.click()
    page.get_by_role("checkbox", name="Single keys act").check()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(sheet(page)).to_be_visible()


def test_it_filters_by_digits(page: Page, ended: str) -> None:
    opened(page, f"/jobs/{ended}/")
    page.keyboard.press("2")
    expect(page).to_have_url(re.compile("state=failed"))
    expect(page.locator("#items tbody tr")).to_have_count(10)
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("state=failed"))
    expect(page.locator("#items .segments [aria-current]")).not_to_have_text("Failed")


def test_it_walks_rows_and_opens_one(page: Page, ended: str) -> None:
    opened(page, f"/jobs/{ended}/")
    for key in "jjjk":
        page.keyboard.press(key)
    row = page.locator("#items tbody tr").nth(1)
    expect(row.locator(":focus")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/items/2/")


def test_it_goes_to_the_map(page: Page, ended: str) -> None:
    opened(page, f"/jobs/{ended}/")
    page.wait_for_function("() => document.querySelector('item-map').counts?.()")
    page.keyboard.press("m")
    expect(page.locator("item-map")).to_be_focused()
    page.keyboard.press("f")
    expect(page.locator("#announce")).to_have_text("Item 2, Failed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Row 2", exact=True)).to_be_visible()


def test_it_opens_the_downloads(page: Page, ended: str) -> None:
    opened(page, f"/jobs/{ended}/")
    page.keyboard.press("d")
    expect(page.get_by_role("link", name="results.csv")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="results.csv")).to_be_hidden()


def test_it_asks_before_a_retry(page: Page, ended: str) -> None:
    opened(page, f"/jobs/{ended}/")
    page.keyboard.press("r")
    expect(page.get_by_role("dialog", name=re.compile("Retry [0-9,]+ items?"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#badge")).to_have_text("Finished with failures")


def test_it_pauses_and_resumes(page: Page, slow: str) -> None:
    opened(page, f"/jobs/{slow}/")
    expect(page.locator("#badge")).to_have_text("Running", timeout=20_000)
    page.keyboard.press("p")
    expect(page.locator("#badge")).to_have_text(re.compile("Pausing|Paused"))
    expect(page.locator('[data-verb="resume"]')).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator("#badge")).to_have_text(re.compile("Waiting|Running"))
    page.locator('[data-verb="cancel"] button').press("Enter")
    page.get_by_role("button", name="Cancel the job").press("Enter")
    expect(page.locator("#badge")).to_have_text(re.compile("Cancel"))


def test_it_goes_the_whole_road_without_a_pointer(page: Page) -> None:
    opened(page, "/")
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url("**/jobs/new/")
    expect(page.locator("html[data-keys]")).to_be_attached()
    tab_to(page, page.locator("#paste summary"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator("#id_pasted"))
    for row in ("name,simulate", "anna,ok", "jean,fail:Broken", "maja,ok"):
        page.keyboard.type(row)
        page.keyboard.press("Enter")
    tab_to(page, page.locator("#use-rows"))
    page.keyboard.press("Enter")
    expect(page.locator("#preview")).to_contain_text("jean")
    tab_to(page, page.locator("[name=processor]:checked"))
    while not page.get_by_role("radio", name=re.compile("Simulate")).is_checked():
        page.keyboard.press("ArrowDown")
    expect(page.locator("#id_map_simulate")).to_have_value("simulate")
    tab_to(page, page.locator("#start"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/[a-z0-9]{12}/"))
    expect(page.locator("#badge")).to_have_text("Finished with failures", timeout=20_000)
    expect(page.locator("#items tbody .badge", has_text="Failed")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Row 2", exact=True)).to_be_visible()
    expect(page.get_by_text("A simulated failure.").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    failed = page.locator("#tiles > a").evaluate_all(
        "tiles => tiles.findIndex((one) => one.dataset.filter === 'failed')"
    )
    page.keyboard.press(str(failed + 1))
    expect(page.locator("#items tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("state=failed"))
    page.keyboard.press("r")
    expect(page.get_by_role("dialog", name=re.compile("Retry [0-9,]+ items?"))).to_be_visible()
    tab_to(page, page.locator("#asking .dialog-buttons .primary"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-v=attempts]")).to_have_text("4", timeout=20_000)
    expect(page.locator("#badge")).to_have_text("Finished with failures", timeout=20_000)
