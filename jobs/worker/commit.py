"""One transaction of the recorder: what it stores, and what the recorder knows once it is committed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, Final

from django.conf import settings

from jobs import events
from jobs.engine import Pulse
from jobs.files.flattening import MOST, Key
from jobs.models import ItemState, Job, Worker
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING
from jobs.store import causes, dialect, outcomes, shards
from jobs.store import items as store_items
from jobs.store import leases as store_leases
from jobs.store.items import Claim
from jobs.store.leases import Lease, LockedShard, LostLease
from jobs.store.outcomes import NEWEST, Outcomes

AT_REST: Final = Pulse({}, 0, None, 0)


def seen(pulse: Pulse) -> tuple[set[int], bool]:
    """What viewers see of a run of the engine: which items are tried, and whether the service asks to wait."""
    return set(pulse.running), pulse.throttled_until is None


class Commit:
    """Works on copies of the leases: nothing is true before the commit, and the transaction may have to be repeated.

    Wants its methods called in their order, which is that of the locks.
    """

    def __init__(self, job: Job, worker: Worker, leases: Iterable[Lease], found: Outcomes) -> None:
        self.job = job
        self.worker = worker
        self.shards: dict[int, LockedShard] = {}
        self.leases = [lease.copy() for lease in leases]
        self.found = found
        self.done: dict[int, Outcomes] = {}
        self.claims: list[Claim] = []
        self.new_keys: list[Key] = []
        self.lost = 0
        self.paused = False
        self.told = seen(AT_REST)
        self.seq = 0

    def lock(self) -> None:
        """Locks the shards. What was found for those that went to somebody else is left out."""
        self.shards = store_leases.lock_shards(self.leases)
        kept = [lease for lease in self.leases if lease.shard in self.shards]
        self.lost = len(self.leases) - len(kept)
        self.leases = kept
        parts = {lease.shard: self.found.within(lease.start, lease.stop) for lease in kept}
        self.done = {shard: part for shard, part in parts.items() if part}

    def items(self) -> None:
        """Stores items, attempts and causes. Raises LostLease."""
        job, run, worker = self.job.pk, self.job.run_id, self.worker.pk
        plain, others, attempts = (
            list(chain.from_iterable(getattr(part, name) for part in self.done.values()))
            for name in ("plain", "others", "rows")
        )
        causes.count(job, (outcome for outcome in others if outcome.state == ItemState.FAILED))
        written = store_items.save_plain(job, run, worker, plain) + store_items.save_outcomes(job, run, worker, others)
        if written != len(plain) + len(others):
            raise LostLease("an item was stored by somebody else")
        store_items.save_attempts(job, run, worker, attempts)

    def stands(self) -> bool:
        """Whether it was committed, asked after a commit whose reply was lost. One that gave all back is not known."""
        return bool(store_leases.lock_shards(lease for lease in self.leases if lease.token))

    def cells(self) -> None:
        """Marks in each shard's cells, counts and histogram what became of its items."""
        for lease in self.leases:
            part = self.done.get(lease.shard)
            if not part:
                continue
            held = self.shards[lease.shard]
            done = [attempt.position for attempt in part.plain]
            for position in done:
                held.cells[position - lease.start] = ItemState.SUCCEEDED
            for outcome in part.others:
                held.cells[outcome.position - lease.start] = outcome.cell
                held.attempts += outcome.made
            held.attempts += len(done)
            lease.claimed.difference_update(done, (o.position for o in part.others if not o.held))
            held.histogram = shards.observe(held.histogram, part.times)

    def give_back(self, everything: bool, ended: bool) -> None:
        """Frees the shards that nothing is left to do for; the last one only when the turn has ended."""
        for lease in self.leases:
            last = lease is self.leases[-1]
            if everything or (lease.read_all and not lease.claimed and (not last or ended)):
                lease.token = ""
                self._write(lease, shards.given_back(store_leases.next_due(self.job.pk, lease)))

    def keep(self, share: int, rate: float, pulse: Pulse) -> None:
        """Prolongs the leases that are kept, each under a new token. What they share is noted on the last one.

        By its tokens a transaction is known again, where it is not known whether its commit went through.
        """
        kept = [lease for lease in self.leases if lease.token]
        self.told = seen(pulse)
        told = self._in_flight(kept, pulse.running)
        of_all = {"share": share, "rate": rate, "throttled": pulse.throttled_until, **told}
        for lease in kept:
            fields: dict[str, Any] = dict(of_all) if lease is kept[-1] else dict(shards.NOTHING_SHARED)
            fields["claimed"] = json.dumps(sorted(lease.claimed))
            fields["token"] = lease.token = store_leases.new_token()
            fields["expires"] = dialect.Raw(dialect.later(settings.JOBS_LEASE_SECONDS))
            self._write(lease, fields)

    def _in_flight(self, kept: Iterable[Lease], running: Mapping[int, float]) -> dict[str, Any]:
        """What is tried now in these leases, without what has just been stored."""
        found: list[tuple[int, float]] = []
        again = 0
        for lease in kept:
            if lease.shard not in self.shards:
                continue  # It has just been claimed.
            cells = self.shards[lease.shard].cells
            now = [position for position in running if position in lease.claimed]
            again += sum(cells[position - lease.start] == CELL_RETRYING for position in now)
            found += [(position, round(running[position], 1)) for position in now]
        return {"running": len(found), "rerunning": again, "in_flight": json.dumps(sorted(found))}

    def _write(self, lease: Lease, fields: dict[str, Any]) -> None:
        if lease.shard in self.done:
            held = self.shards[lease.shard]
            fields |= {"cells": held.cells, "histogram": held.histogram, "attempts": held.attempts}
        shards.save_shard(lease.shard, **fields)

    def batch(self, known: set[Key], always: bool) -> None:
        """Numbers the transaction, if it changed anything that viewers see. Locks the job's row, so it comes last."""
        seen = dict.fromkeys(chain.from_iterable(part.keys for part in self.done.values()))
        # Beyond as many as there are columns nothing is to be learned.
        self.new_keys = [key for key in seen if key not in known] if len(known) <= MOST else []
        if self.new_keys:
            store_items.add_result_keys(self.job.pk, self.new_keys)
        if self.done or always:
            self.seq = store_items.add_batch(self.job.pk, events.encode(self._changes()), self._newest(), self._size())

    def limit(self, since: float) -> None:
        """Pauses the job where too much of what was begun after `since` failed. `batch` has locked its row."""
        ends = (end for part in self.done.values() for end in part.ends(since))
        self.paused = self.job.count_ends(ends, self.job.limit_round)

    def _size(self) -> int:
        """How many bytes of results and attempts are new."""
        return sum(part.size() for part in self.done.values())

    def _changes(self) -> dict[int, int]:
        """Position → state as frames have it."""
        changes: dict[int, int] = {}
        for part in self.done.values():
            changes |= dict.fromkeys((attempt.position for attempt in part.plain), int(ItemState.SUCCEEDED))
            changes |= {o.position: ItemState.FAILED if o.cell == CELL_FALLBACK else o.cell for o in part.others}
        return changes

    def _newest(self) -> list[outcomes.RecentRow]:
        held = [range(lease.start, lease.stop) for lease in self.leases]
        newest = (o for o in reversed(self.found.others) if any(o.position in positions for positions in held))
        return [outcomes.shown(outcome) for outcome in islice(newest, NEWEST)]
