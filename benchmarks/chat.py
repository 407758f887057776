"""Table 1: search queries rewritten by a chat endpoint that answers in 300 ms, as a job."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.bench import LATENCY, Bench
from benchmarks.contest import Contest, Contestant, Sample, timed
from benchmarks.machine import peak, resident, together
from benchmarks.product import Product, Times
from benchmarks.table import Table
from jobs.processors.chat import Chat, Endpoint

PROCESSOR = "rewrite-query"
BARS = {5: 4.8, 10: 9.5, 20: 18.5}
PATTERN = {5: 5, 10: 10, 20: 9.4}
ALLOWED = 33
SHARE = 0.95  # of the limit by rate
SEQUENTIAL = 10  # calls one after another, which stand for as many as the job has


def tables(bench: Bench) -> Iterator[Table]:
    with bench.product() as product:
        yield speed(bench, product)
        yield throttled(bench, product)


def queries(bench: Bench, count: int) -> Path:
    path = bench.folder / f"queries-{count}.csv"
    path.write_text("query\n" + "".join(f"what is the best way to do thing {number}\n" for number in range(count)))
    return path


def speed(bench: Bench, product: Product) -> Table:
    """The speed-up of a job over calls that follow one another, and what the worker takes."""
    count = bench.size(100, 20)
    table = Table(f"1. {count} queries rewritten as a job by a server that answers in 300 ms: times one after another")
    idle = [process.pid for process in product.workers()]
    before, alone = together(idle), resident(idle)
    contestants = {"sequential": sequential(bench)}
    contestants |= {str(workers): job(product, queries(bench, count), count, workers) for workers in BARS}
    contest = Contest(contestants, bench.rounds())
    for workers, bar in BARS.items():
        took = f"{contest.seconds(str(workers)):.2f} s; the pattern's own table has {PATTERN[workers]}"
        limit = count / -(-count // workers)
        note = f"limit {limit:g}; {took}"
        table.add(f"{workers} workers", contest.times(str(workers), "sequential"), bar, unit="×", note=note)
    pids = [process.pid for process in product.workers()]
    note = f"all of its processes together (PSS); {before:,.0f} MB before"
    table.add("memory of the worker", together(pids), unit="MB", note=note)
    note = f"resident; {alone:,.0f} MB before; the pattern's own table has 500 MB at 10 workers"
    table.add("peak of its largest process", peak(pids), unit="MB", note=note)
    table.say(
        f"One after another: {SEQUENTIAL} calls with one client, scaled; {1 / contest.rate('sequential'):.4f} s each."
    )
    return table


def sequential(bench: Bench) -> Contestant:
    """Calls that follow one another on one open connection."""
    chat = Chat(Endpoint(bench.chat_server, "a-key", "a-model"))
    calls = bench.size(SEQUENTIAL, 2)
    message = [{"role": "user", "content": "what is the best way"}]
    return timed(calls, lambda: [chat.ask(message) for _ in range(calls)])


def job(product: Product, file: Path, count: int, workers: int) -> Contestant:
    def measure() -> Sample:
        return Sample(count, product.succeeded(count, file, PROCESSOR, workers=workers).items)

    return measure


def throttled(bench: Bench, product: Product) -> Table:
    """A server that refuses what comes too fast: the share of the best possible schedule."""
    table = Table(
        f"1. The same, from a server that allows {ALLOWED} requests in any second: share of the limit by rate"
    )
    # One more than whole seconds hold: an even pace and bursts then take the same time at best.
    few, many = bench.size(100, 34), bench.size(496, 67)
    row(table, bench, product, few, SHARE, rate=ALLOWED)
    told = LATENCY + 1 + (few - ALLOWED - 1) / ALLOWED + LATENCY
    row(table, bench, product, few, SHARE * limit(few) / told)
    row(table, bench, product, many, SHARE)
    table.say(
        f"Limit for N requests: (N - 1) / {ALLOWED} s until the last one may start, and {LATENCY} s for its answer."
    )
    table.say(
        "Without a rate the pace has to be found from the refusals, which ask for whole seconds (Retry-After: 1)."
    )
    table.say(
        f"The first comes after {LATENCY} s, so {few} take {told:.2f} s at best: {limit(few) / told:.2f} of the limit."
    )
    return table


def limit(count: int) -> float:
    """The seconds of the best possible schedule for so many requests."""
    return (count - 1) / ALLOWED + LATENCY


def row(table: Table, bench: Bench, product: Product, count: int, bar: float, **fields: int) -> None:
    file = queries(bench, count)
    seconds, failed, refused = [], [], []
    for _ in range(bench.rounds()):
        times, counts, refusals = limited(bench.chat_server, product, file, fields)
        seconds.append(times.items)
        failed.append(count - counts["succeeded"])
        refused.append(refusals)
    took = statistics.median(seconds)
    what = f"{count} queries, 20 workers, {'the rate is set' if fields else 'no rate is set'}"
    note = f"{took:.2f} s, the limit is {limit(count):.2f} s; refused: {statistics.median(refused):g}"
    table.add(what, limit(count) / took, bar, note=note)
    table.add(f"{what}: failed", max(failed), 0, unit="items", most=True)


def limited(server: str, product: Product, file: Path, fields: dict[str, int]) -> tuple[Times, dict[str, int], int]:
    """A job against the limited server: its times, its counts, and how many requests were refused."""
    httpx.put(f"{server}/allowed", content=str(ALLOWED))
    httpx.get(f"{server}/answered")
    try:
        times, counts = product.run(file, PROCESSOR, workers=20, **fields)
    finally:
        httpx.put(f"{server}/allowed", content="0")
    return times, counts, int(httpx.get(f"{server}/answered").json().get("429", 0))
