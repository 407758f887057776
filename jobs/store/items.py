"""The rows of items: what may be started next, and what became of them, which is nearly all that a job writes.

Every function runs in its caller's transaction; see `jobs.store.leases` for the order of the locks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from sys import getsizeof
from typing import Final, TypeAlias

from django.db import connection
from django.utils import timezone

from jobs.engine import Attempt
from jobs.files import flattening
from jobs.files.flattening import Key
from jobs.store import dialect
from jobs.store.dialect import (
    adapter,
    execute,
    for_update,
    later,
    octets,
    postgres,
    stamps,
    write_columns,
    write_many,
)
from jobs.store.leases import Lease, LostLease
from jobs.store.outcomes import AttemptRow, Outcome, RecentRow

REMOVED: Final = 10_000  # rows at once, so that nobody waits long
ALONE_FROM: Final = 2  # strikes; an item with so many runs alone
FATAL_STRIKES: Final = 3
Claim: TypeAlias = tuple[int, str, str, int, int]  # position, payload, key, tries in this run, tries in earlier ones


def _by(run: int | None, worker: int) -> str:
    return f"strikes = 0, run_id = {run or 'NULL'}, worker_id = {worker or 'NULL'}"


def _pending(job: int, positions: Sequence[int]) -> str:
    """Which rows PostgreSQL is to update.

    Told how far the positions go, it looks at these rows only. Else it may well read all that is pending in the job,
    for each batch again: 170 µs an item instead of 8 in a job of a million.
    """
    return f"""jobs_item.job_id = {job} AND jobs_item.position = u.position AND jobs_item.state = 0
               AND jobs_item.position BETWEEN {min(positions)} AND {max(positions)}"""


def save_plain(job: int, run: int | None, worker: int, plain: Sequence[Attempt]) -> int:
    """Writes first attempts that succeeded, for items that are still pending; returns how many rows that were.

    The same as `save_outcomes`, for what most items are: four values go to the database where that sends twelve.
    """
    same = f"""state = 2, tries = 1, attempts = attempts + 1, due = NULL, fallback = '', error_kind = '', error = '',
               cause_id = NULL, {_by(run, worker)}"""
    if not plain:
        return 0
    positions = [attempt.position for attempt in plain]
    columns = (
        [attempt.value[0] for attempt in plain],
        [attempt.seconds for attempt in plain],
        stamps(attempt.started + attempt.seconds for attempt in plain),
        positions,
    )
    return write_columns(
        f"""UPDATE jobs_item SET result = %s, seconds = %s, finished = %s, {same}
             WHERE position = %s AND job_id = {job} AND state = 0""",
        f"""UPDATE jobs_item SET result = u.result, seconds = u.seconds, finished = u.finished, {same}
              FROM {{rows}} AS u(result, seconds, finished, position) WHERE {_pending(job, positions)}""",
        ("text", "float8", "timestamptz", "int"),
        columns,
    )


def save_outcomes(job: int, run: int | None, worker: int, outcomes: Sequence[Outcome]) -> int:
    """Writes what became of items that are still pending; returns how many rows that were."""
    if not outcomes:
        return 0
    adapted = adapter()
    ahead = dialect.ahead() if any(o.due for o in outcomes) else timedelta(0)
    rows = [
        (o.state, o.tries, o.made, o.seconds, adapted(o.finished), adapted(o.due and o.due + ahead), o.result,
         o.fallback, o.error_kind, o.error, o.cause, o.position)
        for o in outcomes
    ]  # fmt: skip
    return write_many(
        f"""UPDATE jobs_item SET state = %s, tries = %s, attempts = attempts + %s, seconds = %s, finished = %s,
                   due = %s, result = %s, fallback = %s, error_kind = %s, error = %s, cause_id = %s,
                   {_by(run, worker)}
             WHERE position = %s AND job_id = {job} AND state = 0""",
        f"""UPDATE jobs_item SET state = u.state, tries = u.tries, attempts = attempts + u.made, seconds = u.seconds,
                   finished = u.finished, due = u.due, result = u.result, fallback = u.fallback,
                   error_kind = u.error_kind, error = u.error, cause_id = u.cause, {_by(run, worker)}
              FROM {{rows}} AS u(state, tries, made, seconds, finished, due, result, fallback, error_kind, error,
                               cause, position)
             WHERE {_pending(job, [outcome.position for outcome in outcomes])}""",
        ("smallint", "int", "int", "float8", "timestamptz", "timestamptz", "text", "text", "text", "text",
         "bigint", "int"),
        rows,
    )  # fmt: skip


def save_attempts(job: int, run: int | None, worker: int, attempts: Sequence[AttemptRow]) -> None:
    """Adds attempts that say more than their items do."""
    by = f"{job}, {run or 'NULL'}, {worker or 'NULL'}"
    names = "position, number, started, seconds, kind, message, trace, log, retry_at, job_id, run_id, worker_id"
    adapted = adapter()
    rows = [
        (a.position, a.number, adapted(a.started), a.seconds, a.kind, a.message, a.trace, a.log, adapted(a.retry_at))
        for a in attempts
    ]
    write_many(
        f"INSERT INTO jobs_attempt ({names}) VALUES ({', '.join(['%s'] * 9)}, {by})",
        f"INSERT INTO jobs_attempt ({names}) SELECT u.*, {by} FROM {{rows}} AS u",
        ("int", "int", "timestamptz", "float8", "text", "text", "text", "text", "timestamptz"),
        rows,
    )


def read_pending(job: int, lease: Lease, limit: int, size: int, alone: bool = False) -> list[Claim]:
    """The next items of the lease that may be started now: at most `limit`, and the last of them ends `size` bytes.

    Items that held a worker when it died twice are left out, or with `alone` are the only ones read.
    """
    waiting = f"""job_id = %s AND state = 0 AND position >= %s AND position < %s
                  AND (due IS NULL OR due <= {later(0)}) AND strikes {">=" if alone else "<"} {ALONE_FROM}"""
    read = _measured if postgres() else _fetched
    rows, full = read(waiting, [job, lease.cursor, lease.stop], limit, size)
    if rows:
        lease.cursor = rows[-1][0] + 1
    lease.read_all = len(rows) < limit and not full
    return rows


def _measured(waiting: str, parameters: Sequence[int], limit: int, size: int) -> tuple[list[Claim], bool]:
    """The next rows, and whether they have `size` bytes: PostgreSQL knows how long a text is without reading it."""
    rows = execute(
        f"""SELECT position, payload, key, tries, earlier, so_far FROM (
              SELECT position, payload, key, tries, earlier, bytes,
                     SUM(bytes) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) AS so_far FROM (
                SELECT position, payload, key, tries, attempts - tries AS earlier, {octets("payload")} AS bytes
                  FROM jobs_item WHERE {waiting} ORDER BY position LIMIT %s) AS wanted) AS weighed
             WHERE so_far - bytes < %s ORDER BY position""",
        [*parameters, limit, size],
    )
    return [row[:5] for row in rows], bool(rows) and rows[-1][5] >= size


def _fetched(waiting: str, parameters: Sequence[int], limit: int, size: int) -> tuple[list[Claim], bool]:
    """The same for SQLite, which reads a text to measure it, and keeps everybody from writing meanwhile."""
    rows: list[Claim] = []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT position, payload, key, tries, attempts - tries FROM jobs_item
                 WHERE {waiting} ORDER BY position LIMIT %s""",
            [*parameters, limit],
        )
        for row in cursor:
            rows.append(row)
            size -= getsizeof(row[1])
            if size <= 0:
                break
    return rows, size <= 0


