"""Table: a large file is checked before it runs, while people go on with their work."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.bench import DATABASES, Bench
from benchmarks.machine import peak
from benchmarks.product import Product
from benchmarks.table import Table, p95
from tests.system import ROOT

SECONDS, MEGABYTES, PAGE = 60, 200, 300  # most, and milliseconds for a page
PAGES = ("/", "/jobs/new/")


def tables(bench: Bench) -> Iterator[Table]:
    rows, bad = bench.size(1_000_000, 5_000), bench.size(1_000, 5)
    broken = sorted(random.Random(5).sample(range(1, rows + 1), bad))
    file = written(bench.folder / "checked.csv", rows, frozenset(broken))
    table = Table(f"{rows:,} CSV rows are checked, {bad:,} of them bad and each to be found; pages meanwhile")
    with bench.product("SQLite") as product:
        seconds, megabytes, found = preflight(product, file)
    assert found == broken, "preflight lists other rows than the bad ones"
    table.add("preflight", seconds, SECONDS, unit="s", note="it lists exactly the bad rows", most=True)
    table.add("preflight: memory", megabytes, MEGABYTES, unit="MB", most=True)
    for database in DATABASES:
        with bench.product(database) as product:
            seconds, answers, report = check(product, file)
        assert (report["rows"], report["bad_total"]) == (rows, bad), report
        table.add(f"{database}: the job is ready", seconds, SECONDS, unit="s", most=True)
        slow = 1000 * p95(answers)
        table.add(f"{database}: a page meanwhile, p95", slow, PAGE, unit="ms", note=f"{len(answers)} pages", most=True)
    yield table


def written(path: Path, rows: int, broken: frozenset[int]) -> Path:
    """A table of five columns, some of whose rows have too few cells."""
    with path.open("w") as file:
        file.write("id,name,city,price,note\n")
        for row in range(1, rows + 1):
            more = "" if row in broken else f",{row % 9973 / 100:.2f},kept in the third shelf from the left"
            file.write(f"{row},article {row:07},Zürich{more}\n")
    return path


def preflight(product: Product, file: Path) -> tuple[float, float, list[int]]:
    """Seconds, MB at the peak, and the rows that it lists."""
    out, begun, most = file.with_suffix(".json"), time.monotonic(), 0.0
    command = [sys.executable, "manage.py", "preflight", str(file), "--json"]
    with out.open("w") as stdout, subprocess.Popen(command, cwd=ROOT, env=product.system.env, stdout=stdout) as process:
        while process.poll() is None:
            most = max(most, peak([process.pid]))
            time.sleep(0.05)
    seconds = time.monotonic() - begun
    return seconds, most, [problem["row"] for problem in json.loads(out.read_text())["bad"]]


def check(product: Product, file: Path) -> tuple[float, list[float], dict[str, Any]]:
    """Seconds until the job is ready, seconds of each page asked for meanwhile, and the report."""
    code = product.job(file, "bench-nothing", then="check")
    begun, answers = time.monotonic(), []
    while product.state(code) == "loading":
        for page in (*PAGES, f"/jobs/{code}/"):
            asked = time.monotonic()
            assert product.client.get(page).status_code == 200
            answers.append(time.monotonic() - asked)
        time.sleep(0.1)
    seconds = time.monotonic() - begun
    return seconds, answers, product.report(code)
