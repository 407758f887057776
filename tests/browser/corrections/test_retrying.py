"""The question before items are tried again: for a cause, for all that failed, with other settings, by two people."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.corrections.shop import SOON, asking, cause, opened, said, stored, toast, tried
from tests.system import System

pytestmark = pytest.mark.browser
DEAR = {5, 8, 15, 18, 25, 28}


def asked(page: Page, code: str) -> Locator:
    """The question about the cause of six rows, with its settings open."""
    opened(page, code)
    cause(page, "too dear").get_by_role("button", name="Retry 6").click()
    found = asking(page, "Retry 6 items")
    found.locator("summary").click()
    return found


def test_it_says_how_many_and_changes_nothing_yet(page: Page, system: System, code: str) -> None:
    found = asked(page, code)
    expect(found).to_contain_text("All that failed for one cause: too dear")
    found.locator("[data-keep]").click()
    expect(found).to_be_hidden()
    assert max(row["attempts"] for row in stored(system, code)) == 1


def test_it_gives_the_focus_back_when_it_is_left(page: Page, code: str) -> None:
    asked(page, code)
    page.keyboard.press("Escape")
    expect(page.locator("#asking")).to_be_hidden()
    expect(cause(page, "too dear").get_by_role("button", name="Retry 6")).to_be_focused()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("workers", "0", "At least one item at a time."),
        ("rate", "-1", "Ensure this value is greater than"),
        ("timeout", "0", "Ensure this value is greater than or equal to 0.1."),
        ("param_most", "0", "Ensure this value is greater than or equal to 1."),
    ],
)
def test_it_says_what_is_wrong_in_the_dialog(
    page: Page, complaints: Complaints, code: str, name: str, value: str, sentence: str
) -> None:
    found = asked(page, code)
    found.locator(f"#retry_{name}").fill(value)
    found.get_by_role("button", name="Retry 6 items").click()
    expect(found.locator(f"#retry_{name}_error")).to_contain_text(sentence)
    expect(found.locator(f"#retry_{name}")).to_be_focused()
    expect(found.locator(f"#retry_{name}")).to_have_value(value)
    complaints[:] = [text for text in complaints if "422" not in text]


def test_it_goes_on_once_what_was_wrong_is_right(page: Page, complaints: Complaints, system: System, code: str) -> None:
    found = asked(page, code)
    found.locator("#retry_param_most").fill("0")
    found.locator("#retry_param_most").press("Enter")
    expect(found.locator("#retry_param_most_error")).to_be_visible()
    found.locator("#retry_param_most").fill("1000")
    found.locator("#retry_param_most").press("Enter")
    expect(found).to_be_hidden()
    tried(system, code, DEAR)
    complaints[:] = [text for text in complaints if "422" not in text]


def test_it_runs_only_these_with_other_settings(page: Page, system: System, code: str) -> None:
    found = asked(page, code)
    for name, value in (("workers", "20"), ("rate", "50"), ("timeout", "30"), ("param_most", "1000")):
        found.locator(f"#retry_{name}").fill(value)
    found.get_by_role("button", name="Retry 6 items").click()
    toast(page, "6 items queued again.")
    tried(system, code, DEAR)
    assert [row["row"] for row in stored(system, code, "?state=failed")] == [3, 13, 23]
    assert stored(system, code)[4]["result"]["euros"] == 9


def test_it_tells_what_was_changed(page: Page, code: str) -> None:
    found = asked(page, code)
    for name, value in (("workers", "20"), ("rate", "50"), ("timeout", "30"), ("param_most", "1000")):
        found.locator(f"#retry_{name}").fill(value)
    found.get_by_role("button", name="Retry 6 items").click()
    for words in (
        "Changed items at a time from 10 to 20", "Changed the rate from no limit to 50/s",
        "Changed the timeout from", "Changed the parameters most", "Retried “too dear",
    ):  # fmt: skip
        expect(page.locator("#activity").get_by_text(words).first).to_be_visible(timeout=SOON)


def test_it_tries_all_that_failed(page: Page, system: System, code: str) -> None:
    opened(page, code)
    page.locator("#actions [data-retry]").click()
    asking(page, "Retry 9 items").get_by_role("button", name="Retry 9 items").click()
    toast(page, "9 items queued again.")
    tried(system, code, DEAR | {3, 13, 23})


def test_it_runs_once_when_it_is_pressed_twice(page: Page, system: System, code: str) -> None:
    found = asked(page, code)
    found.get_by_role("button", name="Retry 6 items").dblclick()
    expect(found).to_be_hidden()
    tried(system, code, DEAR)
    assert len([text for text in said(page) if text.startswith("Retried")]) == 1


def test_it_runs_once_when_two_press_it(page: Page, system: System, code: str) -> None:
    other = page.context.new_page()
    first, second = (asked(tab, code) for tab in (page, other))
    for found in (first, second):
        found.locator("#retry_param_most").fill("1000")
    first.get_by_role("button", name="Retry 6 items").click()
    toast(page, "6 items queued again.")
    second.get_by_role("button", name="Retry 6 items").click()
    expect(other.locator(".toast.error")).to_contain_text("There is no failed item to try again.")
    tried(system, code, DEAR)


def test_it_fits_a_phone(page: Page, code: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    found = asked(page, code)
    wide, box = found.evaluate("dialog => [dialog.scrollWidth, dialog.clientWidth]")
    assert wide <= box
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
