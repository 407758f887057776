"""What the engine's attempts mean for items: pure conversion, nothing is stored here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import Final, NotRequired, TypeAlias, TypedDict

from jobs import engine
from jobs.files.flattening import Key
from jobs.models.failure_limit import End
from jobs.models.quota_limits import size_of
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING, ItemState
from jobs.processors import Call, Task
from jobs.processors.storable import harmless
from jobs.store.signatures import top_frame

HOLD: Final = 5.0  # seconds; a longer wait is stored as due and holds no worker
THROTTLED: Final = "throttled"
SHOWN: Final = 300  # characters of a value shown with a batch
LAST_MOMENT: Final = 4_102_444_800.0  # the year 2100; dates far beyond break the databases' calendars
UNSTORABLE: Final = "The database refused what came of this item."
NEWEST: Final = 25  # rows shown with a batch
TaskOf: TypeAlias = Callable[[int], Task | None]
BARE: Final = ("",)  # the keys of a result that is no object


@dataclass(slots=True)
class Outcome:
    """What is to be stored for one item: a final state, or PENDING with the time of its next attempt.

    `made` counts the attempts since the item was stored last, `times` are their durations. `held` says that whoever
    tried it will try it again soon, `keys` what keys the result has, `frame` where a failure happened.
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
    keys: tuple[Key, ...] = ()
    frame: str = ""

    @property
    def final(self) -> bool:
        return self.state != ItemState.PENDING


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


@dataclass(slots=True)
class Outcomes:
    """What came back since something was stored last.

    `plain` are first attempts that succeeded and logged nothing, in the order of their positions. They are stored as
    they came from the engine: for a million items each thing made of them counts. `others` is one outcome for each
    other item, and always for the newest ones, which the page lists.
    """

    plain: Sequence[engine.Attempt]
    others: list[Outcome]
    rows: list[AttemptRow]

    def __len__(self) -> int:
        """How many items it is about."""
        return len(self.plain) + len(self.others)

    @property
    def final(self) -> list[int]:
        """The positions of items that are done."""
        return [*map(_position, self.plain), *(outcome.position for outcome in self.others if outcome.final)]

    @property
    def times(self) -> list[float]:
        """How long each attempt took."""
        return [*(attempt.seconds for attempt in self.plain), *chain.from_iterable(o.times for o in self.others)]

    @property
    def keys(self) -> dict[Key, None]:
        """The keys that the results have, in the order in which they were seen."""
        plain = dict.fromkeys(attempt.value[1] or BARE for attempt in self.plain)
        return dict.fromkeys(chain.from_iterable((*plain, *(outcome.keys for outcome in self.others))))

    def ends(self, since: float) -> list[End]:
        """How items ended that were begun after `since`, for the failure limit."""
        plain = [End(a.started + a.seconds) for a in self.plain if a.started >= since]
        return plain + [end(o) for o in self.others if o.finished and o.finished.timestamp() - o.seconds >= since]

    def size(self) -> int:
        """How many bytes of results, fallbacks and attempts it stores."""
        plain = size_of(attempt.value[0] for attempt in self.plain)
        others = size_of(chain.from_iterable((o.result, o.fallback) for o in self.others))
        return plain + others + size_of_attempts(self.rows)

    def within(self, start: int, stop: int) -> Outcomes:
        """The part of it between two positions, the second excluded."""
        first, last = (bisect_left(self.plain, at, key=_position) for at in (start, stop))
        return Outcomes(
            self.plain[first:last],
            [outcome for outcome in self.others if start <= outcome.position < stop],
            [row for row in self.rows if start <= row.position < stop],
        )

    def parts(self, error: Exception) -> list[Outcomes]:
        """Two halves of what the database refused; for one alone a failure, and the error if it does not take that."""
        every = [*(_succeeded(attempt, (attempt.seconds,)) for attempt in self.plain), *self.others]
        if len(every) == 1 and every[0].error != UNSTORABLE:
            return [Outcomes((), [refused(every[0])], [])]
        if len(every) < 2:
            raise error
        half = len(every) // 2
        return [self._of(every[:half]), self._of(every[half:])]

    def _of(self, others: list[Outcome]) -> Outcomes:
        positions = {outcome.position for outcome in others}
        return Outcomes((), others, [row for row in self.rows if row.position in positions])


_position = attrgetter("position")


def size_of_attempts(rows: Iterable[AttemptRow]) -> int:
    """How many bytes the texts of these attempts take."""
    return size_of(chain.from_iterable((row.message, row.trace, row.log) for row in rows))


def end(outcome: Outcome) -> End:
    """How and when an item ended, for the failure limit; its cause is known."""
    at = outcome.finished.timestamp() if outcome.finished else 0.0
    return End(at, outcome.error_kind, outcome.cause or 0) if outcome.state == ItemState.FAILED else End(at)


def found_in(attempts: Sequence[engine.Attempt], call: Call, task_of: TaskOf) -> Outcomes:
    """The attempts sorted. `task_of` gives the task at a position, where a fallback may be wanted for it."""
    plain: list[engine.Attempt] = []
    rest: list[engine.Attempt] = []
    for attempt in attempts[:-NEWEST]:
        simple = attempt.failure is None and attempt.number == 1 and not attempt.log
        (plain if simple else rest).append(attempt)
    plain.sort(key=_position)
    if rest:
        # An item whose service asked it to wait, which is no attempt, may have succeeded at once after that.
        done = {attempt.position for attempt in plain}
        rest = [attempt for attempt in rest if attempt.position not in done]
    rest += attempts[-NEWEST:]
    return Outcomes(plain, outcomes_of(rest, call, task_of), attempt_rows(rest))


