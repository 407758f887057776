"""A whole job through real processes: from its first start to its last end."""

from __future__ import annotations

import csv
import statistics
import tempfile
from pathlib import Path

from benchmarks.table import Table
from tests.system import System, csv_of, free_port, running

SPAN = """
from django.db.models import F
from jobs.models import Item
ends = Item.objects.filter(job__code="{code}").values_list("finished", "seconds")
print(max(e.timestamp() for e, s in ends) - min(e.timestamp() - s for e, s in ends))
"""


def first_job(quick: bool) -> Table:
    """1,000 items of 10 ms at 10 workers, one in 20 failing; the limit is one second."""
    count = 200 if quick else 1_000
    table = Table(f"A job of {count:,} items of 10 ms at 10 workers, stored and announced: share of the limit")
    with tempfile.TemporaryDirectory() as name, running(Path(name), free_port()) as system:
        spans = [span(system, Path(name), count) for _ in range(1 if quick else 5)]
    took = statistics.median(spans)
    table.add("simulate, 5 % failing", count * 0.01 / 10 / took, 1 / 1.3, f"{took:.2f} s from first start to last end")
    return table


def span(system: System, folder: Path, count: int) -> float:
    file = folder / "rows.csv"
    file.write_text(csv_of(count, lambda at: "fail:ValueError" if at % 20 == 7 else "ok"))
    client = system.client()
    code = system.submit(file, "--param", "seconds=0.01", "--workers", "10")
    counts = system.ended(client, code)["counts"]
    rows = list(csv.DictReader(client.get(f"/jobs/{code}/results.csv").text.splitlines()))
    if counts["failed"] != count // 20 or [row["row"] for row in rows] != [str(at + 1) for at in range(count)]:
        raise AssertionError(f"The result is not whole: {counts}")
    return float(system.manage("shell", "-c", SPAN.format(code=code)).stdout.strip().splitlines()[-1])
