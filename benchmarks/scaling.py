"""Table 7: one wide job on more and more worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.bench import PROCESSES, Bench
from benchmarks.contest import Contest, Contestant, Sample
from benchmarks.product import Product
from benchmarks.table import Table

WORKERS = 200
LATENCY = 0.1


def tables(bench: Bench) -> Iterator[Table]:
    count = bench.size(10_000, 400)
    numbers = (1, PROCESSES) if bench.quick else (1, 2, PROCESSES)
    table = Table(
        f"7. {count:,} items of {LATENCY * 1000:.0f} ms, {WORKERS} workers, on more processes: share of linear"
    )
    with ExitStack() as stack:
        products = {number: stack.enter_context(bench.product(processes=number)) for number in numbers}
        contest = Contest({str(number): job(bench, products[number], count) for number in numbers}, bench.rounds())
    one, limit = contest.rate("1"), WORKERS / LATENCY
    table.add("1 process", one, unit="items/s", note="what the others are measured against")
    for number in numbers[1:]:
        rate = contest.rate(str(number))
        wanted = min(number * one, limit)
        note = f"{rate:,.0f} items/s; {'linear' if number * one < limit else 'the limit'} is {wanted:,.0f}"
        table.add(f"{number} processes", rate / wanted, 0.95, note=note)
    table.say(
        f"The limit is {WORKERS} workers / latency = {limit:,.0f} items/s; each process takes up to 50 of the workers."
    )
    yield table


def job(bench: Bench, product: Product, count: int) -> Contestant:
    def measure() -> Sample:
        times = product.succeeded(count, bench.csv(count), "simulate", workers=WORKERS, param_seconds=LATENCY)
        return Sample(count, times.items)

    return measure
