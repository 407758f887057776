"""The recorder turns attempts into stored rows: one transaction for many of them, then one wake-up.

It also feeds the engine: positions are stored as claimed in the transaction of the batch before, so that what a worker
held when it died is known.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from jobs import engine, events, files, processors, store
from jobs.engine.progress import Feed
from jobs.models import ItemState, Job, Worker
from jobs.models.cause import normalised, signature
from jobs.models.states import CELL_RETRYING, WORKABLE
from jobs.processors import Call, Task
from jobs.store import Lease, LostLease

logger = logging.getLogger(__name__)

HOLD: Final = 5.0  # seconds; a longer wait is stored as due and holds no worker
SAVE_EVERY: Final = 0.1  # seconds between two saves while results come in
SAVE_AT: Final = 2_000  # attempts that are saved at once
LOOK_EVERY: Final = 1.0  # seconds between two looks at what people changed
AHEAD: Final = (50, 5_000)  # least and most items claimed ahead
LEASES: Final = 16  # shards held at once, where each has but a few items to do
NEWEST: Final = 25  # rows shown with a batch
SHOWN: Final = 300  # characters of a value shown with a batch


class Recorder:
    """Feeds one job's items to the engine and stores what comes back, for as long as its turn lasts."""

    def __init__(
        self, job: Job, worker: Worker, lease: Lease, share: int, *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.job = job
        self.worker = worker
        self.share = share
        self.leases = [lease]
        self.stopping = stopping
        self.call = Call(job.processor, job.parameters, tuple(settings.JOBS_PROCESSORS))
        self.processor = processors.get(job.processor)
        self.bar = Feed(self._show)
        self.columns = tuple(job.columns)
        self.shape = job.file_shape
        self.keys = set(job.result_keys)
        self.turn_ends = time.monotonic() + settings.JOBS_TURN_SECONDS
        self.alone = False
        self.ended = False
        self._ahead = max(AHEAD[0], 4 * share)
        self._tasks: dict[int, Task] = {}
        self._ready: deque[tuple[int, Task, int]] = deque()
        self._attempts: list[engine.Attempt] = []
        self._new_keys: list[str] = []
        self._in_flight = 0
        self._rate = 0.0
        self._saved = self._renewed = self._looked = time.monotonic()

    def _show(self, numbers: Mapping[str, Any]) -> None:
        self._rate = numbers["rate"] or 0.0

    # Feeding the engine

    @property
    def executor(self) -> str:
        """Pure Python that computes gets a process for each of its workers, whatever waits gets threads."""
        return "process" if self.processor.kind_of(self.job.parameters) == "cpu" else "thread"

    @property
    def policy(self) -> engine.Policy:
        return replaced(self.job.policy, workers=1 if self.alone else self.share)

    def feed(self) -> Iterator[tuple[int, Task, int]]:
        """Items to start, already stored as claimed. Ends when nothing is left or the turn is over."""
        while not self.ended:
            while self._ready:
                yield self._ready.popleft()
            if self.alone or not self._keep_turn():
                return
            self.flush()
            if not self._ready:
                return

    def prepare(self) -> bool:
        """Claims what the next run of the engine starts with; False when nothing is left for this turn."""
        self.alone = False
        if self.ended or not self._keep_turn():
            return False
        self.flush()
        if not self._ready:
            self.alone = True
            self.flush()
        return bool(self._ready)

    def _keep_turn(self) -> bool:
        """Whether to go on with this job: the turn lasts, or nobody else waits for it."""
        if self.stopping():
            self.ended = True
        elif time.monotonic() > self.turn_ends:
            others = Job.objects.workable().exclude(pk=self.job.pk)
            self.ended = others.filter(shards__token="", shards__pending__gt=0).exists()
            self.turn_ends = time.monotonic() + settings.JOBS_TURN_SECONDS
        return not self.ended

    def _top_up(self) -> list[tuple[int, Task, int]]:
        """Claims more items, from the next shards too, within the transaction of the present batch."""
        if self.ended:
            return []
        wanted = 1 if self.alone else self._ahead - len(self._ready)
        rows: list[tuple[int, str, str, int]] = []
        while len(rows) < wanted:
            lease = self.leases[-1]
            if self.alone:
                lease.cursor, lease.read_all = lease.start, False
            found = [] if lease.read_all else store.read_pending(self.job.pk, lease, wanted - len(rows), self.alone)
            lease.claimed.update(row[0] for row in found)
            rows += found
            if self.alone or (lease.read_all and not self._next_shard()):
                break
        return [self._task(*row) for row in rows]

    def _next_shard(self) -> bool:
        if len(self.leases) >= LEASES:
            return False
        lease = store.claim_shard(self.job.pk, self.worker.pk, self.share, settings.JOBS_LEASE_SECONDS)
        if lease:
            self.leases.append(lease)
        return lease is not None

    def _task(self, position: int, payload: str, key: str, tries: int) -> tuple[int, Task, int]:
        values = files.value(payload, self.columns, self.shape)
        inputs = {name: values.get(column) for name, column in self.job.mapping.items()}
        run = self.job.run.number if self.job.run else 0
        task = Task(inputs=inputs, key=key, idempotency_key=f"{self.job.code}-{position + 1}-{run}")
        if self.processor.has_fallback:
            self._tasks[position] = task
        return position, task, tries

    # What comes back

    def add(self, attempt: engine.Attempt) -> None:
        self._attempts.append(attempt)
        if len(self._attempts) >= SAVE_AT or time.monotonic() - self._saved >= SAVE_EVERY:
            self.flush()

    def beat(self, pulse: engine.Pulse) -> Any:
        """Saves what waits, keeps the leases, and hands on what people changed."""
        now = time.monotonic()
        self._in_flight = pulse.in_flight
        if self.stopping():
            self.ended = True
        if self._attempts or now - self._renewed > settings.JOBS_LEASE_SECONDS / 6:
            self.flush()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            return self._look()
        return engine.STOP if self.ended else None

    def _look(self) -> Any:
        before = self.job.policy
        self.job.refresh_from_db(
            fields=["run", "state", "workers", "attempts", "timeout", "rate", "backoff", "backoff_max"]
        )
        if self.job.state not in WORKABLE:
            self.ended = True
        if self.ended:
            return engine.STOP
        if self.job.policy == before:
            return None
        self._share_out(before.workers)
        return self.policy

    def _share_out(self, before: int) -> None:
        """A job of one task follows the dial at once; a wider one keeps its shares until its next turn."""
        if len(self.job.shares()) == 1 and self.share == before:
            self.share = self.job.workers

    # Storing

    def flush(self) -> None:
        """Stores all that came back and claims more. Raises LostLease when a shard went to somebody else."""
        attempts, self._attempts = self._attempts, []
        if not self._ready and time.monotonic() - self._saved < 2 * SAVE_EVERY:
            self._ahead = min(2 * self._ahead, AHEAD[1])
        with transaction.atomic():
            shards = store.lock_shards(self.leases)
            outcomes = self._outcomes(attempts)
            changes = self._save(outcomes, attempts, shards)
            claims = self._top_up()
            self._save_leases(shards, attempts, outcomes)
            seq = self._save_batch(changes, outcomes)
        self.leases = [lease for lease in self.leases if lease.token]
        self._ready.extend(claims)
        self._saved = self._renewed = time.monotonic()
        if seq:
            events.wake(self.job.code, seq, self.job.owner_id)
        self.bar.update(sum(outcome.state != ItemState.PENDING for outcome in outcomes))

    def _outcomes(self, attempts: list[engine.Attempt]) -> list[store.Outcome]:
        """One outcome for each item, of its last attempt; tries that cost nothing are not counted."""
        made: dict[int, int] = {}
        last: dict[int, engine.Attempt] = {}
        for attempt in attempts:
            throttled = attempt.failure is not None and attempt.failure.kind == "throttled"
            made[attempt.position] = made.get(attempt.position, 0) + (not throttled)
            last[attempt.position] = attempt
        return [self._outcome(attempt, made[position]) for position, attempt in last.items()]

    def _outcome(self, attempt: engine.Attempt, made: int) -> store.Outcome:
        ended = moment(attempt.started + attempt.seconds)
        throttled = attempt.failure is not None and attempt.failure.kind == "throttled"
        tries = attempt.number - throttled
        if attempt.failure is None:
            text, keys = attempt.value
            self._learn(keys)
            cell = int(ItemState.SUCCEEDED)
            return store.Outcome(attempt.position, cell, cell, tries, made, attempt.seconds, ended, result=text)
        failure = attempt.failure
        outcome = store.Outcome(
            attempt.position, int(ItemState.PENDING), CELL_RETRYING, tries, made, attempt.seconds, None,
            error_kind=clean(failure.kind)[:100], error=clean(self.call.redact(failure.message)),
        )  # fmt: skip
        if attempt.retry_at is not None:
            outcome.due = moment(attempt.retry_at)
            return outcome
        outcome.state, outcome.finished = int(ItemState.FAILED), ended
        outcome.fallback = self._fallback(attempt)
        outcome.cell = store.FALLBACK_CELL if outcome.fallback else int(ItemState.FAILED)
        return outcome

    def _learn(self, keys: tuple[str, ...]) -> None:
        for key in keys or ("",):
            if key not in self.keys:
                self.keys.add(key)
                self._new_keys.append(key)

    def _fallback(self, attempt: engine.Attempt) -> str:
        """What stands in for the value of an item that failed for good, as JSON text; empty where there is nothing."""
        task = self._tasks.get(attempt.position)
        stored = self.call.fallback(task, attempt.failure) if task and attempt.failure else None
        if stored is None:
            return ""
        self._learn(stored[1])
        return stored[0]

    def _save(
        self,
        outcomes: list[store.Outcome],
        attempts: list[engine.Attempt],
        shards: dict[int, tuple[bytearray, bytes, int]],
    ) -> dict[int, int]:
        """Writes items, attempts and causes and marks the cells; returns position → cell of what changed."""
        job, worker, run = self.job.pk, self.worker.pk, self.job.run_id
        self._count_causes([o for o in outcomes if o.state == ItemState.FAILED])
        if store.save_outcomes(job, run, worker, outcomes) != len(outcomes):
            raise LostLease("an item was stored by somebody else")
        store.save_attempts(job, run, worker, [row for row in map(attempt_row, attempts) if row])
        for outcome in outcomes:
            lease = self._lease_of(outcome.position)
            shards[lease.shard][0][outcome.position - lease.start] = outcome.cell
            if outcome.state != ItemState.PENDING or long_wait(outcome):
                lease.claimed.discard(outcome.position)
                self._tasks.pop(outcome.position, None)
        return {o.position: ItemState.FAILED if o.cell == store.FALLBACK_CELL else o.cell for o in outcomes}

    def _lease_of(self, position: int) -> Lease:
        return next(lease for lease in self.leases if lease.start <= position < lease.stop)

    def _count_causes(self, failed: list[store.Outcome]) -> None:
        groups: dict[str, list[store.Outcome]] = {}
        for outcome in failed:
            groups.setdefault(signature(outcome.error_kind, outcome.error), []).append(outcome)
        ids = store.count_causes(
            self.job.pk,
            [
                (mark, group[0].error_kind, normalised(group[0].error), group[0].error, len(group),
                 min(o.position for o in group), max(o.position for o in group))
                for mark, group in groups.items()
            ],
        )  # fmt: skip
        for mark, group in groups.items():
            for outcome in group:
                outcome.cause = ids[mark]

    def _save_leases(
        self, shards: dict[int, tuple[bytearray, bytes, int]], attempts: list[engine.Attempt],
        outcomes: list[store.Outcome],
    ) -> None:  # fmt: skip
        """Writes each shard: cells and counts, what is claimed, and how long the lease lives; gives back finished ones."""
        made = {outcome.position: outcome.made for outcome in outcomes}
        for lease in self.leases:
            inside = range(lease.start, lease.stop)
            mine = [a.seconds for a in attempts if a.position in inside]
            fields: dict[str, Any] = {"share": self.share if lease is self.leases[-1] else 0}
            if lease.shard in shards:
                cells, durations, before = shards[lease.shard]
                fields["histogram"] = store.observe(durations, mine)
                fields["attempts"] = before + sum(made[p] for p in made if p in inside)
            else:
                cells = store.lock_shards([lease])[lease.shard][0]
            fields |= self._give_back(lease) if self._done_with(lease) else self._keep(lease)
            store.save_shard(lease.shard, cells, **fields)

    def _done_with(self, lease: Lease) -> bool:
        return lease.read_all and not lease.claimed and (lease is not self.leases[-1] or self.ended)

    def _keep(self, lease: Lease) -> dict[str, Any]:
        last = lease is self.leases[-1]
        return {
            "claimed": json.dumps(sorted(lease.claimed)),
            "running": min(self._in_flight, len(lease.claimed)) if last else 0,
            "rate": self._rate if last else 0.0,
            "expires": store.Raw(store.later(settings.JOBS_LEASE_SECONDS)),
        }

    def _give_back(self, lease: Lease) -> dict[str, Any]:
        lease.token = ""
        due = store.next_due(self.job.pk, lease)
        return {"token": "", "worker_id": None, "claimed": "[]", "running": 0, "rate": 0.0, "share": 0, "due": due,
                "expires": None}  # fmt: skip

    def _save_batch(self, changes: dict[int, int], outcomes: list[store.Outcome]) -> int:
        if self._new_keys:
            store.add_result_keys(self.job.pk, self._new_keys)
            self._new_keys = []
        if not changes:
            return 0
        newest = [shown(outcome) for outcome in reversed(outcomes[-NEWEST:])]
        return store.add_batch(self.job.pk, events.encode(changes), newest)

    def close(self) -> None:
        """Stores the rest and hands every lease back at once, so that nobody has to wait for it to expire."""
        self.ended = True
        self._ready.clear()
        self._in_flight = 0
        self.flush()
        with transaction.atomic():
            shards = store.lock_shards(self.leases)
            for lease in self.leases:
                store.save_shard(lease.shard, shards[lease.shard][0], **self._give_back(lease))
        self.leases = []


def replaced(policy: engine.Policy, **changes: Any) -> engine.Policy:
    return engine.Policy(**{name: getattr(policy, name) for name in policy.__slots__} | changes)  # type: ignore[arg-type]


def moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def long_wait(outcome: store.Outcome) -> bool:
    """Whether the engine gave the item back to be tried later; in doubt it is kept until the turn ends."""
    return bool(outcome.due and (outcome.due - datetime.now(UTC)).total_seconds() > HOLD)


def clean(text: str) -> str:
    """Text that both databases take: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\u2400").encode("utf-8", "replace").decode()


def attempt_row(attempt: engine.Attempt) -> store.AttemptRow | None:
    """The attempt as it is stored, or None where its item says it all."""
    failure = attempt.failure
    if failure is None:
        if attempt.number == 1 and not attempt.log:
            return None
        failure = engine.Failure("", "", "")
    elif failure.kind == "throttled":
        return None
    return store.AttemptRow(
        attempt.position, attempt.number, moment(attempt.started), attempt.seconds, clean(failure.kind)[:100],
        clean(failure.message), clean(failure.trace), clean(attempt.log),
        moment(attempt.retry_at) if attempt.retry_at is not None else None,
    )  # fmt: skip


def shown(outcome: store.Outcome) -> dict[str, Any]:
    """An item as the page lists the newest ones."""
    names = {0: "retrying", 2: "succeeded", 3: "failed", 4: "rejected"}
    return {
        "row": outcome.position + 1,
        "state": names[outcome.state],
        "result": outcome.result[:SHOWN],
        "error": f"{outcome.error_kind}: {outcome.error}"[:SHOWN] if outcome.error_kind else "",
        "attempts": outcome.tries,
        "seconds": round(outcome.seconds, 4),
    }
