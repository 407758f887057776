"""The table of items and the drawer, in a real browser."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system import System, csv_of

pytestmark = pytest.mark.browser
ROWS = 200
BIDI = "abc \u202egnp.exe\u202c \u2066def"
HOSTILE = (
    "<script>window.owned=1</script>",
    '"><svg onload=window.owned=1>',
    "<img src=x onerror=window.owned=1>",
    BIDI,
    "W" * 100_000,
    "\u0634\u0631\u0643\u0629 \u200f mixed עברית text",
    "👩‍👩‍👧‍👦🏳️‍🌈" * 40,
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324" * 20,
)


def failing(at: int) -> str:
    return "fail:ValueError" if at % 20 == 7 else "ok"


@pytest.fixture(scope="module")
def done(system: System, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job that has ended: 200 rows, of which row 8 and every twentieth after it failed."""
    file = tmp_path_factory.mktemp("items") / "rows.csv"
    file.write_text(csv_of(ROWS, failing))
    code = system.submit(file, "--param", "seconds=0")
    system.ended(system.client(), code)
    return code


@pytest.fixture(scope="module")
def hostile(system: System, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job whose rows, keys, results and errors are what nobody wants on a page."""
    file = tmp_path_factory.mktemp("hostile") / "rows.csv"
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("name", "simulate", "key", "<i>note</i>"))
    for value in HOSTILE:
        rows.writerow((value, "ok", value[:150], value))
        rows.writerow((value, f"fail:{value[:60]}", "", value))
    file.write_text(text.getvalue())
    code = system.submit(file, "--param", "seconds=0")
    system.ended(system.client(), code)
    return code


@pytest.fixture(scope="module")
def named(system: System) -> list[str]:
    """What jobs are called, the oldest first."""
    client = system.client()
    names = [f"called {value[:100]}" for value in HOSTILE]
    for name in names:
        data = {"processor": "simulate", "param_seconds": "0", "name": name, "then": "start"}
        made = system.post(client, "/jobs/new/", data, {"file": (f"{name[:40]}.csv", csv_of(2).encode(), "text/csv")})
        system.ended(client, made.json()["url"].split("/")[2])
    return names


def rows(page: Page) -> list[str]:
    return page.locator("#items tbody a[data-item]").all_inner_texts()


def narrow(page: Page) -> None:
    """Nothing is wider than the window."""
    widest, window = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert widest <= window, page.url


# The table


def test_it_keeps_a_filter_in_the_address(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    page.locator("#show-failed").click()
    expect(page.locator("#items tbody tr")).to_have_count(10)
    expect(page).to_have_url(re.compile(r"\?state=failed$"))
    expect(page.locator("#tiles [data-filter=failed]")).to_have_attribute("aria-current", "true")
    page.reload()
    assert rows(page)[:2] == ["#8", "#28"]


def test_it_filters_by_every_tile(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    for name, count in (("running", 0), ("not_attempted", 0), ("waiting", 0), ("rejected", 0), ("failed", 10)):
        page.locator(f"#tiles [data-filter={name}]").click()
        expect(page.locator("#items")).to_have_attribute("data-state-filter", name)
        expect(page.locator("#items tbody tr")).to_have_count(count)


def test_it_searches_sorts_and_pages(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    page.locator("#items-q").fill("item 1")
    page.locator("#items-q").press("Enter")
    expect(page).to_have_url(re.compile("q=item\\+1"))
    expect(page.locator("#items-q")).to_be_focused()
    page.locator("#sort-finished").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Finished")
    first = rows(page)
    page.locator("#items-next").click()
    expect(page.locator("#items-previous")).to_be_visible()
    assert not set(first) & set(rows(page))
    page.go_back()
    expect(page.locator("#items-previous")).to_be_hidden()
    expect(page.locator("#items tbody a[data-item]")).to_have_text(first)


def test_it_shows_more_rows(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    before = rows(page)
    page.locator("#items-more").press("Enter")
    expect(page.locator("#items tbody tr")).to_have_count(150)
    assert rows(page)[:50] == before
    expect(page.locator("#items tbody a[data-item='51']")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?more=100$"))
    page.reload()
    assert len(rows(page)) == 150
    page.locator("#items-more").click()
    expect(page.locator("#items tbody tr")).to_have_count(ROWS)
    expect(page.locator("#items-more")).to_have_count(0)
    page.go_back()
    expect(page.locator("#items tbody tr")).to_have_count(150)


def test_it_jumps_to_a_row(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    page.locator("#items-q").fill("#120")
    page.locator("#items-q").press("Enter")
    expect(page.locator("tr.sought a")).to_have_text("#120")


def test_it_holds_the_newest_still_while_somebody_reads(page: Page, system: System, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(2_000))
    code = system.submit(file, "--param", "seconds=0.1", "--workers", "4")
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#items")).to_have_attribute("data-mode", "newest", timeout=20_000)
    expect(page.locator("#items tbody tr").nth(10)).to_be_visible(timeout=20_000)
    page.locator("#items tbody tr").nth(5).hover()
    still = rows(page)
    expect(page.locator("#held")).to_be_visible(timeout=20_000)
    assert rows(page) == still
    # What somebody types stays, too.
    page.locator("#items-q").fill("half a wo")
    page.locator("h1").hover()
    expect(page.locator("#items tbody a[data-item]").first).not_to_have_text(still[0], timeout=20_000)
    expect(page.locator("#items-q")).to_have_value("half a wo")
    assert system.manage("cancel", code).returncode == 0
    expect(page.locator("#items")).to_have_attribute("data-mode", "rows", timeout=20_000)
    expect(page.locator("#items-q")).to_have_value("half a wo")


def test_it_filters_without_javascript(browser: Browser, system: System, done: str) -> None:
    client = system.client()
    cookies = [{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()]
    context = browser.new_context(base_url=system.url, java_script_enabled=False)
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"/jobs/{done}/")
    page.locator("#filters summary").click()
    page.locator("#items-state").select_option("failed")
    page.locator("#items-sort").select_option("-row")
    page.locator("#items-q").fill("valueerror")
    page.locator("#items-apply").click()
    assert rows(page)[:2] == ["#188", "#168"]
    page.locator("#items tbody a").first.click()
    expect(page.locator("h1")).to_have_text("Row 188")
    context.close()


# The drawer


def test_it_opens_an_item_and_closes_it_by_escape(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/?state=failed")
    link = page.locator("#items tbody a[data-item]").nth(1)
    link.click()
    expect(page.locator("#drawer-title")).to_have_text("Row 28")
    expect(page).to_have_url(re.compile(f"/jobs/{done}/items/28/$"))
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?state=failed$"))
    expect(link).to_be_focused()


def test_it_goes_from_item_to_item(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/?state=all")
    page.locator("#items tbody a[data-item='28']").click()
    page.locator("#item-next").click()
    expect(page.locator("#drawer-title")).to_have_text("Row 29")
    expect(page.locator("#item-next")).to_be_focused()
    page.locator("#item-next-failed").click()
    expect(page.locator("#drawer-title")).to_have_text("Row 48")
    page.locator("#item-previous-failed").click()
    expect(page.locator("#drawer-title")).to_have_text("Row 28")
    page.go_back()
    expect(page.locator("#drawer")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#drawer-title")).to_have_text("Row 28")
    page.reload()
    expect(page.locator("h1")).to_have_text("Row 28")


def test_it_closes_by_back_without_leaving_the_page(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    page.locator("#show-failed").click()
    expect(page.locator("#items tbody tr")).to_have_count(10)
    page.evaluate("() => { document.title = 'the same page'; window.same = true; }")
    page.locator("#items tbody tr").nth(2).locator(".outcome").click()
    expect(page.locator("#drawer-title")).to_have_text("Row 48")
    page.go_back()
    expect(page.locator("#drawer")).to_be_hidden()
    expect(page.locator("#items tbody tr")).to_have_count(10)
    assert page.evaluate("() => window.same")


def test_it_opens_what_another_part_of_the_page_asks_for(page: Page, done: str) -> None:
    page.goto(f"/jobs/{done}/")
    prevented = page.evaluate(
        "() => !document.querySelector('#tiles').dispatchEvent("
        "new CustomEvent('item-open', { bubbles: true, cancelable: true, detail: { row: 199 } }))"
    )
    assert prevented
    expect(page.locator("#drawer-title")).to_have_text("Row 199")
    page.locator("#drawer [data-close]").click()
    expect(page.locator("#drawer")).to_be_hidden()


def test_it_copies_a_result(page: Page, done: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/jobs/{done}/")
    page.locator("#items tbody a[data-item='1']").click()
    page.locator("[data-copy=result-text]").click()
    expect(page.locator("[data-copy=result-text]")).to_contain_text("Copied")
    assert '"position": 0' in page.evaluate("() => navigator.clipboard.readText()")


# What a file holds


@pytest.mark.parametrize("width", [1440, 390])
def test_it_shows_what_a_file_held_as_text(page: Page, hostile: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"/jobs/{hostile}/?state=all")
    for value in HOSTILE[:3]:
        expect(page.locator("#items")).to_contain_text(value)
    narrow(page)
    for row in (2, 4, 7, 8, 9, 10, 13, 15):
        page.goto(f"/jobs/{hostile}/items/{row}/")
        expect(page.locator("#input-text dd").first).to_contain_text(HOSTILE[(row - 1) // 2][:50])
        narrow(page)
    page.goto(f"/jobs/{hostile}/?state=all")
    page.locator("#items tbody a[data-item='10']").click()
    expect(page.locator("#drawer-title")).to_have_text("Row 10")
    wide, box = page.evaluate(
        "() => { const d = document.querySelector('#drawer'); return [d.scrollWidth, d.clientWidth]; }"
    )
    assert wide <= box
    assert page.evaluate("() => window.owned") is None


@pytest.mark.parametrize("width", [1440, 390])
def test_it_shows_what_a_failure_said_as_text(page: Page, hostile: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"/jobs/{hostile}/")
    for value in (*HOSTILE[:3], "W" * 60):
        expect(page.locator("#causes")).to_contain_text(value[:60])
    narrow(page)
    page.locator("#causes").get_by_role("link", name="Show items").first.click()
    expect(page.locator("#items h2 + .quiet")).to_contain_text("of “")
    narrow(page)
    assert page.evaluate("() => window.owned") is None


@pytest.mark.parametrize("width", [1440, 390])
def test_it_shows_what_a_person_called_a_job_as_text(page: Page, named: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/?q=called")
    expect(page.locator(".jobs .name")).to_have_text(named[::-1])
    narrow(page)
    for name in named:
        page.goto("/?q=called")
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.locator("h1")).to_have_text(name)
        narrow(page)
        if width == 390:
            page.locator("#more > summary").click()
        page.locator("[data-verb=again]").click()
        expect(page.locator("#id_name")).to_have_value(name)
        narrow(page)
    assert page.evaluate("() => window.owned") is None
