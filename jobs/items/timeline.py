"""What happened to an item, from its first attempt on: a list of plain entries in the order of their time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from django.db.models.functions import Length

from jobs.items import payloads
from jobs.models import Attempt, Correction, Item, ItemState, Job, Run

ENDED: Final = (ItemState.SUCCEEDED, ItemState.FAILED)
OPEN: Final = ("running", "retrying", "waiting")
ROOM: Final = 8_000_000  # characters of earlier inputs that a page compares, the newest first
SHOWN: Final = 20_000  # of each value
TOO_LONG: Final = "What it was before is too long to be shown here."


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt; they are numbered over all runs. `state` is what came of it, or what it does now.

    `at` is None for one that has not begun. `run` is empty where the job has had one run only, `kind` for a success.
    """

    number: int
    state: str
    at: datetime | None = None
    seconds: float | None = None
    run: str = ""
    worker: str = ""
    kind: str = ""
    message: str = ""
    trace: str = ""
    log: str = ""
    until: datetime | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Fix:
    """The input was changed. `before` are the columns that differ with what they held, or the whole under ""."""

    at: datetime
    by: str
    file: str
    before: Sequence[tuple[str, str]]
    run: str = ""
    fixed: bool = True


Entry: TypeAlias = Try | Fix


def timeline(item: Item, job: Job, state: str) -> list[Entry]:
    """All that is known of an item. `state` is the one that pages show, by the words of `jobs.items.row`."""
    attempts = list(Attempt.objects.filter(job=job, position=item.position).select_related("worker").order_by("pk"))
    fixes = Correction.objects.filter(job=job, position=item.position).order_by("pk")
    corrections = list(fixes.defer("payload").annotate(size=Length("payload")))
    touched = [job.run_id, item.run_id, *(a.run_id for a in attempts), *(c.run_id for c in corrections)]
    found = job.runs.filter(pk__in=[key for key in touched if key]).select_related("by", "upload")
    runs = {run.pk: run for run in found}
    names = _names(job, runs)
    tries = list(_stored(attempts, names))
    tries += _untold(item, attempts, max((0, *(one.number for one in tries))) + 1, names)
    number = max((item.attempts, *(one.number for one in tries)))
    waits = state in OPEN and (number or state == "running")
    now = [Try(number + 1, state, run=names.get(job.run_id, ""), until=item.due)] if waits else []
    return [*_woven(tries, _corrections(item, job, corrections, runs)), *now]


def _names(job: Job, runs: Mapping[int, Run]) -> dict[int | None, str]:
    """What runs are called where there are several."""
    if not job.run or job.run.number < 2:
        return {}
    return {key: f"{run}, by {run.by}" if run.by else str(run) for key, run in runs.items()}


def _stored(attempts: Iterable[Attempt], names: Mapping[int | None, str]) -> Iterator[Try]:
    """Attempts that have rows. Each run counts its own; here they go on from those of the runs before."""
    before = highest = 0
    last: Attempt | None = None
    for attempt in attempts:
        # A run that was ordered meanwhile goes on with what waits for its next attempt, and with its number.
        if last and (last.retry_at is None or attempt.number <= last.number):
            before = highest
        highest, last = before + attempt.number, attempt
        yield Try(
            highest, _state(attempt), attempt.started, attempt.seconds, names.get(attempt.run_id, ""),
            str(attempt.worker or ""), attempt.kind, attempt.message, attempt.trace, attempt.log, attempt.retry_at,
        )  # fmt: skip


def _state(attempt: Attempt) -> str:
    if not attempt.kind:
        return "succeeded"
    return "retrying" if attempt.retry_at else "failed"


def _untold(item: Item, attempts: Sequence[Attempt], least: int, names: Mapping[int | None, str]) -> list[Try]:
    """The last attempt where it has no row, since the item says all there is to know of it."""
    last = attempts[-1] if attempts else None
    told = last and (last.retry_at, last.kind, last.run_id) == (None, item.error_kind, item.run_id)
    if item.state not in ENDED or told or not item.attempts:
        return []
    seconds = item.seconds or 0.0
    return [
        Try(
            max(item.attempts, least), ItemState(item.state).name.lower(),
            item.finished and item.finished - timedelta(seconds=seconds), item.seconds, names.get(item.run_id, ""),
            str(item.worker or ""), item.error_kind, item.error,
        )
    ]  # fmt: skip


def _corrections(item: Item, job: Job, corrections: Sequence[Correction], runs: Mapping[int, Run]) -> Iterator[Fix]:
    for correction, before in zip(corrections, _before(item, job, corrections), strict=True):
        run = runs.get(correction.run_id or 0)
        by = str(run.by) if run and run.by else ""
        file = run.upload.name if run and run.upload else ""
        yield Fix(correction.at, by, file, before, str(run or ""))


def _before(item: Item, job: Job, corrections: Sequence[Correction]) -> list[list[tuple[str, str]]]:
    """What each correction changed; no more is read than there is room for."""
    payloads: list[str | None] = [*_payloads(corrections), None if item.cut else item.payload]
    return [
        [("", TOO_LONG)] if old is None or new is None else _cut(differing(old, new, job))
        for old, new in pairwise(payloads)
    ]


def _payloads(corrections: Sequence[Correction]) -> list[str | None]:
    """What was there before each of them; None where those after it leave no room."""
    sums = accumulate(correction.size for correction in reversed(corrections))  # type: ignore[attr-defined]
    near = [correction.pk for correction, size in zip(reversed(corrections), sums, strict=True) if size <= ROOM]
    found = dict(Correction.objects.filter(pk__in=near).values_list("pk", "payload")) if near else {}
    return [found.get(correction.pk) for correction in corrections]


def _cut(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(column, text if len(text) <= SHOWN else f"{text[:SHOWN]}…") for column, text in pairs]


def differing(old: str, new: str, job: Job) -> list[tuple[str, str]]:
    """The columns in which two payloads differ, with what the old one held; all of it where no column says so."""
    try:
        pairs = zip(*(payloads.cells(payload, job.file_shape, job.columns) for payload in (old, new)), strict=True)
        found = [(column, was) for column, (was, now) in zip(job.columns, pairs, strict=False) if was != now]
    except (ValueError, TypeError):
        found = []
    return found or [("", old)]


def _woven(tries: Iterable[Try], fixes: Iterable[Fix]) -> Iterator[Entry]:
    """Both in the order of time; attempts stay in theirs, whatever the clocks of the workers say."""
    left = list(fixes)
    for one in tries:
        while left and one.at and left[0].at <= one.at:
            yield left.pop(0)
        yield one
    yield from left
