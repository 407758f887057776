"""The item map in a real browser: it always agrees with the counters, and everything in it can be reached."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system import System, csv_of, until

pytestmark = pytest.mark.browser

# Compares what the map has drawn with what the counters say, many times a second, until the page is left.
WATCH = """() => {
    const names = ["succeeded", "failed", "rejected", "running", "waiting", "retrying", "not_attempted"];
    const said = (name) => Number(document.querySelector(`[data-v=${name}]`).textContent.replaceAll(",", ""));
    const watched = (window.watched = { looks: 0, behind: 0, wrong: [], seen: [] });
    setInterval(() => {
        const drawn = document.querySelector("item-map").counts();
        const counters = Object.fromEntries(names.map((name) => [name, said(name)]));
        if (!drawn && !watched.looks) return; // the cells are on their way
        watched.looks += 1;
        if (!drawn) watched.behind += 1;
        else if (names.some((name) => drawn[name] !== counters[name])) watched.wrong.push([drawn, counters]);
        else if (!watched.seen.includes(counters.succeeded)) watched.seen.push(counters.succeeded);
    }, 15);
}"""
PIXELS = """() => {
    const canvas = document.querySelector("item-map canvas");
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const data = new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const found = {};
    for (const pixel of data) found[pixel.toString(16)] = (found[pixel.toString(16)] ?? 0) + 1;
    return found;
}"""

# Before the drawer hears of it.
INSTEAD = """() => addEventListener("item-open", (event) => {
    event.preventDefault();
    event.stopPropagation();
    window.opened = event.detail.row;
}, true)"""


def sometimes(at: int) -> str:
    return "fail:ValueError" if at % 20 == 7 else "ok"


def job(system: System, tmp_path: Path, rows: int, *options: str) -> str:
    (file := tmp_path / "rows.csv").write_text(csv_of(rows, sometimes))
    return system.submit(file, *options)


Finished = Callable[[int], str]


@pytest.fixture(scope="module")
def finished(system: System, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The code of a job of so many items that has ended; each is made once for all tests."""

    @cache
    def ended(rows: int) -> str:
        code = job(system, tmp_path_factory.mktemp("rows"), rows, "--param", "seconds=0", "--workers", "20")
        system.ended(system.client(), code)
        return code

    return ended


def counts(page: Page) -> dict[str, int]:
    """What the map has drawn, once it is at the numbers of the page."""
    found: dict[str, int] = until(lambda: page.evaluate("() => document.querySelector('item-map').counts()"), 20)
    return found


def open_map(page: Page, code: str) -> Any:
    page.goto(f"/jobs/{code}/")
    counts(page)
    return page.locator("item-map")


def watched(page: Page) -> Any:
    return page.evaluate("() => window.watched")


def test_it_agrees_with_the_counters_at_every_moment(page: Page, system: System, tmp_path: Path) -> None:
    code = job(system, tmp_path, 2_000, "--param", "seconds=0.1", "--workers", "20", "--attempts", "2")
    page.goto(f"/jobs/{code}/")
    page.evaluate(WATCH)
    until(lambda: len(watched(page)["seen"]) >= 8, 30, "the map has moved")
    first = watched(page)
    page.reload()
    page.evaluate(WATCH)
    expect(page.locator("#badge")).to_contain_text("Finished", timeout=60_000)
    until(lambda: counts(page) and watched(page)["seen"][-1] == 1_900, 10, "the map has ended")
    for seen in (first, watched(page)):
        assert seen["wrong"] == []
        assert seen["behind"] < seen["looks"] / 10, seen
    assert counts(page) == {
        "succeeded": 1_900, "failed": 100, "rejected": 0, "running": 0, "waiting": 0, "retrying": 0, "not_attempted": 0,
    }  # fmt: skip


def test_it_follows_a_job_that_is_cancelled_and_resumed(page: Page, system: System, tmp_path: Path) -> None:
    code = job(system, tmp_path, 400, "--param", "seconds=0.5", "--workers", "5")
    page.goto(f"/jobs/{code}/")
    page.evaluate(WATCH)
    until(lambda: counts(page)["running"] == 5, 20, "five items run")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    until(lambda: counts(page)["not_attempted"] > 300 and not counts(page)["running"], 20, "the job is cancelled")
    page.get_by_role("button", name="Resume").click()
    until(lambda: counts(page)["running"] == 5 and not counts(page)["not_attempted"], 20, "the job goes on")
    page.get_by_role("button", name="Pause").click()
    until(lambda: not counts(page)["running"] and counts(page)["waiting"] > 300, 20, "the job is paused")
    assert watched(page)["wrong"] == []


def test_it_opens_the_item_that_is_clicked(page: Page, finished: Finished) -> None:
    item_map = open_map(page, finished(40))
    item_map.hover(position={"x": 7 * 28 + 20, "y": 12})
    expect(page.locator(".map-tip")).to_have_text("Item 8 · Failed")
    item_map.click(position={"x": 7 * 28 + 20, "y": 12})
    page.wait_for_url(re.compile(r"/items/8/$"))


def test_it_lets_the_page_open_the_item_in_its_own_way(page: Page, finished: Finished) -> None:
    item_map = open_map(page, finished(40))
    page.evaluate(INSTEAD)
    item_map.click(position={"x": 12, "y": 12})
    assert page.evaluate("() => window.opened") == 1
    assert page.url.endswith("/")
    page.wait_for_timeout(300)  # in which it would have gone to the item's page, or opened it in the drawer
    assert "/items/" not in page.url


