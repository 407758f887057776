"""The states in which a person fixes what failed, beside the other states of the pages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from playwright.sync_api import Page, expect

from tests.browser.stage import Stage
from tests.browser.states import STATES as STATES
from tests.browser.states import flawed, shown, state


def fixed(text: str) -> bytes:
    """Some rows of a `failed.csv`, of which most come back fixed, and three that nobody asked for."""
    rows = list(csv.DictReader(io.StringIO(text)))[:12]
    for at, row in enumerate(rows[:8]):
        row |= {"simulate": "ok", "street": f"{row['street']} a" if at % 3 == 0 else row["street"]}
    odd = [rows[0] | {"row": "9999"}, rows[0] | {"row": "unknown"}, rows[0] | {"row": "1"}]
    out = io.StringIO()
    file = csv.DictWriter(out, list(rows[0]))
    file.writeheader()
    file.writerows(rows + odd)
    return out.getvalue().encode()


@state("corrections")
def corrections(stage: Stage) -> Iterator[Page]:
    code = flawed(stage)
    failed = stage.client().get(f"/jobs/{code}/failed.csv").text
    file = {"file": ("addresses fixed.csv", fixed(failed), "text/csv")}
    sent = stage.system.post(stage.client(), f"/jobs/{code}/corrections/", {}, file)
    with stage.tab(sent.headers["Location"]) as page:
        expect(page.get_by_text("The job has no row 9,999; it has 2,000.")).to_be_visible()
        yield page


@state("corrections, empty")
def no_corrections(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/corrections/") as page:
        expect(page.get_by_role("button", name="Show what it changes")).to_be_visible()
        yield page


@state("retry with settings")
def settings(stage: Stage) -> Iterator[Page]:
    with shown(stage, flawed(stage), "Finished with failures") as page:
        page.locator("#causes").get_by_role("button", name=re.compile("Retry")).first.click()
        page.locator("#asking .retry-how > summary").click()
        expect(page.locator("#retry_workers")).to_be_visible()
        yield page


@state("rows chosen")
def chosen(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/?state=failed") as page:
        boxes = page.locator("#items tbody .pick input")
        boxes.nth(1).check()
        boxes.nth(4).click(modifiers=["Shift"])
        expect(page.locator("#chosen-said")).to_have_text("4 chosen")
        yield page


@state("edit an item")
def edit(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/items/6/edit/") as page:
        expect(page.get_by_role("button", name="Save and retry")).to_be_visible()
        yield page


@state("all causes")
def causes(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/causes/") as page:
        expect(page.locator(".causes > li")).to_have_count(4)
        yield page
