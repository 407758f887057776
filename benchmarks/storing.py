"""Table 4: jobs of items that do nothing, saved and announced, through real processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import celery_peer
from benchmarks.bench import DATABASES, Bench
from benchmarks.contest import Contest, Contestant, Sample
from benchmarks.machine import peak, resident
from benchmarks.nothing import RECIPE, alone
from benchmarks.product import Product
from benchmarks.table import Table

PROCESSOR = "bench-nothing"
WORKERS = 10
BARS = {"SQLite": 1.0, "PostgreSQL": 0.7}
PEERS = {"in Redis": 100.0, "with django-celery-results": 100.0}
MORE = 150  # MB that the worker may take beyond what it takes idle


def tables(bench: Bench) -> Iterator[Table]:
    count, fewer = bench.size(100_000, 500), bench.size(1_000, 50)
    table = Table(f"4. A job of {count:,} items that do nothing, saved and announced, {WORKERS} workers")
    with ExitStack() as stack:
        ways: dict[str, Contestant] = {"the recipe": alone(RECIPE, count, WORKERS)}
        for database in DATABASES:
            ways[database] = job(bench, stack.enter_context(bench.product(database)), count)
        ways["in Redis"] = stack.enter_context(celery_peer.in_redis(fewer))
        ways["with django-celery-results"] = stack.enter_context(celery_peer.in_database(fewer, bench.folder))
        contest = Contest(ways, bench.rounds())
    for name, bar in BARS.items():
        note = f"{contest.rate(name):,.0f} items/s; the recipe, nothing saved, {contest.rate('the recipe'):,.0f}"
        table.add(f"{name}: times the recipe in memory", contest.times(name, "the recipe"), bar, unit="×", note=note)
    for name, bar in PEERS.items():
        note = f"{contest.rate(name):,.0f} items/s there, {fewer:,} items in a group, collected in order"
        times = contest.times("SQLite", name)
        table.add(f"SQLite: times one Celery task each, results {name}", times, bar, unit="×", note=note)
    table.say("From the first start until the last item is stored and the job closed; the fewer items are scaled.")
    yield table


def job(bench: Bench, product: Product, count: int) -> Contestant:
    return lambda: Sample(count, product.succeeded(count, bench.csv(count), PROCESSOR, workers=WORKERS).stored)


def memory(bench: Bench) -> Iterator[Table]:
    """What a worker process takes while it works off a very long job."""
    count = bench.size(1_000_000, 2_000)
    table = Table(f"4. A job of {count:,} items that do nothing: memory of the worker process that runs it")
    with bench.product() as product:
        idle = resident(process.pid for process in product.workers())
        times = product.succeeded(count, bench.csv(count), PROCESSOR, workers=WORKERS)
        most = peak(process.pid for process in product.workers())
    note = f"{most:,.0f} MB at the peak, {idle:,.0f} MB idle, {count / times.stored:,.0f} items/s"
    table.add("SQLite", most - idle, MORE, unit="MB more", note=note, most=True)
    table.say("Measured once: the peak of a million items is no figure that a noisy minute changes.")
    yield table