def test_it_is_used_by_keys_alone(page: Page, finished: Finished) -> None:
    item_map = open_map(page, finished(2_000))
    said = page.locator("#announce")
    item_map.focus()
    for keys, words in (
        (["f"], "Item 8, Failed"),
        (["f", "f"], "Item 48, Failed"),
        (["Shift+F"], "Item 28, Failed"),
        (["ArrowRight"], "Item 29, Succeeded"),
        (["End"], "Item 2,000, Succeeded"),
        (["Home"], "Item 1, Succeeded"),
    ):
        for key in keys:
            page.keyboard.press(key)
        expect(said).to_have_text(words)
    page.keyboard.press("+")
    expect(page.locator("#map-caption")).to_have_text(re.compile(r"Items 1 to [\d,]+$"))
    page.keyboard.press("Escape")
    expect(page.locator("#map-caption")).to_have_text("1 cell = 1 item")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/items/8/$"))


def test_it_zooms_by_wheel_and_buttons(page: Page, finished: Finished) -> None:
    item_map = open_map(page, finished(2_000))
    caption, closer = page.locator("#map-caption"), page.get_by_role("button", name="Zoom in")
    tall = item_map.bounding_box()["height"]
    closer.click()
    expect(caption).to_have_text(re.compile("^Items "))
    page.get_by_role("button", name="Zoom out").click()
    expect(caption).to_have_text("1 cell = 1 item")
    item_map.hover()
    page.mouse.wheel(0, 100)
    expect(caption).to_have_text("1 cell = 1 item")
    page.evaluate("() => window.scrollTo(0, 0)")
    item_map.hover()
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(caption).to_have_text(re.compile("^Items "))
    expect(closer).to_have_attribute("aria-disabled", "true")
    item_map.evaluate("(map) => map.scrollTo(0, map.scrollHeight)")
    expect(caption).to_have_text(re.compile("to 2,000$"))
    assert item_map.bounding_box()["height"] == tall


def test_it_dims_what_is_not_looked_for(page: Page, finished: Finished) -> None:
    item_map = open_map(page, finished(5_000))
    green, red = "ff8ca30a", "ff0e3ac0"
    before = page.evaluate(PIXELS)
    assert before[green] > before[red] > 0
    page.locator("#tiles [data-filter=failed]").click()
    expect(item_map).to_have_attribute("filter", "failed")
    expect(page.locator("[data-map=failed]")).to_have_attribute("aria-pressed", "true")
    until(lambda: green not in page.evaluate(PIXELS), 5, "the others are dimmed")
    assert page.evaluate(PIXELS)[red] == before[red]
    page.locator("[data-map=failed]").click()
    until(lambda: page.evaluate(PIXELS) == before, 5, "all are shown again")


def test_it_takes_the_colours_of_the_theme(page: Page, finished: Finished) -> None:
    open_map(page, finished(5_000))
    page.locator("#theme").click()
    until(lambda: "ff707f24" in page.evaluate(PIXELS), 5, "the colours are dark")
    page.emulate_media(forced_colors="active")
    until(lambda: "ff707f24" in page.evaluate(PIXELS), 5, "the states keep their colours")


def test_it_fits_a_phone(page: Page, finished: Finished) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    item_map = open_map(page, finished(5_000))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert item_map.bounding_box()["height"] <= 260
    page.set_viewport_size({"width": 1200, "height": 844})
    until(lambda: item_map.bounding_box()["height"] > 300, 5, "the map takes the room of a larger screen")


def test_it_is_left_out_without_javascript(browser: Browser, system: System, finished: Finished) -> None:
    client = system.client()
    code = finished(40)
    context = browser.new_context(base_url=system.url, java_script_enabled=False)
    context.add_cookies([{"name": name, "value": value, "url": system.url} for name, value in client.cookies.items()])
    page = context.new_page()
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#map")).to_be_hidden()
    expect(page.locator("[data-v=succeeded]").first).to_have_text("38")
    context.close()


def test_it_is_hidden_until_the_job_is_started(page: Page, system: System, tmp_path: Path) -> None:
    client = system.client()
    data = {"processor": "simulate", "param_seconds": "0", "then": "check"}
    rows = csv_of(30, sometimes).encode()
    made = system.post(client, "/jobs/new/", data, {"file": ("rows.csv", rows, "text/csv")})
    code = made.json()["url"].split("/")[2]
    until(lambda: system.snapshot(client, code)["state"] == "ready", 20, "the file is read")
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#badge")).to_have_text("Ready")
    expect(page.locator("#map")).to_be_hidden()
    page.locator("#actions [data-verb=start] button").click()
    expect(page.locator("#map")).to_be_visible(timeout=20_000)
    until(lambda: counts(page)["succeeded"] == 28, 20, "all is drawn")


# More items than anybody wants a message for

MANY = 200_000


def test_it_agrees_with_the_counters_of_a_large_job(page: Page, system: System, tmp_path: Path) -> None:
    client = system.client()
    code = job(system, tmp_path, MANY, "--param", "seconds=0", "--workers", "50")
    page.goto(f"/jobs/{code}/")
    until(lambda: system.snapshot(client, code)["counts"]["succeeded"] > 2_000, 60, "the job is under way")
    page.evaluate(WATCH)
    until(lambda: len(watched(page)["seen"]) >= 20, 60, "the map has moved")
    seen = watched(page)
    assert seen["wrong"] == []
    assert sum(counts(page).values()) == MANY
    assert system.manage("cancel", code).returncode == 0
    until(lambda: not counts(page)["running"] and counts(page)["not_attempted"], 20, "the job is cancelled")

    def agrees() -> bool:
        shown, stored = counts(page), system.snapshot(client, code)["counts"]
        return bool(shown == {name: stored[name] for name in shown})

    # What was in flight is still stored, and told a moment later.
    until(agrees, 10, "the map shows what is stored")
