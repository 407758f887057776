"""Who did what: everything that fixes a job stands in one list, on its page, on the page of all of it, in the admin."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.corrections.shop import SOON, begun, goods, opened, said
from tests.system import System, until

pytestmark = pytest.mark.browser
FILE: Final = b"article,cents,row\narticle 13,113,13\n"
DONE: Final = (
    "Uploaded corrections of 1 item, 1 item tried again",
    "Edited row 3",
    "Accepted the failure of row 23",
    "Retried “too dear",
    "Changed items at a time from 10 to 20",
    "Resumed",
    "Paused",
    "Started",
    "Created from goods.csv",
)


@pytest.fixture(scope="module")
def fixed(system: System) -> str:
    """A job to which all was done that a person can do to it."""
    client = system.clients[0]
    code = begun(system, goods(30), param_seconds="0.3", workers="10")

    def act(verb: str, **data: str) -> None:
        answer = system.post(client, f"/jobs/{code}/{verb}/", data)
        assert answer.status_code == 302, answer.text[:2000]

    until(lambda: system.snapshot(client, code)["state"] == "running", 20, "it runs")
    act("pause")
    until(lambda: not system.snapshot(client, code)["counts"]["running"], 20, "nothing is in flight")
    act("resume")
    system.ended(client, code)
    dear = next(one for one in system.snapshot(client, code)["causes"] if one["kind"] == "too dear")
    act("retry", cause=str(dear["id"]), workers="20")
    system.ended(client, code)
    act("accept", rows="23")
    form = client.get(f"/jobs/{code}/items/3/edit/").text
    act("items/3/edit", seen=form.split('name="seen" value="')[1].split('"')[0], cell_0="article 3", cell_1="103")
    system.ended(client, code)
    sent = system.post(client, f"/jobs/{code}/corrections/", {}, {"file": ("fixed.csv", FILE, "text/csv")})
    act("correct", file=sent.headers["Location"].split("file=")[1])
    system.ended(client, code)
    return code


def in_order(told: list[str]) -> list[str]:
    """What of the list is among these things, the newest first."""
    return [words for text in told for words in DONE if text.startswith(words)]


def download(page: Page, link: Locator) -> bytes:
    with page.expect_download() as started:
        link.click()
    assert started.value.suggested_filename == "fixed.csv"
    return Path(started.value.path()).read_bytes()


def test_it_lists_everything_on_the_page(page: Page, fixed: str) -> None:
    opened(page, fixed)
    assert in_order(said(page)) == list(DONE)


def test_it_lists_everything_on_the_page_of_it(page: Page, fixed: str) -> None:
    opened(page, fixed)
    page.locator("#activity").get_by_role("link", name="Show all").click()
    page.wait_for_url("**/activity/")
    assert in_order(said(page)) == list(DONE)


def test_it_says_who_did_it(page: Page, fixed: str) -> None:
    page.goto(f"/jobs/{fixed}/activity/")
    for words in DONE:
        expect(page.locator("#activity li", has_text=words)).to_contain_text("by admin")


@pytest.mark.parametrize("path", ["", "activity/"])
def test_it_gives_the_file_of_corrections(page: Page, fixed: str, path: str) -> None:
    page.goto(f"/jobs/{fixed}/{path}")
    link = page.locator("#activity li", has_text="Uploaded corrections").get_by_role("link", name="the file")
    assert download(page, link) == FILE


def test_it_adds_what_is_done_meanwhile(page: Page, system: System, code: str) -> None:
    opened(page, code)
    system.post(system.clients[0], f"/jobs/{code}/accept/", {"rows": "3"})
    expect(page.locator("#activity li").first).to_contain_text("Accepted the failure of row 3", timeout=SOON)


def test_it_lists_everything_in_the_admin(page: Page, fixed: str) -> None:
    page.goto(f"/admin/jobs/job/?q={fixed}")
    page.locator("#result_list .field-job a").click()
    section = page.locator("section", has=page.get_by_role("heading", name="Activity", exact=True))
    assert in_order(section.locator("li [dir]").all_inner_texts()) == list(DONE)
    assert download(page, section.get_by_role("link", name="the file")) == FILE
    section.get_by_role("link", name="All activity").click()
    expect(page.get_by_role("heading", name="Activities")).to_be_visible()
    assert in_order(page.locator("#result_list .field-what").all_inner_texts()) == list(DONE)
    assert download(page, page.locator("#result_list").get_by_role("link", name="the file")) == FILE
