"""Taking results home from the page of a job, in a real browser."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.system import System, csv_of

pytestmark = pytest.mark.browser


@pytest.fixture
def code(system: System, tmp_path: Path) -> str:
    file = tmp_path / "Äpfel & Birnen.csv"
    file.write_text(csv_of(12, lambda at: "fail:Broken" if at % 4 == 1 else "ok"))
    code = system.submit(file)
    system.ended(system.client(), code)
    return code


def rows(page: Page, link: str) -> tuple[str, list[object]]:
    """The name of the workbook that the link gives, and its row numbers."""
    with page.expect_download() as download:
        page.locator("#download a", has_text=link).press("Enter")
    sheet = load_workbook(io.BytesIO(Path(download.value.path()).read_bytes()))["Results"]
    names = [cell.value for cell in sheet[1]]
    return download.value.suggested_filename, [row[names.index("row")].value for row in sheet.iter_rows(min_row=2)]


def test_it_gives_a_workbook_by_keyboard(page: Page, code: str) -> None:
    page.goto(f"/jobs/{code}/")
    page.locator("#download summary").press("Enter")
    expect(page.locator("#download .menu-list a:visible")).to_have_count(7)
    assert rows(page, "results.xlsx") == ("Äpfel-Birnen-results.xlsx", list(range(1, 13)))
    name, failed = rows(page, "Only failed rows (XLSX)")
    assert (name, failed) == ("Äpfel-Birnen-results-failed.xlsx", [2, 6, 10])


def test_it_needs_no_script(page: Page, system: System, code: str) -> None:
    context = page.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False, storage_state=page.context.storage_state(), viewport={"width": 390, "height": 844}
    )
    plain = context.new_page()
    plain.goto(f"{system.url}/jobs/{code}/")
    plain.locator("#download summary").click()
    expect(plain.locator("#download a", has_text="results.json").first).to_be_visible()
    context.close()
