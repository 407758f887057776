"""A whole job as a person makes it: some items fail, and the result comes back in the order of the file."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.product import Product
from benchmarks.table import Table
from tests.system import csv_of

LATENCY = 0.01
WORKERS = 10


def tables(bench: Bench) -> Iterator[Table]:
    """1,000 items of 10 ms at 10 workers, one in 20 failing; the limit is one second."""
    count = bench.size(1_000, 200)
    table = Table(
        f"0. A job of {count:,} items of 10 ms at {WORKERS} workers, stored and announced: share of the limit"
    )
    file = bench.folder / "road.csv"
    file.write_text(csv_of(count, lambda at: "fail:ValueError" if at % 20 == 7 else "ok"))
    with bench.product() as product:
        spans = [span(product, file, count) for _ in range(bench.rounds())]
    took = statistics.median(spans)
    limit = count * LATENCY / WORKERS
    table.add("simulate, 5 % failing", limit / took, 1 / 1.3, note=f"{took:.2f} s from first start to last end")
    yield table


def span(product: Product, file: Path, count: int) -> float:
    code = product.job(file, "simulate", workers=WORKERS, attempts=1, param_seconds=LATENCY)
    counts = product.ended(code)
    rows = list(csv.DictReader(product.client.get(f"/jobs/{code}/results.csv").text.splitlines()))
    if counts["failed"] != count // 20 or [row["row"] for row in rows] != [str(at + 1) for at in range(count)]:
        raise AssertionError(f"The result is not whole: {counts}")
    return product.times(code).items
