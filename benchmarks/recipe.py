"""What the engine is measured against: the usual recipe, with one future for each item, and other ways to do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from tqdm import tqdm

Function = Callable[[Any], Any]


def recipe(items: Sequence[Any], function: Function, workers: int) -> list[Any]:
    """Results in the order of the items; a failed one is None. All futures are there from the start."""
    results: list[Any] = [None] * len(items)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        positions = {pool.submit(function, item): position for position, item in enumerate(items)}
        for future in tqdm(as_completed(positions), total=len(items), desc="Processing"):
            position = positions[future]
            try:
                results[position] = future.result()
            except Exception as error:
                print(f"Item {position} failed: {error}")
    return results


def in_batches(items: Sequence[Any], function: Function, workers: int, size: int = 100) -> list[Any]:
    """The recipe where memory is short: one batch after another, each waiting for its slowest item."""
    results: list[Any] = []
    for start in range(0, len(items), size):
        results += recipe(items[start : start + size], function, workers)
    return results


def mapped(items: Sequence[Any], function: Function, workers: int) -> list[Any]:
    """`executor.map`."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        found: Iterator[Any] = pool.map(function, items)
        return list(tqdm(found, total=len(items), desc="Processing"))
