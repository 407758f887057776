"""The administrators' places in a real browser: nothing breaks the security policy, and what is asked is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.places import STATES
from tests.browser.stage import Stage, rows, staged

pytestmark = pytest.mark.browser

PLACES: Final = [name for name in STATES if name.startswith("admin")]
TWICE: Final = "fail:Unknown address"


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage"), browser) as made:
        yield made


@pytest.fixture
def failed(stage: Stage, request: pytest.FixtureRequest) -> str:
    """A job of ten rows of which three failed."""
    name = request.node.name.replace("_", " ")
    return stage.ended(name, rows(10, lambda at: TWICE if at in (2, 5, 7) else "ok"))


@pytest.mark.parametrize("name", PLACES)
def test_it_breaks_no_policy(stage: Stage, name: str) -> None:
    stage.complaints.clear()
    with STATES[name](stage) as page:
        page.wait_for_load_state("networkidle")
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert stage.complaints == []


def opened(stage: Stage, page: Page, code: str) -> None:
    page.goto(f"/admin/jobs/job/?q={code}")
    page.locator("#result_list .field-job a").click()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()


def test_it_retries_from_the_page_of_a_job(stage: Stage, failed: str) -> None:
    with stage.tab("/admin/") as page:
        opened(stage, page, failed)
        page.get_by_role("button", name="Retry 3 items").click()
        expect(page.get_by_role("heading", name="Retry 3 items of 1 job?")).to_be_visible()
        page.get_by_role("button", name="Retry them").click()
        expect(page.locator(".messagelist")).to_contain_text("3 items queued again.")
        expect(page.get_by_role("heading", name="Activity")).to_be_visible()


def test_it_chooses_all_items_of_a_page(stage: Stage, failed: str) -> None:
    with stage.tab(f"/admin/jobs/item/?job={failed}&state=failed") as page:
        page.get_by_label("Choose all on this page").check()
        page.get_by_role("button", name="Retry selected").click()
        expect(page.get_by_role("heading", name="Retry 3 items")).to_be_visible()


def test_it_downloads_the_results_of_several_jobs(stage: Stage, failed: str, tmp_path: Path) -> None:
    stage.ended("another", rows(5))
    with stage.tab("/admin/jobs/job/") as page:
        page.locator("#action-toggle").check()
        page.get_by_label("Action:").select_option("export")
        with page.expect_download() as started:
            page.get_by_role("button", name="Go").click()
        started.value.save_as(tmp_path / "results.zip")
    assert (tmp_path / "results.zip").read_bytes().startswith(b"PK")
