"""The charts of a job and the list of jobs, live in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.system import System, csv_of, until

pytestmark = pytest.mark.browser


def failing(at: int) -> str:
    return "fail:Broken" if at % 10 == 3 else "ok"


@pytest.fixture
def code(system: System, tmp_path: Path) -> Iterator[str]:
    """A job that runs for a while, at about 30 items a second."""
    file = tmp_path / "pace.csv"
    file.write_text(csv_of(600, failing))
    code = system.submit(file, "--param", "seconds=0.3", "--workers", "10")
    yield code
    client = system.client()
    if system.snapshot(client, code)["state"] == "running":
        client.post(f"/jobs/{code}/cancel/")


def value(page: Page, series: str) -> str:
    return page.locator(f"[data-series={series}] b").inner_text()


def painted(page: Page, plot: str) -> int:
    """How many pixels of the chart are neither empty nor grey."""
    return int(
        page.locator(f"[data-plot='{plot}'] canvas").evaluate(
            """canvas => {
                const size = [canvas.width, canvas.height];
                const copy = new OffscreenCanvas(...size).getContext("2d", { willReadFrequently: true });
                copy.drawImage(canvas, 0, 0);
                const { data } = copy.getImageData(0, 0, ...size);
                let count = 0;
                for (let i = 0; i < data.length; i += 4) {
                    const most = Math.max(data[i], data[i + 1], data[i + 2]);
                    const least = Math.min(data[i], data[i + 1], data[i + 2]);
                    count += data[i + 3] > 0 && most - least > 40;
                }
                return count;
            }"""
        )
    )


def test_it_draws_how_fast_a_job_is(page: Page, system: System, code: str) -> None:
    page.goto(f"/jobs/{code}/")
    expect(page.locator("#charts")).to_contain_text("The curve begins with the first items that finish.")
    canvases = page.locator("#charts canvas")
    expect(canvases).to_have_count(3, timeout=20_000)
    until(lambda: painted(page, "done") > 500, 20, "the rate is drawn")
    early = painted(page, "done")
    assert 1 < float(value(page, "done")) < 200
    assert value(page, "p50").endswith("ms")
    until(lambda: painted(page, "done") != early, 20, "the chart goes on")
    page.locator("#theme").click()
    until(lambda: painted(page, "p50 p95") > 200, 20, "it is drawn in the other theme")
    until(lambda: system.snapshot(system.client(), code)["state"] == "finished", 60, "the job has finished")
    assert any(failed > 0 for _, _, failed, *_ in drawn(page, code))
    page.reload()
    until(lambda: painted(page, "failed") > 50, 20, "it is drawn at once after a reload")


def drawn(page: Page, code: str) -> list[list[float]]:
    return list(page.request.get(f"/jobs/{code}/series.json").json()["points"])


def test_it_says_the_values_under_the_cursor(page: Page, system: System, code: str) -> None:
    page.goto(f"/jobs/{code}/")
    until(lambda: page.locator("#charts canvas").count() == 3 and len(drawn(page, code)) > 3, 30, "there are points")
    page.locator("[data-plot=done]").hover(position={"x": 60, "y": 20})
    times = page.locator(".chart-time")
    expect(times.first).not_to_have_text("")
    assert times.first.inner_text() == times.last.inner_text()
    page.locator("h1").hover()
    expect(times.first).to_have_text("")


def test_it_shows_the_whole_list_live(page: Page, system: System, code: str) -> None:
    page.goto("/?sort=oldest&tab=all")
    strip = page.locator(".overview")
    row = page.locator(f"[data-code='{code}']")
    if not row.count():
        page.goto(f"/?q={code}")
    order = page.locator("tr[data-code]").evaluate_all("rows => rows.map(row => row.dataset.code)")
    expect(row.locator(".badge")).to_have_text("Running", timeout=20_000)
    expect(strip.locator("[data-strip=running]")).not_to_have_text("0", timeout=20_000)
    expect(row.locator(".spark path").last).to_have_attribute("d", re.compile("^M0 "), timeout=20_000)
    expect(page.locator("[data-tab=running] span")).not_to_have_text("0", timeout=20_000)
    expect(row.locator(".badge")).to_have_text("Finished with failures", timeout=60_000)
    expect(row.locator("[data-v=left]")).to_contain_text("took")
    expect(row.locator(".failed-link")).to_have_attribute("href", f"/jobs/{code}/?state=failed#items")
    assert page.locator("tr[data-code]").evaluate_all("rows => rows.map(row => row.dataset.code)") == order
