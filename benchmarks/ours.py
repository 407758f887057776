"""The engine, called like the recipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from jobs import engine


def run(items: Sequence[Any], function: Callable[[Any], Any], workers: int) -> None:
    """`run`. What it yields is dropped, as a job's results are once they are stored."""
    deque(engine.run(enumerate(items), function, engine.Policy(workers=workers)), 0)


def batch_process_parallel(items: Sequence[Any], function: Callable[[Any], Any], workers: int) -> list[Any]:
    return engine.batch_process_parallel(items, function, workers)
