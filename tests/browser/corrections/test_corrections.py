"""Failed rows that go into a spreadsheet and come back fixed, in a browser."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.corrections.shop import SOON, begun, done, downloaded, fine, goods, opened, stored, tried
from tests.system import System

pytestmark = pytest.mark.browser
FIXED = {3: "103", 13: "113", 23: "123"}


def failed(page: Page, code: str) -> list[dict[str, str]]:
    """What `failed.csv` has, downloaded from the menu of the job's page."""
    opened(page, code)
    page.locator("#download > summary").click()
    return downloaded(page, page.get_by_role("link", name="Only failed rows (CSV)"))


def fixed(rows: Sequence[Mapping[str, str]], cents: Mapping[int, str]) -> FilePayload:
    """The file with these cells changed, as a spreadsheet stores it."""
    text = io.StringIO()
    file = csv.DictWriter(text, list(rows[0]), delimiter=";")
    file.writeheader()
    file.writerows({**row, "cents": cents.get(int(row["row"]), row["cents"])} for row in rows)
    return {"name": "fixed.csv", "mimeType": "text/csv", "buffer": text.getvalue().encode()}


def send(page: Page, code: str, file: FilePayload) -> None:
    """Over the link on the job's page, as a person goes."""
    opened(page, code)
    page.locator("#download > summary").click()
    page.locator("#download").get_by_role("link", name="Fix in a spreadsheet").click()
    page.set_input_files("#corrections-file", file)
    page.get_by_role("button", name="Show what it changes").click()


def test_it_goes_out_and_comes_back_fixed(page: Page, system: System, code: str, tmp_path: Path) -> None:
    send(page, code, fixed(failed(page, code), FIXED))
    page.get_by_role("button", name="Fix 3 rows and try them again").click()
    expect(page.locator(".toast")).to_contain_text("3 items fixed and queued again.")
    tried(system, code, set(FIXED))
    rows = stored(system, code)
    assert [row["row"] for row in rows] == list(range(1, 31))
    assert {row: rows[row - 1]["result"]["euros"] for row in FIXED} == {3: 1.03, 13: 1.13, 23: 1.23}


def test_it_shows_the_fixed_results_on_the_page(page: Page, code: str) -> None:
    send(page, code, fixed(failed(page, code), FIXED))
    page.get_by_role("button", name="Fix 3 rows and try them again").click()
    expect(page.locator("#tiles [data-v=failed]")).to_have_text("6", timeout=SOON)
    expect(page.locator("#items tr[data-position='2'] .outcome")).to_contain_text("1.03", timeout=SOON)


def test_it_shows_old_and_new_before_anything_runs(page: Page, system: System, code: str) -> None:
    send(page, code, fixed(failed(page, code), FIXED))
    changes = page.get_by_role("region", name="Changes", exact=True)
    expect(changes.locator("tbody")).to_have_count(3)
    expect(changes.locator("tbody").first.locator("th, td")).to_have_text(["3", "cents", "three", "103"])
    assert max(row["attempts"] for row in stored(system, code)) == 1


def test_it_counts_what_is_unchanged_and_not_understood(page: Page, code: str) -> None:
    rows = failed(page, code)
    odd = [{**rows[0], "row": "77", "cents": "1"}, {**rows[0], "row": "1", "cents": "1"}]
    send(page, code, fixed([*rows, *odd], FIXED))
    expect(page.locator(".chips")).to_have_text("3 rows changed 6 unchanged 1 left alone 1 not understood")
    expect(page.get_by_text("The job has no row 77; it has 30.")).to_be_visible()
    page.get_by_text("1 row left alone").click()
    expect(page.get_by_text("Row 1 has succeeded already.")).to_be_visible()


def test_it_tries_unchanged_rows_only_when_asked(page: Page, system: System, code: str) -> None:
    send(page, code, fixed(failed(page, code), FIXED))
    page.get_by_label("Also try the 6 unchanged rows again").check()
    page.get_by_role("button", name="Fix 3 rows and try them again").click()
    tried(system, code, {3, 13, 23, 5, 8, 15, 18, 25, 28})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"article,cents\nx,1\n", "The file has no column “row” that says which rows these are"),
        (b"row,colour\n3,red\n", "The file has none of the job's columns"),
        (b"", "There is no file, or it is empty."),
    ],
)
def test_it_says_what_is_wrong_with_a_file(
    page: Page, complaints: Complaints, code: str, content: bytes, sentence: str
) -> None:
    send(page, code, {"name": "odd.csv", "mimeType": "text/csv", "buffer": content})
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.locator("#corrections-file")).to_be_visible()
    complaints[:] = [text for text in complaints if "422" not in text]


def test_it_is_reached_from_the_card_of_causes(page: Page, code: str) -> None:
    opened(page, code)
    page.locator("#causes-card").get_by_role("link", name="Fix in a spreadsheet").click()
    expect(page.get_by_role("heading", name="Fix failed rows in a spreadsheet")).to_be_visible()


def test_it_is_offered_once_something_failed(page: Page, system: System) -> None:
    text = goods(1_000, lambda at: "three" if at == 40 else fine(at))
    code = begun(system, text, workers="2", param_seconds="0.1")
    opened(page, code)
    link = page.locator("#download a", has_text="Fix in a spreadsheet")
    page.locator("#download > summary").click()
    expect(link).to_be_hidden()
    expect(link).to_be_visible(timeout=SOON)
    system.post(system.clients[0], f"/jobs/{code}/cancel/", {})


def test_it_is_not_offered_where_nothing_failed(page: Page, system: System) -> None:
    opened(page, done(system, goods(5, fine)))
    page.locator("#download > summary").click()
    expect(page.locator("#download a", has_text="results.csv")).to_be_visible()
    expect(page.locator("#download a", has_text="Fix in a spreadsheet")).to_be_hidden()


def test_it_fixes_rejected_rows(page: Page, system: System) -> None:
    code = done(system, "article,cents\na,100\nb\n,300\n")
    opened(page, code)
    page.locator("#download > summary").click()
    page.locator("#download").get_by_role("link", name="Fix in a spreadsheet").click()
    rows = downloaded(page, page.get_by_role("link", name="the rejected ones"))
    row = next(row for row in rows if row["row"] == "3")
    file: FilePayload = {
        "name": "fixed.csv", "mimeType": "text/csv", "buffer": f"article,cents,row\nc,300,{row['row']}\n".encode()
    }  # fmt: skip
    page.set_input_files("#corrections-file", file)
    page.get_by_role("button", name="Show what it changes").click()
    page.get_by_role("button", name="Fix 1 row and try it again").click()
    system.ended(system.clients[0], code)
    assert stored(system, code)[2]["result"]["euros"] == 3


def test_it_fits_a_phone(page: Page, code: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    send(page, code, fixed(failed(page, code), FIXED))
    expect(page.get_by_role("region", name="Changes", exact=True)).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
