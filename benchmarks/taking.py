"""Table: a large result is taken home."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.bench import DATABASES, Bench
from benchmarks.contest import Contest, Contestant, Sample, timed
from benchmarks.loading import written
from benchmarks.machine import peak, resident
from benchmarks.product import Product
from benchmarks.table import Table

RATE, FIRST, MORE = 100_000, 1.0, 100  # rows a second, seconds, MB: the bars
LIMIT = 0.4  # of what a loop does that only reads the rows and writes them
FORMATS = ("jsonl", "json", "xlsx")
ROWS = """SELECT i.position, i.payload, i.result, i.attempts, i.seconds
            FROM jobs_item i JOIN jobs_job j ON j.id = i.job_id
           WHERE j.code = '{code}' ORDER BY i.position"""
RESULT = json.dumps({"letters": 15, "kind": "article"})
# As after a job of a processor that gives two values for each row. To run it would take minutes and measure nothing.
WORKED = """
UPDATE jobs_item SET state = 2, result = '{result}', attempts = 1, tries = 1, seconds = 0.0123
 WHERE job_id = (SELECT id FROM jobs_job WHERE code = '{code}')
"""
KEYS = """UPDATE jobs_job SET result_keys = '["letters", "kind"]' WHERE code = '{code}'"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A download: seconds to its first byte and to its end, and its bytes."""

    first: float
    seconds: float
    size: int


def tables(bench: Bench) -> Iterator[Table]:
    rows = bench.size(1_000_000, 3_000)
    file = written(bench.folder / "take.csv", rows)
    table = Table(f"The result of {rows:,} rows of five columns and two values, through the web server")
    for database in DATABASES:
        with bench.product(database) as product:
            measure(table, bench, database, product, worked_off(product, file), rows)
    yield table


def worked_off(product: Product, file: Path) -> str:
    code = product.ready(file, "bench-nothing")
    product.system.post(product.client, f"/jobs/{code}/cancel/", {})
    product.ended(code)
    for statement in (WORKED.format(code=code, result=RESULT), KEYS.format(code=code)):
        told(product, statement)
    return code


def told(product: Product, statement: str) -> None:
    url = product.system.env.get("DATABASE_URL")
    if url:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(statement.encode())
            server.execute(b"VACUUM ANALYZE jobs_item")
        return
    with closing(sqlite3.connect(product.system.folder / "var" / "db.sqlite3", timeout=60)) as file, file:
        file.execute(statement)


def measure(table: Table, bench: Bench, database: str, product: Product, code: str, rows: int) -> None:
    web = product.system.processes("batchweb.server")
    idle = resident(process.pid for process in web)
    taken: list[Taken] = []
    contest = Contest(
        {"csv": download(product, code, "csv", rows, taken), "alone": timed(rows, partial(alone, product, code))},
        bench.rounds(),
    )
    size = taken[0].size / 1_000_000
    note = f"{size:.0f} MB; csv.writer over the rows of a cursor {contest.rate('alone'):,.0f}"
    table.add(f"{database}: CSV", contest.rate("csv"), RATE, unit="rows/s", note=note)
    share = contest.rate("csv") / contest.rate("alone")
    table.add(f"{database}: of that loop", share, LIMIT, unit="×")
    first = statistics.median(one.first for one in taken)
    table.add(f"{database}: first byte", first, FIRST, unit="s", most=True)
    for format in FORMATS:
        sample = download(product, code, format, rows, [])()
        table.add(f"{database}: {format.upper()}", sample.rate, unit="rows/s", note="once")
    most = peak(process.pid for process in web)
    note = f"{most:,.0f} MB at the peak, {idle:,.0f} MB idle"
    table.add(f"{database}: memory of the web server", most - idle, MORE, unit="MB more", note=note, most=True)


def download(product: Product, code: str, format: str, rows: int, taken: list[Taken]) -> Contestant:
    def measured() -> Sample:
        taken.append(fetched(product, f"/jobs/{code}/results.{format}"))
        return Sample(rows, taken[-1].seconds)

    return measured


def fetched(product: Product, address: str) -> Taken:
    """All of the file, of which nothing is kept."""
    begun = time.perf_counter()
    first = size = 0.0
    with product.client.stream("GET", address) as answer:
        assert answer.status_code == 200, answer.status_code
        for piece in answer.iter_raw():
            first = first or time.perf_counter() - begun
            size += len(piece)
    return Taken(first, time.perf_counter() - begun, int(size))


def alone(product: Product, code: str) -> None:
    """The least that such a download takes: the rows from a cursor, their JSON decoded, written as CSV to nowhere."""
    url = product.system.env.get("DATABASE_URL")
    query = ROWS.format(code=code)
    if url:
        with psycopg.connect(url) as server, server.cursor("rows") as cursor:
            cursor.itersize = 2_000
            copied(cursor.execute(query.encode()))
        return
    with closing(sqlite3.connect(product.system.folder / "var" / "db.sqlite3")) as file:
        copied(file.execute(query))


def copied(rows: Any) -> None:
    text = io.StringIO()
    write = csv.writer(text).writerow
    for at, (position, payload, result, attempts, seconds) in enumerate(rows):
        write([*json.loads(payload), position, *json.loads(result).values(), attempts, seconds])
        if not at % 2_000:
            text.seek(0)
            text.truncate()
