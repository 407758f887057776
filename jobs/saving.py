"""One transaction of the recorder: what it stores, and what the recorder knows once it is committed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

from django.conf import settings

from jobs import events, outcomes, sql, store
from jobs.models import ItemState, Job, Worker
from jobs.models.states import CELL_FALLBACK
from jobs.outcomes import AttemptRow, Outcome
from jobs.processors import Task
from jobs.store import Held, Lease, LostLease

NEWEST: Final = 25  # rows shown with a batch


class Save:
    """Works on copies of the leases: nothing is true before the commit, and the transaction may have to be repeated.

    Wants its methods called in their order, which is that of the locks.
    """

    def __init__(self, job: Job, worker: Worker, leases: Iterable[Lease], found: Iterable[Outcome]) -> None:
        self.job = job
        self.worker = worker
        self.shards: dict[int, Held] = {}
        self.leases = [lease.copy() for lease in leases]
        self.found = found
        self.by_shard: dict[int, list[Outcome]] = {}
        self.outcomes: list[Outcome] = []
        self.claims: list[tuple[int, Task, int]] = []
        self.new_keys: list[str] = []
        self.lost = 0
        self.seq = 0

    def lock(self) -> None:
        """Locks the shards. What was found for those that went to somebody else is left out."""
        self.shards = store.lock_shards(self.leases)
        kept = [lease for lease in self.leases if lease.shard in self.shards]
        self.lost = len(self.leases) - len(kept)
        self.leases = kept
        for outcome in self.found:
            lease = self.lease_of(outcome.position)
            if lease is not None:
                self.outcomes.append(outcome)
                self.by_shard.setdefault(lease.shard, []).append(outcome)

    def lease_of(self, position: int) -> Lease | None:
        return next((lease for lease in self.leases if lease.start <= position < lease.stop), None)

    def items(self, rows: Iterable[AttemptRow]) -> None:
        """Stores items, attempts and causes. Raises LostLease."""
        job, run, worker = self.job.pk, self.job.run_id, self.worker.pk
        groups = outcomes.group_by_cause(o for o in self.outcomes if o.state == ItemState.FAILED)
        ids = store.count_causes(job, [outcomes.cause_row(mark, group) for mark, group in groups.items()])
        for mark, group in groups.items():
            for outcome in group:
                outcome.cause = ids[mark]
        if store.save_outcomes(job, run, worker, self.outcomes) != len(self.outcomes):
            raise LostLease("an item was stored by somebody else")
        store.save_attempts(job, run, worker, [row for row in rows if self.lease_of(row.position)])

    def cells(self) -> None:
        """Marks in each shard's cells, counts and histogram what became of its items."""
        for lease in self.leases:
            done = self.by_shard.get(lease.shard)
            if not done:
                continue
            held = self.shards[lease.shard]
            for outcome in done:
                held.cells[outcome.position - lease.start] = outcome.cell
                held.attempts += outcome.made
                if not outcome.held:
                    lease.claimed.discard(outcome.position)
            held.histogram = store.observe(held.histogram, chain.from_iterable(o.times for o in done))

    def give_back(self, everything: bool, ended: bool) -> None:
        """Frees the shards that nothing is left to do for; the last one only when the turn has ended."""
        for lease in self.leases:
            last = lease is self.leases[-1]
            if everything or (lease.read_all and not lease.claimed and (not last or ended)):
                lease.token = ""
                self._write(lease, store.given_back(store.next_due(self.job.pk, lease)))

    def keep(self, share: int, rate: float, in_flight: int) -> None:
        """Prolongs the leases that are kept. What they share is noted on the last one."""
        kept = [lease for lease in self.leases if lease.token]
        in_flight = min(in_flight, sum(len(lease.claimed) for lease in kept))
        for lease in kept:
            of_all = {"share": share, "rate": rate, "running": in_flight}
            fields: dict[str, Any] = of_all if lease is kept[-1] else dict.fromkeys(of_all, 0)
            fields["claimed"] = json.dumps(sorted(lease.claimed))
            fields["expires"] = sql.Raw(sql.later(settings.JOBS_LEASE_SECONDS))
            self._write(lease, fields)

    def _write(self, lease: Lease, fields: dict[str, Any]) -> None:
        if lease.shard in self.by_shard:
            held = self.shards[lease.shard]
            fields |= {"cells": held.cells, "histogram": held.histogram, "attempts": held.attempts}
        store.save_shard(lease.shard, **fields)

    def batch(self, known: set[str], always: bool) -> None:
        """Numbers the transaction, if it changed anything that viewers see. Locks the job's row, so it comes last."""
        seen = dict.fromkeys(key for outcome in self.outcomes for key in outcome.keys)
        self.new_keys = [key for key in seen if key not in known]
        if self.new_keys:
            store.add_result_keys(self.job.pk, self.new_keys)
        if self.outcomes or always:
            newest = [outcomes.shown(outcome) for outcome in reversed(self.outcomes[-NEWEST:])]
            self.seq = store.add_batch(self.job.pk, events.encode(visible(self.outcomes)), newest)


def visible(found: Sequence[Outcome]) -> dict[int, int]:
    """Position → state as frames have it."""
    return {o.position: ItemState.FAILED if o.cell == CELL_FALLBACK else o.cell for o in found}
