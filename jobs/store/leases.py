"""Leases on shards: taken, locked, given back. Each has a token that every write carries.

Every function runs in its caller's transaction. Locks are taken in the order shards, causes, items, job, so that no two
transactions wait for each other. Who holds all shards of a job may lock the rest in any order: nobody else gets there.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.store.dialect import execute, for_update, later, postgres


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
class LockedShard:
    """What a locked shard holds. `claimed` is what its worker may have been at."""

    cells: bytearray
    histogram: bytes
    attempts: int
    claimed: set[int]


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


def lock_shards(leases: Iterable[Lease], expired: bool = False) -> dict[int, LockedShard]:
    """Those of the shards that are still ours, locked until the transaction ends; `expired` ones only if asked."""
    found = {}
    for lease in sorted(leases, key=lambda lease: lease.shard):
        rows = execute(
            f"""SELECT cells, histogram, attempts, claimed FROM jobs_shard
                 WHERE id = %s AND token = %s {f"AND expires < {later(0)}" if expired else ""} {for_update()}""",
            [lease.shard, lease.token],
        )
        for cells, durations, attempts, claimed in rows:
            found[lease.shard] = LockedShard(bytearray(cells), bytes(durations), attempts, set(json.loads(claimed)))
    return found


def next_due(job: int, lease: Lease) -> Any:
    """When the earliest pending item of the shard may be tried; None if one may be tried now."""
    now, first = execute(
        """SELECT COUNT(*) - COUNT(due), MIN(due) FROM jobs_item
            WHERE job_id = %s AND state = 0 AND position >= %s AND position < %s""",
        [job, lease.start, lease.stop],
    )[0]
    return None if now else first
