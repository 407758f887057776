"""The rows of a job in their order, read in chunks: each by the last row of the one before, so that nothing is held
open or locked in between, however slowly they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from jobs.choice import Choice
from jobs.files import Result
from jobs.models import ItemState, Job
from jobs.sql import execute

CHUNK: Final = 2_000  # rows
FIRST: Final = 100  # rows of the first chunk, which shows how large they are
SIZE: Final = 4_000_000  # characters that a chunk should hold at most
EVERY_ROW: Final = Choice()
FIELDS: Final = "position, state, payload, result, fallback, error_kind, error, attempts, seconds, key"


class Changed(Exception):
    """The file was read anew, or the job deleted, after the first rows were taken: the others are of another job."""


def results(job: Job, choice: Choice = EVERY_ROW) -> Iterator[list[Result]]:
    """The chosen rows in chunks. Raises Changed."""
    words = {int(state): state.name.lower() for state in ItemState}
    words[ItemState.PENDING] = "not attempted" if job.ended else "pending"
    for rows in _chunks(job, choice):
        if not Job.objects.present().filter(pk=job.pk, readings=job.readings).exists():
            raise Changed("The job was changed or deleted meanwhile.")
        yield [
            Result(position + 1, words[state], payload, result or fallback, kind, error, attempts, seconds, key)
            for position, state, payload, result, fallback, kind, error, attempts, seconds, key in rows
        ]


def _chunks(job: Job, choice: Choice) -> Iterator[list[tuple[Any, ...]]]:
    states = choice.states(job.ended)
    limit = FIRST
    for start, stop in choice.spans or ((0, job.total),):
        while states is not None and start < stop:
            rows = execute(_select(states, choice.conditions(), limit), [job.pk, start, stop] * max(1, len(states)))
            if rows:
                yield rows
            # Rows that are fewer than could have been are the last ones.
            start = stop if len(rows) < limit else rows[-1][0] + 1
            limit = _following(limit, rows)


def _following(limit: int, rows: Sequence[tuple[Any, ...]]) -> int:
    """How many rows to ask for next, after these."""
    size = sum([len(row[2]) + len(row[3]) + len(row[4]) for row in rows])
    return max(1, min(CHUNK, 4 * limit, SIZE * len(rows) // max(size, 1))) if rows else limit


def _select(states: Sequence[int], conditions: str, limit: int) -> str:
    """The next rows. Those of several states are put together of what an index gives in order for each of them."""
    selects = [
        f"""SELECT * FROM (SELECT {FIELDS} FROM jobs_item
             WHERE job_id = %s AND position >= %s AND position < %s{state}{conditions}
             ORDER BY position LIMIT {limit}) AS some"""
        for state in ([f" AND state = {state}" for state in states] or [""])
    ]
    return f"{' UNION ALL '.join(selects)} ORDER BY 1 LIMIT {limit}"
