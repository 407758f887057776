"""`run`: many items through one function, with limited parallelism."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Generator, Iterable
from typing import Any

from jobs.engine.coordinator import Coordinator
from jobs.engine.process_caller import InChild
from jobs.engine.thread_caller import Here
from jobs.engine.threads import Caller, Pool
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
) -> Generator[Attempt, None, None]:
    """Call `process` with the payload of each item, and yield every attempt as it finishes.

    `items` gives (position, payload) or (position, payload, attempts already made). It is iterated in the caller's
    thread only, at most 4 for each worker ahead or what is done in 0.15 seconds, and never more than 1,000 (16 for each
    worker where that is more); an error of its own is raised here after everything that was pulled before is yielded.

    With `executor="thread"` each attempt sees a copy of the caller's context variables. With "process" it runs in a
    child process, which begins with variables of its own; `process`, payload and value must be picklable then.

    An attempt with `retry_at` is not the item's last. Waits up to `hold` seconds happen here; where the wait is longer,
    or the run is stopped in the meantime, the item is not tried again and is the caller's to bring back.

    `beat(Pulse)` is called every 0.25 seconds from the caller's thread, as long as the caller asks for attempts, and
    once more at the end. It answers None, a new Policy, or STOP: then nothing new starts, what runs is yielded, and the
    run ends. It also ends so when `policy.lost_limit` threads hang at once, and the last `Pulse.lost` says so; items
    that were pulled and not started are not yielded then. A thread that hangs keeps neither this run nor the
    interpreter from ending.

    Raises TypeError and ValueError for arguments that make no sense, at once.
    """
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, not {type(policy).__name__}.")
    if not callable(process):
        raise TypeError(f"process must be callable, not {type(process).__name__}.")
    if executor not in EXECUTORS:
        raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, not {executor!r}.")
    pool = Pool(_caller(process, executor), policy.workers)
    return Coordinator(iter(items), pool, policy, beat, hold).attempts()


def _caller(process: Callable[[Any], Any], executor: str) -> Caller:
    if executor == "process":
        return InChild(process)
    return Here(process, contextvars.copy_context())
