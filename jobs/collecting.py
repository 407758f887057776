"""The rows of a job in their order, read in chunks: each by the last row of the one before, so that nothing is held
open or locked in between, however slowly they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

from jobs.choice import Choice
from jobs.files.writers import Row
from jobs.models import ItemState, Job
from jobs.sql import execute

CHUNK: Final = 2_000  # rows
FIRST: Final = 100  # rows of the first chunk, which shows how large they are
SIZE: Final = 4_000_000  # characters that a chunk should hold at most
EVERY_ROW: Final = Choice()
# In the order of files.Row.
FIELDS: Final = """position + 1 AS number, {word} AS word, payload, COALESCE(NULLIF(result, ''), fallback) AS result,
                   error_kind, error, attempts, seconds, key"""


class Changed(Exception):
    """The file was read anew, or the job deleted, after the first rows were taken: the others are of another job."""


def results(job: Job, choice: Choice = EVERY_ROW) -> Iterator[list[Row]]:
    """The chosen rows in chunks. Raises Changed."""
    states = choice.states(job.ended)
    fields = FIELDS.format(word=_word(job.ended))
    limit = FIRST
    for start, stop in choice.spans or ((0, job.total),):
        while states is not None and start < stop:
            select = _select(fields, states, choice.conditions(), limit)
            rows = cast(list[Row], execute(select, [job.pk, start, stop] * max(1, len(states))))
            if not Job.objects.present().filter(pk=job.pk, readings=job.readings).exists():
                raise Changed("The job was changed or deleted meanwhile.")
            if rows:
                yield rows
            # Rows that are fewer than could have been are the last ones; the number of a row is the next position.
            start = stop if len(rows) < limit else rows[-1][0]
            limit = _following(limit, rows)


def _word(ended: bool) -> str:
    """SQL for the state as people read it."""
    words = {int(state): state.name.lower() for state in ItemState}
    words[ItemState.PENDING] = "not attempted" if ended else "pending"
    cases = " ".join([f"WHEN {state} THEN '{word}'" for state, word in words.items()])
    return f"CASE state {cases} END"


def _following(limit: int, rows: Sequence[Row]) -> int:
    """How many rows to ask for next, after these."""
    size = sum([len(row[2]) + len(row[3]) + len(row[5]) for row in rows])
    return max(1, min(CHUNK, 4 * limit, SIZE * len(rows) // max(size, 1))) if rows else limit


def _select(fields: str, states: Sequence[int], conditions: str, limit: int) -> str:
    """The next rows. Those of several states are put together of what an index gives in order for each of them."""
    selects = [
        f"""SELECT * FROM (SELECT {fields} FROM jobs_item
             WHERE job_id = %s AND position >= %s AND position < %s{state}{conditions}
             ORDER BY position LIMIT {limit}) AS found"""
        for state in ([f" AND state = {state}" for state in states] or [""])
    ]
    return f"{' UNION ALL '.join(selects)} ORDER BY 1 LIMIT {limit}"
