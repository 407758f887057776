"""Table: pages of a large job, and of its items as people filter, sort and search them."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import DATABASES, Bench
from benchmarks.product import Product
from benchmarks.table import Table, p95
from tests.system import csv_of

JOB, PAGE, TEXT = 200, 50, 500  # milliseconds at most
FAIL_EVERY = 21  # so that 47,619 of a million fail: nearly as many as are sorted
SLOW_EVERY = 100_000
FORTH = 3  # pages that are opened one after the other
ROUNDS = 12
NEXT = re.compile(r'id="items-next"[^>]* hx-get="([^"]+)"')


def tables(bench: Bench) -> Iterator[Table]:
    rows = bench.size(1_000_000, 3_000)
    table = Table(f"Pages of a job of {rows:,} items, one in {FAIL_EVERY} failed, from request to answer: p95")
    file = written(bench.folder / "items.csv", rows)
    for database in DATABASES:
        with bench.product(database) as product:
            code = product.job(file, "simulate", workers=10, attempts=1, param_seconds=0)
            counts = product.ended(code, within=1200)
            assert counts["failed"] == failing(rows), counts
            measure(table, bench, database, product, code, rows)
    yield table


def written(path: Path, rows: int) -> Path:
    path.write_text(csv_of(rows, what))
    return path


def what(at: int) -> str:
    if at % SLOW_EVERY == 99:
        return "slow:1"
    return "fail:ValueError" if at % FAIL_EVERY == 7 else "ok"


def failing(rows: int) -> int:
    return sum(what(at).startswith("fail") for at in range(rows))


def measure(table: Table, bench: Bench, database: str, product: Product, code: str, rows: int) -> None:
    address, rounds = f"/jobs/{code}/", bench.rounds(ROUNDS)
    (cause,) = product.system.snapshot(product.client, code)["causes"]
    texts = ("q=nothing+like+it", f"q=item+{rows - 1}", "state=failed&q=item+99", f"state=succeeded&q=item+{rows // 3}")
    kinds = {
        "the job's page": (["", "state=failed"], address, JOB),
        "items by filter and order": (list(questions(rows, cause["id"])), f"{address}items/", PAGE),
        "items by a text": (list(texts), f"{address}items/", TEXT),
    }
    for name, (asked, where, most) in kinds.items():
        took = [ms for _ in range(rounds) for query in asked for ms in opened(product, f"{where}?{query}")]
        slow = p95(took)
        note = f"{len(took)} pages, the slowest {max(took):.0f} ms"
        table.add(f"{database}: {name}", slow, most, unit="ms", note=note, most=True)


def questions(rows: int, cause: int) -> Iterator[str]:
    """Filters and orders, from the first pages and from the middle."""
    for state in ("all", "succeeded", "failed", "not_succeeded", "rejected", "retrying"):
        yield f"state={state}"
        yield f"state={state}&after={rows // 2}"
        yield f"state={state}&before={rows - rows // 4}"
    for column in ("seconds", "attempts", "finished"):
        for way in ("", "-"):
            yield f"state=failed&sort={way}{column}"
    yield f"cause={cause}"
    yield f"cause={cause}&sort=-seconds"
    yield "from=0.5"
    yield "state=all&q=%23812"


def opened(product: Product, query: str) -> Iterator[float]:
    """Milliseconds of the page and of those that its way forth leads to."""
    for _ in range(FORTH):
        begun = time.perf_counter()
        answer = product.client.get(query)
        yield 1000 * (time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text[:300]
        onward = NEXT.search(answer.text)
        if onward is None or "/items/" not in query:
            return
        query = html.unescape(onward[1])
