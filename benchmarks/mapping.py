"""Table: the snapshot of the item map of a large job that is three fifths done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.bench import DATABASES, Bench, Database
from benchmarks.product import Product, now_and_then
from benchmarks.table import Table, p95
from tests.system import csv_of

DONE = 0.6
FAILING = 0.004
SEED = 6
MILLISECONDS, KILOBYTES = 300, 50
ASKED = 40  # times
WITHIN = 1200.0  # seconds


def tables(bench: Bench) -> Iterator[Table]:
    rows = bench.size(1_000_000, 3_000)
    table = Table(f"The map of a job of {rows:,} items, {DONE:.0%} done, {FAILING:.1%} of these failed: its snapshot")
    file = written(bench.folder / "map.csv", rows)
    for database in DATABASES:
        with bench.product(database) as product:
            measure(table, database, product, part_done(product, file, rows), rows)
    table.say(f"From request to last byte on the same machine, compressed, while the job is paused; {ASKED} requests.")
    yield table


def written(path: Path, rows: int) -> Path:
    draw = Random(SEED)
    path.write_text(csv_of(rows, lambda at: "fail:ValueError" if draw.random() < FAILING else "ok"))
    return path


def part_done(product: Product, file: Path, rows: int) -> str:
    """A job that was paused once so many of its items were done."""
    code = product.job(file, "simulate", workers=10, attempts=1, param_seconds=0)
    now_and_then(lambda: done(product, code) >= DONE * rows, WITHIN)
    product.system.post(product.client, f"/jobs/{code}/pause/", {})
    now_and_then(lambda: not product.system.snapshot(product.client, code)["counts"]["running"])
    return code


def done(product: Product, code: str) -> int:
    counts = product.system.snapshot(product.client, code)["counts"]
    return int(counts["succeeded"] + counts["failed"])


def measure(table: Table, database: Database, product: Product, code: str, rows: int) -> None:
    took, sent = [], 0
    for _ in range(ASKED):
        begun = time.perf_counter()
        answer = product.client.get(f"/jobs/{code}/cells.bin", headers={"Accept-Encoding": "gzip"})
        took.append(1000 * (time.perf_counter() - begun))
        assert (answer.status_code, len(answer.content)) == (200, rows), answer.text[:300]
        sent = int(answer.headers["Content-Length"])
    slow, half = p95(took), median(took)
    states = f"{answer.content.count(2):,} succeeded, {answer.content.count(3):,} failed"
    table.add(f"{database}: server time, p95", slow, MILLISECONDS, unit="ms", note=f"median {half:.0f} ms", most=True)
    table.add(f"{database}: bytes", sent / 1000, KILOBYTES, unit="kB", note=states, most=True)
