"""Table: the administrators' pages with many jobs and many items.

The rows are copied in the database from one job that ran, since no page tells a copy from what was worked off.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg

from benchmarks.bench import DATABASES, Bench
from benchmarks.items import failing, written
from benchmarks.product import Product
from benchmarks.table import Table, p95

LIST = 200  # milliseconds at most
JOBS, ITEMS = 1_000, 1_000_000
ROUNDS = 12
# Columns of a table but for its key; then those that a copy has of its own, and what is in them.
COPIES: Final = {
    "jobs_job": {"code": "'copy' || (10000000 + {n})", "run_id": "NULL"},
    "jobs_shard": {"job_id": "c.id"},
    "jobs_item": {"job_id": "c.id", "cause_id": "NULL"},
    "jobs_cause": {"job_id": "c.id"},
    "jobs_activity": {"job_id": "c.id", "run_id": "NULL"},
}


def tables(bench: Bench) -> Iterator[Table]:
    large, jobs = bench.size(ITEMS, 3_000), bench.size(JOBS, 30)
    small = bench.size(9_000, 60)
    title = f"Admin pages with {jobs:,} jobs, one of {large:,} items and the others of {small:,}: p95"
    table = Table(title)
    for database in DATABASES:
        with bench.product(database) as product:
            product.ended(product.job(written(bench.folder / "admin-small.csv", small), "simulate", param_seconds=0))
            code = product.job(written(bench.folder / "admin-large.csv", large), "simulate", param_seconds=0)
            counts = product.ended(code, within=1200)
            assert counts["failed"] == failing(large), counts
            copied(product, code, jobs - 2)
            measure(table, bench, database, product, code, large)
    yield table


def copied(product: Product, but: str, count: int) -> None:
    """So many copies of the job that is not called `but`, with all that the pages show of a job."""
    if count < 1:
        return
    for statement in statements(product, but, count):
        execute(product, statement)


def statements(product: Product, but: str, count: int) -> Iterator[str]:
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
    original = f"(SELECT MIN(id) FROM jobs_job WHERE code != '{but}' AND code NOT LIKE 'copy%')"
    for table, own in COPIES.items():
        names = columns(product, table)
        values = [own.get(name, f"o.{quoted(name)}").format(n="numbers.n") for name in names]
        into = f"INSERT INTO {table} ({', '.join(map(quoted, names))})"
        if table == "jobs_job":
            yield f"{numbers} {into} SELECT {', '.join(values)} FROM jobs_job o, numbers WHERE o.id = {original}"
        else:
            source = f"{table} o, jobs_job c WHERE o.job_id = {original} AND c.code LIKE 'copy%'"
            yield f"{into} SELECT {', '.join(values)} FROM {source}"
    yield "ANALYZE"


def quoted(name: str) -> str:
    return f'"{name}"'


def columns(product: Product, table: str) -> list[str]:
    return [name for name in read(product, f"SELECT * FROM {table} WHERE 1 = 0") if name != "id"]


def read(product: Product, query: str) -> Sequence[str]:
    """The names of the columns that the query gives."""
    if url := product.system.env.get("DATABASE_URL"):
        with psycopg.connect(url) as server:
            return [column.name for column in server.execute(query.encode()).description or ()]
    with closing(sqlite3.connect(product.system.folder / "var" / "db.sqlite3")) as file:
        return [column[0] for column in file.execute(query).description]


def execute(product: Product, statement: str) -> None:
    if url := product.system.env.get("DATABASE_URL"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(statement.encode())
        return
    with closing(sqlite3.connect(product.system.folder / "var" / "db.sqlite3", timeout=60)) as file, file:
        file.execute(statement)


def measure(table: Table, bench: Bench, database: str, product: Product, code: str, rows: int) -> None:
    for name, addresses in pages(product, code, rows).items():
        took = [ms for _ in range(bench.rounds(ROUNDS)) for address in addresses for ms in opened(product, address)]
        note = f"{len(took)} pages, the slowest {max(took):.0f} ms"
        table.add(f"{database}: {name}", p95(took), LIST, unit="ms", note=note, most=True)


def pages(product: Product, code: str, rows: int) -> dict[str, list[str]]:
    ((key,),) = keys(product, f"SELECT id FROM jobs_job WHERE code = '{code}'")
    ((item,),) = keys(product, f"SELECT id FROM jobs_item WHERE job_id = {key} AND position = {rows // 2}")
    ((cause,),) = keys(product, f"SELECT MIN(id) FROM jobs_cause WHERE job_id = {key}")
    jobs, items = "/admin/jobs/job/", f"/admin/jobs/item/?job={code}"
    return {
        "index": ["/admin/"],
        "jobs": [jobs, f"{jobs}?p=9", f"{jobs}?q=admin-small", f"{jobs}?state__exact=finished", f"{jobs}?o=-5"],
        "a job's page": [f"{jobs}{key}/change/"],
        "items": [
            items, f"{items}&state=failed", f"{items}&state=failed&cause={cause}", f"{items}&after={rows // 2}",
            f"{items}&state=succeeded&before={rows - rows // 4}", "/admin/jobs/item/",
        ],
        "an item": [f"/admin/jobs/item/{item}/change/"],
        "causes": ["/admin/jobs/cause/", f"/admin/jobs/cause/?job__id__exact={key}"],
        "workers": ["/admin/jobs/worker/"],
        "activity": ["/admin/jobs/activity/"],
        "people": ["/admin/auth/user/"],
    }  # fmt: skip


def keys(product: Product, query: str) -> list[tuple[Any, ...]]:
    return product.rows(query, "")


def opened(product: Product, address: str) -> Iterator[float]:
    begun = time.perf_counter()
    answer = product.client.get(address)
    yield 1000 * (time.perf_counter() - begun)
    assert answer.status_code == 200, answer.text[:300]
