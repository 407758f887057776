"""Table 2: the engine by itself, with items that wait."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import partial
from io import StringIO

from benchmarks import ours
from benchmarks.bench import Bench
from benchmarks.contest import Contest, timed
from benchmarks.functions import wait
from benchmarks.peers import joblib_threads
from benchmarks.recipe import in_batches, recipe
from benchmarks.table import Table

LATENCY = 0.01
SEED = 20
ROUNDS = 11  # as a round is short
BATCHES = "the recipe in batches of 100"


def tables(bench: Bench) -> Iterator[Table]:
    table = Table("2. The engine, items that wait: share of the limit, which is all waiting / workers")
    steady = [LATENCY] * bench.size(5_000, 500)
    draw = random.Random(SEED)
    tailed = [draw.lognormvariate(0, 1) * LATENCY for _ in range(bench.size(3_000, 300))]
    with quiet():
        compare(table, bench, f"{len(steady):,} × 10 ms, 50 workers", steady, 50, 0.93)
        compare(table, bench, f"{len(steady):,} × 10 ms, 200 workers", steady, 200, 0.85)
        compare(table, bench, f"{len(tailed):,} long-tailed, 20 workers", tailed, 20, None)
    table.say(f"The median of {bench.rounds(ROUNDS)} rounds; the recipe in batches takes part in the first only.")
    table.say(f"Long-tailed: lognormal, median 10 ms, the longest {max(tailed) * 1000:,.0f} ms; always the same ones.")
    yield table


def compare(table: Table, bench: Bench, what: str, waits: Sequence[float], workers: int, bar: float | None) -> None:
    """Two rows for each of our two functions: the share of the limit, and how many times as fast as the recipe."""
    ways: dict[str, Callable[[], object]] = {
        "run": partial(ours.run, waits, wait, workers),
        "batch_process_parallel": partial(ours.batch_process_parallel, waits, wait, workers),
        "the recipe": partial(recipe, waits, wait, workers),
        BATCHES: partial(in_batches, waits, wait, workers),
        "joblib": partial(joblib_threads, waits, wait, workers),
    }
    contestants = {name: timed(len(waits), way) for name, way in ways.items()}
    contest = Contest(contestants, bench.rounds(ROUNDS), once=[BATCHES])
    limit = max(sum(waits) / workers, max(waits))
    shares = {name: limit / contest.seconds(name) for name in ways}
    peers = ", ".join(f"{name} {share:.2f}" for name, share in list(shares.items())[2:])
    for way in ("run", "batch_process_parallel"):
        table.add(f"{what}: {way}", shares[way], bar, note=peers if way == "run" else "")
        table.add(f"{what}: {way}, times the recipe", contest.times(way, "the recipe"), 1.0, unit="×")


@contextmanager
def quiet() -> Iterator[None]:
    """Bars are drawn, ours and theirs, to where nobody sees them."""
    with redirect_stderr(StringIO()), warnings.catch_warnings(action="ignore"):
        yield
