"""The page says by itself why a job stands still."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.stage import queries, staged
from tests.system import System, csv_of, until

pytestmark = pytest.mark.browser


def test_it_says_which_worker_went_silent(browser: Browser, own_system: System, tmp_path: Path) -> None:
    client = own_system.client()
    (file := tmp_path / "rows.csv").write_text(csv_of(900))
    code = own_system.submit(file, "--param", "seconds=0.2", "--workers", "5")
    until(lambda: own_system.snapshot(client, code)["counts"]["succeeded"] > 10, 30, "the job is under way")
    context = browser.new_context(base_url=own_system.url)
    context.add_cookies(
        [{"name": name, "value": value, "url": own_system.url} for name, value in client.cookies.items()]
    )
    page = context.new_page()
    page.goto(f"/jobs/{code}/")
    stopped = own_system.processes("-Q work")
    for process in stopped:
        process.suspend()
    try:
        said = re.compile(r"Worker \S+ was last seen \d+ s ago; its \d+ items will go back to the queue")
        expect(page.locator("#state [data-v=note]")).to_have_text(said, timeout=40_000)
        expect(page.locator("#state [data-v=left]")).to_have_text("Waiting for a worker")
        expect(page.locator(".figures [data-v=rate]")).to_have_text("–")
        page.goto("/")
        row = page.locator(f"[data-code='{code}']")
        expect(row.locator("[data-v=left]")).to_have_text("Its worker is silent.", timeout=20_000)
    finally:
        for process in stopped:
            process.resume()
        context.close()


def test_it_says_that_a_service_asks_to_wait(browser: Browser, tmp_path: Path) -> None:
    with staged(tmp_path, browser) as stage:
        code = stage.submit("Questions", queries(120), "rewrite-query", workers="4")
        with stage.tab("/") as jobs, stage.tab(f"/jobs/{code}/") as page:
            expect(page.locator("#badge")).to_have_text("Throttled", timeout=40_000)
            expect(page.locator("#badge")).to_have_attribute("data-state", "throttled")
            expect(page.locator("#state [data-v=left]")).to_have_text("Waiting for the service")
            expect(page.locator("#state [data-v=note]")).to_have_text(
                re.compile(r"^The service asks to wait [\d a-z]+\.$")
            )
            row = jobs.locator(f"[data-code='{code}']")
            for _ in range(2):
                expect(row.locator(".badge")).to_have_text("Throttled", timeout=20_000)
                expect(row.locator(".badge")).to_have_attribute("data-state", "throttled")
                expect(row.locator("[data-v=left]")).to_have_text("The service asks to wait.")
                jobs.reload()
            stage.act(code, "cancel")
            expect(page.locator("#badge")).to_have_text(re.compile("Cancel"), timeout=20_000)
