"""What the engine is measured against: one future for each item, all submitted at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any


def process(items: Sequence[Any], function: Callable[[Any], Any], workers: int) -> list[Any]:
    """Results in the order of the items; a failed one is None."""
    results: list[Any] = [None] * len(items)
    with ThreadPoolExecutor(workers) as pool:
        positions = {pool.submit(function, item): position for position, item in enumerate(items)}
        for future in as_completed(positions):
            results[positions[future]] = None if future.exception() else future.result()
    return results
