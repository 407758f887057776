"""Changing a job while it runs, in a real browser: the job follows, and so does every page that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.system import System, csv_of, until

pytestmark = pytest.mark.browser
SLOW = 30_000  # milliseconds


def watched(page: Page, system: System, tmp_path: Path, *options: str, rows: int = 3_000) -> str:
    """The code of a job that runs for a while, with its page open."""
    (file := tmp_path / "rows.csv").write_text(csv_of(rows))
    code = system.submit(file, "--param", "seconds=0.3", *options)
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#badge")).to_have_text("Running", timeout=SLOW)
    return code


def opened(page: Page) -> None:
    page.locator("#run-settings > summary").click()
    expect(page.locator("#dial_workers")).to_be_visible()


def apply(page: Page) -> None:
    page.locator("#run-settings").get_by_role("button", name="Apply").click()


def cancel(page: Page) -> None:
    page.locator("#actions").get_by_role("button", name="Cancel").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#badge")).to_have_text("Cancelled", timeout=SLOW)


def test_it_changes_the_workers_while_it_runs(page: Page, system: System, tmp_path: Path) -> None:
    code = watched(page, system, tmp_path, "--workers", "2")
    other = page.context.new_page()
    other.goto(f"/jobs/{code}/")
    opened(page)
    page.locator("#dial_workers").fill("40")
    apply(page)
    for tab in (page, other):
        expect(tab.locator("[data-v=how]")).to_have_text("40 at a time, 1 min timeout", timeout=SLOW)
        first = tab.locator("#activity li").first
        expect(first).to_contain_text("Changed items at a time from 2 to 40 by admin", timeout=SLOW)
    expect(other.locator("#dial_workers")).to_have_value("40")
    expect(page.locator("#run-settings")).not_to_have_attribute("open", "")
    expect(page.locator(".toast")).to_have_text("Changed items at a time from 2 to 40.")
    client = system.client()
    until(lambda: system.snapshot(client, code)["counts"]["running"] > 20, 20, "more than 20 items run at a time")
    cancel(page)


def test_it_says_a_mistake_under_its_field_and_keeps_the_rest(page: Page, system: System, tmp_path: Path) -> None:
    watched(page, system, tmp_path)
    opened(page)
    page.locator("#dial_workers").fill("999")
    page.locator("#dial_rate").fill("5")
    apply(page)
    expect(page.locator("#dial_workers_error")).to_have_text("At most 200 items at a time are allowed here.")
    expect(page.locator("#dial_workers")).to_be_focused()
    expect(page.locator("#dial_rate")).to_have_value("5")
    page.locator("#dial_workers").fill("30")
    apply(page)
    expect(page.locator("[data-v=how]")).to_have_text("30 at a time, 1 min timeout, 5/s at most", timeout=SLOW)
    limited = re.compile(r"Limited by the rate of 5/s · done at about \d")
    expect(page.locator("#state [data-v=note]")).to_have_text(limited, timeout=SLOW)
    cancel(page)


def test_it_keeps_what_somebody_types_while_others_change_the_job(page: Page, system: System, tmp_path: Path) -> None:
    code = watched(page, system, tmp_path, "--workers", "2")
    opened(page)
    page.locator("#dial_rate").fill("7")
    assert system.manage("adjust", code, "--workers", "4").returncode == 0
    expect(page.locator("#dial_workers")).to_have_value("4", timeout=SLOW)
    expect(page.locator("#dial_rate")).to_have_value("7")
    apply(page)
    expect(page.locator("[data-v=how]")).to_have_text("4 at a time, 1 min timeout, 7/s at most", timeout=SLOW)
    cancel(page)


def test_it_is_left_by_the_keyboard(page: Page, system: System, tmp_path: Path) -> None:
    watched(page, system, tmp_path)
    page.locator("#run-settings > summary").focus()
    page.keyboard.press("Enter")
    page.locator("#dial_workers").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#dial_workers")).to_be_hidden()
    expect(page.locator("#run-settings > summary")).to_be_focused()
    cancel(page)


def test_it_says_what_paused_it_and_leads_to_the_limit(page: Page, system: System, tmp_path: Path) -> None:
    (file := tmp_path / "rows.csv").write_text(csv_of(300, lambda at: "fail:Broken"))
    code = system.submit(file, "--limit-count", "5", "--workers", "2", "--param", "seconds=0.2")
    page.goto(f"/jobs/{code}/")
    state = page.locator("#state")
    expect(state).to_contain_text("Paused by the failure limit", timeout=SLOW)
    expect(state).to_contain_text("the limit is 5.")
    expect(state.get_by_role("link", name="Show what failed")).to_be_visible()
    state.get_by_role("link", name="Adjust the limit").click()
    expect(page.locator("#dial_limit_count")).to_be_visible()
    expect(page.locator("#activity li").first).to_contain_text(re.compile(r"Paused: \d of the first \d items failed"))
    cancel(page)
