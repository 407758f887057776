"""The rows of a job in their order, read in chunks: each by the last row of the one before, so that nothing is held
open or locked in between, however slowly they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

from django.db import connection

from jobs.files.writers import Row
from jobs.items.choice import Choice
from jobs.models import ItemState, Job
from jobs.store.dialect import execute, postgres

CHUNK: Final = 2_000  # rows
FIRST: Final = 100  # rows of the first chunk, so that it is there at once
CELLS: Final = 200_000  # of a chunk: what is made of them at once keeps pages waiting, and is in memory several times
SIZE: Final = 4_000_000  # characters (bytes, where PostgreSQL counts) that a chunk should hold at most
EVERY_ROW: Final = Choice()
# In the order of Row.
NAMES: Final = "number, word, payload, result, error_kind, error, attempts, seconds, key"
FIELDS: Final = """position + 1 AS number, {word} AS word, payload, COALESCE(NULLIF(result, ''), fallback) AS result,
                   error_kind, error, attempts, seconds, key"""
# With how much comes before each row.
# OCTET_LENGTH need not unpack what is stored apart.
MEASURED: Final = f"""SELECT {NAMES}, SUM(OCTET_LENGTH(payload) + OCTET_LENGTH(result) + OCTET_LENGTH(error))
                      OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                      FROM ({{}}) AS found"""
ENOUGH: Final = "WHERE before IS NULL OR before < {} ORDER BY number"


class Changed(Exception):
    """The file was read anew, or the job deleted, after the first rows were taken: the others are of another job."""

    expected = True  # nobody's defect


def results(job: Job, choice: Choice = EVERY_ROW) -> Iterator[list[Row]]:
    """The chosen rows in chunks. Raises Changed."""
    states = choice.states(job.ended)
    fields = FIELDS.format(word=_word(job.ended))
    limit = min(FIRST, most_rows(job))
    for start, stop in choice.spans or ((0, job.total),):
        while states is not None and start < stop:
            select = _select(fields, states, choice.conditions(), limit)
            rows = _read(select, [job.pk, start, stop] * max(1, len(states)))
            if not Job.objects.present().filter(pk=job.pk, readings=job.readings).exists():
                raise Changed("The job was changed or deleted meanwhile.")
            if rows:
                yield rows
            # The number of a row is the position of the next one.
            start = rows[-1][0] if rows else stop
            limit = most_rows(job)


def most_rows(job: Job) -> int:
    """How many rows a chunk has: fewer of a job with many columns, which has a cell for each of them in each row."""
    return max(1, min(CHUNK, CELLS // (1 + len(job.columns) + len(job.keys))))


def _word(ended: bool) -> str:
    """SQL for the state as people read it."""
    words = {int(state): state.name.lower() for state in ItemState}
    words[ItemState.PENDING] = "not attempted" if ended else "pending"
    cases = " ".join([f"WHEN {state} THEN '{word}'" for state, word in words.items()])
    return f"CASE state {cases} END"


def _read(select: str, parameters: Sequence[int]) -> list[Row]:
    """What comes of it first, as much as is not too large together, but always a row.

    SQLite finds rows as they are fetched, and to measure them itself would take it twice the time.
    """
    if postgres():
        enough = f"SELECT {NAMES} FROM ({MEASURED.format(select)}) AS measured {ENOUGH.format(SIZE)}"
        return cast(list[Row], execute(enough, parameters))
    rows: list[Row] = []
    left = SIZE
    with connection.cursor() as cursor:
        cursor.execute(select, parameters)
        for row in cursor:
            rows.append(row)
            left -= len(row[2]) + len(row[3]) + len(row[5])
            if left <= 0:
                break
    return rows


def _select(fields: str, states: Sequence[int], conditions: str, limit: int) -> str:
    """The next rows. Those of several states are put together of what an index gives in order for each of them."""
    selects = [
        f"""SELECT {fields} FROM jobs_item
             WHERE job_id = %s AND position >= %s AND position < %s{state}{conditions}
             ORDER BY position LIMIT {limit}"""
        for state in ([f" AND state = {state}" for state in states] or [""])
    ]
    if len(selects) == 1:
        return selects[0]
    parts = " UNION ALL ".join([f"SELECT * FROM ({select}) AS found" for select in selects])
    return f"{parts} ORDER BY number LIMIT {limit}"
