"""What a person does, in a real browser: drops a file, watches it, takes the result home, tries again."""

from __future__ import annotations

import csv
import json
import re
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.templatetags import display
from tests.browser.conftest import Complaints
from tests.system import System, csv_of, until

# What a browser notes of a server that is away: a socket, a file, a part of the page that was asked for just then.
AWAY = ("WebSocket", "Failed to load", "htmx:sendError", "htmx:afterRequest")

pytestmark = pytest.mark.browser
ITEMS = 300


def failing(at: int) -> str:
    return "fail:ValueError" if at % 20 == 7 else "ok"


def upload(page: Page, seconds: str, rows: int = ITEMS) -> str:
    """From the list to the live page of a new job; returns its code."""
    page.goto("/")
    page.get_by_role("link", name="New job").first.click()
    page.set_input_files(
        "#id_file", {"name": "rows.csv", "mimeType": "text/csv", "buffer": csv_of(rows, failing).encode()}
    )
    expect(page.locator("#preview")).to_contain_text("item 0")
    page.get_by_role("radio", name=re.compile("Simulate")).check()
    page.locator("#id_param_seconds").fill(seconds)
    expect(page.locator("#id_map_simulate")).to_have_value("simulate")
    page.locator("#id_workers").fill("10")
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"/jobs/[a-z0-9]{12}/"))
    return page.url.split("/")[4]


def percent(page: Page) -> float:
    """What the page says, before the file is read nothing."""
    return float(page.locator("[data-v=percent]").inner_text().lstrip("<").replace("–", "0"))


def test_it_goes_the_whole_road(page: Page, system: System, tmp_path: Path) -> None:
    page.goto("/")
    code = upload(page, "0.1")
    seen: set[float] = set()

    def done() -> bool:
        seen.add(percent(page))
        return page.locator("#badge").inner_text().startswith("Finished")

    until(done, 60, "the page says that it has finished")
    assert len([value for value in seen if value < 100]) >= 3, seen
    expect(page.locator("[data-v=succeeded]").first).to_have_text("285")
    expect(page.locator("[data-v=failed]").first).to_have_text("15")
    with page.expect_download() as download:
        page.locator("#download summary").click()
        page.get_by_role("link", name="results.csv").click()
    download.value.save_as(tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"item {at}" for at in range(ITEMS)]
    retry_from_the_admin(page, system, code)


def retry_from_the_admin(page: Page, system: System, code: str) -> None:
    """An administrator tries the failed items again in another tab; the open live page shows it."""
    attempts = page.locator("[data-v=attempts]")
    expect(attempts).to_have_text("300")
    admin = page.context.new_page()
    admin.goto(f"/admin/jobs/job/?q={code}")
    admin.locator("input.action-select").first.check()
    admin.locator("select[name=action]").select_option(label="Retry failed items")
    admin.get_by_role("button", name="Go").click()
    admin.get_by_role("button", name="Retry them").click()
    expect(admin.locator(".messagelist")).to_contain_text("15 items queued again")
    admin.close()
    expect(attempts).to_have_text("315", timeout=20_000)
    system.check(code)


def test_it_changes_rows_in_place(page: Page) -> None:
    code = upload(page, "0.05")
    page.goto(f"/jobs/{code}/?state=all")
    first = page.locator("#items tbody tr").first
    expect(first.locator(".badge")).to_have_text("Succeeded", timeout=20_000)
    expect(first).to_contain_text("#1")


def test_it_reconnects_and_catches_up(page: Page, system: System, complaints: Complaints) -> None:
    upload(page, "0.15")
    expect(page.locator("#badge")).to_have_text("Running", timeout=20_000)

    def gone() -> bool:
        """A server that is back within two seconds is not worth a word, so each that comes is killed until then."""
        for process in system.processes("batchweb.server"):
            process.kill()
        return page.locator("#lost").is_visible()

    until(gone, 20, "the page says that the line is down")
    expect(page.locator("#lost")).to_be_hidden(timeout=45_000)
    expect(page.locator("#badge")).to_contain_text("Finished", timeout=60_000)
    expect(page.locator("[data-v=succeeded]").first).to_have_text("285")
    complaints[:] = [text for text in complaints if not any(sign in text for sign in AWAY)]


