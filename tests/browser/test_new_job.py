"""From a file to a job in a real browser: dropped, pasted, seen, read differently, sent while the form is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import Complaints
from tests.system import System, until

pytestmark = pytest.mark.browser
JOB = re.compile(r"/jobs/[a-z0-9]{12}/$")
MOST_CLICKS = 5
LARGE = 3_000_000


def german(rows: int = 40) -> bytes:
    """Semicolons, Windows-1252, and three rows that are no rows."""
    lines = [f"{at};beste Hotels in Köln {at};Müllerstraße {at}" for at in range(rows)]
    lines[4] = "4;zu wenig"
    lines[9] = "9;zu;viele;Zellen"
    lines[17] = "17"
    return "\r\n".join(["Nummer;Query;Straße", *lines, ""]).encode("cp1252")


def choose(page: Page, data: bytes, name: str = "anfragen.csv") -> None:
    page.set_input_files("#id_file", {"name": name, "mimeType": "text/csv", "buffer": data})


@pytest.fixture
def form(page: Page) -> Page:
    page.goto("/jobs/new/")
    return page


@pytest.fixture
def slow(form: Page) -> Iterator[list[Route]]:
    """The form, whose uploads stay on their way until the test lets them go."""
    held: list[Route] = []
    form.route("**/jobs/uploads/", lambda route: held.append(route))
    yield held
    form.unroute("**/jobs/uploads/")


def uploads(system: System) -> int:
    text = "from jobs.models import Upload; print(Upload.objects.count())"
    return int(system.manage("shell", "-v0", "-c", text).stdout.split()[-1])


def test_it_comes_from_a_foreign_file_to_a_running_job_in_few_clicks(form: Page) -> None:
    clicks = 0

    def click(selector: str) -> None:
        nonlocal clicks
        clicks += 1
        form.locator(selector).click()

    choose(form, german())
    chips = form.locator("#preview .chips")
    expect(chips).to_contain_text("40 rows")
    expect(chips).to_contain_text("semicolon-separated")
    expect(chips).to_contain_text("Windows-1252")
    expect(form.locator("#preview table")).to_contain_text("Müllerstraße 3")
    expect(form.locator("#preview th").nth(1)).to_contain_text("whole number")
    click("input[value=rewrite-query]")
    expect(form.locator("#id_map_query")).to_have_value("Query")
    click("#start")
    form.wait_for_url(JOB)
    expect(form.locator("#badge")).to_contain_text("Finished", timeout=60_000)
    expect(form.locator("[data-v=rejected]").first).to_have_text("3")
    expect(form.locator("[data-v=succeeded]").first).to_have_text("37")
    assert clicks <= MOST_CLICKS


def test_it_checks_the_file_for_enter(form: Page) -> None:
    choose(form, german())
    expect(form.locator("#preview .chips")).to_be_visible()
    form.locator("input[value=rewrite-query]").check()
    expect(form.locator("#id_map_query")).to_have_value("Query")
    form.locator("#id_name").press("Enter")
    form.wait_for_url(JOB)
    expect(form.locator("#badge")).to_have_text("Ready", timeout=20_000)


def test_it_reads_the_file_with_the_delimiter_that_is_chosen(form: Page) -> None:
    choose(form, b"query;a,b~c\nbest hotels;1,2~3\ncheap flights;3,4~5\n")
    expect(form.locator("#preview th")).to_have_count(3)
    form.locator("#options summary").click()
    form.locator("#id_file_delimiter").focus()
    form.locator("#id_file_delimiter").select_option("Comma")
    expect(form.locator("#preview th[data-column='query;a']")).to_be_visible()
    expect(form.locator("#id_label_column option").nth(1)).to_have_text("query;a")
    expect(form.locator("#id_file_delimiter")).to_have_value(",")
    expect(form.locator("#id_file_delimiter")).to_be_focused()
    form.locator("#id_file_delimiter").select_option("Other …")
    form.locator("#id_file_delimiter_other").fill("~")
    expect(form.locator("#preview th[data-column='query;a,b']")).to_be_visible()
    form.locator("#id_file_delimiter_other").fill('"')
    expect(form.locator("#id_file_delimiter_other_error")).to_contain_text("The delimiter must be one character")
    expect(form.locator("#preview th[data-column='query;a']")).to_be_visible()


def test_it_keeps_a_column_that_was_chosen(form: Page) -> None:
    choose(form, b"query,note\nbest hotels,1\ncheap flights,2\n")
    form.locator("input[value=rewrite-query]").check()
    form.locator("#id_map_query").select_option("note")
    form.locator("#id_label_column").select_option("query")
    form.locator("#options summary").click()
    form.locator("#id_file_encoding").select_option("Latin-1")
    expect(form.locator("#preview .chips")).to_contain_text("Latin-1")
    expect(form.locator("#id_map_query")).to_have_value("note")
    expect(form.locator("#id_label_column")).to_have_value("query")


def test_it_shows_the_processor_that_was_chosen_last(form: Page) -> None:
    held: list[Route] = []
    form.route("**/jobs/preview/", lambda route: held.append(route))
    choose(form, b"query,note\nbest hotels,1\ncheap flights,2\n")
    until(lambda: form.locator("#chosen").is_visible() and held, 10, "the preview is asked for")
    form.locator("input[value=rewrite-query]").check()
    expect(form.locator("#processor")).to_contain_text("Uses Query.")
    held[0].continue_()
    expect(form.locator("#id_map_query")).to_have_value("query")
    expect(form.locator("#id_map_url")).to_have_count(0)


def test_it_says_what_the_settings_mean_for_the_file(form: Page) -> None:
    hint = form.locator("[data-hint=workers]")
    choose(form, german())
    form.locator("input[value=rewrite-query]").check()
    expect(hint).to_contain_text("40 rows")
    form.locator("#id_rate").fill("2")
    expect(form.locator("[data-hint=rate]")).to_contain_text("20 seconds")


def test_it_takes_rows_that_are_pasted_into_the_box(form: Page) -> None:
    form.locator("#paste summary").click()
    form.locator("#id_pasted").fill("query\tnote\nbest hotels\ta\ncheap flights\tb\n")
    form.locator("#use-rows").click()
    expect(form.locator("#chosen-name")).to_have_text("pasted rows.tsv")
    expect(form.locator("#preview .chips")).to_contain_text("2 rows")
    form.locator("input[value=rewrite-query]").check()
    expect(form.locator("#id_map_query")).to_have_value("query")
    form.locator("#check").click()
    form.wait_for_url(JOB)
    expect(form.locator("#badge")).to_have_text("Ready", timeout=20_000)


def test_it_takes_rows_that_are_pasted_anywhere(form: Page) -> None:
    form.evaluate(
        """() => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", "best hotels\\ncheap flights\\n");
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }"""
    )
    expect(form.locator("#chosen-name")).to_have_text("pasted rows.txt")
    expect(form.locator("#preview .chips")).to_contain_text("one item a line")


def test_it_shows_a_large_file_before_it_is_there(form: Page, slow: list[Route]) -> None:
    choose(form, german(90_000))
    expect(form.locator("#preview .chips")).to_contain_text(re.compile(r"about \d\d,000 rows"))
    expect(form.locator("#sending")).to_be_visible()
    until_held(form, slow)
    slow[0].continue_()
    expect(form.locator("#sending")).to_be_hidden(timeout=20_000)


def until_held(page: Page, held: list[Route]) -> None:
    """The browser hands over a request only while it is asked for something."""
    until(lambda: page.locator("#sending").is_visible() and held, 10, "the upload is on its way")


def test_it_goes_on_by_itself_when_the_file_is_there(form: Page, slow: list[Route]) -> None:
    form.locator("input[value=rewrite-query]").check()
    choose(form, german())
    expect(form.locator("#id_map_query")).to_have_value("Query")
    form.locator("#start").click()
    expect(form.locator("#waits")).to_contain_text("It goes on by itself when the file is here.")
    until_held(form, slow)
    slow[0].continue_()
    form.wait_for_url(JOB)


def test_it_leaves_nothing_of_a_file_that_was_stopped(form: Page, system: System, slow: list[Route]) -> None:
    before = uploads(system)
    choose(form, b"query\n" + b"x" * LARGE)
    until_held(form, slow)
    form.locator("#stop-sending").click()
    expect(form.locator("#not-sent")).to_contain_text("Stopped sending anfragen.csv. Nothing of it was stored.")
    expect(form.locator("#send-again")).to_be_focused()
    assert uploads(system) == before


def test_it_removes_a_file_that_another_one_replaces(form: Page, system: System) -> None:
    before = uploads(system)
    choose(form, b"query\nfirst\n")
    expect(form.locator("#id_upload")).not_to_have_value("")
    first = form.locator("#id_upload").input_value()
    choose(form, b"query\nsecond\n")
    expect(form.locator("#id_upload")).to_have_value(re.compile(rf"^(?!{first}$)\d+$"))
    assert until(lambda: uploads(system) == before + 1, 20)


def test_it_sends_a_file_again(form: Page, complaints: Complaints) -> None:
    form.route("**/jobs/uploads/", lambda route: route.abort("connectionreset"), times=1)
    choose(form, german())
    expect(form.locator("#not-sent")).to_contain_text("The connection was lost while the file was sent.")
    form.locator("#send-again").click()
    expect(form.locator("#id_upload")).not_to_have_value("")
    expect(form.locator("#not-sent")).to_be_hidden()
    complaints[:] = [text for text in complaints if "Failed to load" not in text]


def test_it_asks_about_a_file_that_it_knows(form: Page, system: System, tmp_path: Path) -> None:
    file = tmp_path / "known.csv"
    file.write_bytes(b"query\nknown before\n")
    code = system.submit(file, processor="rewrite-query")
    choose(form, file.read_bytes())
    expect(form.locator("#same")).to_contain_text("Same content as job known.csv")
    form.get_by_role("link", name="run it again").click()
    form.wait_for_url(f"**/jobs/new/?again={code}")
    expect(form.locator("#preview table")).to_contain_text("known before")
    form.locator("#start").click()
    form.wait_for_url(JOB)
    assert code not in form.url


def test_it_changes_a_job_before_it_begins(form: Page, system: System) -> None:
    choose(form, german())
    form.locator("input[value=rewrite-query]").check()
    form.locator("#check").click()
    form.wait_for_url(JOB)
    expect(form.locator("#badge")).to_have_text("Ready", timeout=20_000)
    url = form.url
    form.goto(f"{url}change/")
    form.locator("#id_map_query").select_option("Straße")
    form.locator("#check").click()
    form.wait_for_url(url)
    expect(form.locator("#items")).to_contain_text("Müllerstraße 3", timeout=20_000)


def test_it_says_what_is_wrong_and_keeps_the_file(form: Page, complaints: Complaints) -> None:
    choose(form, b"a,b\n1,2\n3,4\n")
    form.locator("input[value=rewrite-query]").check()
    expect(form.locator("#id_map_query")).to_be_visible()
    form.locator("#check").click()
    expect(form.locator("#errors")).to_be_focused()
    form.locator("#id_map_query").select_option("b")
    form.locator("#check").click()
    form.wait_for_url(JOB)
    complaints[:] = [text for text in complaints if "422" not in text]


def test_it_works_without_scripts(browser: Browser, system: System) -> None:
    client = system.client()
    context = browser.new_context(base_url=system.url, java_script_enabled=False)
    context.add_cookies([{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()])
    page = context.new_page()
    page.goto("/jobs/new/")
    page.locator("#paste summary").click()
    page.locator("#id_pasted").fill("query;a,b\nbest hotels;1,2\ncheap flights;3,4\n")
    page.get_by_role("radio", name=re.compile("Rewrite")).check()
    page.locator("#options summary").click()
    page.locator("#id_file_delimiter").select_option("Semicolon")
    page.get_by_role("button", name="Show the file like this").click()
    expect(page.locator("#preview th[data-column=query]")).to_be_visible()
    expect(page.locator("#id_map_query")).to_have_value("query")
    page.locator("#check").click()
    page.wait_for_url(JOB)
    code = page.url.split("/")[4]
    until(lambda: system.snapshot(client, code)["state"] == "ready", 20, "the file is read")
    assert system.snapshot(client, code)["total"] == 2
    context.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_with_a_wide_file(form: Page, width: int) -> None:
    form.set_viewport_size({"width": width, "height": 844})
    names = ",".join(f"column with a long name {at}" for at in range(60))
    choose(form, f"{names}\n{',' * 59}\n{'x' * 300}{',y' * 59}\n".encode(), "long " * 45 + ".csv")
    expect(form.locator("#preview table")).to_be_visible()
    form.locator("#options summary").click()
    assert form.evaluate("() => document.documentElement.scrollWidth") <= width
