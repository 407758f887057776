"""Items that have ended become pending again, and others wait meanwhile: the statements of retries and corrections.

Every function runs in its caller's transaction and requires the job's shards locked, so that nothing fails or finishes
meanwhile that its cells would not know of.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils import timezone

from jobs.models.shard import HELD_BACK
from jobs.models.states import ItemState
from jobs.store import items, shards
from jobs.store.dialect import adapter, among, execute, octets, write_many

FAILED: Final = int(ItemState.FAILED)
REJECTED: Final = int(ItemState.REJECTED)
TOGETHER: Final = 1_000  # corrections that are written at once,
SIZE: Final = 4_000_000  # and characters of these, but for one that is larger


@dataclass(frozen=True, slots=True)
class Failures:
    """Which failures of a job a person means: those of a cause, those at some positions, or all."""

    cause: int | None = None
    positions: Sequence[int] | None = None

    @property
    def all(self) -> bool:
        return self.cause is None and self.positions is None

    def where(self) -> tuple[str, list[Any]]:
        """The condition on failed items, and its parameters."""
        parts: list[str] = [f"state = {FAILED}"]
        parameters: list[Any] = []
        if self.cause is not None:
            parts.append("cause_id = %s")
            parameters.append(self.cause)
        if self.positions is not None:
            condition, parameter = among("position", self.positions)
            parts.append(condition)
            parameters.append(parameter)
        return " AND ".join(parts), parameters


@dataclass(frozen=True, slots=True)
class CorrectedItem:
    """What an item's payload is to become, with the label and the key that follow from it."""

    position: int
    payload: str
    label: str
    key: str


def retry(job: int, failures: Failures) -> list[int]:
    """Makes the failed items meant pending again, cells and counts included; returns their positions."""
    condition, parameters = failures.where()
    return _take(job, f"{condition} AND accepted IS NULL" if failures.all else condition, parameters)


def waiting(job: int, positions: Sequence[int]) -> list[int]:
    """Those of the positions at which an item was never attempted, or is to be tried again."""
    condition, parameter = among("position", positions)
    return [
        row[0]
        for row in execute(
            f"SELECT position FROM jobs_item WHERE job_id = %s AND state = 0 AND {condition} ORDER BY position",
            [job, parameter],
        )
    ]


def _take(job: int, condition: str, parameters: Sequence[Any]) -> list[int]:
    ((fallbacks,),) = execute(
        f"""SELECT COALESCE(SUM({octets("fallback")}), 0) FROM jobs_item
             WHERE job_id = %s AND fallback <> '' AND {condition}""",
        [job, *parameters],
    )
    items.add_stored(job, -fallbacks)
    rows = execute(
        f"""UPDATE jobs_item SET state = 0, tries = 0, strikes = 0, due = NULL, cause_id = NULL, finished = NULL,
                   fallback = '', error_kind = '', error = '', accepted = NULL
             WHERE job_id = %s AND {condition} RETURNING position""",
        [job, *parameters],
    )
    taken = sorted(row[0] for row in rows)
    if taken:
        count_causes(job)
        _clear_cells(job, taken)
    return taken


def _clear_cells(job: int, taken: Sequence[int]) -> None:
    """The cells of these items, ascending, and the counts that follow from them."""
    for shard, start, _, here in _shards_of(job, taken):
        ((stored,),) = execute("SELECT cells FROM jobs_shard WHERE id = %s", [shard])
        cells = bytearray(stored)
        for position in here:
            cells[position - start] = ItemState.PENDING
        shards.save_shard(shard, cells, due=None)


def count_causes(job: int) -> None:
    """Counts anew what the job's causes have; what is left of them is found by their index."""
    execute(
        """UPDATE jobs_cause SET
             count = (SELECT COUNT(*) FROM jobs_item i
                       WHERE i.job_id = jobs_cause.job_id AND i.cause_id = jobs_cause.id),
             accepted = (SELECT COUNT(i.accepted) FROM jobs_item i
                          WHERE i.job_id = jobs_cause.job_id AND i.cause_id = jobs_cause.id)
           WHERE job_id = %s AND count > 0""",
        [job],
    )


# Known failures


