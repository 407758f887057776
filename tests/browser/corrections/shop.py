"""What the tests of fixing share: files of articles, jobs that have worked on them, and what is stored of a job."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Download, Locator, Page, expect

from tests.system import System, until

SOON: Final = 20_000  # milliseconds in which a page must show what has happened
DEAR: Final = "900"  # more than the processor takes unless it is told to
UNREAD: Final = "three"  # no number at all

Fate = Callable[[int], str]
Row = dict[str, Any]


def fine(at: int) -> str:
    return str(100 + at)


def flawed(at: int) -> str:
    """Of ten rows the third is no number, and the fifth and the eighth are too dear."""
    return {2: UNREAD, 4: DEAR, 7: DEAR}.get(at % 10, fine(at))


def goods(rows: int, cents: Fate = flawed) -> str:
    return "article,cents\n" + "".join(f"article {at + 1},{cents(at)}\n" for at in range(rows))


def begun(system: System, text: str, **fields: Any) -> str:
    """The code of a new job of this file."""
    data = {"processor": "price", "then": "start", "name": "goods.csv"} | fields
    answer = system.post(system.clients[0], "/jobs/new/", data, {"file": ("goods.csv", text.encode(), "text/csv")})
    assert answer.is_success, answer.text[:2000]
    return str(answer.json()["url"]).split("/")[2]


def done(system: System, text: str, **fields: Any) -> str:
    """The code of a job of this file that has ended."""
    code = begun(system, text, **fields)
    system.ended(system.clients[0], code)
    return code


def stored(system: System, code: str, query: str = "") -> list[Row]:
    """The job's result as it is stored now, row by row."""
    answer = system.clients[0].get(f"/jobs/{code}/results.jsonl{query}")
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def attempts(system: System, code: str) -> dict[int, int]:
    """Row → how often it was tried."""
    return {row["row"]: row["attempts"] for row in stored(system, code)}


def tried(system: System, code: str, rows: set[int], times: int = 2) -> None:
    """These rows were tried so often, once all are done, and the others once."""
    system.ended(system.clients[0], code)
    again = {row: times if row in rows else 1 for row in attempts(system, code)}
    until(lambda: attempts(system, code) == again, 10, f"only the rows {sorted(rows)} were tried again")


def opened(page: Page, code: str, query: str = "") -> None:
    """The page of a job, once it is live and listens to keys."""
    page.goto(f"/jobs/{code}/{query}")
    expect(page.locator("#live")).to_have_text("Live", timeout=SOON)
    expect(page.locator("html[data-keys]")).to_be_attached()


def cause(page: Page, words: str) -> Locator:
    return page.locator(".causes > li", has_text=words)


def asking(page: Page, title: str) -> Locator:
    """The question before rows are tried again."""
    found = page.get_by_role("dialog", name=title, exact=True)
    expect(found).to_be_visible()
    return found


def toast(page: Page, words: str) -> None:
    expect(page.locator(".toast").last).to_contain_text(words, timeout=SOON)


def table(download: Download) -> list[dict[str, str]]:
    """The rows of a CSV file that was downloaded."""
    return list(csv.DictReader(io.StringIO(Path(download.path()).read_text(encoding="utf-8-sig"), newline="")))


def downloaded(page: Page, link: Locator) -> list[dict[str, str]]:
    with page.expect_download() as download:
        link.click()
    return table(download.value)


def said(page: Page) -> list[str]:
    """The activity on the page, the newest first."""
    return page.locator("#activity .activity-text").all_inner_texts()
