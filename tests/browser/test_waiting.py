"""The page says by itself why a job stands still."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

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
    finally:
        for process in stopped:
            process.resume()
        context.close()
