"""The engine by itself, against the limit and against the recipe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial

from benchmarks import recipe
from benchmarks.table import Table, medians
from jobs import engine

LATENCY = 0.01


def wait(_: object) -> None:
    time.sleep(LATENCY)


def nothing_at_all(item: int) -> int:
    return item


def ours_on(count: int, function: Callable[[int], object], workers: int) -> None:
    """Runs the engine over `count` items and drops what it yields."""
    deque(engine.run(enumerate(range(count)), function, engine.Policy(workers=workers)), 0)


def waiting(quick: bool) -> Table:
    """Items that wait 10 ms: the share of the possible speed, which is workers / latency."""
    table = Table("Items that wait 10 ms: share of the limit items × latency / workers")
    for workers, items, bar in ((50, 5_000, 0.93), (200, 5_000, 0.85)):
        count = items // 10 if quick else items
        ours, theirs = medians(
            [partial(ours_on, count, wait, workers), partial(recipe.process, range(count), wait, workers)],
            1 if quick else 5,
        )
        limit = count * LATENCY / workers
        table.add(f"{count:,} items, {workers} workers", limit / ours, bar, f"the recipe reaches {limit / theirs:.2f}")
    return table


def nothing(quick: bool) -> Table:
    """Items that do nothing: what the engine itself costs."""
    table = Table("Items that do nothing: times the recipe's items a second")
    count = 10_000 if quick else 100_000
    ours, theirs = medians(
        [partial(ours_on, count, nothing_at_all, 10), partial(recipe.process, range(count), nothing_at_all, 10)],
        1 if quick else 5,
    )
    table.add(f"{count:,} items, 10 workers", theirs / ours, 12, f"{count / ours:,.0f} against {count / theirs:,.0f}")
    return table