def accept(job: int, failures: Failures, accepted: bool) -> int:
    """Notes that somebody knows of these failures and lets them be, or takes that back; returns of how many."""
    condition, parameters = failures.where()
    rows = execute(
        f"""UPDATE jobs_item SET accepted = %s
             WHERE job_id = %s AND accepted IS {"" if accepted else "NOT"} NULL AND {condition}
         RETURNING position""",
        [adapter()(timezone.now() if accepted else None), job, *parameters],
    )
    if rows:
        count_causes(job)
    return len(rows)


# Corrections


def correct(job: int, run: int, fixed: Iterable[CorrectedItem], *, waiting: bool) -> list[int]:
    """Puts new payloads in the places of old ones, which are kept, and makes these items pending again.

    Only failed and rejected ones, and with `waiting` those never attempted; returns their positions, ascending.
    """
    states = f"({FAILED}, {REJECTED}{', 0' if waiting else ''})"
    return sorted(at for part in _parts(fixed) for at in _correct(job, run, part, states))


def _parts(fixed: Iterable[CorrectedItem]) -> Iterator[list[CorrectedItem]]:
    """So many at a time that neither their number nor their size is large."""
    part: list[CorrectedItem] = []
    size = 0
    for one in fixed:
        if part and (len(part) == TOGETHER or size + len(one.payload) > SIZE):
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.payload)
    if part:
        yield part


def _correct(job: int, run: int, fixed: Sequence[CorrectedItem], states: str) -> list[int]:
    condition, parameter = among("position", [one.position for one in fixed])
    execute(
        f"""INSERT INTO jobs_correction (job_id, position, run_id, at, payload)
            SELECT job_id, position, %s, %s, payload FROM jobs_item
             WHERE job_id = %s AND state IN {states} AND {condition}""",
        [run, adapter()(timezone.now()), job, parameter],
    )
    write_many(
        f"""UPDATE jobs_item SET payload = %s, label = %s, key = %s
             WHERE position = %s AND job_id = {job} AND state IN {states}""",
        f"""UPDATE jobs_item SET payload = u.payload, label = u.label, key = u.key
              FROM {{rows}} AS u(payload, label, key, position)
             WHERE jobs_item.job_id = {job} AND jobs_item.position = u.position AND state IN {states}""",
        ("text", "text", "text", "int"),
        [(one.payload, one.label, one.key, one.position) for one in fixed],
    )
    # What was there before is counted still, as the input from before the correction.
    ((new,),) = execute(
        f"""SELECT COALESCE(SUM({octets("payload")}), 0) FROM jobs_item
             WHERE job_id = %s AND state IN {states} AND {condition}""",
        [job, parameter],
    )
    items.add_stored(job, new)
    return _take(job, f"state IN {states} AND {condition}", [parameter])


# Some items before the others


def hold_back(job: int, positions: Sequence[int]) -> None:
    """Leaves only these pending items to be worked on. Wants nobody to hold any shard."""
    never, wanted = adapter()(HELD_BACK), sorted(positions)
    execute("UPDATE jobs_shard SET due = %s WHERE job_id = %s", [never, job])
    for shard, start, stop, here in _shards_of(job, wanted):
        condition, parameter = among("position", here)
        execute(
            f"""UPDATE jobs_item SET due = %s WHERE job_id = %s AND state = 0 AND position >= %s AND position < %s
                   AND NOT ({condition})""",
            [never, job, start, stop, parameter],
        )
        execute("UPDATE jobs_shard SET due = NULL WHERE id = %s", [shard])


def let_go(job: int, positions: Sequence[int]) -> None:
    """The others may be worked on, too, after `hold_back` of all but these."""
    for _, start, stop, _ in _shards_of(job, sorted(positions)):
        execute(
            """UPDATE jobs_item SET due = NULL
                WHERE job_id = %s AND state = 0 AND position >= %s AND position < %s AND due = %s""",
            [job, start, stop, adapter()(HELD_BACK)],
        )
    execute("UPDATE jobs_shard SET due = NULL WHERE job_id = %s AND due = %s", [job, adapter()(HELD_BACK)])


def _shards_of(job: int, positions: Sequence[int]) -> list[tuple[int, int, int, Sequence[int]]]:
    """Id, start and stop of the shards that hold some of these positions, which ascend, and which of them."""
    rows = execute("SELECT id, start, stop FROM jobs_shard WHERE job_id = %s ORDER BY id", [job])
    parts = [(*row, positions[bisect_left(positions, row[1]) : bisect_left(positions, row[2])]) for row in rows]
    return [part for part in parts if part[3]]
