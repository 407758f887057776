"""What must hold after each step of the model: compares what is stored now with what was stored before the step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from jobs import events, invariants, keeper, sql, store
from jobs.models import Batch, ItemState, Job, JobState
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING, WORKABLE

PENDING, SUCCEEDED, FAILED, REJECTED = (int(state) for state in ItemState)
PLAIN: Final = {state: state for state in ItemState} | {CELL_RETRYING: PENDING, CELL_FALLBACK: FAILED}
COUNTS: Final = ("pending", "retrying", "succeeded", "failed", "rejected", "fallbacks")
KEEPER: Final = "keeper"
PERSON: Final = "person"
RETRY: Final = "person who retries"
LOADER: Final = "loader"
DELETE: Final = "person who deletes"


class Broken(AssertionError):
    """A promise does not hold; the message says which."""


def holds(true: object, sentence: str) -> None:
    if not true:
        raise Broken(sentence)


@dataclass(frozen=True, slots=True)
class Item:
    state: int
    result: str
    kind: str
    tries: int
    attempts: int
    strikes: int


@dataclass(frozen=True, slots=True)
class Shard:
    job: int
    start: int
    stop: int
    token: str
    claimed: frozenset[int]
    share: int
    expired: bool
    counts: tuple[int, ...]
    cells: bytes


@dataclass(frozen=True, slots=True)
class JobRow:
    state: str
    seq: int
    limit: int
    workers: int
    run: int | None


@dataclass(slots=True)
class Stored:
    """Everything that counts, read at one moment."""

    jobs: dict[int, JobRow] = field(default_factory=dict)
    shards: dict[int, Shard] = field(default_factory=dict)
    items: dict[tuple[int, int], Item] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Stored:
        jobs = sql.execute("SELECT id, state, seq, attempts, workers, run_id FROM jobs_job")
        shards = sql.execute(
            f"""SELECT id, job_id, start, stop, token, claimed, share, expires IS NOT NULL AND expires < {sql.later(0)},
                       {", ".join(COUNTS)}, cells FROM jobs_shard ORDER BY job_id, start""",
            [],
        )
        items = sql.execute(
            "SELECT job_id, position, state, result, error_kind, tries, attempts, strikes FROM jobs_item"
        )
        return cls(
            {key: JobRow(*row) for key, *row in jobs},
            {
                key: Shard(
                    job,
                    start,
                    stop,
                    token,
                    frozenset(json.loads(claimed)),
                    share,
                    bool(expired),
                    tuple(counts),
                    bytes(cells),
                )
                for key, job, start, stop, token, claimed, share, expired, *counts, cells in shards
            },
            {(job, position): Item(*row) for job, position, *row in items},
        )

    def shard_of(self, job: int, position: int) -> int:
        return next(
            key for key, shard in self.shards.items() if shard.job == job and shard.start <= position < shard.stop
        )

    def of_job(self, job: int) -> tuple[object, ...]:
        shards = [shard for shard in self.shards.values() if shard.job == job]
        return self.jobs[job], shards, [item for (owner, _), item in self.items.items() if owner == job]

    def shown(self, job: int) -> dict[int, int]:
        """Position → state as frames show it."""
        found = (shard for shard in self.shards.values() if shard.job == job)
        return {
            shard.start + at: FAILED if cell == CELL_FALLBACK else cell
            for shard in found
            for at, cell in enumerate(shard.cells)
        }


class Promises:
    """Remembers what was true, and to whom each lease was given: a token alone proves nothing."""

    def __init__(self, commits: Callable[[], int]) -> None:
        self.commits = commits
        self.seen = commits()
        self.stored = Stored()
        self.holders: dict[int, object] = {}
        self.changed: set[int] = set()
        self.suspects: set[int] = set()
        self.views: dict[int, tuple[int, dict[int, int]]] = {}

    def check(self, actor: object, leases: set[tuple[int, str]] | None = None) -> None:
        """`actor` has done something: a worker, who knows these leases (shard, token), or one of the named."""
        if self.commits() == self.seen:
            return
        self.seen = self.commits()
        before, now = self.stored, Stored.now()
        self.stored = now
        for job, row in before.jobs.items():
            holds(job in now.jobs or actor == DELETE, "a job is gone")
            holds(job not in now.jobs or row.seq <= now.jobs[job].seq, "a job's number fell")
        for key, shard in before.shards.items():
            if shard.job in now.jobs:
                self._shard(actor, before, key, shard)
        for (job, position), item in before.items.items():
            if job in now.jobs:
                self._item(actor, before, job, position, item)
        self._hold(actor, leases, before)
        self.changed |= {job for job in now.jobs if job not in before.jobs or before.of_job(job) != now.of_job(job)}

    def recount(self, thoroughly: bool) -> None:
        """Counts the jobs that have changed from their rows; thoroughly it takes longer than all the rest."""
        for job in self.changed & self.stored.jobs.keys():
            for sentence in self._more(job):
                raise Broken(sentence)
            self._replay(job)
            self.suspects.add(job)
        self.changed.clear()
        for job in self.suspects & self.stored.jobs.keys() if thoroughly else ():
            wrong = "; ".join(invariants.differences(Job.objects.get(pk=job)))
            holds(not wrong, wrong)
            self.suspects.discard(job)

    def _hold(self, actor: object, leases: set[tuple[int, str]] | None, before: Stored) -> None:
        """Notes who was given which lease. One whose reply was lost is nobody's."""
        for key, shard in self.stored.shards.items():
            if not shard.token:
                self.holders.pop(key, None)
            elif key not in self.holders or before.shards[key].token != shard.token:
                known = leases is not None and (key, shard.token) in leases
                holds(known or leases is None or self.holders.get(key) is not actor, "a worker forgot a lease of its own")
                self.holders[key] = actor if known else None

    # One shard, one item

    def _shard(self, actor: object, before: Stored, key: int, shard: Shard) -> None:
        after = self.stored.shards.get(key)
        holds(after and (after.start, after.stop) == (shard.start, shard.stop), "a shard is gone or has moved")
        assert after is not None
        mine = not shard.token or self.holders.get(key) is actor
        if shard.token and shard.token != after.token:
            holds(mine or actor == KEEPER, "a living lease was taken away")
            holds(mine or shard.expired, "a lease was taken back before its time")
        if not shard.token and after.token:
            holds(not isinstance(actor, str), "a lease was given to nobody")
            known = any(
                self.holders.get(other) is actor for other, one in before.shards.items() if one.job == shard.job
            )
            holds(known or before.jobs[shard.job].state in WORKABLE, "somebody turned to a job that stands still")
        if shard.claimed != after.claimed and not mine:
            holds(actor == KEEPER, "somebody else's claims have changed")

    def _item(self, actor: object, before: Stored, job: int, position: int, item: Item) -> None:
        after = self.stored.items.get((job, position))
        holds(after, "an item is gone")
        assert after is not None
        if item == after:
            return
        holds(item.state not in (SUCCEEDED, REJECTED), f"row {position + 1} was done, and changed")
        holds(after.tries <= self.stored.jobs[job].limit, f"row {position + 1} had more attempts than allowed")
        key = before.shard_of(job, position)
        if actor == KEEPER:
            self._died(before, before.shards[key], item, after, position)
        elif actor == RETRY:
            holds((item.state, after.state) == (FAILED, PENDING), "a retry changed what had not failed")
            holds((after.tries, after.strikes) == (0, 0), "a retried item does not begin anew")
        else:
            holds(not isinstance(actor, str), "somebody who is no worker changed an item")
            mine = not before.shards[key].token or self.holders.get(key) is actor
            holds(mine, "somebody wrote to a shard that is another's")
            holds(item.state == PENDING, "a worker changed what was not pending")
            holds(after.strikes <= item.strikes, "an item got a strike from a living worker")

    def _died(self, before: Stored, shard: Shard, item: Item, after: Item, position: int) -> None:
        """The keeper strikes what a dead worker had claimed, and condemns only what was alone."""
        holds(shard.token and shard.expired, "an item got a strike, yet no worker has died")
        holds(position in shard.claimed, "an item got a strike that was not claimed")
        if after.state == PENDING:
            holds((after.strikes, after.tries) == (item.strikes + 1, item.tries), "a death is more than one strike")
            return
        holds((after.state, after.kind) == (FAILED, keeper.DEATH_KIND), "the keeper did a worker's work")
        holds(item.strikes == 2, "an item was condemned before its third strike")
        holds(len(shard.claimed) == 1, "an item was condemned that did not run alone")

    # One job

    def _more(self, job: int) -> Iterator[str]:
        """What can be said of a job in the model, where all clocks agree and nothing is pruned."""
        row, shards, items = self.stored.of_job(job)
        assert isinstance(row, JobRow)
        assert isinstance(shards, list)
        assert isinstance(items, list)
        states = {position: item.state for (owner, position), item in self.stored.items.items() if owner == job}
        for shard in shards:
            if shard.counts != tuple(store.counts(shard.cells)[name] for name in COUNTS):
                yield "the counts of a shard are not those of its cells"
            if any(states[shard.start + at] != PLAIN[cell] for at, cell in enumerate(shard.cells)):
                yield "the cells of a shard are not those of its rows"
            if any(states[position] != PENDING for position in shard.claimed):
                yield "something is claimed that is not pending"
        if row.state == JobState.FINISHED and PENDING in states.values():
            yield "the job is finished, and something is pending"
        if row.state == JobState.FINISHED and any(shard.token for shard in shards):
            yield "the job is finished, and somebody still holds a shard"
        if sum(shard.share for shard in shards) > row.workers:
            yield "the job has more workers than allowed"
        if any(item.strikes > 2 for item in items if item.state == PENDING):
            yield "an item with three strikes is pending"

    def _replay(self, job: int) -> None:
        """A viewer who applies every batch to an empty view sees what is stored."""
        seq, view = self.views.get(job, (0, {}))
        news = list(Batch.objects.filter(job=job, seq__gt=seq).order_by("seq").values_list("seq", "delta"))
        newest = self.stored.jobs[job].seq
        holds([number for number, _ in news] == list(range(seq + 1, newest + 1)), "the batches have gaps")
        view |= events.merge(bytes(delta) for _, delta in news)
        self.views[job] = newest, view
        first = {p: i.state for (owner, p), i in self.stored.items.items() if owner == job and i.state == REJECTED}
        missed = dict.fromkeys(self.stored.shown(job), 0) | first | view
        holds(missed == self.stored.shown(job), f"a viewer sees {missed}, stored is {self.stored.shown(job)}")
