"""Table 6: pure Python that computes, on two cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contest import Contest, Sample, timed
from benchmarks.functions import compute
from benchmarks.machine import CORES
from benchmarks.table import Table
from jobs import engine

WORKERS = 2
LOOPS = 400_000  # some 20 ms


def tables(bench: Bench) -> Iterator[Table]:
    count = bench.size(400, 10)
    title = (
        f"6. {count} items that compute some 20 ms in pure Python, {WORKERS} workers ({CORES} cores): times sequential"
    )
    table = Table(title)
    with bench.product() as product:

        def job() -> Sample:
            file = bench.csv(count)
            times = product.succeeded(count, file, "bench-compute", workers=WORKERS, param_loops=LOOPS)
            return Sample(count, times.items)

        ways = {
            "sequential": timed(count, partial(in_turn, count)),
            "threads": timed(count, partial(drained, count, "thread")),
            "ProcessPoolExecutor": timed(count, partial(pooled, count)),
            "processes": timed(count, partial(drained, count, "process")),
            "as a job": job,
        }
        contest = Contest(ways, bench.rounds())
    for name, bar in (("threads", None), ("ProcessPoolExecutor", None), ("processes", 1.8), ("as a job", 1.7)):
        note = f"{contest.seconds(name):.2f} s, sequential {contest.seconds('sequential'):.2f} s"
        table.add(name, contest.times(name, "sequential"), bar, unit="×", note=note)
    yield table


def in_turn(count: int) -> None:
    for _ in range(count):
        compute(LOOPS)


def pooled(count: int) -> None:
    """What the machine gives: the same without order, timeouts or a child that may crash."""
    with ProcessPoolExecutor(WORKERS) as pool:
        deque(pool.map(compute, [LOOPS] * count), 0)


def drained(count: int, executor: str) -> None:
    items = ((at, LOOPS) for at in range(count))
    deque(engine.run(items, compute, engine.Policy(workers=WORKERS), executor=executor), 0)
