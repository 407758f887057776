"""The places of the administrators, beside the states of the pages: for pictures and for checks of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import Page, expect

from tests.browser.accounts import STATES as STATES
from tests.browser.stage import Stage, rows
from tests.browser.states import flawed, good, state

JOBS: Final = "/admin/jobs/job/"
ITEMS: Final = "/admin/jobs/item/"
# Places that are shown as they are, and words that stand there then.
PLAIN: Final = {
    "admin": ("/admin/", "Workers alive"),
    "admin, jobs": (JOBS, "Geocode EU addresses"),
    "admin, no job chosen": (ITEMS, "Geocode EU addresses"),
    "admin, causes": ("/admin/jobs/cause/", "Unknown address"),
    "admin, workers": ("/admin/jobs/worker/", "Alive"),
    "admin, activity": ("/admin/jobs/activity/", "Created from"),
    "admin, security events": ("/admin/jobs/securityevent/", "Signed in"),
    "admin, people": ("/admin/auth/user/", "vera"),
    "admin, a person": ("/admin/auth/user/1/change/", "Quota"),
}


@contextmanager
def shown(stage: Stage, path: str, words: str, **options: Any) -> Iterator[Page]:
    with stage.tab(path, **options) as page:
        expect(page.locator("#content").get_by_text(words).first).to_be_visible()
        yield page


def busy(stage: Stage) -> None:
    """Jobs in several states, and a second person."""
    stage.client("vera")
    good(stage)
    flawed(stage)
    stage.ended("Old addresses", rows(300, lambda at: "fail:Unknown address"))
    stage.job("ready", lambda: stage.submit("Addresses to check", rows(1_200), then="check"))


def page_of(stage: Stage, code: str) -> str:
    """The page of a job, as its link in the list of jobs says."""
    answer = stage.client().get(f"{JOBS}?q={code}", follow_redirects=True).text
    return JOBS + answer.split(JOBS, 2)[-1].split("/change/")[0].split("/")[-1] + "/change/"


@state("admin, a job")
def job(stage: Stage) -> Iterator[Page]:
    with shown(stage, page_of(stage, flawed(stage)), "Causes") as page:
        yield page


@state("admin, a question")
def question(stage: Stage) -> Iterator[Page]:
    busy(stage)
    with shown(stage, JOBS, "Geocode EU addresses") as page:
        page.locator("#action-toggle").check()
        page.get_by_label("Action:").select_option("retry_failed")
        page.get_by_role("button", name="Go").click()
        expect(page.get_by_role("button", name="Retry them")).to_be_visible()
        yield page


@state("admin, items")
def items(stage: Stage) -> Iterator[Page]:
    with shown(stage, f"{ITEMS}?job={flawed(stage)}&state=failed", "By cause") as page:
        yield page


@state("admin, an item")
def item(stage: Stage) -> Iterator[Page]:
    with shown(stage, f"{ITEMS}?job={flawed(stage)}&state=failed", "By cause") as page:
        page.locator("#result_list tbody th a").first.click()
        expect(page.get_by_role("heading", name="Payload")).to_be_visible()
        yield page


def plain(path: str, words: str) -> Callable[[Stage], Iterator[Page]]:
    def show(stage: Stage) -> Iterator[Page]:
        busy(stage)
        with shown(stage, path, words) as page:
            yield page

    return show


for name, (path, words) in PLAIN.items():
    state(name)(plain(path, words))