def throttled(attempt: engine.Attempt) -> bool:
    """Whether the service only asked to wait, which costs no attempt."""
    return attempt.failure is not None and attempt.failure.kind == THROTTLED


def outcomes_of(attempts: Iterable[engine.Attempt], call: Call, task_of: TaskOf) -> list[Outcome]:
    """One outcome for each item, of its last attempt; see `found_in`."""
    times: dict[int, list[float]] = {}
    last: dict[int, engine.Attempt] = {}
    for attempt in attempts:
        last[attempt.position] = attempt
        made = times.setdefault(attempt.position, [])
        if not throttled(attempt):
            made.append(attempt.seconds)
    return [_outcome(attempt, times[position], call, task_of) for position, attempt in last.items()]


def _outcome(attempt: engine.Attempt, times: list[float], call: Call, task_of: TaskOf) -> Outcome:
    if attempt.failure is not None:
        return _failed(attempt, attempt.failure, times, call, task_of)
    return _succeeded(attempt, times)


def _succeeded(attempt: engine.Attempt, times: Sequence[float]) -> Outcome:
    text, keys = attempt.value
    done = int(ItemState.SUCCEEDED)
    return Outcome(
        attempt.position, done, done, attempt.number, len(times), attempt.seconds, _ended(attempt), result=text,
        times=times, keys=keys or BARE,
    )  # fmt: skip


def _failed(
    attempt: engine.Attempt, failure: engine.Failure, times: list[float], call: Call, task_of: TaskOf
) -> Outcome:
    outcome = Outcome(
        attempt.position, int(ItemState.PENDING), CELL_RETRYING, attempt.number - throttled(attempt), len(times),
        attempt.seconds, None, error_kind=harmless(failure.kind)[:100], error=harmless(failure.message),
        times=times,
    )  # fmt: skip
    if attempt.retry_at is not None:
        outcome.due = moment(attempt.retry_at)
        # The engine keeps shorter waits to itself. In doubt it does: what it may still start must stay claimed.
        outcome.held = (outcome.due - datetime.now(UTC)).total_seconds() <= HOLD
        return outcome
    outcome.state, outcome.cell, outcome.finished = int(ItemState.FAILED), int(ItemState.FAILED), _ended(attempt)
    outcome.frame = harmless(top_frame(failure.trace, failure.message))
    task = task_of(attempt.position)
    stored = call.fallback(task, failure) if task else None
    if stored is not None:
        outcome.fallback, outcome.keys, outcome.cell = stored[0], stored[1] or BARE, CELL_FALLBACK
    return outcome


def refused(outcome: Outcome) -> Outcome:
    """In place of an outcome that the database does not take: a failure that it does."""
    failed = int(ItemState.FAILED)
    return replace(
        outcome, state=failed, cell=failed, due=None, finished=outcome.finished or datetime.now(UTC), result="",
        fallback="", keys=(), held=False, error_kind="not storable", error=UNSTORABLE, frame="",
    )  # fmt: skip


def _ended(attempt: engine.Attempt) -> datetime:
    return moment(attempt.started + attempt.seconds)


def moment(epoch: float) -> datetime:
    """Seconds since the epoch as a date, within what a database has dates for."""
    return datetime.fromtimestamp(min(max(epoch, 0.0), LAST_MOMENT), UTC)


def attempt_rows(attempts: Iterable[engine.Attempt]) -> list[AttemptRow]:
    """The attempts that are stored: all but those whose item says it all, and those that cost nothing."""
    return [
        _row(attempt)
        for attempt in attempts
        if (attempt.number > 1 or attempt.log if attempt.failure is None else not throttled(attempt))
    ]


def _row(attempt: engine.Attempt) -> AttemptRow:
    failure = attempt.failure or engine.Failure("", "", "")
    message, trace, log = (harmless(text) for text in (failure.message, failure.trace, attempt.log))
    return AttemptRow(
        attempt.position, attempt.number, moment(attempt.started), attempt.seconds, harmless(failure.kind)[:100],
        message, trace, log, None if attempt.retry_at is None else moment(attempt.retry_at),
    )  # fmt: skip


class RecentRow(TypedDict):
    """One of the newest attempts; `at` is in seconds of the epoch, `label` is added when somebody is to see it."""

    row: int
    state: str
    result: str
    error: str
    attempts: int
    seconds: float
    at: float | None
    label: NotRequired[str]


def shown(outcome: Outcome) -> RecentRow:
    """An item as the page lists the newest ones."""
    names = {0: "retrying", 2: "succeeded", 3: "failed", 4: "rejected"}
    return {
        "row": outcome.position + 1,
        "state": names[outcome.state],
        "result": (outcome.result or outcome.fallback)[:SHOWN],
        "error": f"{outcome.error_kind}: {outcome.error}"[:SHOWN] if outcome.error_kind else "",
        "attempts": outcome.tries,
        "seconds": round(outcome.seconds, 4),
        "at": round(outcome.finished.timestamp(), 1) if outcome.finished else None,
    }
