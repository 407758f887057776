"""Tables: what people at live pages get, and what they cost the worker."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from batchweb.kernel import die_with_parent
from benchmarks.bench import Bench
from benchmarks.product import Product
from benchmarks.table import Table, p95
from tests.services.chromium import chromium
from tests.system import ROOT

RATE = 5_000  # items a second
CORES = os.cpu_count() or 1
WINDOW = 12  # seconds in which the browser's main thread is watched
SEEN, FRAME, SLOWER = 0.3, 0.35, 1.05  # seconds, seconds, times: the bars
BUSY, TASK = 250, 50  # milliseconds in each second, and of one task
FIRST_LOAD = 100  # kB besides the font
ENDS = "SELECT {finished} FROM jobs_item i JOIN jobs_job j ON j.id = i.job_id WHERE j.code = '{code}' ORDER BY 1"
BATCHES = "SELECT b.seq, {stored} FROM jobs_batch b JOIN jobs_job j ON j.id = b.job_id WHERE j.code = '{code}'"

# What is written in a frame of the screen is on it by the next one.
NOTE_WHAT_IS_SHOWN = """() => {
  const shown = document.querySelector('[data-v="done"]');
  window.seen = [];
  window.longest = 0;
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  const note = () => seen.push([now(), Number(shown.textContent.replaceAll(',', ''))]);
  const changes = {subtree: true, childList: true, characterData: true};
  new MutationObserver(() => requestAnimationFrame(note)).observe(shown, changes);
  const longer = (task) => (window.longest = Math.max(window.longest, task.duration));
  new PerformanceObserver((list) => list.getEntries().forEach(longer)).observe({type: 'longtask'});
}"""


def tables(bench: Bench) -> Iterator[Table]:
    yield from at_a_page(bench)
    yield from at_many_pages(bench)


# One page, in a browser


def at_a_page(bench: Bench) -> Iterator[Table]:
    some, many = bench.size(100_000, 2_000), bench.size(1_000_000, 5_000)
    table = Table(f"One page open on a job that ends {RATE:,} items/s")
    with bench.product(environment=production(bench)) as product, browser(product) as page:
        first_load(table, product, page, bench.csv(1_000))
        delays, busy, task = watched(product, page, bench.csv(some), bench)
        note = f"median {statistics.median(delays):.2f} s, {len(delays):,} items"
        what = f"{some:,} items: from the end of an item to the pixel, p95"
        table.add(what, p95(delays), SEEN, unit="s", note=note, most=True)
        add_thread(table, some, busy, task)
        _, busy, task = watched(product, page, bench.csv(many), bench, whole=False)
        add_thread(table, many, busy, task)
    yield table


def add_thread(table: Table, items: int, busy: float, task: float) -> None:
    table.add(f"{items:,} items: main thread busy", busy, BUSY, unit="ms/s", most=True)
    table.add(f"{items:,} items: longest task", task, TASK, unit="ms", note="0: none over 50 ms", most=True)


@contextmanager
def browser(product: Product) -> Iterator[Page]:
    found = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found.path, env=found.environment())
        context = started.new_context(base_url=product.system.url, viewport={"width": 1440, "height": 900})
        cookies = product.client.cookies.items()
        context.add_cookies([{"name": name, "value": value, "url": product.system.url} for name, value in cookies])
        yield context.new_page()
        started.close()


def production(bench: Bench) -> dict[str, str]:
    """As in production, where files are compressed and kept under their hashes, but without HTTPS."""
    found = {
        "PRODUCTION": "1", "HTTPS": "0", "SECRET_KEY": secrets.token_hex(32), "ALLOWED_HOSTS": "127.0.0.1",
        "STATIC_ROOT": str(bench.folder / "static"), "JOBS_SOCKETS_PER_PERSON": "1000",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "DATA_DIR": str(bench.folder), **found}, check=True)
    return found


def first_load(table: Table, product: Product, page: Page, file: Path) -> None:
    """What a browser without a cache fetches for the page of a job."""
    code = product.job(file, "bench-nothing")
    product.ended(code)
    network = page.context.new_cdp_session(page)
    kinds: dict[str, str] = {}
    sizes: dict[str, float] = {}
    network.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    network.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    network.send("Network.enable")
    page.goto(f"/jobs/{code}/")
    page.wait_for_timeout(2000)
    network.detach()
    fonts = [sizes.get(request, 0.0) for request, kind in kinds.items() if kind == "Font"]
    table.add(
        "first load of a job's page, compressed", (sum(sizes.values()) - sum(fonts)) / 1000, FIRST_LOAD, unit="kB",
        note=f"{len(sizes)} requests, and {len(fonts)} font of {sum(fonts) / 1000:.0f} kB", most=True,
    )  # fmt: skip


def watched(
    product: Product, page: Page, file: Path, bench: Bench, *, whole: bool = True
) -> tuple[list[float], float, float]:
    """Seconds from the end of each item until it was seen, ms that the main thread was busy in a second, longest task.

    With `whole` the job is watched to its end, else cancelled after the window.
    """
    code = product.ready(file, "bench-nothing", workers=50, attempts=1, rate=RATE)
    page.goto(f"/jobs/{code}/")
    page.evaluate(NOTE_WHAT_IS_SHOWN)
    start(product, code)
    page.wait_for_timeout(1000)
    busy = busy_share(page.context.new_cdp_session(page), page, bench.size(WINDOW, 1))
    if not whole:
        product.system.post(product.client, f"/jobs/{code}/cancel/", {})
    product.ended(code)
    page.wait_for_timeout(1000)
    seen, task = page.evaluate("() => [seen, longest]")
    return (lateness(seen, [end for (end,) in product.rows(ENDS, code)]) if whole else []), busy, task


def busy_share(session: CDPSession, page: Page, seconds: float) -> float:
    """Milliseconds of tasks in each second."""

    def tasks() -> float:
        found = session.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in found if metric["name"] == "TaskDuration"))

    session.send("Performance.enable")
    before, begun = tasks(), time.monotonic()
    page.wait_for_timeout(seconds * 1000)
    return 1000 * (tasks() - before) / (time.monotonic() - begun)


def lateness(seen: Sequence[Sequence[float]], ends: Sequence[float]) -> list[float]:
    """For each item, in the order of their ends, seconds until it was among those that the page had counted."""
    counts = [count for _, count in seen]
    found = []
    for at, end in enumerate(ends):
        shown = bisect_right(counts, at)
        if shown < len(seen):
            found.append(seen[shown][0] - end)
    return found


# Many pages


def at_many_pages(bench: Bench) -> Iterator[Table]:
    """1,000 pages on a job of 10 ms items at 10 workers, and one on another job beside it."""
    count, items = bench.size(1_000, 20), bench.size(20_000, 500)
    table = Table(f"{count:,} sockets on one running job of {items:,} items of 10 ms, {CORES} web processes")
    alone, beside, late, elsewhere = [], [], [], []
    wrong = 0
    with bench.product(environment={"WEB_PROCESSES": str(CORES), "JOBS_SOCKETS_PER_PERSON": "5000"}) as product:
        file = bench.csv(items)
        for _ in range(bench.rounds(3)):
            alone.append(run(product, ready(product, file)))
            code, other = ready(product, file), ready(product, bench.csv(bench.size(2_000, 100)))
            with Viewers(product, code, count) as everybody, Viewers(product, other, 1) as one:
                start(product, other)
                beside.append(run(product, code))
                product.ended(other)
                wrong += everybody.wrong() + one.wrong()
                late += everybody.delays()
                elsewhere += one.delays()
    table.add("wrong last frames", wrong, 0, most=True)
    note = f"{len(late):,} frames, median {statistics.median(late):.2f} s"
    table.add("delay of a frame, p95", p95(late), FRAME, unit="s", note=note, most=True)
    table.add("delay at another job, p95", p95(elsewhere), FRAME, unit="s", note=f"{len(elsewhere)} frames", most=True)
    slower = statistics.median(beside) / statistics.median(alone)
    note = f"{statistics.median(alone):.2f} s without viewers"
    table.add("time of the job, with viewers by without", slower, SLOWER, unit="×", note=note, most=True)
    yield table


def ready(product: Product, file: Path) -> str:
    """A job that waits for its start."""
    return product.ready(file, "simulate", workers=10, attempts=1, param_seconds=0.01)


def start(product: Product, code: str) -> None:
    product.system.post(product.client, f"/jobs/{code}/start/", {})


def run(product: Product, code: str) -> float:
    """Seconds from the first start of an item to the end of the last one."""
    start(product, code)
    product.ended(code)
    return product.times(code).items


class Viewers:
    """So many sockets on a job, open as long as it runs."""

    def __init__(self, product: Product, code: str, count: int) -> None:
        self.product, self.code, self.count = product, code, count

    def __enter__(self) -> Viewers:
        cookie = self.product.client.cookies["batchweb_session"]
        command = [sys.executable, "-m", "benchmarks.viewers", self.product.system.url, cookie, self.code]
        self.process = subprocess.Popen(
            [*command, str(self.count)], cwd=ROOT, text=True, stdout=subprocess.PIPE, preexec_fn=die_with_parent
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "open\n", "Not all viewers got a socket"
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    @cached_property
    def told(self) -> dict[str, Any]:
        """What they say when the job has ended."""
        return dict(json.loads(self.process.communicate(timeout=120)[0]))

    def wrong(self) -> int:
        """How many have another last frame than what is stored."""
        frame = self.product.system.snapshot(self.product.client, self.code)
        right = json.dumps([frame["seq"], frame["state"], frame["counts"]])
        return self.count - int(self.told["ends"].get(right, 0))

    def delays(self) -> list[float]:
        """Seconds from the storing of each frame's newest batch until the frame was there."""
        stored = dict(self.product.rows(BATCHES, self.code))
        return [heard - stored[number] for number, heard in self.told["heard"] if number in stored]
