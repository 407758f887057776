"""The causes of failures on the page of a job, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system import System, csv_of

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=window.owned=1>"
LATE = 8_000  # milliseconds in which a frame must have come


def failing(at: int) -> str:
    return {3: "fail:Rare", 5: f"fail:{HOSTILE}"}.get(at % 10, "fail:Common" if at % 2 else "ok")


@pytest.fixture(scope="module")
def done(system: System, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("causes") / "rows.csv"
    file.write_text(csv_of(60, failing))
    code = system.submit(file, "--param", "seconds=0")
    system.ended(system.client(), code)
    return code


@pytest.fixture
def running(system: System, tmp_path: Path) -> Iterator[str]:
    """A job in which one row after the other fails, for a while."""
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(400, failing))
    code = system.submit(file, "--param", "seconds=0.2", "--workers", "2")
    yield code
    system.post(system.client(), f"/jobs/{code}/cancel/", {})


def number(page: Page) -> int:
    return int(page.locator("#causes .cause-count").first.inner_text())


def test_it_shows_what_failed_why_and_where(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    common = page.locator("#causes > li").first
    expect(common).to_contain_text("Common")
    expect(common).to_contain_text("rows 2 to 60")
    expect(common.locator(".cause-count")).to_have_text("18")
    expect(common.locator("time")).to_have_attribute("title", re.compile(r"\d{4}"))


def test_it_shows_a_hostile_kind_as_text(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    expect(page.locator("#causes").get_by_text(HOSTILE)).to_be_visible()
    assert page.evaluate("() => window.owned") is None


def test_it_opens_a_sample_row_in_the_drawer(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    page.locator("#causes > li").first.get_by_role("link", name="2", exact=True).click()
    expect(page.locator("#drawer").get_by_role("heading", name="Row 2", exact=True)).to_be_visible()
    expect(page.locator("#drawer")).to_contain_text("Attempt 1")


def test_it_shows_the_items_of_a_cause(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    page.locator("#causes > li", has_text="Rare").get_by_role("link", name="Show items").click()
    expect(page.locator("#items tbody tr")).to_have_count(6)
    assert "cause=" in page.url


def test_it_counts_while_the_job_runs(page: Page, running: str) -> None:
    page.goto(f"/jobs/{running}/")
    expect(page.locator("#causes > li")).to_have_count(3, timeout=30_000)
    before = number(page)
    expect(page.locator("#causes .cause-count").first).not_to_have_text(str(before), timeout=LATE)
    expect(page.locator("#causes .cause-number").first).not_to_have_text(str(before), timeout=LATE)
    assert number(page) > before


def test_it_leaves_the_focus_where_it_is(page: Page, running: str) -> None:
    page.goto(f"/jobs/{running}/")
    expect(page.locator("#causes > li")).to_have_count(3, timeout=30_000)
    button = page.locator("#causes > li").first.get_by_role("button", name=re.compile("Retry"))
    button.focus()
    page.evaluate("() => (window.kept = document.activeElement)")
    before = number(page)
    expect(page.locator("#causes .cause-count").first).not_to_have_text(str(before), timeout=LATE)
    expect(page.locator("#causes .cause-count").first).not_to_have_text(str(before + 1), timeout=LATE)
    assert page.evaluate("() => window.kept === document.activeElement && window.kept.isConnected")


def test_it_reads_without_scripts(browser: Browser, system: System, done: str) -> None:
    context = browser.new_context(base_url=system.url, java_script_enabled=False)
    client = system.client()
    context.add_cookies([{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()])
    tab = context.new_page()
    tab.goto(f"/jobs/{done}/")
    expect(tab.locator("#causes > li")).to_have_count(3)
    tab.goto(f"/jobs/{done}/causes/")
    expect(tab.get_by_role("heading", name="Causes")).to_be_visible()
    expect(tab.locator(".causes > li")).to_have_count(3)
    context.close()
