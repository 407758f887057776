"""Lists and streams of items through one function: results at their places, a bar on the console."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable
from typing import Any

from jobs.engine.ordered import Fallback, Gathering, Process, iterate
from jobs.engine.types import Policy

__all__ = [
    "batch_process_defensive", "batch_process_large_dataset", "batch_process_parallel", "collect", "iterate", "width",
]  # fmt: skip

DEFAULT_WORKERS = 5
MANY_WORKERS = 50
# Items for each worker that an ordered stream may be ahead of its slowest item.
AHEAD = 128


def batch_process_parallel(
    items: Iterable[Any],
    process_fn: Process,
    max_workers: int | None = None,
    desc: str = "Processing",
    *,
    fallback_fn: Fallback | None = None,
    timeout: float | None = 60.0,
    executor: str = "thread",
) -> list[Any]:
    """Return `process_fn(item)` for each item, each at the position of its item.

    Where it fails, or takes longer than `timeout` seconds, the place holds `fallback_fn(item, exception)`, or None when
    there is no fallback or it fails too. `max_workers` is MAX_WORKERS from the environment, else 5, unless given.
    With `executor="process"` the function runs in child processes, which use all cores and can be killed.

    Ctrl-C ends the batch at once. The KeyboardInterrupt that is raised then has an attribute `done`: a dict of the
    results so far, from the position of the item to its result.

    Raises TypeError or ValueError for arguments that make no sense, and whatever iterating over `items` raises.
    """
    policy = Policy(workers=width(max_workers), timeout=timeout)
    return collect(items, process_fn, policy, desc, fallback_fn, executor)


batch_process_defensive = batch_process_parallel


def batch_process_large_dataset(
    items: Iterable[Any],
    process_fn: Process,
    batch_size: int | None = None,
    max_workers: int | None = None,
    desc: str = "Processing",
    *,
    fallback_fn: Fallback | None = None,
    timeout: float | None = 60.0,
    executor: str = "thread",
) -> Generator[Any, None, None]:
    """Yield what `batch_process_parallel` would return, in order, while it is being worked on.

    `items` may be endless: at most `batch_size` of them (128 for each worker unless given) are worked on or wait for
    their turn, so one slow item holds the others up only when they are that far ahead. No batch waits for another.

    Who leaves the loop early closes the generator, and with it the threads. After Ctrl-C the attribute `done` of the
    KeyboardInterrupt holds the results that were not yielded yet.
    Raises TypeError for what is no iterable of items, and ValueError for a size below 1.
    """
    workers = width(max_workers)
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool)):
        raise TypeError(f"batch_size must be a whole number, not {type(batch_size).__name__}.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
    policy = Policy(workers=workers, timeout=timeout)
    return Gathering(items, process_fn, policy, desc, fallback_fn, executor, batch_size or AHEAD * workers).stream()


def width(max_workers: int | None) -> int:
    """The number of workers: as given, else MAX_WORKERS from the environment, else 5.

    Raises TypeError and ValueError. Warns of many, at the line that called the function which calls this one.
    """
    if max_workers is None:
        max_workers = _workers_of_environment()
    if not isinstance(max_workers, int) or isinstance(max_workers, bool):
        raise TypeError(f"max_workers must be a whole number, not {type(max_workers).__name__}.")
    if max_workers < 1:
        raise ValueError(f"max_workers must be at least 1, not {max_workers}.")
    if max_workers > MANY_WORKERS:
        text = f"{max_workers} workers are many: over {MANY_WORKERS} rarely make a batch faster."
        warnings.warn(text, stacklevel=3)
    return max_workers


def collect(
    items: Iterable[Any],
    process: Process,
    policy: Policy,
    desc: str,
    fallback: Fallback | None = None,
    executor: str = "thread",
) -> list[Any]:
    """What `batch_process_parallel` does, by any policy: also with several attempts for each item, or a rate."""
    return Gathering(items, process, policy, desc, fallback, executor).collect()


def _workers_of_environment() -> int:
    text = os.environ.get("MAX_WORKERS", "").strip()
    if not text:
        return DEFAULT_WORKERS
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"MAX_WORKERS in the environment must be a whole number of at least 1, not {text!r}.")
    return number
