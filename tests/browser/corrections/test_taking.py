"""Results that are taken home from the page, while a job runs and after it: whole, by state, by cause, in order."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.browser.corrections.shop import SOON, begun, cause, flawed, goods, opened, table, tried
from tests.system import System, until

pytestmark = pytest.mark.browser
FORMATS = ("csv", "xlsx", "jsonl", "json")
ROWS = 300


@pytest.fixture(scope="module")
def running(system: System) -> Iterator[str]:
    """A job of which a part is done, and which goes on for as long as the tests of it take."""
    client = system.clients[0]
    text = goods(ROWS, lambda at: flawed(at) if at < 200 else "100")
    code = begun(system, text, workers="1", param_seconds="1", rate="2")
    until(lambda: system.snapshot(client, code)["counts"]["failed"] > 1, 30, "something has failed")
    yield code
    system.post(client, f"/jobs/{code}/cancel/", {})


def lines(path: Path, form: str) -> list[dict[str, Any]]:
    """What a file of results holds, whatever its form."""
    if form == "csv":
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    if form == "xlsx":
        head, *rows = load_workbook(io.BytesIO(path.read_bytes()))["Results"].iter_rows(values_only=True)
        return [dict(zip(map(str, head), row, strict=True)) for row in rows]
    text = path.read_text()
    return list(json.loads(text)) if form == "json" else [json.loads(line) for line in text.splitlines()]


def taken(page: Page, name: str, form: str) -> list[dict[str, Any]]:
    """What the link of this name in the menu gives."""
    page.locator("#download > summary").click()
    with page.expect_download() as download:
        page.locator("#download").get_by_role("link", name=name, exact=True).click()
    assert download.value.suggested_filename.startswith("goods-results")
    return lines(Path(download.value.path()), form)


def article(row: dict[str, Any]) -> str:
    return str(row["input"]["article"] if "input" in row else row["article"])


@pytest.mark.parametrize("form", FORMATS)
def test_it_gives_every_row_in_order_while_a_job_runs(page: Page, running: str, form: str) -> None:
    opened(page, running)
    expect(page.locator("#download")).to_be_visible(timeout=SOON)
    rows = taken(page, f"results.{form}", form)
    assert [article(row) for row in rows] == [f"article {at + 1}" for at in range(ROWS)]
    assert {row["state"] for row in rows} >= {"succeeded", "failed", "pending"}


@pytest.mark.parametrize("form", FORMATS)
def test_it_gives_every_row_in_order_after_fixing(page: Page, system: System, code: str, form: str) -> None:
    system.post(system.clients[0], f"/jobs/{code}/retry/", {"param_most": "1000"})
    tried(system, code, {3, 5, 8, 13, 15, 18, 23, 25, 28})
    opened(page, code)
    rows = taken(page, f"results.{form}", form)
    assert [(article(row), int(row["row"])) for row in rows] == [(f"article {at}", at) for at in range(1, 31)]
    assert [int(row["row"]) for row in rows if row["state"] == "failed"] == [3, 13, 23]
    assert [int(row["attempts"]) for row in rows[:5]] == [1, 1, 2, 1, 2]


@pytest.mark.parametrize(("name", "form"), [("Only failed rows (CSV)", "csv"), ("Only failed rows (XLSX)", "xlsx")])
def test_it_gives_only_what_failed(page: Page, code: str, name: str, form: str) -> None:
    opened(page, code)
    rows = taken(page, name, form) if form == "xlsx" else failed(page, name)
    assert [int(row["row"]) for row in rows] == [3, 5, 8, 13, 15, 18, 23, 25, 28]


def failed(page: Page, name: str) -> list[dict[str, str]]:
    page.locator("#download > summary").click()
    with page.expect_download() as download:
        page.locator("#download").get_by_role("link", name=name).click()
    assert download.value.suggested_filename == "goods-failed.csv"
    return table(download.value)


def test_it_gives_what_failed_so_far_for_one_cause(page: Page, running: str) -> None:
    opened(page, running)
    expect(cause(page, "ValueError")).to_be_visible(timeout=SOON)
    with page.expect_download() as download:
        cause(page, "ValueError").get_by_role("link", name="Download").click()
    rows = table(download.value)
    assert rows
    assert {(int(row["row"]) % 10, row["error_kind"]) for row in rows} == {(3, "ValueError")}


def test_it_flattens_what_is_nested(page: Page, code: str) -> None:
    opened(page, code)
    first = taken(page, "results.csv", "csv")[0]
    assert (first["result.euros"], first["result.tags.cheap"]) == ("1.0", "true")
