"""Plugs that are pulled under an open page: it says what is true, and has the right numbers soon after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.system import System, csv_of, frozen, until

pytestmark = pytest.mark.browser
SOON = 5.0  # seconds in which a page is right again
# Nobody tells the web server of news: it looks by itself now and then, and whoever waits for a reply gives up.
UNTOLD = 15.0
ROWS = 1_200


@pytest.fixture
def window(browser: Browser, own_system: System) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=own_system.url)
    cookies = own_system.client().cookies
    context.add_cookies([{"name": name, "value": cookies[name], "url": own_system.url} for name in cookies])
    yield context
    context.close()


@pytest.fixture
def code(own_system: System, tmp_path: Path) -> str:
    """A job of at least half a minute that is under way."""
    (file := tmp_path / "rows.csv").write_text(csv_of(ROWS))
    code = own_system.submit(file, "--param", "seconds=0.15", "--workers", "5")
    until(lambda: stored(own_system, code) > 20, 30, "the job is under way")
    return code


@pytest.fixture
def page(window: BrowserContext, code: str) -> Page:
    """Its page, live."""
    page = window.new_page()
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#live")).to_have_text("Live", timeout=20_000)
    return page


def stored(system: System, code: str) -> int:
    return int(system.snapshot(system.clients[0], code)["counts"]["succeeded"])


def shown(page: Page) -> int:
    return int(page.locator("#tiles [data-v=succeeded]").inner_text().replace(",", ""))


def right(page: Page, system: System, code: str, within: float) -> None:
    """The page shows at least what is stored by now."""
    now = stored(system, code)
    assert now < ROWS, "the job ended too early to see anything"
    until(lambda: shown(page) >= now, within, f"the page shows {now}")
    assert shown(page) <= stored(system, code)


def test_it_goes_on_while_valkey_stands_still(page: Page, own_system: System, code: str) -> None:
    with frozen(*own_system.processes("unixsocket")):
        for _ in range(2):
            right(page, own_system, code, UNTOLD)
    right(page, own_system, code, SOON)
    expect(page.locator("#live")).to_have_text("Live")


def test_it_opens_while_valkey_stands_still(page: Page, own_system: System, code: str) -> None:
    with frozen(*own_system.processes("unixsocket")):
        page.reload()
        right(page, own_system, code, UNTOLD)
        page.goto("/")
        expect(page.locator(f"[data-code='{code}'] .badge")).to_have_text("Running")
    expect(page.locator("#live")).to_have_text("Live", timeout=SOON * 1000)


def test_it_says_that_the_line_is_lost_until_the_web_server_is_back(page: Page, own_system: System, code: str) -> None:
    def gone() -> bool:
        """A server that is back within two seconds is not worth a word, so each that comes is killed until then."""
        for process in own_system.processes("batchweb.server"):
            process.kill()
        return page.locator("#lost").is_visible()

    until(gone, 20, "the page says that the line is down")
    expect(page.locator("#lost")).to_contain_text("Connection lost")
    expect(page.locator("#state")).to_contain_text("Last known numbers")
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    until(lambda: answers(own_system), 45, "the web server is back")
    right(page, own_system, code, SOON)
    expect(page.locator("#lost")).to_be_hidden()


def answers(system: System) -> bool:
    try:
        return httpx.get(f"{system.url}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_it_shows_in_one_tab_what_is_done_in_another(page: Page, window: BrowserContext, code: str) -> None:
    other = window.new_page()
    other.goto(f"/jobs/{code}/")
    other.get_by_role("button", name="Pause").click()
    expect(page.locator("#badge")).to_have_text("Paused", timeout=SOON * 1000)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(other.locator("#badge")).to_have_text("Running", timeout=2 * SOON * 1000)
    until(lambda: shown(page) == shown(other), SOON, "both show the same")
