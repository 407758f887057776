"""Ways to call a processor in a test."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from jobs.engine import Attempt, Policy, run
from jobs.processors import Call, Context, Processor, Task

IMPATIENT = Policy(workers=2, attempts=3, backoff=0.001, backoff_max=0.001, retry_on=("*",))
ONCE = Policy(workers=2)


def context(known: Processor, client: Any = None, *, position: int = 0, **parameters: Any) -> Context:
    """What a processor is given in its first attempt."""
    return Context(
        position=position,
        key="",
        number=1,
        idempotency_key="job-1-run",
        logger=logging.getLogger("tests"),
        client=client,
        parameters=known.clean(parameters),
    )


def final(call: Call, rows: Iterable[Mapping[str, Any]], policy: Policy = ONCE) -> list[Attempt]:
    """The last attempt of each row, in the order of the rows."""
    tasks = [Task(dict(row)) for row in rows]
    try:
        attempts = [attempt for attempt in run(enumerate(tasks), call, policy) if attempt.retry_at is None]
    finally:
        call.close()
    return sorted(attempts, key=lambda attempt: attempt.position)


def values(attempts: Iterable[Attempt]) -> list[Any]:
    """What the attempts brought; None for a failure."""
    return [json.loads(attempt.value[0]) if attempt.failure is None else None for attempt in attempts]


def kinds(attempts: Iterable[Attempt]) -> list[str]:
    """The kinds of their failures, empty for a success."""
    return [attempt.failure.kind if attempt.failure else "" for attempt in attempts]
