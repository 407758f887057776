"""Sharing a job, renaming it, and being told of its end, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Complaints
from tests.system import System, csv_of, until

pytestmark = pytest.mark.browser
SLOW = 30_000  # milliseconds

# What the browser would show is noted, in all tabs of the window.
RECORD = """
const Real = window.Notification;
window.Notification = class extends EventTarget {
  static get permission() { return localStorage.getItem("permission") ?? "granted"; }
  static async requestPermission() { localStorage.setItem("permission", "granted"); return "granted"; }
  constructor(title, options) {
    super();
    const before = JSON.parse(localStorage.getItem("shown") ?? "[]");
    localStorage.setItem("shown", JSON.stringify([...before, [title, options]]));
  }
};
"""


@contextmanager
def window(browser: Browser, system: System, person: str = "") -> Iterator[BrowserContext]:
    """A window of this person, in which notifications are noted instead of shown."""
    context = browser.new_context(base_url=system.url)
    client = system.client(person)
    context.add_cookies([{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()])
    context.add_init_script(RECORD)
    try:
        yield context
    finally:
        context.close()


def submitted(system: System, tmp_path: Path, rows: int, seconds: float, failing: int = 0) -> str:
    (file := tmp_path / "rows.csv").write_text(csv_of(rows, lambda at: "fail:Broken" if at < failing else "ok"))
    return system.submit(file, "--param", f"seconds={seconds}", "--workers", "5")


def shown(page: Page) -> list[list[object]]:
    found: list[list[object]] = page.evaluate("() => JSON.parse(localStorage.getItem('shown') ?? '[]')")
    return found


def share(page: Page, person: str, may: str = "look") -> None:
    page.locator("#share-person").fill(person)
    page.locator("#sharing-in").get_by_label(f"May {may}").check()
    page.locator("#share-person").press("Enter")


def test_it_shares_and_takes_back(page: Page, browser: Browser, system: System, tmp_path: Path) -> None:
    system.person("bob")
    code = submitted(system, tmp_path, 3, 0)
    page.goto(f"/jobs/{code}/")
    page.locator("#sharing > summary").press("Enter")
    expect(page.locator("#share-person")).to_be_focused()
    share(page, "eve")
    expect(page.locator(".toast.error")).to_have_text("There is nobody called “eve” here.")
    expect(page.locator("#share-person")).to_have_value("eve")
    share(page, "bob")
    expect(page.locator(".people li")).to_contain_text("bob")
    expect(page.locator("#sharing > summary")).to_have_text("Shared with 1")
    with window(browser, system, "bob") as context:
        other = context.new_page()
        other.goto(f"/jobs/{code}/")
        expect(other.locator("#live")).to_have_text("Live", timeout=SLOW)
        expect(other.locator("#actions form:visible")).to_have_count(0)
        page.get_by_role("button", name="Remove bob").click()
        expect(page.locator(".people")).to_have_count(0)
        expect(other.locator("#lost p")).to_contain_text("There is nothing to watch here any more", timeout=SLOW)
    first = page.locator("#activity li").first
    expect(first).to_contain_text("No longer shared with bob", timeout=SLOW)


def test_it_lets_act_and_says_so_when_that_is_over(browser: Browser, system: System, tmp_path: Path) -> None:
    system.person("carol")
    code = submitted(system, tmp_path, 3_000, 0.5)
    system.post(system.client(), f"/jobs/{code}/share/", {"person": "carol", "may": "act"})
    with window(browser, system, "carol") as context:
        page = context.new_page()
        page.goto(f"/jobs/{code}/")
        pause = page.locator("#actions").get_by_role("button", name="Pause")
        expect(pause).to_be_visible(timeout=SLOW)
        system.post(system.client(), f"/jobs/{code}/share/", {"person": "carol", "may": "look"})
        pause.click()
        expect(page.locator(".toast.error")).to_contain_text("You may look at this job.")
    system.post(system.client(), f"/jobs/{code}/cancel/", {})


def test_it_renames_in_place(page: Page, browser: Browser, system: System, tmp_path: Path) -> None:
    code = submitted(system, tmp_path, 3, 0)
    page.goto(f"/jobs/{code}/")
    other = page.context.new_page()
    other.goto(f"/jobs/{code}/")
    page.locator("#rename > summary").press("Enter")
    page.locator("#rename-name").fill("Addresses of May")
    page.locator("#rename-name").press("Enter")
    for tab in (page, other):
        expect(tab.locator("h1")).to_have_text("Addresses of May", timeout=SLOW)
        expect(tab).to_have_title(re.compile("Addresses of May"))
    expect(page.locator("#rename")).not_to_have_attribute("open", "")
    expect(page.locator("#rename > summary")).to_be_focused()


def test_it_tells_of_the_end_once(browser: Browser, system: System, tmp_path: Path, complaints: Complaints) -> None:
    code = submitted(system, tmp_path, 3_000, 0.5, failing=3)
    with window(browser, system) as context:
        first, second = context.new_page(), context.new_page()
        for tab in (first, second):
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.goto(f"/jobs/{code}/")
        first.get_by_role("button", name="Tell me when it is done").click()
        for tab in (first, second):
            expect(tab.locator("#tell button")).to_have_text("You are told when it is done")
        system.post(system.client(), f"/jobs/{code}/cancel/", {})
        for tab in (first, second):
            expect(tab.locator("#badge")).to_have_text("Cancelled", timeout=SLOW)
        [[title, options]] = shown(first)
        assert title == "Cancelled: rows.csv"
        assert isinstance(options, dict)
        assert re.match(r"[\d,]+ succeeded, 3 failed, [\d,]+ not attempted\. Most: Broken", options["body"])
        assert options["tag"] == f"batchweb {code}"
        expect(first.locator("#tell")).to_be_hidden()
        # What ended before a page was opened is not told; a retry ends anew.
        context.new_page().goto(f"/jobs/{code}/")
        assert len(shown(first)) == 1
        system.post(system.client(), f"/jobs/{code}/retry/", {})
        expect(first.locator("#badge")).to_have_text("Running", timeout=SLOW)
        system.post(system.client(), f"/jobs/{code}/cancel/", {})
        until(lambda: len(shown(first)) == 2, 30, "the end of the retry is told")
    assert complaints == []


def test_it_tells_nothing_unless_asked_to(browser: Browser, system: System, tmp_path: Path) -> None:
    code = submitted(system, tmp_path, 1_000, 0.5)
    with window(browser, system) as context:
        page = context.new_page()
        page.goto(f"/jobs/{code}/")
        button = page.locator("#tell button")
        button.click()
        button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
        system.post(system.client(), f"/jobs/{code}/cancel/", {})
        expect(page.locator("#badge")).to_have_text("Cancelled", timeout=SLOW)
        assert shown(page) == []


def test_it_asks_for_permission_and_says_how_to_change_it(browser: Browser, system: System, tmp_path: Path) -> None:
    code = submitted(system, tmp_path, 1_000, 0.5)
    with window(browser, system) as context:
        page = context.new_page()
        page.goto(f"/jobs/{code}/")
        page.evaluate("() => localStorage.setItem('permission', 'denied')")
        page.locator("#tell button").click()
        expect(page.locator("#tell p")).to_contain_text("Notifications of this site are blocked.")
        page.evaluate("() => localStorage.setItem('permission', 'default')")
        page.locator("#tell button").click()
        expect(page.locator("#tell button")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#tell p")).to_be_hidden()
    system.post(system.client(), f"/jobs/{code}/cancel/", {})