def test_it_survives_a_reload(page: Page) -> None:
    upload(page, "0.05")
    expect(page.locator("#badge")).to_have_text("Running", timeout=20_000)
    page.reload()
    expect(page.locator("#badge")).to_contain_text("Finished", timeout=30_000)
    expect(page.locator("[data-v=succeeded]").first).to_have_text("285")


def test_it_shows_the_list_live(page: Page, system: System, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(100))
    code = system.submit(file, "--param", "seconds=0.2")
    page.goto("/")
    row = page.locator(f"[data-code='{code}']")
    expect(row.locator(".badge")).to_have_text("Finished", timeout=30_000)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Asia/Kathmandu", "America/Los_Angeles"])
def test_it_counts_what_finished_on_the_readers_day(browser: Browser, own_system: System, zone: str) -> None:
    """So many items finished in each of the last hours as are hours away from now."""
    client = own_system.client()
    hours = {hour: int(time.time() // 900) - 4 * hour for hour in range(24)}
    kept = json.dumps([[quarter, 2**hour] for hour, quarter in hours.items()])
    text = (
        "from jobs.models import *; from django.utils import timezone;"
        f"import json; Series.objects.create(job=Job.objects.get(), at=timezone.now(), quarters={kept!r})"
    )
    made = own_system.post(
        client, "/jobs/new/", {"processor": "simulate", "then": "check"}, {"file": ("rows.csv", csv_of(2).encode())}
    )
    assert made.is_success
    assert own_system.manage("shell", "-c", text).returncode == 0
    midnight = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    today = sum(2**hour for hour, quarter in hours.items() if quarter * 900 >= midnight)
    context = browser.new_context(base_url=own_system.url, timezone_id=zone)
    context.add_cookies(
        [{"name": name, "value": client.cookies[name], "url": own_system.url} for name in client.cookies]
    )
    page = context.new_page()
    page.goto("/")
    expect(page.locator("#today")).to_have_attribute("title", "Since midnight in your time zone", timeout=20_000)
    expect(page.locator("[data-strip=today]")).to_have_text(display.compact(today))
    context.close()


def test_it_shows_what_a_file_held_as_text(page: Page, system: System, tmp_path: Path) -> None:
    evil = "<script>window.owned=1</script><img src=x onerror=window.owned=1>"
    file = tmp_path / "evil.csv"
    file.write_text(f'query\n"{evil}"\n"{evil}"\n')
    code = system.submit(file, processor="rewrite-query")
    system.ended(system.client(), code)
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#items")).to_contain_text("<script>")
    page.goto(f"/jobs/{code}/items/1/")
    expect(page.locator("body")).to_contain_text("<script>")


def test_it_works_without_javascript(browser: object, system: System, tmp_path: Path) -> None:
    client = system.client()
    cookies = [{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()]
    context = browser.new_context(base_url=system.url, java_script_enabled=False)  # type: ignore[attr-defined]
    context.add_cookies(cookies)
    page = context.new_page()
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(20))
    page.goto("/jobs/new/")
    page.set_input_files("#id_file", str(file))
    page.get_by_role("radio", name=re.compile("Simulate")).check()
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"/jobs/[a-z0-9]{12}/"))
    system.ended(client, page.url.split("/")[4])
    page.reload()
    expect(page.locator("[data-v=succeeded]").first).to_have_text("20")
    expect(page.locator("#items tbody tr")).to_have_count(20)
    assert json.loads(page.locator("#frame").text_content() or "{}")["state"] == "finished"
    context.close()


@pytest.mark.parametrize("path", ["/", "/jobs/new/"])
def test_it_fits_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 390
