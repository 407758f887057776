"""The set-based statements of the hot path, but for those of `jobs.store.items`.

Every function runs in its caller's transaction. Locks are taken in the order shards, causes, items, job, so that no two
transactions wait for each other. Who holds all shards of a job may lock the rest in any order: nobody else gets there.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from sys import getsizeof
from typing import Any, Final, TypeAlias

from django.db import connection
from django.utils import timezone

from jobs.files import flattening
from jobs.files.flattening import Key
from jobs.models import latency_histogram
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING, ItemState
from jobs.store.dialect import Raw, adapter, execute, for_update, later, octets, postgres

PENDING_CELLS: Final = (int(ItemState.PENDING), CELL_RETRYING)
REMOVED: Final = 10_000  # rows at once, so that nobody waits long
ALONE_FROM: Final = 2  # strikes; an item with so many runs alone
FATAL_STRIKES: Final = 3
# What the leases of one task share stands on its last one; on the others, and on shards that nobody holds, this.
NOTHING_SHARED: Final[dict[str, Any]] = {
    "share": 0, "rate": 0.0, "running": 0, "rerunning": 0, "in_flight": "[]", "throttled": None,
}  # fmt: skip

Claim: TypeAlias = tuple[int, str, str, int, int]  # position, payload, key, tries in this run, tries in earlier ones


class LostLease(Exception):
    """The shard belongs to somebody else by now; nothing of this transaction may be stored."""


@dataclass(slots=True)
class Lease:
    """A shard held by this worker. `cursor` is the next position to read, `claimed` what may have been started."""

    shard: int
    number: int
    start: int
    stop: int
    token: str
    cursor: int
    claimed: set[int] = field(default_factory=set)
    read_all: bool = False

    def copy(self) -> Lease:
        return replace(self, claimed=set(self.claimed))


@dataclass(slots=True)
class Held:
    """What a locked shard holds. `claimed` is what its worker may have been at."""

    cells: bytearray
    histogram: bytes
    attempts: int
    claimed: set[int]


# Leases


def new_token() -> str:
    return secrets.token_hex(16)


def claim_shard(job: int, worker: int, share: int, lease_seconds: float) -> Lease | None:
    """Takes the job's first shard that is free and has something to do now, under a fresh token. Never waits."""
    token = new_token()
    rows = execute(
        f"""UPDATE jobs_shard SET token = %s, worker_id = %s, process = %s, share = %s,
                   expires = {later(lease_seconds)}, claimed = '[]', due = NULL,
                   limit_round = (SELECT limit_round FROM jobs_job WHERE id = jobs_shard.job_id)
             WHERE id = (SELECT id FROM jobs_shard
                          WHERE job_id = %s AND token = '' AND pending > 0 AND (due IS NULL OR due <= {later(0)})
                          ORDER BY number LIMIT 1 {"FOR UPDATE SKIP LOCKED" if postgres() else ""})
         RETURNING id, number, start, stop""",
        [token, worker, os.getpid(), share, job],
    )
    if not rows:
        return None
    shard, number, start, stop = rows[0]
    return Lease(shard, number, start, stop, token, cursor=start)


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


def lock_shards(leases: Iterable[Lease], expired: bool = False) -> dict[int, Held]:
    """Those of the shards that are still ours, locked until the transaction ends; `expired` ones only if asked."""
    found = {}
    for lease in sorted(leases, key=lambda lease: lease.shard):
        rows = execute(
            f"""SELECT cells, histogram, attempts, claimed FROM jobs_shard
                 WHERE id = %s AND token = %s {f"AND expires < {later(0)}" if expired else ""} {for_update()}""",
            [lease.shard, lease.token],
        )
        for cells, durations, attempts, claimed in rows:
            found[lease.shard] = Held(bytearray(cells), bytes(durations), attempts, set(json.loads(claimed)))
    return found


def lock_job_shards(job: int) -> list[int]:
    """Keeps everybody from the job's shards until the transaction ends."""
    return [row[0] for row in execute(f"SELECT id FROM jobs_shard WHERE job_id = %s ORDER BY id {for_update()}", [job])]


def counts(cells: bytes | bytearray) -> dict[str, int]:
    """A shard's counts, which are those of its cells."""
    retrying, fallbacks = cells.count(CELL_RETRYING), cells.count(CELL_FALLBACK)
    return {
        "pending": cells.count(ItemState.PENDING) + retrying,
        "retrying": retrying,
        "succeeded": cells.count(ItemState.SUCCEEDED),
        "failed": cells.count(ItemState.FAILED) + fallbacks,
        "rejected": cells.count(ItemState.REJECTED),
        "fallbacks": fallbacks,
    }


def save_shard(shard: int, cells: bytes | bytearray | None = None, **fields: Any) -> None:
    """Writes `fields`, and where `cells` changed, them and the counts that follow. A Raw value is put in as SQL."""
    values = fields if cells is None else {"cells": bytes(cells), **counts(cells), **fields}
    sets = ", ".join(f"{name} = {value.sql if isinstance(value, Raw) else '%s'}" for name, value in values.items())
    parameters = [value for value in values.values() if not isinstance(value, Raw)]
    execute(f"UPDATE jobs_shard SET {sets} WHERE id = %s", [*parameters, shard])


def given_back(due: Any) -> dict[str, Any]:
    """The fields of a shard that nobody holds; all that is pending in it waits until `due`."""
    return {"token": "", "worker_id": None, "process": 0, "claimed": "[]", "due": due, "expires": None,
            **NOTHING_SHARED}  # fmt: skip


def next_due(job: int, lease: Lease) -> Any:
    """When the earliest pending item of the shard may be tried; None if one may be tried now."""
    now, first = execute(
        """SELECT COUNT(*) - COUNT(due), MIN(due) FROM jobs_item
            WHERE job_id = %s AND state = 0 AND position >= %s AND position < %s""",
        [job, lease.start, lease.stop],
    )[0]
    return None if now else first


# Recording


def add_stored(job: int, size: int) -> None:
    """Counts bytes that the job's rows take more, or less, than before."""
    if size:
        execute("UPDATE jobs_job SET stored = stored + %s WHERE id = %s", [size, job])


def add_batch(job: int, delta: bytes, rows: Sequence[dict[str, Any]], size: int = 0) -> int:
    """Gives the transaction its number and stores what it changed, by which its rows take `size` bytes more.

    Taken last: it locks the job's row.
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


# Rows of an earlier reading, and of a worker that died


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


def observe(histogram_data: bytes, durations: Iterable[float]) -> bytes:
    return latency_histogram.add(latency_histogram.load(histogram_data), durations).tobytes()
