"""A file that is ready, in a real browser: what was read, a trial that shows by itself, then the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.system import System, csv_of

pytestmark = pytest.mark.browser


def failing(at: int) -> str:
    return "fail:Broken" if at == 3 else "ok"


def checked(page: Page, system: System, folder: Path, rows: int = 60) -> str:
    """On the page of a job whose file was read and has one bad row; returns its code."""
    (file := folder / "rows.csv").write_text(csv_of(rows, failing) + "one cell\n")
    code = system.submit(file, "--check", "--param", "seconds=0.3", "--workers", "4")
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#report")).to_contain_text("1 row has too few cells", timeout=20_000)
    return code


def test_it_goes_from_a_trial_to_the_rest(page: Page, system: System, tmp_path: Path) -> None:
    code = checked(page, system, tmp_path)
    expect(page.get_by_role("button", name="Leave 1 row out and start")).to_be_visible()
    page.get_by_role("button", name="Try 10 rows").click()
    expect(page.locator("#badge")).to_have_text("Trying 10 rows")
    trial = page.locator("#trial")
    expect(trial.locator("tbody tr")).to_have_count(10, timeout=20_000)
    expect(trial).to_contain_text("9 succeeded, 1 failed.")
    expect(trial).to_contain_text("The whole will take")
    page.get_by_role("button", name="Run the rest").click()
    expect(page.locator("#badge")).to_have_text("Finished with failures", timeout=30_000)
    expect(trial).to_have_count(0)
    expect(page.locator("#report > summary")).to_contain_text("61 rows, 1 left out")
    system.check(code)


def test_it_tries_chosen_rows(page: Page, system: System, tmp_path: Path) -> None:
    checked(page, system, tmp_path)
    page.get_by_label("Chosen rows").check()
    expect(page.locator("#try-count")).to_be_hidden()
    page.get_by_label("Row numbers").fill("9, x")
    page.get_by_role("button", name="Try these rows").click()
    expect(page.locator("#toasts")).to_contain_text("“x” names no rows.")
    page.get_by_label("Row numbers").fill("9, 40-41")
    page.get_by_role("button", name="Try these rows").click()
    expect(page.locator("#trial tbody a")).to_have_text(["#9", "#40", "#41"], timeout=20_000)


def test_it_takes_all_problems_home(page: Page, system: System, tmp_path: Path) -> None:
    checked(page, system, tmp_path)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all problems").click()
    assert Path(download.value.path()).read_text().splitlines() == [
        "row,kind,reason", '61,too few cells,"has 1 cell, expected 2 (columns name, simulate)"'
    ]  # fmt: skip


# A line that says nothing, until `news` has it say that the page is behind.
DEAF = """WebSocket = class {
  constructor() { setInterval(() => this.onmessage?.({ data: JSON.stringify({ t: window.news ?? "" }) }), 200); }
  send() {}
  close() {}
}"""


def test_it_shows_what_went_by_unseen(page: Page, system: System, tmp_path: Path) -> None:
    """Other settings, another reading, and the job is ready again: all in one step for who was not told meanwhile."""
    code = checked(page, system, tmp_path)
    page.add_init_script(DEAF)
    page.reload()
    other = page.context.new_page()
    other.goto(f"/jobs/{code}/change/")
    other.locator("#id_name").fill("Tea")
    other.locator("#id_workers").fill("7")
    other.locator("#options summary").click()
    other.locator("#id_file_delimiter").select_option("Semicolon")
    expect(other.locator("#id_map_simulate")).to_have_value("")
    other.locator("#check").click()
    expect(other.locator("#report")).to_contain_text("Nothing is wrong", timeout=20_000)
    expect(page.locator("#badge")).to_have_text("Ready")
    expect(page.locator("h1")).not_to_have_text("Tea")
    page.evaluate("window.news = 'resync'")
    expect(page.locator("#report")).to_contain_text("Nothing is wrong")
    expect(page.locator("h1")).to_have_text("Tea")
    expect(page.locator("#job .meta")).to_contain_text("7 at a time")
    expect(page).to_have_title("Ready · Tea")


def test_it_goes_the_whole_road(page: Page, system: System) -> None:
    """A file read otherwise, checked, tried, changed, tried again, and then all of it."""
    page.goto("/jobs/new/")
    rows = [f"{at};beste Hotels in Köln {at};Straße, {at}" for at in range(40)]
    rows[4], rows[9], rows[17] = "4;zu wenig", "9;zu;viele;Zellen", "17"
    page.locator("#paste summary").click()
    page.locator("#id_pasted").fill("\n".join(["Nummer;Query;Anschrift", *rows, ""]))
    page.locator("#use-rows").click()
    page.locator("input[value=rewrite-query]").check()
    page.locator("#options summary").click()
    page.locator("#id_file_delimiter").select_option("Comma")
    expect(page.locator("#preview th[data-column=Query]")).to_have_count(0)
    page.locator("#id_file_delimiter").select_option("Semicolon")
    expect(page.locator("#preview th[data-column=Query]")).to_be_visible()
    expect(page.locator("#id_map_query")).to_have_value("Query")
    page.locator("#check").click()
    expect(page.locator("#report")).to_contain_text("40 rows", timeout=20_000)
    code = page.url.split("/")[4]
    page.get_by_role("button", name="Try 10 rows").click()
    trial = page.locator("#trial")
    expect(trial.locator("tbody tr")).to_have_count(10, timeout=20_000)
    page.get_by_role("link", name="Try again with other settings").click()
    page.locator("#id_map_query").select_option("Anschrift")
    page.locator("#check").click()
    expect(page.locator("#report")).to_contain_text("40 rows", timeout=20_000)
    expect(trial).to_have_count(0)
    page.get_by_role("button", name="Try 10 rows").click()
    expect(trial.locator("tbody tr").first).to_contain_text("Straße, 0", timeout=20_000)
    page.get_by_role("button", name="Run the rest").click()
    expect(page.locator("#badge")).to_contain_text("Finished", timeout=30_000)
    expect(page.locator("[data-v=succeeded]").first).to_have_text("37")
    expect(page.locator("[data-v=rejected]").first).to_have_text("3")
    system.check(code)
