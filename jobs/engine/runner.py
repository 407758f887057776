"""`run`: many items through one function, with limited parallelism."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jobs.engine.coordinator import Coordinator
from jobs.engine.threads import Caller, InThread, Pool
from jobs.engine.types import Attempt, Beat, Policy

EXECUTORS = ("thread", "process")


def run(
    items: Iterable[Any],
    process: Callable[[Any], Any],
    policy: Policy,
    *,
    executor: str = "thread",
    beat: Beat | None = None,
    hold: float = math.inf,
) -> Iterator[Attempt]:
    """Call `process` with the payload of each item and yield every attempt as it finishes."""
    if not callable(process):
        raise TypeError(f"process must be callable, not {type(process).__name__}.")
    if executor not in EXECUTORS:
        raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, not {executor!r}.")
    pool = Pool(_caller(process, executor), policy.workers)
    return Coordinator(iter(items), pool, policy, beat, hold).attempts()


def _caller(process: Callable[[Any], Any], executor: str) -> Caller:
    return InThread(process, contextvars.copy_context())