def add_stored(job: int, size: int) -> None:
    """Counts bytes that the job's rows take more, or less, than before."""
    if size:
        execute("UPDATE jobs_job SET stored = stored + %s WHERE id = %s", [size, job])


def add_batch(job: int, delta: bytes, rows: Sequence[RecentRow], size: int = 0) -> int:
    """Gives the transaction its number and stores what it changed, by which its rows take `size` bytes more.

    Taken last: it locks the job's row. Raises LostLease where the job was deleted.
    """
    found = execute("UPDATE jobs_job SET seq = seq + 1, stored = stored + %s WHERE id = %s RETURNING seq", [size, job])
    if not found:
        raise LostLease("the job was deleted")
    (seq,) = found[0]
    execute(
        "INSERT INTO jobs_batch (job_id, seq, created, delta, rows) VALUES (%s, %s, %s, %s, %s)",
        [job, seq, adapter()(timezone.now()), delta, json.dumps(rows)],
    )
    return int(seq)


def add_result_keys(job: int, keys: Iterable[Key]) -> None:
    """Adds keys to those that the job's results have, under the lock of the job's row."""
    (stored,) = execute(f"SELECT result_keys FROM jobs_job WHERE id = %s {for_update()}", [job])[0]
    known = flattening.known(stored if isinstance(stored, list) else json.loads(stored))
    execute("UPDATE jobs_job SET result_keys = %s WHERE id = %s", [json.dumps(flattening.joined(known, keys)), job])


def remove_rows(job: int, start: int) -> bool:
    """Removes a few thousand of the rows that an earlier reading left from `start` on; whether there were any."""
    last = execute("SELECT MAX(position) FROM jobs_item WHERE job_id = %s AND position >= %s", [job, start])[0][0]
    if last is not None:
        execute("DELETE FROM jobs_item WHERE job_id = %s AND position > %s", [job, max(start - 1, last - REMOVED)])
    return last is not None


def strike(job: int, positions: Sequence[int]) -> list[tuple[int, int]]:
    """Notes that a worker died while it may have had these items.

    Returns (position, tries) of those for whom it was once too often.
    """
    marks = ", ".join(["%s"] * len(positions))
    rows = execute(
        f"""UPDATE jobs_item SET strikes = strikes + 1
             WHERE job_id = %s AND state = 0 AND position IN ({marks}) RETURNING position, strikes, tries""",
        [job, *positions],
    )
    return sorted((position, tries) for position, strikes, tries in rows if strikes >= FATAL_STRIKES)
