"""What the engine's attempts mean for items: pure conversion, nothing is stored here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from jobs import engine
from jobs.models.cause import normalised, signature
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING, ItemState
from jobs.processors import Call, Task
from jobs.processors.storable import harmless

HOLD: Final = 5.0  # seconds; a longer wait is stored as due and holds no worker
THROTTLED: Final = "throttled"
SHOWN: Final = 300  # characters of a value shown with a batch
LAST_MOMENT: Final = 4_102_444_800.0  # the year 2100; dates far beyond break the databases' calendars
UNSTORABLE: Final = "The database refused what came of this item."


@dataclass(slots=True)
class Outcome:
    """What is to be stored for one item: a final state, or PENDING with the time of its next attempt.

    `made` counts the attempts since the item was stored last, `times` are their durations. `held` says that whoever
    tried it will try it again soon, `keys` what keys the result has.
    """

    position: int
    state: int
    cell: int
    tries: int
    made: int
    seconds: float
    finished: datetime | None
    due: datetime | None = None
    result: str = ""
    fallback: str = ""
    error_kind: str = ""
    error: str = ""
    cause: int | None = None
    times: Sequence[float] = ()
    held: bool = False
    keys: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        return self.state != ItemState.PENDING

    @property
    def size(self) -> int:
        return len(self.result) + len(self.fallback) + len(self.error)


@dataclass(slots=True)
class AttemptRow:
    """One attempt as it is stored."""

    position: int
    number: int
    started: datetime
    seconds: float
    kind: str
    message: str
    trace: str
    log: str
    retry_at: datetime | None


def throttled(attempt: engine.Attempt) -> bool:
    """Whether the service only asked to wait, which costs no attempt."""
    return attempt.failure is not None and attempt.failure.kind == THROTTLED


def outcomes_of(attempts: Iterable[engine.Attempt], call: Call, tasks: Mapping[int, Task]) -> list[Outcome]:
    """One outcome for each item, of its last attempt. `tasks` holds those that a fallback may be wanted for."""
    times: dict[int, list[float]] = {}
    last: dict[int, engine.Attempt] = {}
    for attempt in attempts:
        last[attempt.position] = attempt
        made = times.setdefault(attempt.position, [])
        if not throttled(attempt):
            made.append(attempt.seconds)
    return [_outcome(attempt, times[position], call, tasks.get(position)) for position, attempt in last.items()]


def _outcome(attempt: engine.Attempt, times: list[float], call: Call, task: Task | None) -> Outcome:
    if attempt.failure is not None:
        return _failed(attempt, attempt.failure, times, call, task)
    text, keys = attempt.value
    done = int(ItemState.SUCCEEDED)
    return Outcome(
        attempt.position, done, done, attempt.number, len(times), attempt.seconds, _ended(attempt), result=text,
        times=times, keys=keys or ("",),
    )  # fmt: skip


def _failed(
    attempt: engine.Attempt, failure: engine.Failure, times: list[float], call: Call, task: Task | None
) -> Outcome:
    outcome = Outcome(
        attempt.position, int(ItemState.PENDING), CELL_RETRYING, attempt.number - throttled(attempt), len(times),
        attempt.seconds, None, error_kind=harmless(failure.kind)[:100], error=harmless(call.redact(failure.message)),
        times=times,
    )  # fmt: skip
    if attempt.retry_at is not None:
        outcome.due = moment(attempt.retry_at)
        # The engine keeps shorter waits to itself. In doubt it does: what it may still start must stay claimed.
        outcome.held = (outcome.due - datetime.now(UTC)).total_seconds() <= HOLD
        return outcome
    outcome.state, outcome.cell, outcome.finished = int(ItemState.FAILED), int(ItemState.FAILED), _ended(attempt)
    stored = call.fallback(task, failure) if task else None
    if stored is not None:
        outcome.fallback, outcome.keys, outcome.cell = stored[0], stored[1] or ("",), CELL_FALLBACK
    return outcome


def refused(outcome: Outcome) -> Outcome:
    """In place of an outcome that the database does not take: a failure that it does."""
    failed = int(ItemState.FAILED)
    return replace(
        outcome, state=failed, cell=failed, due=None, finished=outcome.finished or datetime.now(UTC), result="",
        fallback="", keys=(), held=False, error_kind="not storable", error=UNSTORABLE,
    )  # fmt: skip


def parts(found: list[Outcome], error: Exception) -> list[list[Outcome]]:
    """Two halves of what the database refused; for one alone a failure, and the error if it does not take that."""
    if len(found) > 1:
        return [found[: len(found) // 2], found[len(found) // 2 :]]
    if not found or found[0].error == UNSTORABLE:
        raise error
    return [[refused(found[0])]]


def _ended(attempt: engine.Attempt) -> datetime:
    return moment(attempt.started + attempt.seconds)


def moment(epoch: float) -> datetime:
    """Seconds since the epoch as a date, within what a database has dates for."""
    return datetime.fromtimestamp(min(max(epoch, 0.0), LAST_MOMENT), UTC)


def attempt_rows(attempts: Iterable[engine.Attempt], call: Call) -> list[AttemptRow]:
    """The attempts that are stored: all but those whose item says it all, and those that cost nothing."""
    return [
        _row(attempt, call)
        for attempt in attempts
        if (attempt.number > 1 or attempt.log if attempt.failure is None else not throttled(attempt))
    ]


def _row(attempt: engine.Attempt, call: Call) -> AttemptRow:
    failure = attempt.failure or engine.Failure("", "", "")
    message, trace, log = (harmless(call.redact(text)) for text in (failure.message, failure.trace, attempt.log))
    return AttemptRow(
        attempt.position, attempt.number, moment(attempt.started), attempt.seconds, harmless(failure.kind)[:100],
        message, trace, log, None if attempt.retry_at is None else moment(attempt.retry_at),
    )  # fmt: skip


def group_by_cause(failed: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Signature of the cause → the failures that share it."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in failed:
        groups.setdefault(signature(outcome.error_kind, outcome.error), []).append(outcome)
    return groups


def cause_row(mark: str, group: Sequence[Outcome]) -> tuple[str, str, str, str, int, int, int]:
    """(signature, kind, title, sample, count, first, last) of failures that share a cause."""
    first, positions = group[0], [outcome.position for outcome in group]
    title = normalised(first.error)
    return mark, first.error_kind, title, first.error, len(group), min(positions), max(positions)


def shown(outcome: Outcome) -> dict[str, Any]:
    """An item as the page lists the newest ones."""
    names = {0: "retrying", 2: "succeeded", 3: "failed", 4: "rejected"}
    return {
        "row": outcome.position + 1,
        "state": names[outcome.state],
        "result": (outcome.result or outcome.fallback)[:SHOWN],
        "error": f"{outcome.error_kind}: {outcome.error}"[:SHOWN] if outcome.error_kind else "",
        "attempts": outcome.tries,
        "seconds": round(outcome.seconds, 4),
    }
