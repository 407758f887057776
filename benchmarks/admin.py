"""Table: the administrators' pages with many jobs and many items.

The rows are copied in the database from one job that ran, since no page tells a copy from what was worked off.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg

from benchmarks.bench import DATABASES, Bench
from benchmarks.items import failing, written
from benchmarks.product import Product
from benchmarks.table import Table, p95

LIST = 200  # milliseconds at most
JOBS, ITEMS = 1_000, 1_000_000
ROUNDS = 12
# Tables of what a job has, and the columns in which a copy is not what its original is.
COPIES: Final[dict[str, dict[str, str]]] = {
    "jobs_shard": {},
    "jobs_cause": {},
    "jobs_activity": {"run_id": "NULL"},
    "jobs_item": {"cause_id": "NULL"},
}


def tables(bench: Bench) -> Iterator[Table]:
    large, jobs = bench.size(ITEMS, 3_000), bench.size(JOBS, 30)
    small = bench.size(1_000, 60)
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
    ((original,),) = keys(product, f"SELECT id FROM jobs_job WHERE code != '{but}' ORDER BY id LIMIT 1")
    with connected(product) as database:
        for statement in statements(database, original, count):
            database.execute(statement)


def statements(database: Any, original: int, count: int) -> Iterator[str]:
    """Job after job, in the order of their rows: then no index is written at random places."""
    codes = [f"copy{number:08}" for number in range(count)]
    for code in codes:
        yield copy(database, "jobs_job", f"id = {original}", {"code": f"'{code}'", "run_id": "NULL"})
    for code in codes:
        owner = {"job_id": f"(SELECT id FROM jobs_job WHERE code = '{code}')"}
        for table, own in COPIES.items():
            yield copy(database, table, f"job_id = {original}", owner | own)
    yield "ANALYZE"


def copy(database: Any, table: str, where: str, own: dict[str, str]) -> str:
    found = database.execute(f"SELECT * FROM {table} WHERE 1 = 0").description
    names = [column[0] for column in found if column[0] != "id"]
    values = ", ".join(own.get(name, f'"{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table} ({listed}) SELECT {values} FROM {table} WHERE {where} ORDER BY id"


@contextmanager
def connected(product: Product) -> Iterator[Any]:
    """A connection to the product's database, in one transaction."""
    if url := product.system.env.get("DATABASE_URL"):
        with psycopg.connect(url) as server:
            yield server
        return
    with closing(sqlite3.connect(product.system.folder / "var" / "db.sqlite3", timeout=60)) as file, file:
        yield file


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
