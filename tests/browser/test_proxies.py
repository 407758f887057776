"""A browser behind the documented nginx, with TLS and HTTP/2, under a path: the whole road, and worse lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.proxied import Proxied, proxied
from tests.services import Missing, skip_or_fail
from tests.system import csv_of

pytestmark = pytest.mark.browser
PREFIX = "/batch"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    try:
        with proxied(tmp_path_factory.mktemp("proxied"), PREFIX) as found:
            yield found
    except Missing as error:
        skip_or_fail(error)


@pytest.fixture
def tab(browser: Browser, site: Proxied, complaints: Complaints) -> Iterator[Page]:
    """A tab that nobody has signed in yet. A complaint in its console fails the test."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900})
    made = context.new_page()
    made.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    context.close()
    assert complaints == []


def sign_in(tab: Page, site: Proxied, url: str) -> None:
    """By a password: the link works once."""
    code = "from django.contrib.auth.models import User as U; u = U.objects.get(username='admin');"
    assert site.system.manage("shell", "-c", f"{code} u.set_password('tea-and-biscuits'); u.save()").returncode == 0
    tab.goto(f"{url}/")
    tab.locator("#id_username").fill("admin")
    tab.locator("#id_password").fill("tea-and-biscuits")
    tab.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab).to_have_url(f"{url}/")


def upload(tab: Page, rows: int, seconds: str, workers: str = "10") -> None:
    tab.get_by_role("link", name="New job").first.click()
    tab.set_input_files("#id_file", {"name": "rows.csv", "mimeType": "text/csv", "buffer": csv_of(rows).encode()})
    expect(tab.locator("#preview")).to_contain_text("item 0")
    tab.get_by_role("radio", name=re.compile("Simulate")).check()
    tab.locator("#id_param_seconds").fill(seconds)
    expect(tab.locator("#id_map_simulate")).to_have_value("simulate")
    tab.locator("#id_workers").fill(workers)
    tab.locator("#start").click()
    tab.wait_for_url(re.compile(r"/jobs/[a-z0-9]{12}/"))


def test_it_goes_the_whole_road_under_a_path(tab: Page, site: Proxied, tmp_path: Path) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("websocket", lambda line: asked.append(line.url.replace("wss:", "https:")))
    tab.goto(site.system.link)
    expect(tab).to_have_url(f"{site.url}/")
    assert tab.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    upload(tab, 300, "0.05")
    expect(tab.locator("#live")).to_have_attribute("data-live", "live")
    expect(tab.locator("#badge")).to_contain_text("Finished", timeout=60_000)
    expect(tab.locator("[data-v=succeeded]").first).to_have_text("300")
    job = tab.url
    tab.locator("#items-q").fill("item 123")
    tab.locator("#items-q").press("Enter")
    expect(tab.locator("#items tbody tr")).to_have_count(1)
    tab.goto(job)
    with tab.expect_download() as download:
        tab.locator("#download summary").click()
        tab.get_by_role("link", name="results.csv").click()
    download.value.save_as(tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [f"item {at}" for at in range(300)]
    tab.get_by_role("link", name="Admin").first.click()
    expect(tab).to_have_url(f"{site.url}/admin/")
    tab.locator('#content a[href$="/admin/jobs/job/"]').first.click()
    expect(tab.locator("#result_list tbody tr")).to_have_count(1)
    tab.get_by_role("link", name="View site").click()
    expect(tab).to_have_url(f"{site.url}/")
    assert [url for url in asked if not url.startswith((f"{site.url}/", "data:", "blob:"))] == []


def test_it_becomes_current_without_sockets(tab: Page, site: Proxied, complaints: Complaints) -> None:
    sign_in(tab, site, site.others["silent"])
    upload(tab, 20, "0.2", "5")
    expect(tab.locator("#live")).to_have_text("Not live", timeout=60_000)
    expect(tab.locator("#lost p")).to_contain_text("a proxy in front lets no websockets through")
    expect(tab.locator("#badge")).to_contain_text("Finished", timeout=60_000)
    expect(tab.locator("[data-v=succeeded]").first).to_have_text("20")
    complaints[:] = [text for text in complaints if "WebSocket" not in text]


def test_it_tells_staff_why_a_line_is_refused(tab: Page, site: Proxied, complaints: Complaints) -> None:
    sign_in(tab, site, site.url)
    url = site.others["rewriting"]
    tab.goto(f"{url}/")
    expect(tab.locator("#live")).to_have_text("Not live", timeout=60_000)
    ours, theirs = url.removesuffix(PREFIX), f"https://127.0.0.1:{site.system.port}"
    expect(tab.locator("#lost p")).to_contain_text(f"the browser says {ours}, the server {theirs}. Set PUBLIC_URL.")
    complaints[:] = [text for text in complaints if "WebSocket" not in text]


def test_it_loses_nothing_where_a_proxy_ends_silent_sockets(tab: Page, site: Proxied, complaints: Complaints) -> None:
    """It ends them after 3 s without a word, which this job takes for each of its items."""
    sign_in(tab, site, site.others["hasty"])
    ended: list[str] = []
    tab.on("websocket", lambda line: line.on("close", lambda one: ended.append(one.url)))
    upload(tab, 3, "4", "1")
    expect(tab.locator("#badge")).to_contain_text("Finished", timeout=90_000)
    expect(tab.locator("[data-v=succeeded]").first).to_have_text("3")
    assert ended
    complaints[:] = [text for text in complaints if "WebSocket" not in text]
