"""Table 5: a large file becomes items."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.bench import DATABASES, Bench, Database
from benchmarks.contest import Contest, Contestant, Sample, timed
from benchmarks.machine import peak, resident
from benchmarks.product import Product
from benchmarks.table import Table

BARS: dict[Database, float] = {"SQLite": 60_000, "PostgreSQL": 50_000}
MORE = 100  # MB that the loader may take beyond what it takes idle
COLUMNS = "job integer, position integer, state smallint, payload text, label text, key text"
NAMES = "job, position, state, payload, label, key"


def tables(bench: Bench) -> Iterator[Table]:
    rows = bench.size(1_000_000, 5_000)
    file = written(bench.folder / "large.csv", rows)
    megabytes = file.stat().st_size / 1_000_000
    table = Table(
        f"5. {rows:,} CSV rows ({megabytes:.0f} MB) become items of a job: rows a second, memory of the loader"
    )
    for database in DATABASES:
        with bench.product(database) as product:
            compare(table, bench, database, product, file, rows)
    yield table


def written(path: Path, rows: int) -> Path:
    """A table of five columns, 100 bytes a row."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "name", "city", "price", "note"))
        for at in range(rows):
            price = f"{at % 9973 / 100:.2f}"
            writer.writerow(
                (at, f"article {at:07}", "Zürich, old town", price, "kept in the third shelf from the left, " + "x" * 6)
            )
    return path


def compare(table: Table, bench: Bench, database: Database, product: Product, file: Path, rows: int) -> None:
    idle = resident(process.pid for process in product.loaders())
    alone = copied if database == "PostgreSQL" else inserted
    contestants = {
        "job": job(product, file, rows),
        "a csv loop": timed(rows, partial(looped, file)),
        "alone": timed(rows, partial(alone, bench, rows)),
    }
    contest = Contest(contestants, bench.rounds())
    statement = "COPY" if database == "PostgreSQL" else "executemany"
    note = f"a plain csv loop {contest.rate('a csv loop'):,.0f}, {statement} alone {contest.rate('alone'):,.0f}"
    table.add(database, contest.rate("job"), BARS[database], unit="rows/s", note=note)
    most = peak(process.pid for process in product.loaders())
    note = f"{most:,.0f} MB at the peak, {idle:,.0f} MB idle"
    table.add(f"{database}: memory", most - idle, MORE, unit="MB more", note=note, most=True)


def job(product: Product, file: Path, rows: int) -> Contestant:
    return lambda: Sample(rows, product.loaded(file, "bench-nothing"))


def looped(file: Path) -> None:
    with file.open(newline="") as stream:
        for _ in csv.reader(stream):
            pass


def records(rows: int) -> Iterator[tuple[int, int, int, str, str, str]]:
    """Rows as they are stored, without the work to read them."""
    payload = json.dumps(
        ["123456", "article 0123456", "Zürich, old town", "12.34", "kept in the third shelf from the left"]
    )
    for at in range(rows):
        yield 1, at, 0, payload, "article 0123456", "123456"


def inserted(bench: Bench, rows: int) -> None:
    path = bench.folder / "alone.sqlite3"
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("DROP TABLE IF EXISTS alone")
        file.execute(f"CREATE TABLE alone ({COLUMNS}, PRIMARY KEY (job, position))")
        with file:
            file.executemany(f"INSERT INTO alone ({NAMES}) VALUES (?, ?, ?, ?, ?, ?)", records(rows))


def copied(bench: Bench, rows: int) -> None:
    with psycopg.connect(bench.postgres) as server:
        server.execute("DROP TABLE IF EXISTS alone")
        server.execute(f"CREATE TABLE alone ({COLUMNS}, PRIMARY KEY (job, position))".encode())
        with server.cursor().copy(f"COPY alone ({NAMES}) FROM STDIN".encode()) as copy:
            for record in records(rows):
                copy.write_row(record)
