"""The recorder turns attempts into stored rows: one transaction for many of them, then one wake-up.

It also feeds the engine: positions are stored as claimed in the transaction of the batch before, so that what a worker
held when it died is known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import DataError, transaction
from django.utils import timezone

from jobs import engine, events
from jobs.engine.cores import cores
from jobs.engine.progress import Feed
from jobs.engine.types import Order
from jobs.models import Job, JobState, Quota, Worker, parameters, run_settings
from jobs.models.job import Refused
from jobs.models.quota_limits import OverQuota
from jobs.models.reason import Code, Reason
from jobs.processors import Call
from jobs.store import dialect, items, leases, outcomes
from jobs.store.leases import Lease, LostLease
from jobs.store.outcomes import Outcomes
from jobs.worker import fair_share
from jobs.worker.commit import AT_REST, Commit, seen
from jobs.worker.prefetch import SIZE, Item, Supply

logger = logging.getLogger(__name__)
T = TypeVar("T")

SAVE_EVERY: Final = 0.1  # seconds between two saves while results come in
SAVE_AT: Final = 2_000  # attempts that are saved at once
SAVE_SIZE: Final = 8_000_000  # characters of results that are saved at once
LOOK_EVERY: Final = 1.0  # seconds between two looks at what people changed, which are these:
LOOKED_AT: Final = (
    "run",
    "owner",
    "state",
    "backoff",
    "backoff_max",
    "limit_round",
    *run_settings.POLICY,
    *run_settings.LIMIT,
)
TELL_EVERY: Final = 1.0  # seconds after which viewers are told what runs now, though nothing has come back
AHEAD: Final = (50, 5_000)  # least and most items claimed ahead
LEASES: Final = (15, 64)  # shards claimed in a transaction, and held at once while items of theirs wait to be retried
AWAY: Final = 600.0  # seconds for which results wait for a database that is away: it knows whether a lease still stands
LAST_CALL: Final = 3.0  # seconds that a worker which is to stop waits for what is in flight
CANCELLED: Final = 30.0  # seconds that a cancelled job does: somebody wants it to end, and items may take hours
CORES: Final = cores()  # more processes than these gain a job that computes nothing, and take memory and time to start
BAD_VALUES: Final = (DataError, ValueError, OverflowError)


class OutOfTime(Exception):
    """The worker must go. Everything is stored and handed back; what is in flight will be tried again."""


class Recorder:
    """Feeds one job's items to the engine and stores what comes back, for as long as its turn lasts.

    Raises what the processor's registry raises when the job cannot be set up here.
    """

    def __init__(
        self, job: Job, worker: Worker, lease: Lease, share: int, *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.job = job
        self.worker = worker
        self.share = share
        self.leases = [lease]
        self.stopping = stopping
        self.call = Call(job.processor, parameters.opened(job.code, job.parameters), tuple(settings.JOBS_PROCESSORS))
        self.processor, self.parameters = self.call.prepare()
        self.bar = Feed(self._show)
        self.supply = Supply(job, retain=self.processor.has_fallback)
        self.keys = set(job.keys)
        self.alone = False
        self.ended = False
        self._closing = False
        self._ahead = max(AHEAD[0], 4 * share)
        self._attempts: list[engine.Attempt] = []
        self._size = 0
        self._pulse, self._told = AT_REST, seen(AT_REST)
        self._rate = self._counts_since = 0.0
        self._last_call: float | None = None
        self._tried: Commit | None = None
        self._saved = self._looked = time.monotonic()
        self._turn_ends = self._saved + settings.JOBS_TURN_SECONDS

    def _show(self, numbers: Mapping[str, Any]) -> None:
        self._rate = numbers["rate"] or 0.0

    # Feeding the engine

    @property
    def executor(self) -> str:
        """Pure Python that computes gets a process for each of its workers, whatever waits gets threads."""
        return "process" if self.processor.kind_of(self.parameters) == "cpu" else "thread"

    @property
    def policy(self) -> engine.Policy:
        share = min(self.share, CORES) if self.executor == "process" else self.share
        return replace(self.job.policy, workers=1 if self.alone else share)

    def prepare(self) -> bool:
        """Claims what the next run of the engine starts with; False when nothing is left for this turn.

        Requires the engine at rest: what it still had is claimed anew.
        """
        self.alone = False
        self._rewind()
        if self._turn_is_over():
            return False
        self.flush()
        if not self.supply:
            self.alone = True
            self.flush()
        return bool(self.supply)

    def feed(self) -> Iterator[Item]:
        """Items to start, already stored as claimed. Ends when nothing is left or the turn is over."""
        while not self.ended:
            yield from self.supply
            if self.alone or self._turn_is_over():
                return
            self.flush()
            if not self.supply:
                return

    def _rewind(self) -> None:
        self.supply.forget()
        for lease in self.leases:
            if lease.claimed:
                lease.cursor, lease.read_all = min(lease.cursor, *lease.claimed), False
                lease.claimed.clear()

    def _turn_is_over(self) -> bool:
        """Whether to leave this job: the worker is to stop, or a turn has passed and others wait."""
        if self.stopping():
            self.ended = True
        elif time.monotonic() > self._turn_ends:
            self._turn_ends = time.monotonic() + settings.JOBS_TURN_SECONDS
            waiting = self._retry_while_down(partial(Job.objects.in_turn, leaving=self.job.owner_id))
            self.ended = self.ended or any(job.pk != self.job.pk for job in waiting)
        return self.ended

    def _claim(self, save: Commit) -> None:
        """Claims more items, from the next shards too, within the transaction of the present batch."""
        if self.alone and any(lease.claimed for lease in save.leases):
            return  # A heartbeat while it runs: neither it nor another one may start beside it.
        # What a retry has made pending belongs to its run, and not to the one before.
        self.job.refresh_from_db(fields=["run"])
        while save.leases:
            claimed = set().union(*(lease.claimed for lease in save.leases)) if self.supply.has_large else set()
            wanted, size = (1, SIZE) if self.alone else self.supply.room(self._ahead, self.share, claimed)
            limit = wanted - len(save.claims)
            if limit <= 0:
                return
            lease = save.leases[-1]
            if self.alone:
                lease.cursor, lease.read_all = lease.start, False
            rows = [] if lease.read_all else items.read_pending(self.job.pk, lease, limit, size, self.alone)
            lease.claimed.update(row[0] for row in rows)
            self.supply.weigh(rows)
            save.claims += rows
            if self.alone or (lease.read_all and not self._next_shard(save)):
                return

    def _next_shard(self, save: Commit) -> bool:
        if len(save.leases) >= min(len(self.leases) + LEASES[0], LEASES[1]):
            return False
        lease = leases.claim_shard(self.job.pk, self.worker.pk, self.share, settings.JOBS_LEASE_SECONDS)
        if lease:
            save.leases.append(lease)
        return lease is not None

    # What comes back

    def add(self, attempt: engine.Attempt) -> None:
        self._attempts.append(attempt)
        if attempt.failure is None:
            self._size += len(attempt.value[0])
        full = len(self._attempts) >= SAVE_AT or self._size >= SAVE_SIZE
        if full or time.monotonic() - self._saved >= SAVE_EVERY:
            self.flush()

    def beat(self, pulse: engine.Pulse) -> engine.Policy | Order | None:
        """Saves what waits, keeps the leases, and hands on what people changed. Raises OutOfTime."""
        now = time.monotonic()
        self._pulse = pulse
        if pulse.lost >= settings.JOBS_LOST_THREADS:
            self.ended = True
        if self.stopping():
            self._hurry(now, LAST_CALL)
        elif self.job.state == JobState.CANCELLED:
            self._hurry(now, CANCELLED)
        longest = settings.JOBS_LEASE_SECONDS / 6 if seen(pulse) == self._told else TELL_EVERY
        if self._attempts or now - self._saved > longest:
            self.flush()
        changed = now - self._looked >= LOOK_EVERY and self._look()
        if self._turn_is_over():
            return engine.STOP
        return self.policy if self._settle() or changed else None

    def _hurry(self, now: float, patience: float) -> None:
        """A worker that is killed over an item leaves a strike on it, so it gives up in time what takes longer."""
        self._last_call = self._last_call or now
        if now - self._last_call > patience:
            self.close()
            raise OutOfTime

    def _look(self) -> bool:
        """Reads what people did with the job; whether it has another policy by now."""
        self._looked = time.monotonic()
        before, tasks, counted = self.job.policy, self.job.most_tasks, self.job.limit_round
        self._retry_while_down(partial(self.job.refresh_from_db, fields=LOOKED_AT))
        if self.job.limit_round != counted:
            # What is in flight was begun before a person let the job go on, and is not held against it again.
            self._counts_since = timezone.now().timestamp()
        self._retry_while_down(self._stop_without_room)
        # Of several tasks of a job that has a rate by now one comes back for all of the workers.
        if not self.job.workable or (self.job.rate and tasks > 1):
            self.ended = True
        return self.job.policy != before

    def _stop_without_room(self) -> None:
        """Pauses the job where its owner has stored as much as one may."""
        try:
            Quota.room_for_rows(self.job.owner)
        except OverQuota as error:
            with suppress(Refused):
                self.job.pause(reason=Reason(Code.NO_ROOM, str(error)))

    def _settle(self) -> bool:
        """Takes the share that is fair by now; whether it is another one."""
        before = self.share
        if self.leases and (before != self.job.workers or self.job.most_tasks > 1):
            lead = self.leases[-1]
            self.share = self._retry_while_down(partial(fair_share.settle, self.job, lead, before))
            self._ahead = max(self._ahead, 4 * self.share)
        return self.share != before

    # Storing

    def flush(self) -> None:
        """Stores all that came back and claims more.

        Tries again while the database is away. Ends the turn where a shard went to somebody else: what came back for
        it is dropped.
        """
        if not self.supply and time.monotonic() - self._saved < 2 * SAVE_EVERY:
            self._ahead = min(2 * self._ahead, AHEAD[1])
        attempts, self._attempts, self._size = self._attempts, [], 0
        self._store(outcomes.found_in(attempts, self.call, self.supply.task))

    def _store(self, found: Outcomes) -> None:
        """One transaction; where the database refuses a value, halves, until what it refuses stands alone."""
        self._tried = None
        try:
            save = self._retry_while_down(partial(self._transact, found))
        except LostLease as error:
            logger.warning("Job %s: %s; unsaved results are dropped", self.job.code, error)
            self._leave_off()
        except BAD_VALUES as error:
            logger.warning("Job %s: %s while saving %d items", self.job.code, type(error).__name__, len(found))
            for part in found.parts(error):
                self._store(part)
        else:
            self._take_over(save)

    def _retry_while_down(self, ask: Callable[[], T]) -> T:
        return dialect.retry_while_down(ask, AWAY, stopping=self.stopping)

    @transaction.atomic
    def _transact(self, found: Outcomes) -> Commit:
        if self._tried and self._tried.stands():
            return self._tried
        save = Commit(self.job, self.worker, self.leases, found)
        save.lock()
        save.items()
        save.cells()
        if not (self.ended or save.lost):
            self._claim(save)
        save.give_back(everything=self._closing, ended=self.ended)
        pulse = self._pulse.kept()
        save.keep(max(self.share, pulse.in_flight), self._rate, pulse)
        save.batch(self.keys, always=self._closing or save.told != self._told)
        save.limit(self._counts_since)
        self._tried = save
        return save

    def _leave_off(self) -> None:
        """Nothing more starts here, not even what is claimed."""
        self.ended = True
        self.supply.forget()

    def _take_over(self, save: Commit) -> None:
        """The transaction is committed: what it did becomes what the recorder knows."""
        self._tried = None
        if save.lost:
            logger.warning("Job %s: %d shards went to somebody else", self.job.code, save.lost)
            self._leave_off()
        self.ended = self.ended or save.paused
        self.leases = [lease for lease in save.leases if lease.token]
        self.keys.update(save.new_keys)
        self.supply.add(save.claims)
        self._saved = time.monotonic()
        self._told = save.told
        done = [position for part in save.done.values() for position in part.final]
        self.supply.done(done)
        if save.seq:
            events.wake(self.job.code, save.seq, self.job.owner_id)
        self.bar.update(len(done))

    def close(self) -> None:
        """Stores the rest and hands every lease back at once, so that nobody has to wait for it to expire."""
        self._closing = True
        self._leave_off()
        self._pulse = AT_REST
        self.flush()
